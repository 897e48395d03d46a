"""The exporter's metrics about itself: requests, rows, configuration, build and process."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence

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
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from pearl_exporter import __version__
from pearl_exporter.api.budget import Budget
from pearl_exporter.reading.search import UNUSABLE_FIELDS

_REQUEST_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60)

_CODES = ("200", "400", "401", "403", "404", "429", "500", "502", "503", "504", "none")
"""Codes with a series at 0 from the start, so that the first failure is seen as an increase."""


class ExporterMetrics:
    """The exporter's metrics about itself, in a registry of their own.

    Args:
        budget: Returns the request budget of each token, as of now.
        clock_skew_seconds: Returns how far this machine's clock is ahead of the API's.
        log_lines_dropped: Returns how many log lines were dropped since the start.
    """

    def __init__(
        self,
        *,
        budget: Callable[[], Iterable[Budget]],
        clock_skew_seconds: Callable[[], float],
        log_lines_dropped: Callable[[], int] = lambda: 0,
    ) -> None:
        # A switch of the whole library: it would add a sample `_created` to every counter's one,
        # which says no more than `pearl_outbound_tracking_since_timestamp_seconds`.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._requests = self._counter(
            "pearl_exporter_api_requests_total",
            "Requests to the API by HTTP status code; code none if no answer came.",
            ["code"],
        )
        for code in _CODES:
            self._requests.labels(code)
        self._request_seconds = Histogram(
            "pearl_exporter_api_request_duration_seconds",
            "Duration of requests to the API, including the body of the answer.",
            registry=self.registry,
            buckets=_REQUEST_SECONDS,
        )
        self._retries = self._counter(
            "pearl_exporter_api_retries_total", "Requests sent again after a failure."
        )
        self._gauge(
            "pearl_exporter_api_rate_limit",
            "Requests per second allowed right now, summed over all tokens; 0 during a pause that "
            "the API asked for.",
        ).set_function(lambda: sum(each.rate for each in budget()))
        self._gauge(
            "pearl_exporter_api_rate_limit_configured",
            "Requests per second allowed by api.rate_limit, summed over all tokens.",
        ).set_function(lambda: sum(each.configured_rate for each in budget()))
        self._gauge(
            "pearl_exporter_api_requests_waiting",
            "Requests that wait for the rate limit right now.",
        ).set_function(lambda: sum(each.waiting for each in budget()))
        self._gauge(
            "pearl_exporter_api_tokens_refused",
            "Tokens that the API refuses right now.",
        ).set_function(lambda: sum(each.is_refused for each in budget()))
        self._waits = self._counter(
            "pearl_exporter_api_wait_seconds_total",
            "Time that requests spent waiting for the rate limit.",
        )
        self._gauge(
            "pearl_exporter_api_clock_skew_seconds",
            "How far this machine's clock is ahead of the API's Date header.",
        ).set_function(clock_skew_seconds)
        self._rows = self._counter(
            "pearl_exporter_rows_total", "Rows received from the calls search."
        )
        self._rejected = self._counter(
            "pearl_exporter_rows_rejected_total",
            "Rows skipped because they have no usable id or startTime.",
        )
        self._unusable_fields = self._counter(
            "pearl_exporter_unusable_fields_total",
            "Calls with a value of a wrong type or beyond what is believed, by field; once a call.",
            ["field"],
        )
        for field in UNUSABLE_FIELDS:
            self._unusable_fields.labels(field)
        self._rows_outside = self._counter(
            "pearl_exporter_rows_outside_range_total",
            "Rows that start over a second outside the range that was asked for.",
        )
        self._unknown_codes = self._counter(
            "pearl_exporter_unknown_codes_total",
            "Calls with a code that the API's documentation does not list, by field.",
            ["field"],
        )
        for field in ("status", "call_status"):
            self._unknown_codes.labels(field)
        self._reload_succeeded = self._gauge(
            "pearl_exporter_config_last_reload_successful",
            "Whether the last attempt to read the configuration succeeded.",
        )
        self._reloaded_at = self._gauge(
            "pearl_exporter_config_last_reload_success_timestamp_seconds",
            "Time at which the configuration was last read successfully.",
        )
        self.registry.register(
            _CountedElsewhere(
                "pearl_exporter_log_lines_dropped_total",
                "Log lines dropped because standard error took no more of them.",
                log_lines_dropped,
            )
        )
        build = Gauge(
            "pearl_exporter_build_info",
            "Versions of the exporter and of Python; always 1.",
            ["version", "python_version"],
            registry=self.registry,
        )
        build.labels(__version__, ".".join(map(str, sys.version_info[:3]))).set(1)
        process_collector.ProcessCollector(registry=self.registry)
        platform_collector.PlatformCollector(registry=self.registry)
        gc_collector.GCCollector(registry=self.registry)

    def _counter(self, name: str, documentation: str, labels: Sequence[str] = ()) -> Counter:
        return Counter(name, documentation, labels, registry=self.registry)

    def _gauge(self, name: str, documentation: str) -> Gauge:
        return Gauge(name, documentation, registry=self.registry)

    def requested(self, code: str, seconds: float) -> None:
        """Count one request to the API that ended.

        Args:
            code: The HTTP status, or ``none`` if no answer came.
            seconds: How long it took, with the body of the answer.
        """
        self._requests.labels(code).inc()
        self._request_seconds.observe(seconds)

    def retried(self) -> None:
        """Count one request that is sent again."""
        self._retries.inc()

    def waited(self, seconds: float) -> None:
        """Add the time that one request waited for the rate limit."""
        self._waits.inc(seconds)

    def read_rows(self, received: int, rejected: int) -> None:
        """Count the rows of one page, and those among them that were skipped."""
        self._rows.inc(received)
        self._rejected.inc(rejected)

    def read_rows_outside(self, rows: int) -> None:
        """Count rows of one page that start outside the range that was asked for."""
        self._rows_outside.inc(rows)

    def met_unusable_fields(self, field: str, calls: int) -> None:
        """Count calls that had a value in this field that can't be used for the first time."""
        self._unusable_fields.labels(field).inc(calls)

    def met_unknown_codes(self, field: str, calls: int) -> None:
        """Count calls that had an unknown code in this field for the first time."""
        self._unknown_codes.labels(field).inc(calls)

    def configured(self, *, successfully: bool, at_seconds: float) -> None:
        """Record that the configuration was read, or could not be, at this Unix time."""
        self._reload_succeeded.set(successfully)
        if successfully:
            self._reloaded_at.set(at_seconds)


class _CountedElsewhere(Collector):
    """A counter whose value is returned by a function."""

    def __init__(self, name: str, documentation: str, value: Callable[[], float]) -> None:
        self._name = name
        self._documentation = documentation
        self._value = value

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Yield the counter as it is now."""
        yield CounterMetricFamily(self._name, self._documentation, self._value())
