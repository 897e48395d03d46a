"""Panels about the durations of an outbound's calls."""

from tools.dashboards import panels, queries
from tools.dashboards.colours import OUTCOMES
from tools.dashboards.layout import Panels
from tools.dashboards.panels import CALLS_A_MINUTE, COUNT, SECONDS, PanelInfo
from tools.dashboards.promql import CHOSEN, ratio


def durations() -> Panels:
    """Return panels of durations over time and now, of settled calls and of the window."""
    window = "pearl_window_call_duration_seconds"
    mean = ratio(CHOSEN.sum(f"{window}_gsum"), CHOSEN.sum(f"{window}_gcount"))
    settled = "pearl_call_duration_seconds"
    mean_by_outcome = ratio(
        CHOSEN.per_minute(f"{settled}_sum", "status"),
        CHOSEN.per_minute(f"{settled}_count", "status"),
    )
    return [
        panels.heatmap_panel(
            PanelInfo(
                "Durations of settled calls",
                "Answered calls a minute by duration. A dot is the exemplar of a call and bears "
                "its id; Prometheus keeps exemplars with --enable-feature=exemplar-storage.",
                CALLS_A_MINUTE,
            ),
            queries.heatmap(CHOSEN.per_minute(f"{settled}_bucket", "le")),
        ),
        panels.time_series(
            PanelInfo(
                "Duration in the window",
                "Durations that 50, 90 and 99% of the window's answered calls stay under, and "
                "their mean.",
                SECONDS,
            ),
            queries.over_range(CHOSEN.window_quantile(0.5), "50%"),
            queries.over_range(CHOSEN.window_quantile(0.9), "90%"),
            queries.over_range(CHOSEN.window_quantile(0.99), "99%"),
            queries.over_range(mean, "mean"),
        ).height(9),
        panels.bar_gauge(
            PanelInfo(
                "Durations in the window now",
                "The window's answered calls by duration; each bar is labelled with the most "
                "seconds of it.",
                COUNT,
            ),
            queries.heatmap_instant(CHOSEN.sum(f"{window}_bucket", "le")),
        )
        .span(12)
        .height(8),
        panels.with_colours(
            panels.time_series(
                PanelInfo(
                    "Mean duration by outcome",
                    "Mean duration of the calls that settled. Errors that come after seconds "
                    "and errors that come after minutes have different causes.",
                    SECONDS,
                ),
                queries.over_range(mean_by_outcome, "{{status}}"),
            ),
            OUTCOMES,
        ),
    ]
