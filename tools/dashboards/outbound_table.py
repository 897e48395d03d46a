"""The table of *Campaign overview*: a row for each outbound, worst first."""

from grafana_foundation_sdk.builders import table
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from tools.dashboards import panels, tables, thresholds
from tools.dashboards.layout import detail_link
from tools.dashboards.panels import COUNT, SECONDS, SHARE, PanelInfo
from tools.dashboards.promql import CHOSEN
from tools.dashboards.tables import Column

_POLLED = Column("Polled", CHOSEN.min("pearl_outbound_up", "outbound"), COUNT, values=panels.YES_NO)
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
        CHOSEN.min("pearl_outbound_running", "outbound"),
        COUNT,
        values={"1": ("yes", "green"), "0": ("no", "blue")},
    ),
    _WORST,
    Column("Error share", CHOSEN.window_share("error", "outbound"), SHARE, 1),
    Column("Unreachable", CHOSEN.window_share("unreachable", "outbound"), SHARE, 1),
    Column("Success rate", CHOSEN.success_rate("outbound"), SHARE, 1),
    Column("In window", CHOSEN.sum("pearl_window_calls", "outbound"), COUNT),
    Column("Calls/min", CHOSEN.per_minute("pearl_calls_started_total", "outbound"), COUNT, 1),
    Column("Live", CHOSEN.sum("pearl_live_calls", "outbound"), COUNT),
    Column(
        "Oldest live",
        CHOSEN.age("pearl_oldest_live_call_start_timestamp_seconds", "outbound"),
        SECONDS,
        steps=thresholds.LIVE_AGE_STEPS,
    ),
    Column(
        "Data age",
        CHOSEN.age("pearl_outbound_data_timestamp_seconds", "outbound"),
        SECONDS,
        steps=thresholds.DATA_AGE_STEPS,
    ),
)


def outbound_table() -> table.Panel:
    """Return the table: outbounds whose polls fail first, then those nearest to a threshold."""
    info = PanelInfo(
        "Outbounds",
        "Outbounds that cannot be polled come first, then those nearest to an alert's limit or "
        "furthest beyond it: error or unreachable share, whichever is worse, in percent of the "
        "limit above which it can be a spike. Shares are those of the window.",
        COUNT,
    )
    link = {"title": "Details", "url": detail_link("${__value.text:percentencode}")}
    panel = tables.rows(info, {"outbound": "Outbound"}, _COLUMNS).override_by_name(
        "Outbound",
        [DynamicConfigValue("links", [link]), DynamicConfigValue("custom.minWidth", 200)],
    )
    return tables.sorted_by(panel, (_POLLED.name, False), (_WORST.name, True))
