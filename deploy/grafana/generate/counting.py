"""Calls under way, and what is counted of them."""

from grafana_foundation_sdk.builders import stat

from deploy.grafana.generate import panels, queries, thresholds
from deploy.grafana.generate.dashboard import Panels
from deploy.grafana.generate.panels import CALLS_A_MINUTE, COUNT, MOMENT, SECONDS, About
from deploy.grafana.generate.selection import ONE


def under_way() -> Panels:
    """What goes on, and for how long."""
    return [
        panels.stacked(
            panels.graph(
                About(
                    "Live and pending calls",
                    "Live calls are going on. Pending ones have ended and are counted when they "
                    "have settled.",
                    COUNT,
                ),
                queries.graph(ONE.total("pearl_live_calls"), "live"),
                queries.graph(ONE.total("pearl_pending_calls"), "pending"),
            )
        ),
        panels.limit(
            panels.graph(
                About(
                    "Age of the oldest live call",
                    "How long the oldest call has been going on, and the age from which an alert "
                    "takes it for stuck.",
                    SECONDS,
                ),
                queries.graph(ONE.age("pearl_oldest_live_call_start_timestamp_seconds"), "age"),
            ),
            thresholds.STUCK_SECONDS,
        ),
    ]


def counting() -> Panels:
    """What is counted, and what is not."""
    return [
        _fact(
            About(
                "Counting since", "When tracking began. Earlier calls are in no counter.", MOMENT
            ),
            "1000 * " + ONE.least("pearl_outbound_tracking_since_timestamp_seconds"),
        ),
        _fact(
            About("Window", "How far back the window reaches (poll.window).", SECONDS),
            ONE.most("pearl_window_seconds"),
        ),
        _fact(
            About(
                "Uncounted time",
                "Time of outages further back than poll.catch_up reached, since tracking began. "
                "Calls of it are in no counter.",
                SECONDS,
            ),
            ONE.total("pearl_outbound_uncounted_seconds_total"),
            panels.BAD_IF_ANY,
        ),
        _fact(
            About(
                "Folded tags",
                "Different tags without a series of their own, because metrics.max_tags others "
                "came first.",
                COUNT,
            ),
            ONE.total("pearl_exporter_folded_tags"),
            panels.BAD_IF_ANY,
        ),
        panels.graph(
            About(
                "Revisions",
                "Changes a minute to calls after they were counted, by what changed. Many of them: "
                "make poll.settle longer.",
                "suffix:changes/min",
            ),
            queries.graph(ONE.a_minute("pearl_call_revisions_total", "field"), "{{field}}"),
        ),
        panels.graph(
            About(
                "Calls never counted",
                "Calls a minute that were seen and will never be counted: deleted before they "
                "settled, or followed longer than poll.follow.",
                CALLS_A_MINUTE,
            ),
            queries.graph(ONE.a_minute("pearl_calls_uncounted_total", "reason"), "{{reason}}"),
        ),
    ]


def _fact(about: About, expr: str, steps: panels.Steps = panels.PLAIN) -> stat.Panel:
    return panels.number(about, queries.now(expr), steps).span(6).decimals(0)
