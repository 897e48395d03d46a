"""What the platform says of outbounds and account, as metrics: a catalogue of its own.

Read at each scrape, since these series depend on the age of answers that no poll brings.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import prometheus_client
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pearl_exporter.api.decode_platform import Account
from pearl_exporter.discovery.snapshot import PlatformSnapshot, RequestSnapshot

Samples = Mapping[str, float]
"""Values by the row's label; where it has none, one under the empty text."""


class Row(NamedTuple):
    """One gauge: its name, its label if it has one, and how to read it."""

    name: str
    help: str
    label: str
    read: Callable[[PlatformSnapshot], Samples]


def _one(value: float | None) -> Samples:
    return {} if value is None else {"": float(value)}


def _up(watch: RequestSnapshot | None) -> Samples:
    return {} if watch is None else {"": float(watch.is_up)}


def _success(watch: RequestSnapshot | None) -> Samples:
    if watch is None or watch.last_success is None:
        return {}
    return {"": watch.last_success / 1000}


def _of_account(read: Callable[[Account], Samples]) -> Callable[[PlatformSnapshot], Samples]:
    return lambda platform: {} if platform.account is None else read(platform.account)


_AS_OF = "as of the last successful request"

PLATFORM_METRICS: tuple[Row, ...] = (
    Row(
        "pearl_outbound_running",
        "Whether the outbound makes calls by the platform's list: 1 running, 0 paused, suspended "
        f"or in maintenance, {_AS_OF}; absent where that is not known.",
        "outbound",
        lambda platform: {name: float(is_on) for name, is_on in platform.running.items()},
    ),
    Row(
        "pearl_discovery_up",
        "Whether the last request for the platform's list of outbounds succeeded.",
        "",
        lambda platform: _up(platform.listing),
    ),
    Row(
        "pearl_discovery_last_success_timestamp_seconds",
        "End of the last successful request for the platform's list of outbounds.",
        "",
        lambda platform: _success(platform.listing),
    ),
    Row(
        "pearl_discovery_outbounds",
        f"Outbounds that the platform lists by what becomes of them here, {_AS_OF}.",
        "state",
        lambda platform: {state: float(count) for state, count in platform.found.items()},
    ),
    Row(
        "pearl_account_up",
        "Whether the last request for the account succeeded.",
        "",
        lambda platform: _up(platform.account_request),
    ),
    Row(
        "pearl_account_last_success_timestamp_seconds",
        "End of the last successful request for the account.",
        "",
        lambda platform: _success(platform.account_request),
    ),
    Row(
        "pearl_account_credit_balance",
        "Credit balance of the account of api.token. NLPearl does not document its unit; "
        f"{_AS_OF}.",
        "",
        _of_account(lambda account: _one(account.credit_balance)),
    ),
    Row(
        "pearl_account_status",
        f"Status of the account of api.token, 1 for the one that it has, {_AS_OF}.",
        "status",
        _of_account(
            lambda account: {label: float(is_it) for label, is_it in account.statuses.items()}
        ),
    ),
    Row(
        "pearl_account_agents",
        f"Agents of the account of api.token, {_AS_OF}.",
        "",
        _of_account(lambda account: _one(account.agents)),
    ),
)


class PlatformCollector(Collector):
    """Gives the rows of the catalogue that have a value right now."""

    def __init__(self, snapshot: Callable[[], PlatformSnapshot]) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterable[Metric]:
        """The families that have samples."""
        platform = self._snapshot()
        for row in PLATFORM_METRICS:
            samples = row.read(platform)
            if samples:
                family = GaugeMetricFamily(row.name, row.help, labels=[row.label][: len(row.label)])
                for value, measured in samples.items():
                    family.add_metric([value] if row.label else [], measured)
                yield family

    def render(self) -> bytes:
        """The same in the text format."""
        return prometheus_client.generate_latest(self)
