"""What all pollers of a process share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from pearl_exporter.api.clock import ApiClock, Clock
from pearl_exporter.polling.first_polls import FirstPolls
from pearl_exporter.polling.snapshot import OutboundSnapshot
from pearl_exporter.state.store import Store

ProgressListener = Callable[[str, int, int], None]
"""Hears an outbound's name, the calls read so far and the calls expected, after each page."""


class PollObserver(Protocol):
    """Who wants to know what polls read: the exporter's own metrics."""

    def read_rows(self, received: int, rejected: int) -> None:
        """A page came with so many rows, of which so many were skipped."""

    def met_unknown_codes(self, field: str, calls: int) -> None:
        """So many calls bore a code of no table for the first time."""


@dataclass(frozen=True)
class PollContext:
    """What the pollers share: where to keep, where to publish, what time it is."""

    store: Store
    clock: Clock
    api_clock: ApiClock
    observer: PollObserver
    publish: Callable[[OutboundSnapshot], None]
    on_progress: ProgressListener
    first_polls: FirstPolls = field(default_factory=FirstPolls)
