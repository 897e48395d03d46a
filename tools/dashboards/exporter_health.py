"""The dashboard *Exporter health*: polls, counting, API requests and the process."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from tools.dashboards import (
    api_panels,
    layout,
    panels,
    platform_panels,
    poll_panels,
    process_panels,
    queries,
    thresholds,
)
from tools.dashboards.panels import COUNT, MOMENT, SECONDS, SHARE, PanelInfo
from tools.dashboards.promql import EXPORTERS, POLLED


def dashboard() -> Dashboard:
    """Return the dashboard."""
    made = layout.new_dashboard(
        layout.HEALTH,
        "The exporter itself: polls and their failures, the age of the data, the API's answers "
        "and the request budget, and the process.",
    )
    for variable in (
        layout.data_source_variable(),
        layout.job_variable(),
        layout.instance_variable(),
        layout.outbounds_variable(EXPORTERS),
        layout.interval_variable(),
    ):
        made.with_variable(variable)
    sections: list[layout.Section] = [
        ("Now", _now()),
        ("Polls", poll_panels.polls()),
        ("Counting", poll_panels.counting()),
        ("The API", api_panels.requests()),
        ("Rows", api_panels.rows()),
        ("The platform", platform_panels.discovery()),
        ("Process", process_panels.process()),
        ("What runs", [poll_panels.outbounds_table(), process_panels.builds_table()]),
    ]
    return layout.finish(made, sections)


def _now() -> layout.Panels:
    return [
        panels.single_stat(
            PanelInfo("Exporter up", "Whether Prometheus reaches every exporter.", COUNT),
            queries.instant(EXPORTERS.min("up")),
            panels.GOOD_IF_ONE,
        ).mappings([panels.value_map(panels.YES_NO)]),
        panels.single_stat(
            PanelInfo("Polled now", "Outbounds whose last poll succeeded, of all.", SHARE),
            queries.instant(f"avg({POLLED.series('pearl_outbound_up')})"),
            panels.GOOD_IF_ONE,
        ).decimals(0),
        panels.single_stat(
            PanelInfo(
                "Oldest data",
                "How long ago the oldest last good poll of any outbound began.",
                SECONDS,
            ),
            queries.instant(POLLED.age("pearl_outbound_data_timestamp_seconds")),
            thresholds.DATA_AGE_STEPS,
        ).decimals(0),
        panels.single_stat(
            PanelInfo(
                "Catching up",
                "Outbounds with calls of an outage that are not counted yet.",
                COUNT,
            ),
            queries.instant(POLLED.sum("pearl_outbound_catching_up")),
            ((None, "green"), (1, "orange")),
        ),
        panels.single_stat(
            PanelInfo(
                "Budget in use",
                "Requests sent, of those allowed right now; the fullest exporter.",
                SHARE,
            ),
            queries.instant(f"max({api_panels.budget_in_use()})"),
            thresholds.BUDGET_STEPS,
        ).decimals(0),
        panels.single_stat(
            PanelInfo(
                "Clock skew",
                "How far the exporter's clock is ahead of the API's. Beyond 2 s the exporter goes "
                "by the API's.",
                SECONDS,
            ),
            queries.instant(
                f"max(abs({EXPORTERS.series('pearl_exporter_api_clock_skew_seconds')}))"
            ),
            ((None, "green"), (2, "orange")),
        ).decimals(1),
        panels.single_stat(
            PanelInfo(
                "Configuration",
                "Whether the last attempt to read the configuration succeeded. If not, the one "
                "before is in force.",
                COUNT,
            ),
            queries.instant(EXPORTERS.min("pearl_exporter_config_last_reload_successful")),
            panels.GOOD_IF_ONE,
        ).mappings([panels.value_map({"1": ("read", "green"), "0": ("refused", "red")})]),
        panels.single_stat(
            PanelInfo("Read", "When the configuration in force was read.", MOMENT),
            queries.instant(
                "1000 * "
                + EXPORTERS.max("pearl_exporter_config_last_reload_success_timestamp_seconds")
            ),
        ),
    ]
