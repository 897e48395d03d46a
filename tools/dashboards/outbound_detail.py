"""The dashboard *Outbound detail*: one campaign in depth."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from tools.dashboards import (
    counting_panels,
    duration_panels,
    layout,
    outcome_panels,
    panels,
    queries,
    signal_panels,
    tag_panels,
    thresholds,
)
from tools.dashboards.panels import COUNT, SECONDS, SHARE, PanelInfo
from tools.dashboards.promql import CHOSEN


def dashboard() -> Dashboard:
    """Return the dashboard."""
    made = layout.new_dashboard(
        layout.DETAIL,
        "One campaign: how its calls end, how long they last, what they are tagged with, and "
        "what is counted.",
    )
    for variable in (
        layout.data_source_variable(),
        layout.job_variable(),
        layout.outbound_variable(),
        layout.interval_variable(),
    ):
        made.with_variable(variable)
    sections: list[layout.Section] = [
        ("Now", _now()),
        ("Outcomes", [*outcome_panels.outcomes(), *outcome_panels.shares()]),
        ("Unusual shares", signal_panels.signals()),
        ("Durations", duration_panels.durations()),
        ("Telephony", outcome_panels.telephony()),
        ("Tags", tag_panels.tags()),
        ("Calls under way", counting_panels.live_calls()),
        ("Counting", counting_panels.counting()),
    ]
    return layout.finish(made, sections)


def _now() -> layout.Panels:
    return [
        panels.single_stat(
            PanelInfo(
                "Polled",
                "Whether the last poll succeeded. If not, all else here is as of the last good "
                "one.",
                COUNT,
            ),
            queries.instant(CHOSEN.min("pearl_outbound_up")),
            panels.GOOD_IF_ONE,
        ).mappings([panels.value_map(panels.YES_NO)]),
        panels.single_stat(
            PanelInfo("Data age", "How long ago the last good poll began.", SECONDS),
            queries.instant(CHOSEN.age("pearl_outbound_data_timestamp_seconds")),
            thresholds.DATA_AGE_STEPS,
        ).decimals(0),
        panels.single_stat(
            PanelInfo("Live calls", "Calls going on as of the last poll.", COUNT),
            queries.instant(CHOSEN.sum("pearl_live_calls")),
        ),
        panels.single_stat(
            PanelInfo(
                "Oldest live call",
                "How long the oldest call has been going on. Hours mean that it is stuck.",
                SECONDS,
            ),
            queries.instant(CHOSEN.age("pearl_oldest_live_call_start_timestamp_seconds")),
            thresholds.LIVE_AGE_STEPS,
        )
        .decimals(0)
        .no_value("none"),
        panels.single_stat(
            PanelInfo("Calls a minute", "Calls started a minute.", COUNT),
            queries.instant(CHOSEN.per_minute("pearl_calls_started_total")),
        ).decimals(1),
        panels.single_stat(
            PanelInfo("Error share", "Calls of the window that ended in error, of all.", SHARE),
            queries.instant(CHOSEN.window_share("error")),
            thresholds.ERROR_STEPS,
        ).decimals(1),
        panels.single_stat(
            PanelInfo("Unreachable", "Calls of the window that reached nobody, of all.", SHARE),
            queries.instant(CHOSEN.window_share("unreachable")),
            thresholds.UNREACHABLE_STEPS,
        ).decimals(1),
        panels.single_stat(
            PanelInfo(
                "Success rate",
                "Successes of the window's calls with a verdict; none where the agent has no "
                "success definition.",
                SHARE,
            ),
            queries.instant(CHOSEN.success_rate()),
        )
        .decimals(1)
        .no_value("no success definition"),
    ]
