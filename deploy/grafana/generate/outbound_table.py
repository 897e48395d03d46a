"""The table of the overview: a row for each outbound, the worst on top."""

from grafana_foundation_sdk.builders import table
from grafana_foundation_sdk.models.dashboard import DynamicConfigValue

from deploy.grafana.generate import panels, queries, tables, thresholds
from deploy.grafana.generate.dashboard import detail_link
from deploy.grafana.generate.panels import COUNT, SECONDS, SHARE, About
from deploy.grafana.generate.queries import OUTBOUND
from deploy.grafana.generate.tables import Column

_POLLED = Column(
    "Polled", f"min by (outbound) (pearl_outbound_up{{{OUTBOUND}}})", COUNT, values=panels.YES_NO
)
_WORST = Column(
    "Of threshold",
    thresholds.of_threshold(),
    SHARE,
    steps=thresholds.OF_THRESHOLD_STEPS,
)
_COLUMNS = (
    _POLLED,
    _WORST,
    Column("Error share", queries.window_share("error"), SHARE, 1),
    Column("Unreachable share", queries.window_share("unreachable"), SHARE, 1),
    Column("Success rate", queries.success_rate(), SHARE, 1),
    Column("Calls in window", queries.total("pearl_window_calls", "outbound"), COUNT),
    Column("Calls a minute", queries.a_minute("pearl_calls_started_total", "outbound"), COUNT, 1),
    Column("Live", queries.total("pearl_live_calls", "outbound"), COUNT),
    Column(
        "Oldest live call",
        queries.age("pearl_oldest_live_call_start_timestamp_seconds", "outbound"),
        SECONDS,
    ),
    Column(
        "Data age",
        queries.age("pearl_outbound_data_timestamp_seconds", "outbound"),
        SECONDS,
        steps=thresholds.DATA_AGE_STEPS,
    ),
)


def outbound_table() -> table.Panel:
    """The table; what cannot be polled comes first, then what is nearest to its threshold."""
    about = About(
        "Outbounds",
        "Outbounds that cannot be polled come first, then those nearest to an alert threshold or "
        "furthest beyond it: the larger of the error and the unreachable share, in percent of "
        "the threshold. Shares are those of the window.",
        COUNT,
    )
    link = {"title": "Details", "url": detail_link("${__value.text:percentencode}")}
    panel = tables.rows(about, {"outbound": "Outbound"}, _COLUMNS).override_by_name(
        "Outbound",
        [DynamicConfigValue("links", [link]), DynamicConfigValue("custom.minWidth", 180)],
    )
    return tables.sorted_by(panel, (_POLLED.name, False), (_WORST.name, True))
