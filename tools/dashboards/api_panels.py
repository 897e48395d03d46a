"""Panels about requests to the API, and about the rows received."""

from tools.dashboards import panels, queries, thresholds
from tools.dashboards.layout import Panels
from tools.dashboards.panels import COUNT, SECONDS, SHARE, PanelInfo
from tools.dashboards.promql import EXPORTERS, ratio

_EACH = "{{instance}}"
_REQUESTS = "reqps"


def budget_in_use() -> str:
    """Return requests sent / requests allowed; absent while the API has asked for a pause."""
    sent = EXPORTERS.per_second("pearl_exporter_api_requests_total", "instance")
    allowed = EXPORTERS.sum("pearl_exporter_api_rate_limit", "instance")
    return ratio(sent, allowed)


def requests() -> Panels:
    """Return panels about the number, speed and answers of requests."""
    seconds = "pearl_exporter_api_request_duration_seconds"
    by_le = EXPORTERS.per_second(f"{seconds}_bucket", "le")
    mean = ratio(EXPORTERS.per_second(f"{seconds}_sum"), EXPORTERS.per_second(f"{seconds}_count"))
    return [
        panels.with_colours(
            panels.stacked(
                panels.time_series(
                    PanelInfo(
                        "Requests by answer",
                        "Requests a second by HTTP status; none where no answer came.",
                        _REQUESTS,
                    ),
                    queries.over_range(
                        f"{EXPORTERS.per_second('pearl_exporter_api_requests_total', 'code')} > 0",
                        "{{code}}",
                    ),
                )
            ),
            {"200": "green", "429": "orange", "none": "red"},
        ),
        panels.with_limit(
            panels.time_series(
                PanelInfo(
                    "Request budget in use",
                    "Requests sent, of those allowed right now (api.rate_limit, less after a "
                    "429), and the share at which an alert fires. Near 100% polls begin late.",
                    SHARE,
                ),
                queries.over_range(budget_in_use(), _EACH),
            ),
            thresholds.BUDGET_SHARE,
        ),
        panels.time_series(
            PanelInfo(
                "Duration of requests",
                "Durations that 50 and 99% of the requests stay under, and their mean, the body "
                "included.",
                SECONDS,
            ),
            queries.over_range(f"histogram_quantile(0.5, {by_le})", "50%"),
            queries.over_range(f"histogram_quantile(0.99, {by_le})", "99%"),
            queries.over_range(mean, "mean"),
        ),
        panels.time_series(
            PanelInfo(
                "Rate limit, retries, waiting",
                "Requests a second that are allowed, and sent again; and how many requests wait "
                "for their turn on average, and right now.",
                COUNT,
            ),
            queries.over_range(EXPORTERS.sum("pearl_exporter_api_rate_limit"), "allowed/s"),
            queries.over_range(
                EXPORTERS.sum("pearl_exporter_api_rate_limit_configured"), "configured/s"
            ),
            queries.over_range(EXPORTERS.sum("pearl_exporter_api_requests_waiting"), "waiting now"),
            queries.over_range(
                EXPORTERS.per_second("pearl_exporter_api_retries_total"), "retries/s"
            ),
            queries.over_range(
                EXPORTERS.per_second("pearl_exporter_api_wait_seconds_total"), "waiting"
            ),
        ),
    ]


def rows() -> Panels:
    """Return panels about rows received, and rows that could not be decoded."""
    return [
        panels.time_series(
            PanelInfo(
                "Rows received",
                "Rows a second. The same call is received at many polls.",
                "suffix:rows/s",
            ),
            queries.over_range(
                EXPORTERS.per_second("pearl_exporter_rows_total", "instance"), _EACH
            ),
        ),
        panels.time_series(
            PanelInfo(
                "Rows not understood",
                "Rows a minute without a usable id or start, which are skipped, calls with a code "
                "that is in no table or a value of a wrong type, and rows outside the range asked "
                "for. If they grow, the platform has changed.",
                "suffix:rows/min",
            ),
            queries.over_range(
                EXPORTERS.per_minute("pearl_exporter_rows_rejected_total"), "rejected"
            ),
            queries.over_range(
                EXPORTERS.per_minute("pearl_exporter_unknown_codes_total", "field"),
                "unknown {{field}}",
            ),
            queries.over_range(
                EXPORTERS.per_minute("pearl_exporter_unusable_fields_total", "field"),
                "unusable {{field}}",
            ),
            queries.over_range(
                EXPORTERS.per_minute("pearl_exporter_rows_outside_range_total"), "out of place"
            ),
        ),
    ]
