"""Every metric of what the platform says of outbounds and account, and how it is read.

They are rendered at each scrape and not when they change: whether they are shown depends on the age
of the last answers, which grows without a request.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import prometheus_client
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pearl_exporter.api.decode_platform import Account
from pearl_exporter.discovery.snapshot import PlatformSnapshot, RequestSnapshot

Samples = Mapping[tuple[str, ...], float]
"""Values by the values of the metric's labels."""


class PlatformMetric(NamedTuple):
    """One gauge of the platform.

    Attributes:
        name: The name as in a query.
        help: What the value means and where it comes from.
        labels: The metric's labels, one at most.
        read: Returns the samples; none where nothing is known.
    """

    name: str
    help: str
    labels: tuple[str, ...]
    read: Callable[[PlatformSnapshot], Samples]


def _single(value: float | None) -> Samples:
    return {} if value is None else {(): float(value)}


def _by_label(values: Mapping[str, float]) -> Samples:
    return {(label,): float(value) for label, value in values.items()}


def _up(request: RequestSnapshot | None) -> Samples:
    return {} if request is None else _single(request.is_up)


def _last_success(request: RequestSnapshot | None) -> Samples:
    if request is None or request.last_success is None:
        return {}
    return _single(request.last_success / 1000)


def _of_account(read: Callable[[Account], Samples]) -> Callable[[PlatformSnapshot], Samples]:
    return lambda platform: {} if platform.account is None else read(platform.account)


_AS_OF = "as of the last successful request"

PLATFORM_METRICS: tuple[PlatformMetric, ...] = (
    PlatformMetric(
        "pearl_outbound_running",
        "Whether the outbound makes calls, by the platform's list: 1 running, 0 paused, suspended "
        f"or in maintenance, {_AS_OF}; absent if not known.",
        ("outbound",),
        lambda platform: _by_label(platform.running),
    ),
    PlatformMetric(
        "pearl_discovery_up",
        "Whether the last request for the platform's list of outbounds succeeded.",
        (),
        lambda platform: _up(platform.listing),
    ),
    PlatformMetric(
        "pearl_discovery_last_success_timestamp_seconds",
        "End of the last successful request for the platform's list of outbounds.",
        (),
        lambda platform: _last_success(platform.listing),
    ),
    PlatformMetric(
        "pearl_discovery_outbounds",
        f"Outbounds in the platform's list, by what the exporter does with them, {_AS_OF}.",
        ("state",),
        lambda platform: _by_label(platform.found),
    ),
    PlatformMetric(
        "pearl_account_up",
        "Whether the last request for the account succeeded.",
        (),
        lambda platform: _up(platform.account_request),
    ),
    PlatformMetric(
        "pearl_account_last_success_timestamp_seconds",
        "End of the last successful request for the account.",
        (),
        lambda platform: _last_success(platform.account_request),
    ),
    PlatformMetric(
        "pearl_account_credit_balance",
        "Credit balance of the account of api.token, in a unit that NLPearl does not document, "
        f"{_AS_OF}.",
        (),
        _of_account(lambda account: _single(account.credit_balance)),
    ),
    PlatformMetric(
        "pearl_account_status",
        f"Status of the account of api.token: 1 for the current one, 0 for others, {_AS_OF}.",
        ("status",),
        _of_account(lambda account: _by_label(account.statuses)),
    ),
    PlatformMetric(
        "pearl_account_agents",
        f"Agents of the account of api.token, {_AS_OF}.",
        (),
        _of_account(lambda account: _single(account.agents)),
    ),
)


class PlatformCollector(Collector):
    """The registry of `PLATFORM_METRICS`: those that have a value right now."""

    def __init__(self, snapshot: Callable[[], PlatformSnapshot]) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterable[Metric]:
        """Return the families that have samples."""
        platform = self._snapshot()
        for metric in PLATFORM_METRICS:
            samples = metric.read(platform)
            if samples:
                family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
                for values, value in samples.items():
                    family.add_metric(values, value)
                yield family

    def render(self) -> bytes:
        """Return the families in the text format."""
        return prometheus_client.generate_latest(self)
