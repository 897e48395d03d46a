"""What all pollers of a process share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from pearl_exporter.api.clock import ApiClock, Clock
from pearl_exporter.polling.first_polls import FirstPolls
from pearl_exporter.polling.signal_readings import UsualShares
from pearl_exporter.polling.snapshot import OutboundSnapshot
from pearl_exporter.state.store import Store

ProgressListener = Callable[[str, int, int], None]
"""Gets an outbound's name, the calls read so far and the calls expected, after each page."""


class PollObserver(Protocol):
    """Hears what polls read: the exporter's own metrics."""

    def read_rows(self, received: int, rejected: int) -> None:
        """A page came with this many rows, of which this many can't be used."""

    def read_rows_outside(self, rows: int) -> None:
        """This many rows of a page start outside the range that was asked for."""

    def met_unusable_fields(self, field: str, calls: int) -> None:
        """Calls have been met for the first time whose value in this field can't be used."""

    def met_unknown_codes(self, field: str, calls: int) -> None:
        """Calls have been read for the first time whose code in this field is in no table."""


@dataclass(frozen=True)
class PollContext:
    """What all pollers share.

    Attributes:
        store: Where the state is kept.
        clock: This machine's clocks.
        api_clock: The API's clock.
        observer: Hears what polls read.
        publish: Publishes what is known of an outbound.
        on_progress: Hears how far whole reads have come.
        first_polls: Logs first polls.
        usual_shares: What is usual for each outbound.
    """

    store: Store
    clock: Clock
    api_clock: ApiClock
    observer: PollObserver
    publish: Callable[[OutboundSnapshot], None]
    on_progress: ProgressListener
    first_polls: FirstPolls = field(default_factory=FirstPolls)
    usual_shares: UsualShares = field(default_factory=UsualShares)
