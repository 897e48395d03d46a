"""How long the calls of an outbound last."""

from deploy.grafana.generate import panels, queries
from deploy.grafana.generate.dashboard import Panels
from deploy.grafana.generate.panels import CALLS_A_MINUTE, COUNT, SECONDS, About
from deploy.grafana.generate.selection import ONE, ratio
from deploy.grafana.generate.statuses import OUTCOMES


def durations() -> Panels:
    """Over time and now, of settled calls and of the window."""
    window = "pearl_window_call_duration_seconds"
    mean = ratio(ONE.total(f"{window}_gsum"), ONE.total(f"{window}_gcount"))
    settled = "pearl_call_duration_seconds"
    mean_by_outcome = ratio(
        ONE.a_minute(f"{settled}_sum", "status"), ONE.a_minute(f"{settled}_count", "status")
    )
    return [
        panels.heat(
            About(
                "Durations of settled calls",
                "Answered calls a minute by duration. A dot is the exemplar of a call and bears "
                "its id; Prometheus keeps exemplars with --enable-feature=exemplar-storage.",
                CALLS_A_MINUTE,
            ),
            queries.buckets(ONE.a_minute(f"{settled}_bucket", "le")),
        ),
        panels.graph(
            About(
                "Duration in the window",
                "Durations that 50, 90 and 99% of the window's answered calls stay under, and "
                "their mean.",
                SECONDS,
            ),
            queries.graph(ONE.window_quantile(0.5), "50%"),
            queries.graph(ONE.window_quantile(0.9), "90%"),
            queries.graph(ONE.window_quantile(0.99), "99%"),
            queries.graph(mean, "mean"),
        ).height(9),
        panels.bars(
            About(
                "Durations in the window now",
                "The window's answered calls by duration; each bar is labelled with the most "
                "seconds of it.",
                COUNT,
            ),
            queries.buckets_now(ONE.total(f"{window}_bucket", "le")),
        )
        .span(12)
        .height(8),
        panels.coloured(
            panels.graph(
                About(
                    "Mean duration by outcome",
                    "Mean duration of the calls that settled. Errors that come after seconds "
                    "and errors that come after minutes have different causes.",
                    SECONDS,
                ),
                queries.graph(mean_by_outcome, "{{status}}"),
            ),
            OUTCOMES,
        ),
    ]
