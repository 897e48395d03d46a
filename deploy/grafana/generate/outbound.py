"""*Outbound detail*: one campaign, why it fails."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.generate import counting, durations, outcomes, panels, queries, tags, thresholds
from deploy.grafana.generate import dashboard as shared
from deploy.grafana.generate.panels import COUNT, SECONDS, SHARE, About
from deploy.grafana.generate.selection import ONE


def dashboard() -> Dashboard:
    """The dashboard."""
    made = shared.new_dashboard(
        shared.DETAIL,
        "One campaign: how its calls end, how long they last, what they are tagged with, and "
        "what is counted.",
    )
    for variable in (
        shared.data_source_variable(),
        shared.job_variable(),
        shared.outbound_variable(),
        shared.interval_variable(),
    ):
        made.with_variable(variable)
    sections: list[shared.Section] = [
        ("Now", _now()),
        ("Outcomes", [*outcomes.outcomes(), *outcomes.shares()]),
        ("Durations", durations.durations()),
        ("Telephony", outcomes.telephony()),
        ("Tags", tags.tags()),
        ("Calls under way", counting.under_way()),
        ("Counting", counting.counting()),
    ]
    return shared.finish(made, sections)


def _now() -> shared.Panels:
    return [
        panels.number(
            About(
                "Polled",
                "Whether the last poll succeeded. If not, all else here is as of the last good "
                "one.",
                COUNT,
            ),
            queries.now(ONE.least("pearl_outbound_up")),
            panels.GOOD_IF_ONE,
        ).mappings([panels.value_map(panels.YES_NO)]),
        panels.number(
            About("Data age", "How long ago the last good poll began.", SECONDS),
            queries.now(ONE.age("pearl_outbound_data_timestamp_seconds")),
            thresholds.DATA_AGE_STEPS,
        ).decimals(0),
        panels.number(
            About("Live calls", "Calls going on as of the last poll.", COUNT),
            queries.now(ONE.total("pearl_live_calls")),
        ),
        panels.number(
            About(
                "Oldest live call",
                "How long the oldest call has been going on. Hours mean that it is stuck.",
                SECONDS,
            ),
            queries.now(ONE.age("pearl_oldest_live_call_start_timestamp_seconds")),
            thresholds.LIVE_AGE_STEPS,
        )
        .decimals(0)
        .no_value("none"),
        panels.number(
            About("Calls a minute", "Calls started a minute.", COUNT),
            queries.now(ONE.a_minute("pearl_calls_started_total")),
        ).decimals(1),
        panels.number(
            About("Error share", "Calls of the window that ended in error, of all.", SHARE),
            queries.now(ONE.window_share("error")),
            thresholds.ERROR_STEPS,
        ).decimals(1),
        panels.number(
            About("Unreachable", "Calls of the window that reached nobody, of all.", SHARE),
            queries.now(ONE.window_share("unreachable")),
            thresholds.UNREACHABLE_STEPS,
        ).decimals(1),
        panels.number(
            About(
                "Success rate",
                "Successes of the window's calls with a verdict; none where the agent has no "
                "success definition.",
                SHARE,
            ),
            queries.now(ONE.success_rate()),
        )
        .decimals(1)
        .no_value("no success definition"),
    ]
