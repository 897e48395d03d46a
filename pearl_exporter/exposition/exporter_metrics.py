"""What the exporter reports about itself: requests, rows, configuration, build and process."""

import sys
from collections.abc import Callable, Iterable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    gc_collector,
    platform_collector,
    process_collector,
)

from pearl_exporter import __version__
from pearl_exporter.api.budget import Budget

_API_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60)


_API_CODES = ("200", "400", "401", "403", "404", "429", "500", "502", "503", "504", "none")


class ExporterMetrics:
    """What the exporter tells of itself, in a registry of its own."""

    def __init__(
        self, *, budget: Callable[[], Iterable[Budget]], clock_skew_seconds: Callable[[], float]
    ) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry = CollectorRegistry()
        self._requests = Counter(
            "pearl_exporter_api_requests_total",
            "Requests to the API by HTTP status; none where no answer came.",
            ["code"],
            registry=registry,
        )
        for code in _API_CODES:
            self._requests.labels(code)
        self._request_seconds = Histogram(
            "pearl_exporter_api_request_duration_seconds",
            "How long requests to the API took, their body included.",
            registry=registry,
            buckets=_API_SECONDS,
        )
        self._retries = Counter(
            "pearl_exporter_api_retries_total",
            "Requests sent again after a failure.",
            registry=registry,
        )
        self._gauge(
            "pearl_exporter_api_rate_limit",
            "Requests a second allowed right now, over all tokens; 0 while the API asked to pause.",
        ).set_function(lambda: sum(each.rate for each in budget()))
        self._gauge(
            "pearl_exporter_api_rate_limit_configured",
            "Requests a second allowed by api.rate_limit, over all tokens.",
        ).set_function(lambda: sum(each.configured_rate for each in budget()))
        self._gauge(
            "pearl_exporter_api_requests_waiting",
            "Requests that wait for their turn right now.",
        ).set_function(lambda: sum(each.waiting for each in budget()))
        self._gauge(
            "pearl_exporter_api_tokens_refused",
            "Tokens that the API refuses right now.",
        ).set_function(lambda: sum(each.is_refused for each in budget()))
        self._waits = Counter(
            "pearl_exporter_api_wait_seconds_total",
            "Time that requests spent waiting for their turn.",
            registry=registry,
        )
        self._gauge(
            "pearl_exporter_api_clock_skew_seconds",
            "How far this machine's clock is ahead of the API's, by the Date header.",
        ).set_function(clock_skew_seconds)
        self._rows = Counter(
            "pearl_exporter_rows_total", "Rows received from the calls search.", registry=registry
        )
        self._rejected = Counter(
            "pearl_exporter_rows_rejected_total",
            "Rows skipped because they have no usable id or startTime.",
            registry=registry,
        )
        self._unknown_codes = Counter(
            "pearl_exporter_unknown_codes_total",
            "Calls that bear a code in no table of the API's documentation, by field.",
            ["field"],
            registry=registry,
        )
        for field in ("status", "call_status"):
            self._unknown_codes.labels(field)
        self._reload_ok = self._gauge(
            "pearl_exporter_config_last_reload_successful",
            "Whether the last attempt to read the configuration succeeded.",
        )
        self._reload_at = self._gauge(
            "pearl_exporter_config_last_reload_success_timestamp_seconds",
            "When the configuration was last read successfully.",
        )
        build = Gauge(
            "pearl_exporter_build_info",
            "The exporter's version and what it runs on.",
            ["version", "python_version"],
            registry=registry,
        )
        build.labels(__version__, ".".join(map(str, sys.version_info[:3]))).set(1)
        process_collector.ProcessCollector(registry=registry)
        platform_collector.PlatformCollector(registry=registry)
        gc_collector.GCCollector(registry=registry)

    def _gauge(self, name: str, documentation: str) -> Gauge:
        return Gauge(name, documentation, registry=self.registry)

    def requested(self, code: str, seconds: float) -> None:
        """One request to the API ended."""
        self._requests.labels(code).inc()
        self._request_seconds.observe(seconds)

    def retried(self) -> None:
        """A request is sent again."""
        self._retries.inc()

    def waited(self, seconds: float) -> None:
        """A request waited for its turn."""
        self._waits.inc(seconds)

    def read_rows(self, received: int, rejected: int) -> None:
        """A page came with so many rows, of which so many were skipped."""
        self._rows.inc(received)
        self._rejected.inc(rejected)

    def met_unknown_codes(self, field: str, calls: int) -> None:
        """So many calls bore a code of no table for the first time."""
        self._unknown_codes.labels(field).inc(calls)

    def configured(self, *, successfully: bool, at_seconds: float) -> None:
        """The configuration was read, or could not be."""
        self._reload_ok.set(successfully)
        if successfully:
            self._reload_at.set(at_seconds)
