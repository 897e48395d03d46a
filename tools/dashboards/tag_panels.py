"""Panels about the tags of an outbound's calls."""

from tools.dashboards import panels, queries
from tools.dashboards.layout import Panels
from tools.dashboards.panels import CALLS_A_MINUTE, COUNT, PanelInfo
from tools.dashboards.promql import CHOSEN


def tags() -> Panels:
    """Return panels about the most frequent tags, and calls without a tag."""
    counted = CHOSEN.series("pearl_tagged_calls_total")
    commonest = f"topk(10, sum by (tag) (increase({counted}[$__range] @ end())))"
    by_tag = CHOSEN.per_minute("pearl_tagged_calls_total", "tag")
    return [
        panels.bar_gauge(
            PanelInfo(
                "Tags in the window now",
                "The 15 commonest tags. A call with two tags counts under both; _other holds the "
                "tags without a series of their own.",
                COUNT,
            ),
            queries.instant(
                f"sort_desc(topk(15, {CHOSEN.sum('pearl_window_tagged_calls', 'tag')} > 0))",
                "{{tag}}",
            ),
        ),
        panels.time_series(
            PanelInfo(
                "Settled calls by tag",
                "Calls a minute that bear the tag, for the ten commonest of the time range.",
                CALLS_A_MINUTE,
            ),
            queries.over_range(f"{by_tag}\n  and on (tag) {commonest}", "{{tag}}"),
        )
        .span(8)
        .height(9),
        panels.time_series(
            PanelInfo(
                "Untagged calls",
                "Answered calls without a tag: finished ones of the window, and a minute those "
                "that settled. Many of them mean that the agent stopped tagging.",
                COUNT,
            ),
            queries.over_range(CHOSEN.sum("pearl_window_untagged_calls"), "in the window"),
            queries.over_range(CHOSEN.per_minute("pearl_untagged_calls_total"), "settled a minute"),
        )
        .span(8)
        .height(9),
    ]
