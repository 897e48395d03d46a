"""What the calls of an outbound are tagged with."""

from deploy.grafana.generate import panels, queries
from deploy.grafana.generate.dashboard import Panels
from deploy.grafana.generate.panels import CALLS_A_MINUTE, COUNT, About
from deploy.grafana.generate.selection import ONE


def tags() -> Panels:
    """The commonest tags, and calls without one."""
    counted = ONE.of("pearl_tagged_calls_total")
    commonest = f"topk(10, sum by (tag) (increase({counted}[$__range] @ end())))"
    by_tag = ONE.a_minute("pearl_tagged_calls_total", "tag")
    return [
        panels.bars(
            About(
                "Tags in the window now",
                "The 15 commonest tags. A call with two tags counts under both; _other holds the "
                "tags without a series of their own.",
                COUNT,
            ),
            queries.now(
                f"sort_desc(topk(15, {ONE.total('pearl_window_tagged_calls', 'tag')} > 0))",
                "{{tag}}",
            ),
        ),
        panels.graph(
            About(
                "Settled calls by tag",
                "Calls a minute that bear the tag, for the ten commonest of the time range.",
                CALLS_A_MINUTE,
            ),
            queries.graph(f"{by_tag}\n  and on (tag) {commonest}", "{{tag}}"),
        )
        .span(8)
        .height(9),
        panels.graph(
            About(
                "Untagged calls",
                "Answered calls without a tag: finished ones of the window, and a minute those "
                "that settled. Many of them mean that the agent stopped tagging.",
                COUNT,
            ),
            queries.graph(ONE.total("pearl_window_untagged_calls"), "in the window"),
            queries.graph(ONE.a_minute("pearl_untagged_calls_total"), "settled a minute"),
        )
        .span(8)
        .height(9),
    ]
