"""Panels about how unusual the shares of an outbound's calls are."""

from grafana_foundation_sdk.builders import table

from tools.dashboards import panels, queries, tables
from tools.dashboards.layout import Panels
from tools.dashboards.panels import COUNT, SHARE, PanelInfo
from tools.dashboards.promql import CHOSEN

NATS = "suffix:nats"


def signals() -> Panels:
    """Return panels with the evidence, the shares behind it and a table of the signals now."""
    evidence = panels.time_series(
        PanelInfo(
            "Evidence by signal",
            "How unusual the newest calls are, in nats: 10 are a factor of 22,000. The dashed line "
            "is the lowest limit for a warning.",
            NATS,
        ),
        queries.over_range(CHOSEN.max("pearl_signal_evidence", "signal"), "{{signal}}"),
        queries.over_range(
            CHOSEN.where('severity="warning"').min("pearl_signal_evidence_limit"), "warning"
        ),
    )
    shares = panels.time_series(
        PanelInfo(
            "Recent shares by signal",
            "The share of bad calls in the newest calls that differ most from the usual share.",
            SHARE,
        ),
        queries.over_range(CHOSEN.max("pearl_signal_recent_ratio", "signal"), "{{signal}}"),
    )
    return [panels.dashed(evidence, "warning", "orange"), shares.max(1), _table()]


def _table() -> table.Panel:
    def column(name: str, metric: str, unit: str, decimals: int = 0) -> tables.Column:
        return tables.Column(name, CHOSEN.max(metric, "signal"), unit, decimals)

    since = CHOSEN.max("pearl_signal_since_timestamp_seconds", "signal")
    return tables.rows(
        PanelInfo(
            "Signals now",
            "The share of bad calls that is usual, and that of the newest calls that differ most "
            "from it. Since is shown while that is worth a warning.",
            COUNT,
        ),
        {"signal": "Signal"},
        [
            column("Evidence", "pearl_signal_evidence", NATS, 1),
            column("Recent", "pearl_signal_recent_ratio", SHARE, 1),
            column("Usual", "pearl_signal_usual_ratio", SHARE, 1),
            column("Bad calls", "pearl_signal_recent_bad_calls", COUNT),
            column("Calls", "pearl_signal_recent_calls", COUNT),
            tables.Column("Since", f"1000 * {since}", panels.MOMENT),
            column("Usual of calls", "pearl_signal_usual_calls", COUNT),
            column("Ceiling", "pearl_signal_ceiling_ratio", SHARE, 1),
        ],
    )
