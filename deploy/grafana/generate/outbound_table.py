"""The table of the overview: a row for each outbound, the worst on top."""

from grafana_foundation_sdk.builders import table
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from deploy.grafana.generate import panels, tables, thresholds
from deploy.grafana.generate.dashboard import detail_link
from deploy.grafana.generate.panels import COUNT, SECONDS, SHARE, About
from deploy.grafana.generate.selection import ALL
from deploy.grafana.generate.tables import Column

_POLLED = Column("Polled", ALL.least("pearl_outbound_up", "outbound"), COUNT, values=panels.YES_NO)
_WORST = Column(
    "Of limit",
    thresholds.worst_of_limits(),
    SHARE,
    steps=thresholds.OF_LIMIT_STEPS,
    filled=True,
)
_COLUMNS = (
    _POLLED,
    Column(
        "Running",
        ALL.least("pearl_outbound_running", "outbound"),
        COUNT,
        values={"1": ("yes", "green"), "0": ("no", "blue")},
    ),
    _WORST,
    Column("Error share", ALL.window_share("error", "outbound"), SHARE, 1),
    Column("Unreachable", ALL.window_share("unreachable", "outbound"), SHARE, 1),
    Column("Success rate", ALL.success_rate("outbound"), SHARE, 1),
    Column("In window", ALL.total("pearl_window_calls", "outbound"), COUNT),
    Column("Calls/min", ALL.a_minute("pearl_calls_started_total", "outbound"), COUNT, 1),
    Column("Live", ALL.total("pearl_live_calls", "outbound"), COUNT),
    Column(
        "Oldest live",
        ALL.age("pearl_oldest_live_call_start_timestamp_seconds", "outbound"),
        SECONDS,
        steps=thresholds.LIVE_AGE_STEPS,
    ),
    Column(
        "Data age",
        ALL.age("pearl_outbound_data_timestamp_seconds", "outbound"),
        SECONDS,
        steps=thresholds.DATA_AGE_STEPS,
    ),
)


def outbound_table() -> table.Panel:
    """The table; what cannot be polled comes first, then what is nearest to its threshold."""
    about = About(
        "Outbounds",
        "Outbounds that cannot be polled come first, then those nearest to an alert's limit or "
        "furthest beyond it: error or unreachable share, whichever is worse, in percent of the "
        "limit above which it can be a spike. Shares are those of the window.",
        COUNT,
    )
    link = {"title": "Details", "url": detail_link("${__value.text:percentencode}")}
    panel = tables.rows(about, {"outbound": "Outbound"}, _COLUMNS).override_by_name(
        "Outbound",
        [DynamicConfigValue("links", [link]), DynamicConfigValue("custom.minWidth", 200)],
    )
    return tables.sorted_by(panel, (_POLLED.name, False), (_WORST.name, True))
