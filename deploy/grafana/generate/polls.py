"""Polls, their failures, and the age of what they brought."""

from grafana_foundation_sdk.builders import table, timeseries

from deploy.grafana.generate import panels, queries, tables
from deploy.grafana.generate.dashboard import Panels
from deploy.grafana.generate.panels import COUNT, SECONDS, About
from deploy.grafana.generate.queries import OUTBOUND_OF_EXPORTER as SELECTED
from deploy.grafana.generate.statuses import REASONS

_EACH = "{{outbound}}"
_POLLS_A_MINUTE = "suffix:polls/min"
_CATCHING_UP = {"0": ("no", "green"), "1": ("catching up", "orange")}


def polls() -> Panels:
    """Whether and how fast outbounds are polled."""
    return [
        panels.states(
            About("Polled", "Whether the last poll of each outbound succeeded.", COUNT),
            {"1": ("polled", "green"), "0": ("failed", "red")},
            queries.graph(f"min by (outbound) (pearl_outbound_up{{{SELECTED}}})", _EACH),
        ),
        panels.coloured(
            panels.stacked(
                panels.graph(
                    About(
                        "Failed polls by reason",
                        "Failed polls a minute. docs/metrics.md says what to look at for each "
                        "reason.",
                        _POLLS_A_MINUTE,
                    ),
                    queries.graph(
                        queries.a_minute("pearl_exporter_poll_failures_total", "reason", SELECTED),
                        "{{reason}}",
                    ),
                )
            ),
            REASONS,
        ),
        panels.graph(
            About(
                "Polls",
                "Polls a minute, good and failed, and polls skipped because the one before was "
                "still going on. If skipped ones grow, polls take longer than the interval.",
                _POLLS_A_MINUTE,
            ),
            queries.graph(
                queries.a_minute("pearl_exporter_polls_total", "outbound", SELECTED), _EACH
            ),
            queries.graph(
                queries.a_minute("pearl_exporter_polls_skipped_total", "outbound", SELECTED),
                "{{outbound}} skipped",
            ),
        ),
        panels.graph(
            About(
                "Poll duration, of its interval",
                "How long the last poll took, in percent of the interval in force. At 100% polls "
                "are skipped.",
                panels.SHARE,
            ),
            queries.graph(
                f"max by (outbound) (pearl_outbound_poll_duration_seconds{{{SELECTED}}})\n"
                f"  / max by (outbound) (pearl_outbound_poll_interval_seconds{{{SELECTED}}})",
                _EACH,
            ),
        ),
        _gauge(
            "Poll lateness",
            "How long after its schedule the last poll sent its first request. It grows where "
            "many outbounds share a small request budget.",
            f"max by (outbound) (pearl_outbound_poll_lateness_seconds{{{SELECTED}}})",
        ),
        _gauge(
            "Age of the data",
            "How long ago the last good poll began. At poll.stale_after the window series vanish.",
            queries.age("pearl_outbound_data_timestamp_seconds", "outbound", SELECTED),
        ),
    ]


def counting() -> Panels:
    """Whether everything was counted and looked at."""
    return [
        panels.states(
            About(
                "Catching up",
                "Outbounds with calls of an outage that are not counted yet.",
                COUNT,
            ),
            _CATCHING_UP,
            queries.graph(f"max by (outbound) (pearl_outbound_catching_up{{{SELECTED}}})", _EACH),
        ),
        _gauge(
            "Time since counting caught up",
            "How long ago counting last caught up with an outage, or began. Shortly after, rates "
            "hold a burst of old calls.",
            queries.age("pearl_outbound_caught_up_timestamp_seconds", "outbound", SELECTED),
        ),
        _gauge(
            "Age of the last full scan",
            "How long ago the whole window was last read. A settled row that changed in place is "
            "seen by then.",
            queries.age("pearl_outbound_full_scan_success_timestamp_seconds", "outbound", SELECTED),
        ),
        panels.graph(
            About("Calls in memory", "Calls of the window and calls not yet settled.", COUNT),
            queries.graph(
                queries.total("pearl_outbound_tracked_calls", "outbound", SELECTED), _EACH
            ),
        ),
    ]


def outbounds_table() -> table.Panel:
    """Every outbound with its id and its configured labels."""
    about = About(
        "Outbounds",
        "Every outbound with its id at NLPearl and the labels that the configuration gives it.",
        COUNT,
    )
    by = "instance, outbound"
    succeeded = "pearl_outbound_last_success_timestamp_seconds"
    interval = f"max by ({by}) (pearl_outbound_poll_interval_seconds{{{SELECTED}}})"
    columns = [
        tables.Column("Info", f"pearl_outbound_info{{{SELECTED}}}", COUNT),
        tables.Column("Last good poll", queries.age(succeeded, by, SELECTED), SECONDS),
        tables.Column("Interval", interval, SECONDS),
    ]
    return tables.rows(about, {"outbound": "Outbound", "outbound_id": "Id"}, columns)


def _gauge(title: str, description: str, expr: str) -> timeseries.Panel:
    return panels.graph(About(title, description, SECONDS), queries.graph(expr, _EACH))
