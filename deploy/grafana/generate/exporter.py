"""*Exporter health*: does it poll, is it counting, does the API answer, what does it cost."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.generate import dashboard as shared
from deploy.grafana.generate import panels, platform, polls, process, queries, requests, thresholds
from deploy.grafana.generate.panels import COUNT, MOMENT, SECONDS, SHARE, About
from deploy.grafana.generate.selection import EXPORTERS, POLLED


def dashboard() -> Dashboard:
    """The dashboard."""
    made = shared.new_dashboard(
        shared.HEALTH,
        "The exporter itself: polls and their failures, the age of the data, the API's answers "
        "and the request budget, and the process.",
    )
    for variable in (
        shared.data_source_variable(),
        shared.job_variable(),
        shared.instance_variable(),
        shared.outbounds_variable(EXPORTERS),
        shared.interval_variable(),
    ):
        made.with_variable(variable)
    sections: list[shared.Section] = [
        ("Now", _now()),
        ("Polls", polls.polls()),
        ("Counting", polls.counting()),
        ("The API", requests.requests()),
        ("Rows", requests.rows()),
        ("The platform", platform.discovery()),
        ("Process", process.process()),
        ("What runs", [polls.outbounds_table(), process.builds_table()]),
    ]
    return shared.finish(made, sections)


def _now() -> shared.Panels:
    return [
        panels.number(
            About("Exporter up", "Whether Prometheus reaches every exporter.", COUNT),
            queries.now(EXPORTERS.least("up")),
            panels.GOOD_IF_ONE,
        ).mappings([panels.value_map(panels.YES_NO)]),
        panels.number(
            About("Polled now", "Outbounds whose last poll succeeded, of all.", SHARE),
            queries.now(f"avg({POLLED.of('pearl_outbound_up')})"),
            panels.GOOD_IF_ONE,
        ).decimals(0),
        panels.number(
            About(
                "Oldest data",
                "How long ago the oldest last good poll of any outbound began.",
                SECONDS,
            ),
            queries.now(POLLED.age("pearl_outbound_data_timestamp_seconds")),
            thresholds.DATA_AGE_STEPS,
        ).decimals(0),
        panels.number(
            About(
                "Catching up",
                "Outbounds with calls of an outage that are not counted yet.",
                COUNT,
            ),
            queries.now(POLLED.total("pearl_outbound_catching_up")),
            ((None, "green"), (1, "orange")),
        ),
        panels.number(
            About(
                "Budget in use",
                "Requests sent, of those allowed right now; the fullest exporter.",
                SHARE,
            ),
            queries.now(f"max({requests.budget_in_use()})"),
            thresholds.BUDGET_STEPS,
        ).decimals(0),
        panels.number(
            About(
                "Clock skew",
                "How far the exporter's clock is ahead of the API's. Beyond 2 s the exporter goes "
                "by the API's.",
                SECONDS,
            ),
            queries.now(f"max(abs({EXPORTERS.of('pearl_exporter_api_clock_skew_seconds')}))"),
            ((None, "green"), (2, "orange")),
        ).decimals(1),
        panels.number(
            About(
                "Configuration",
                "Whether the last attempt to read the configuration succeeded. If not, the one "
                "before is in force.",
                COUNT,
            ),
            queries.now(EXPORTERS.least("pearl_exporter_config_last_reload_successful")),
            panels.GOOD_IF_ONE,
        ).mappings([panels.value_map({"1": ("read", "green"), "0": ("refused", "red")})]),
        panels.number(
            About("Read", "When the configuration in force was read.", MOMENT),
            queries.now(
                "1000 * "
                + EXPORTERS.most("pearl_exporter_config_last_reload_success_timestamp_seconds")
            ),
        ),
    ]
