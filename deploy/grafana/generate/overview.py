"""*Campaign overview*: all outbounds, worst first."""

from grafana_foundation_sdk.builders import timeseries
from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.generate import dashboard as shared
from deploy.grafana.generate import panels, platform, queries, thresholds
from deploy.grafana.generate.outbound_table import outbound_table
from deploy.grafana.generate.panels import COUNT, SECONDS, SHARE, About
from deploy.grafana.generate.selection import ALL, JOBS
from deploy.grafana.generate.statuses import OUTCOMES

_EACH = "{{outbound}}"


def dashboard() -> Dashboard:
    """The dashboard."""
    made = shared.new_dashboard(
        shared.OVERVIEW,
        "All campaigns at a glance, the worst on top. A click on an outbound opens its details.",
    )
    for variable in (
        shared.data_source_variable(),
        shared.job_variable(),
        shared.outbounds_variable(JOBS),
        shared.interval_variable(),
    ):
        made.with_variable(variable)
    sections: list[shared.Section] = [
        ("All outbounds now", _now()),
        ("Each outbound now, worst first", [outbound_table()]),
        ("Shares over time", _shares()),
        ("Calls over time", _calls()),
        ("The platform", platform.campaigns()),
    ]
    return shared.finish(made, sections)


def _now() -> shared.Panels:
    return [
        panels.number(
            About("Outbounds", "How many outbounds are watched.", COUNT),
            queries.now(f"count(count by (outbound) ({ALL.of('pearl_outbound_info')}))"),
        ),
        panels.number(
            About(
                "Not polled",
                "Outbounds whose last poll failed. Exporter health tells the reason.",
                COUNT,
            ),
            queries.now(f"count({ALL.of('pearl_outbound_up')} == 0) or vector(0)"),
            panels.BAD_IF_ANY,
        ),
        panels.number(
            About("Calls a minute", "Calls started a minute, all outbounds together.", COUNT),
            queries.now(ALL.a_minute("pearl_calls_started_total")),
        ).decimals(1),
        panels.number(
            About("Live calls", "Calls going on as of the last polls.", COUNT),
            queries.now(ALL.total("pearl_live_calls")),
        ),
        panels.number(
            About(
                "Error share", "Calls of the window that ended in error, of all calls of it.", SHARE
            ),
            queries.now(ALL.window_share("error")),
            thresholds.ERROR_STEPS,
        ).decimals(1),
        panels.number(
            About("Unreachable", "Calls of the window that reached nobody, of all.", SHARE),
            queries.now(ALL.window_share("unreachable")),
            thresholds.UNREACHABLE_STEPS,
        ).decimals(1),
        panels.number(
            About(
                "Success rate",
                "Successes of the window's calls with a verdict. Only outbounds whose agent has a "
                "success definition count.",
                SHARE,
            ),
            queries.now(ALL.success_rate()),
        )
        .decimals(1)
        .no_value("no success definition"),
        panels.number(
            About(
                "Oldest data",
                "How old the data of the outbound polled longest ago are.",
                SECONDS,
            ),
            queries.now(ALL.age("pearl_outbound_data_timestamp_seconds")),
            thresholds.DATA_AGE_STEPS,
        ).decimals(0),
    ]


def _shares() -> shared.Panels:
    return [
        _linked(
            panels.graph(
                About(
                    "Error share",
                    "Calls of the window that ended in error, of all calls of the window. "
                    "It reacts before calls settle.",
                    SHARE,
                ),
                queries.graph(ALL.window_share("error", "outbound"), _EACH),
            )
        ),
        _linked(
            panels.graph(
                About(
                    "Unreachable share",
                    "Calls of the window that reached nobody, of all calls of the window. What "
                    "is usual differs between campaigns; look for a change.",
                    SHARE,
                ),
                queries.graph(ALL.window_share("unreachable", "outbound"), _EACH),
            )
        ),
        _linked(
            panels.graph(
                About(
                    "Success rate",
                    "Successes of the window's calls with a verdict (success or not successful). "
                    "Outbounds without a success definition have none.",
                    SHARE,
                ),
                queries.graph(ALL.success_rate("outbound"), _EACH),
            ).max(1)
        ),
        _linked(
            panels.graph(
                About(
                    "Answer rate",
                    "Settled calls with a duration, voice mails left aside, of all calls that "
                    "settled.",
                    SHARE,
                ),
                queries.graph(ALL.answer_rate("outbound"), _EACH),
            )
        ),
    ]


def _calls() -> shared.Panels:
    return [
        _linked(
            panels.graph(
                About(
                    "Calls started",
                    "Calls a minute that were seen for the first time. At 0 in usual hours a "
                    "campaign has gone silent.",
                    panels.CALLS_A_MINUTE,
                ),
                queries.graph(ALL.a_minute("pearl_calls_started_total", "outbound"), _EACH),
            )
        ),
        _linked(
            panels.graph(
                About(
                    "Live calls",
                    "Calls going on as of the last poll. A number that only grows hints at stuck "
                    "calls.",
                    COUNT,
                ),
                queries.graph(ALL.total("pearl_live_calls", "outbound"), _EACH),
            )
        ),
        panels.coloured(
            panels.ranked_stack(
                panels.graph(
                    About(
                        "Settled calls by outcome",
                        "Calls a minute that settled, all outbounds together. Each call counts "
                        "once.",
                        panels.CALLS_A_MINUTE,
                    ),
                    queries.graph(ALL.a_minute("pearl_calls_total", "status"), "{{status}}"),
                )
            ),
            OUTCOMES,
        ),
        _linked(
            panels.graph(
                About(
                    "Duration, 90th percentile",
                    "The duration that 90% of the window's answered calls stay under.",
                    SECONDS,
                ),
                queries.graph(ALL.window_quantile(0.9, "outbound"), _EACH),
            )
        ),
    ]


def _linked(panel: timeseries.Panel) -> timeseries.Panel:
    link = shared.detail_link("${__field.labels.outbound:percentencode}")
    title = "Details of ${__field.labels.outbound}"
    return panels.ranked(panel).data_links([shared.data_link(title, link)])
