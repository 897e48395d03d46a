"""Requests to the API, and the rows that came."""

from deploy.grafana.generate import panels, queries, thresholds
from deploy.grafana.generate.dashboard import Panels
from deploy.grafana.generate.panels import COUNT, SECONDS, SHARE, About
from deploy.grafana.generate.selection import EXPORTERS, ratio

_EACH = "{{instance}}"
_REQUESTS = "reqps"


def budget_in_use() -> str:
    """Requests sent, of those allowed; absent while the API asked to pause."""
    sent = EXPORTERS.a_second("pearl_exporter_api_requests_total", "instance")
    allowed = EXPORTERS.total("pearl_exporter_api_rate_limit", "instance")
    return ratio(sent, allowed)


def requests() -> Panels:
    """How many, how fast, and how they were answered."""
    seconds = "pearl_exporter_api_request_duration_seconds"
    by_le = EXPORTERS.a_second(f"{seconds}_bucket", "le")
    mean = ratio(EXPORTERS.a_second(f"{seconds}_sum"), EXPORTERS.a_second(f"{seconds}_count"))
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
                        f"{EXPORTERS.a_second('pearl_exporter_api_requests_total', 'code')} > 0",
                        "{{code}}",
                    ),
                )
            ),
            {"200": "green", "429": "orange", "none": "red"},
        ),
        panels.limit(
            panels.graph(
                About(
                    "Request budget in use",
                    "Requests sent, of those allowed right now (api.rate_limit, less after a "
                    "429), and the share at which an alert fires. Near 100% polls begin late.",
                    SHARE,
                ),
                queries.graph(budget_in_use(), _EACH),
            ),
            thresholds.BUDGET_SHARE,
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
                "for their turn on average, and right now.",
                COUNT,
            ),
            queries.graph(EXPORTERS.total("pearl_exporter_api_rate_limit"), "allowed/s"),
            queries.graph(
                EXPORTERS.total("pearl_exporter_api_rate_limit_configured"), "configured/s"
            ),
            queries.graph(EXPORTERS.total("pearl_exporter_api_requests_waiting"), "waiting now"),
            queries.graph(EXPORTERS.a_second("pearl_exporter_api_retries_total"), "retries/s"),
            queries.graph(EXPORTERS.a_second("pearl_exporter_api_wait_seconds_total"), "waiting"),
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
            queries.graph(EXPORTERS.a_second("pearl_exporter_rows_total", "instance"), _EACH),
        ),
        panels.graph(
            About(
                "Rows not understood",
                "Rows a minute without a usable id or start, which are skipped, and calls with a "
                "code that is in no table. If they grow, the platform has changed.",
                "suffix:rows/min",
            ),
            queries.graph(EXPORTERS.a_minute("pearl_exporter_rows_rejected_total"), "rejected"),
            queries.graph(
                EXPORTERS.a_minute("pearl_exporter_unknown_codes_total", "field"),
                "unknown {{field}}",
            ),
        ),
    ]
