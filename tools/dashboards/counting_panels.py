"""Panels about live calls, and about what is counted."""

from grafana_foundation_sdk.builders import stat

from tools.dashboards import panels, queries, thresholds
from tools.dashboards.layout import Panels
from tools.dashboards.panels import CALLS_A_MINUTE, COUNT, MOMENT, SECONDS, PanelInfo
from tools.dashboards.promql import CHOSEN


def live_calls() -> Panels:
    """Return panels about live and pending calls and their age."""
    return [
        panels.stacked(
            panels.time_series(
                PanelInfo(
                    "Live and pending calls",
                    "Live calls are going on. Pending ones have ended and are counted when they "
                    "have settled.",
                    COUNT,
                ),
                queries.over_range(CHOSEN.sum("pearl_live_calls"), "live"),
                queries.over_range(CHOSEN.sum("pearl_pending_calls"), "pending"),
            )
        ),
        panels.with_limit(
            panels.time_series(
                PanelInfo(
                    "Age of the oldest live call",
                    "How long the oldest call has been going on, and the age from which an alert "
                    "takes it for stuck.",
                    SECONDS,
                ),
                queries.over_range(
                    CHOSEN.age("pearl_oldest_live_call_start_timestamp_seconds"), "age"
                ),
            ),
            thresholds.STUCK_SECONDS,
        ),
    ]


def counting() -> Panels:
    """Return panels about what is counted, and what is not."""
    return [
        _fact(
            PanelInfo(
                "Counting since", "When tracking began. Earlier calls are in no counter.", MOMENT
            ),
            "1000 * " + CHOSEN.min("pearl_outbound_tracking_since_timestamp_seconds"),
        ),
        _fact(
            PanelInfo("Window", "How far back the window reaches (poll.window).", SECONDS),
            CHOSEN.max("pearl_window_seconds"),
        ),
        _fact(
            PanelInfo(
                "Uncounted time",
                "Time of outages further back than poll.catch_up reached, since tracking began. "
                "Calls of it are in no counter.",
                SECONDS,
            ),
            CHOSEN.sum("pearl_outbound_uncounted_seconds_total"),
            panels.BAD_IF_ANY,
        ),
        _fact(
            PanelInfo(
                "Folded tags",
                "Different tags without a series of their own, because metrics.max_tags others "
                "came first.",
                COUNT,
            ),
            CHOSEN.sum("pearl_exporter_folded_tags"),
            panels.BAD_IF_ANY,
        ),
        panels.time_series(
            PanelInfo(
                "Revisions",
                "Changes a minute to calls after they were counted, by what changed. Many of them: "
                "make poll.settle longer.",
                "suffix:changes/min",
            ),
            queries.over_range(
                CHOSEN.per_minute("pearl_call_revisions_total", "field"), "{{field}}"
            ),
        ),
        panels.time_series(
            PanelInfo(
                "Calls never counted",
                "Calls a minute that were seen and will never be counted: deleted before they "
                "settled, or followed longer than poll.follow.",
                CALLS_A_MINUTE,
            ),
            queries.over_range(
                CHOSEN.per_minute("pearl_calls_uncounted_total", "reason"), "{{reason}}"
            ),
        ),
    ]


def _fact(info: PanelInfo, expr: str, steps: panels.Steps = panels.PLAIN) -> stat.Panel:
    return panels.single_stat(info, queries.instant(expr), steps).span(6).decimals(0)
