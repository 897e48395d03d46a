"""Requests to the API, and the rows that came."""

from deploy.grafana.generate import panels, queries
from deploy.grafana.generate.dashboard import Panels
from deploy.grafana.generate.panels import COUNT, SECONDS, SHARE, About
from deploy.grafana.generate.queries import EXPORTER, RANGE

_EACH = "{{instance}}"
_REQUESTS = "reqps"


def budget_in_use() -> str:
    """Requests sent, of those allowed; absent while the API asked to pause."""
    sent = f"sum by (instance) (rate(pearl_exporter_api_requests_total{{{EXPORTER}}}[{RANGE}]))"
    allowed = f"sum by (instance) (pearl_exporter_api_rate_limit{{{EXPORTER}}})"
    return queries.ratio(sent, allowed)


def requests() -> Panels:
    """How many, how fast, and how they were answered."""
    seconds = "pearl_exporter_api_request_duration_seconds"
    by_le = f"sum by (le) (rate({seconds}_bucket{{{EXPORTER}}}[{RANGE}]))"
    mean = queries.ratio(_rate(f"{seconds}_sum", ""), _rate(f"{seconds}_count", ""))
    return [
        panels.coloured(
            panels.stacked(
                panels.graph(
                    About(
                        "Requests by answer",
                        "Requests a second by HTTP status; none where no answer came.",
                        _REQUESTS,
                    ),
                    queries.graph(
                        f"{_rate('pearl_exporter_api_requests_total', 'code')} > 0", "{{code}}"
                    ),
                )
            ),
            {"200": "green", "429": "orange", "none": "red"},
        ),
        panels.graph(
            About(
                "Request budget in use",
                "Requests sent, of those allowed right now (api.rate_limit, less after a 429). "
                "Near 100% polls begin late.",
                SHARE,
            ),
            queries.graph(budget_in_use(), _EACH),
        ),
        panels.graph(
            About(
                "Duration of requests",
                "Durations that 50 and 99% of the requests stay under, and their mean, the body "
                "included.",
                SECONDS,
            ),
            queries.graph(f"histogram_quantile(0.5, {by_le})", "50%"),
            queries.graph(f"histogram_quantile(0.99, {by_le})", "99%"),
            queries.graph(mean, "mean"),
        ),
        panels.graph(
            About(
                "Rate limit, retries, waiting",
                "Requests a second that are allowed, and sent again; and how many requests wait "
                "for their turn on average.",
                COUNT,
            ),
            queries.graph(
                queries.total("pearl_exporter_api_rate_limit", "", EXPORTER), "allowed/s"
            ),
            queries.graph(_rate("pearl_exporter_api_retries_total", ""), "retries/s"),
            queries.graph(_rate("pearl_exporter_api_wait_seconds_total", ""), "waiting"),
        ),
    ]


def rows() -> Panels:
    """What came, and what could not be understood."""
    return [
        panels.graph(
            About(
                "Rows received",
                "Rows a second. The same call is received at many polls.",
                "suffix:rows/s",
            ),
            queries.graph(_rate("pearl_exporter_rows_total", "instance"), _EACH),
        ),
        panels.graph(
            About(
                "Rows not understood",
                "Rows a minute without a usable id or start, which are skipped, and calls with a "
                "code that is in no table. If they grow, the platform has changed.",
                "suffix:rows/min",
            ),
            queries.graph(
                queries.a_minute("pearl_exporter_rows_rejected_total", "", EXPORTER), "rejected"
            ),
            queries.graph(
                queries.a_minute("pearl_exporter_unknown_codes_total", "field", EXPORTER),
                "unknown {{field}}",
            ),
        ),
    ]


def _rate(counter: str, by: str) -> str:
    summed = f"sum by ({by})" if by else "sum"
    return f"{summed} (rate({counter}{{{EXPORTER}}}[{RANGE}]))"
