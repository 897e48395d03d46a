"""Panels about polls, their failures, and the age of their data."""

from grafana_foundation_sdk.builders import table, timeseries

from tools.dashboards import panels, queries, tables, thresholds
from tools.dashboards.colours import REASONS
from tools.dashboards.layout import Panels
from tools.dashboards.panels import COUNT, SECONDS, PanelInfo
from tools.dashboards.promql import EXPORTERS, POLLED

_EACH = "{{outbound}}"
_POLLS_A_MINUTE = "suffix:polls/min"
_CATCHING_UP = {"0": ("no", "green"), "1": ("catching up", "orange")}
_READ_BY_OFFSET = {"0": ("no", "green"), "1": ("by offset", "orange")}


def polls() -> Panels:
    """Return panels about whether and how fast outbounds are polled."""
    return [
        panels.state_timeline(
            PanelInfo("Polled", "Whether the last poll of each outbound succeeded.", COUNT),
            {"1": ("polled", "green"), "0": ("failed", "red")},
            queries.over_range(POLLED.min("pearl_outbound_up", "outbound"), _EACH),
        ),
        panels.time_series(
            PanelInfo(
                "Refused tokens",
                "Tokens that the API refuses, and outbounds that wait for one of them.",
                COUNT,
            ),
            queries.over_range(EXPORTERS.sum("pearl_exporter_api_tokens_refused"), "tokens"),
            queries.over_range(POLLED.sum("pearl_outbound_token_refused"), "outbounds"),
        ),
        panels.with_colours(
            panels.stacked_and_ranked(
                panels.time_series(
                    PanelInfo(
                        "Failed polls by reason",
                        "Failed polls a minute. docs/metrics.md says what to look at for each "
                        "reason.",
                        _POLLS_A_MINUTE,
                    ),
                    queries.over_range(
                        POLLED.per_minute("pearl_exporter_poll_failures_total", "reason"),
                        "{{reason}}",
                    ),
                )
            ),
            REASONS,
        ),
        panels.ranked(
            panels.time_series(
                PanelInfo(
                    "Polls",
                    "Polls a minute, good and failed, and polls skipped because the one before was "
                    "still going on. If skipped ones grow, polls take longer than the interval.",
                    _POLLS_A_MINUTE,
                ),
                queries.over_range(
                    POLLED.per_minute("pearl_exporter_polls_total", "outbound"), _EACH
                ),
                queries.over_range(
                    POLLED.per_minute("pearl_exporter_polls_skipped_total", "outbound"),
                    "{{outbound}} skipped",
                ),
            )
        ),
        panels.ranked(
            panels.time_series(
                PanelInfo(
                    "Poll duration, of its interval",
                    "How long the last poll took, in percent of the interval in force. At 100% "
                    "polls are skipped.",
                    panels.SHARE,
                ),
                queries.over_range(
                    POLLED.max("pearl_outbound_poll_duration_seconds", "outbound")
                    + "\n  / "
                    + POLLED.max("pearl_outbound_poll_interval_seconds", "outbound"),
                    _EACH,
                ),
            )
        ),
        _gauge(
            "Poll lateness",
            "How long after its schedule the last poll sent its first request. It grows where "
            "many outbounds share a small request budget.",
            POLLED.max("pearl_outbound_poll_lateness_seconds", "outbound"),
        ),
        panels.with_limit(
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
    """Return panels about catching up, full scans and tracked calls."""
    return [
        panels.state_timeline(
            PanelInfo(
                "Catching up",
                "Outbounds with calls of an outage that are not counted yet.",
                COUNT,
            ),
            _CATCHING_UP,
            queries.over_range(POLLED.max("pearl_outbound_catching_up", "outbound"), _EACH),
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
            panels.time_series(
                PanelInfo(
                    "Rows that can't be read",
                    "Rows that the API counts in the window and that the last good poll could not "
                    "read. The window may be too low by this many calls.",
                    COUNT,
                ),
                queries.over_range(POLLED.sum("pearl_outbound_unreadable_rows", "outbound"), _EACH),
            )
        ),
        panels.ranked(
            panels.time_series(
                PanelInfo(
                    "Missing calls",
                    "Calls that the last poll should have read and that the API did not list. They "
                    "are kept until a later poll misses them again.",
                    COUNT,
                ),
                queries.over_range(POLLED.sum("pearl_outbound_missing_calls", "outbound"), _EACH),
            )
        ),
        panels.state_timeline(
            PanelInfo(
                "Read by offset",
                "Outbounds whose whole window each poll reads by offset, since the API ignores the "
                "order or the end asked for, or cuts it to a coarser date.",
                COUNT,
            ),
            _READ_BY_OFFSET,
            queries.over_range(POLLED.max("pearl_outbound_reads_by_offset", "outbound"), _EACH),
        ),
        panels.ranked(
            panels.time_series(
                PanelInfo(
                    "Calls in memory", "Calls of the window and calls not yet settled.", COUNT
                ),
                queries.over_range(POLLED.sum("pearl_outbound_tracked_calls", "outbound"), _EACH),
            )
        ),
    ]


def outbounds_table() -> table.Panel:
    """Return a table of every outbound with its id and its configured labels."""
    info = PanelInfo(
        "Outbounds",
        "Every outbound with its id at NLPearl and the labels that the configuration gives it.",
        COUNT,
    )
    by = "instance, outbound"
    labels = {"outbound": "Outbound", "outbound_id": "Id", "instance": "Instance"}
    succeeded = "pearl_outbound_last_success_timestamp_seconds"
    interval = POLLED.max("pearl_outbound_poll_interval_seconds", by)
    columns = [
        tables.Column("", POLLED.series("pearl_outbound_info"), COUNT),
        tables.Column("Last good poll", POLLED.age(succeeded, by), SECONDS),
        tables.Column("Interval", interval, SECONDS),
    ]
    return tables.rows(info, labels, columns)


def _gauge(title: str, description: str, expr: str) -> timeseries.Panel:
    return panels.ranked(
        panels.time_series(PanelInfo(title, description, SECONDS), queries.over_range(expr, _EACH))
    )
