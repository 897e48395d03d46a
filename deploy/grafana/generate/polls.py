"""Polls, their failures, and the age of what they brought."""

from grafana_foundation_sdk.builders import table, timeseries

from deploy.grafana.generate import panels, queries, tables, thresholds
from deploy.grafana.generate.dashboard import Panels
from deploy.grafana.generate.panels import COUNT, SECONDS, About
from deploy.grafana.generate.selection import EXPORTERS, POLLED
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
            queries.graph(POLLED.least("pearl_outbound_up", "outbound"), _EACH),
        ),
        panels.graph(
            About(
                "Refused tokens",
                "Tokens that the API refuses, and outbounds that wait for one of them.",
                COUNT,
            ),
            queries.graph(EXPORTERS.total("pearl_exporter_api_tokens_refused"), "tokens"),
            queries.graph(POLLED.total("pearl_outbound_token_refused"), "outbounds"),
        ),
        panels.coloured(
            panels.ranked_stack(
                panels.graph(
                    About(
                        "Failed polls by reason",
                        "Failed polls a minute. docs/metrics.md says what to look at for each "
                        "reason.",
                        _POLLS_A_MINUTE,
                    ),
                    queries.graph(
                        POLLED.a_minute("pearl_exporter_poll_failures_total", "reason"),
                        "{{reason}}",
                    ),
                )
            ),
            REASONS,
        ),
        panels.ranked(
            panels.graph(
                About(
                    "Polls",
                    "Polls a minute, good and failed, and polls skipped because the one before was "
                    "still going on. If skipped ones grow, polls take longer than the interval.",
                    _POLLS_A_MINUTE,
                ),
                queries.graph(POLLED.a_minute("pearl_exporter_polls_total", "outbound"), _EACH),
                queries.graph(
                    POLLED.a_minute("pearl_exporter_polls_skipped_total", "outbound"),
                    "{{outbound}} skipped",
                ),
            )
        ),
        panels.ranked(
            panels.graph(
                About(
                    "Poll duration, of its interval",
                    "How long the last poll took, in percent of the interval in force. At 100% "
                    "polls are skipped.",
                    panels.SHARE,
                ),
                queries.graph(
                    POLLED.most("pearl_outbound_poll_duration_seconds", "outbound")
                    + "\n  / "
                    + POLLED.most("pearl_outbound_poll_interval_seconds", "outbound"),
                    _EACH,
                ),
            )
        ),
        _gauge(
            "Poll lateness",
            "How long after its schedule the last poll sent its first request. It grows where "
            "many outbounds share a small request budget.",
            POLLED.most("pearl_outbound_poll_lateness_seconds", "outbound"),
        ),
        panels.limit(
            _gauge(
                "Age of the data",
                "How long ago the last good poll began, and the age at which an alert fires. "
                "Before that, at poll.stale_after, the window series vanish.",
                POLLED.age("pearl_outbound_data_timestamp_seconds", "outbound"),
            ),
            thresholds.DATA_AGE_SECONDS,
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
            queries.graph(POLLED.most("pearl_outbound_catching_up", "outbound"), _EACH),
        ),
        _gauge(
            "Time since counting caught up",
            "How long ago counting last caught up with an outage, or began. Shortly after, rates "
            "hold a burst of old calls.",
            POLLED.age("pearl_outbound_caught_up_timestamp_seconds", "outbound"),
        ),
        _gauge(
            "Age of the last full scan",
            "How long ago the whole window was last read. A settled row that changed in place is "
            "seen by then.",
            POLLED.age("pearl_outbound_full_scan_success_timestamp_seconds", "outbound"),
        ),
        panels.ranked(
            panels.graph(
                About("Calls in memory", "Calls of the window and calls not yet settled.", COUNT),
                queries.graph(POLLED.total("pearl_outbound_tracked_calls", "outbound"), _EACH),
            )
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
    labels = {"outbound": "Outbound", "outbound_id": "Id", "instance": "Instance"}
    succeeded = "pearl_outbound_last_success_timestamp_seconds"
    interval = POLLED.most("pearl_outbound_poll_interval_seconds", by)
    columns = [
        tables.Column("", POLLED.of("pearl_outbound_info"), COUNT),
        tables.Column("Last good poll", POLLED.age(succeeded, by), SECONDS),
        tables.Column("Interval", interval, SECONDS),
    ]
    return tables.rows(about, labels, columns)


def _gauge(title: str, description: str, expr: str) -> timeseries.Panel:
    return panels.ranked(
        panels.graph(About(title, description, SECONDS), queries.graph(expr, _EACH))
    )
