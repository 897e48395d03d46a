"""The dashboard *Campaign overview*: all outbounds, worst first."""

from grafana_foundation_sdk.builders import timeseries
from grafana_foundation_sdk.models.dashboard import Dashboard

from tools.dashboards import layout, panels, platform_panels, queries, thresholds
from tools.dashboards.colours import OUTCOMES
from tools.dashboards.outbound_table import outbound_table
from tools.dashboards.panels import COUNT, SECONDS, SHARE, PanelInfo
from tools.dashboards.promql import CHOSEN, JOBS

_EACH = "{{outbound}}"


def dashboard() -> Dashboard:
    """Return the dashboard."""
    made = layout.new_dashboard(
        layout.OVERVIEW,
        "All campaigns at a glance, the worst on top. A click on an outbound opens its details.",
    )
    for variable in (
        layout.data_source_variable(),
        layout.job_variable(),
        layout.outbounds_variable(JOBS),
        layout.interval_variable(),
    ):
        made.with_variable(variable)
    sections: list[layout.Section] = [
        ("All outbounds now", _now()),
        ("Each outbound now, worst first", [outbound_table()]),
        ("Shares over time", _shares()),
        ("Calls over time", _calls()),
        ("The platform", platform_panels.campaigns()),
    ]
    return layout.finish(made, sections)


def _now() -> layout.Panels:
    return [
        panels.single_stat(
            PanelInfo("Outbounds", "How many outbounds are watched.", COUNT),
            queries.instant(f"count(count by (outbound) ({CHOSEN.series('pearl_outbound_info')}))"),
        ),
        panels.single_stat(
            PanelInfo(
                "Not polled",
                "Outbounds whose last poll failed. Exporter health tells the reason.",
                COUNT,
            ),
            queries.instant(f"count({CHOSEN.series('pearl_outbound_up')} == 0) or vector(0)"),
            panels.BAD_IF_ANY,
        ),
        panels.single_stat(
            PanelInfo("Calls a minute", "Calls started a minute, all outbounds together.", COUNT),
            queries.instant(CHOSEN.per_minute("pearl_calls_started_total")),
        ).decimals(1),
        panels.single_stat(
            PanelInfo("Live calls", "Calls going on as of the last polls.", COUNT),
            queries.instant(CHOSEN.sum("pearl_live_calls")),
        ),
        panels.single_stat(
            PanelInfo(
                "Error share", "Calls of the window that ended in error, of all calls of it.", SHARE
            ),
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
                "Successes of the window's calls with a verdict. Only outbounds whose agent has a "
                "success definition count.",
                SHARE,
            ),
            queries.instant(CHOSEN.success_rate()),
        )
        .decimals(1)
        .no_value("no success definition"),
        panels.single_stat(
            PanelInfo(
                "Oldest data",
                "How old the data of the outbound polled longest ago are.",
                SECONDS,
            ),
            queries.instant(CHOSEN.age("pearl_outbound_data_timestamp_seconds")),
            thresholds.DATA_AGE_STEPS,
        ).decimals(0),
    ]


def _shares() -> layout.Panels:
    return [
        _linked(
            panels.time_series(
                PanelInfo(
                    "Error share",
                    "Calls of the window that ended in error, of all calls of the window. "
                    "It reacts before calls settle.",
                    SHARE,
                ),
                queries.over_range(CHOSEN.window_share("error", "outbound"), _EACH),
            )
        ),
        _linked(
            panels.time_series(
                PanelInfo(
                    "Unreachable share",
                    "Calls of the window that reached nobody, of all calls of the window. What "
                    "is usual differs between campaigns; look for a change.",
                    SHARE,
                ),
                queries.over_range(CHOSEN.window_share("unreachable", "outbound"), _EACH),
            )
        ),
        _linked(
            panels.time_series(
                PanelInfo(
                    "Success rate",
                    "Successes of the window's calls with a verdict (success or not successful). "
                    "Outbounds without a success definition have none.",
                    SHARE,
                ),
                queries.over_range(CHOSEN.success_rate("outbound"), _EACH),
            ).max(1)
        ),
        _linked(
            panels.time_series(
                PanelInfo(
                    "Answer rate",
                    "Settled calls with a duration, voice mails left aside, of all calls that "
                    "settled.",
                    SHARE,
                ),
                queries.over_range(CHOSEN.answer_rate("outbound"), _EACH),
            )
        ),
    ]


def _calls() -> layout.Panels:
    return [
        _linked(
            panels.time_series(
                PanelInfo(
                    "Calls started",
                    "Calls a minute that were seen for the first time. At 0 in usual hours a "
                    "campaign has gone silent.",
                    panels.CALLS_A_MINUTE,
                ),
                queries.over_range(
                    CHOSEN.per_minute("pearl_calls_started_total", "outbound"), _EACH
                ),
            )
        ),
        _linked(
            panels.time_series(
                PanelInfo(
                    "Live calls",
                    "Calls going on as of the last poll. A number that only grows hints at stuck "
                    "calls.",
                    COUNT,
                ),
                queries.over_range(CHOSEN.sum("pearl_live_calls", "outbound"), _EACH),
            )
        ),
        panels.with_colours(
            panels.stacked_and_ranked(
                panels.time_series(
                    PanelInfo(
                        "Settled calls by outcome",
                        "Calls a minute that settled, all outbounds together. Each call counts "
                        "once.",
                        panels.CALLS_A_MINUTE,
                    ),
                    queries.over_range(
                        CHOSEN.per_minute("pearl_calls_total", "status"), "{{status}}"
                    ),
                )
            ),
            OUTCOMES,
        ),
        _linked(
            panels.time_series(
                PanelInfo(
                    "Duration, 90th percentile",
                    "The duration that 90% of the window's answered calls stay under.",
                    SECONDS,
                ),
                queries.over_range(CHOSEN.window_quantile(0.9, "outbound"), _EACH),
            )
        ),
    ]


def _linked(panel: timeseries.Panel) -> timeseries.Panel:
    link = layout.detail_link("${__field.labels.outbound:percentencode}")
    title = "Details of ${__field.labels.outbound}"
    return panels.ranked(panel).data_links([layout.data_link(title, link)])
