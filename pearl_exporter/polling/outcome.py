"""What came of one poll, as a value: health, history and log are made from it. Pure."""

from types import MappingProxyType

import msgspec

from pearl_exporter.counting.calls import Instant
from pearl_exporter.counting.tracker import TrackerSnapshot
from pearl_exporter.errors import PollError
from pearl_exporter.polling.poll_history import Asked, PollFindings, PollRecord
from pearl_exporter.polling.signal_readings import SignalReadings


class PollSuccess(msgspec.Struct, frozen=True):
    """What a good poll read and changed.

    Attributes:
        polled_at: T, the moment as of which it read, by the API's clock.
        rows: How many rows it read.
        calls: What the outbound's calls amount to since.
        signals: How unusual their shares are.
        found: What changed.
        scanned: Whether the whole window has been read by now, at once or in slices.
        missed: Whether a poll that was due before this one did not happen.
        unreadable_rows: How many rows the API counts that could not be read.
        reads_by_offset: Whether the server's order or dates forbid reading downward.
        unread: The range that an outage has left unread, ``[start, end)``; None if there is none.
        many_missed: How many calls it is the first to have missed, and how many it should have
            read; None unless they are many.
    """

    polled_at: Instant
    rows: int
    calls: TrackerSnapshot
    found: PollFindings
    scanned: bool
    missed: bool
    unreadable_rows: int
    reads_by_offset: bool
    unread: tuple[Instant, Instant] | None
    many_missed: tuple[int, int] | None = None
    signals: SignalReadings = MappingProxyType({})


class PollOutcome(msgspec.Struct, frozen=True):
    """What came of one poll; either ``success`` or ``error`` is None.

    Attributes:
        ended: When it ended, by the API's clock.
        asked: What it asked of the API.
        duration_seconds: How long it took.
        lateness_seconds: How long after it was due its first request was sent.
        interval_seconds: The interval in force after it.
        success: What it read and changed.
        error: Why it failed.
    """

    ended: Instant
    asked: Asked
    duration_seconds: float
    lateness_seconds: float
    interval_seconds: float
    success: PollSuccess | None
    error: PollError | None

    @property
    def record(self) -> PollRecord:
        """What is remembered of it."""
        return PollRecord(
            at=self.ended,
            asked=self.asked,
            duration_seconds=self.duration_seconds,
            found=None if self.success is None else self.success.found,
            reason=None if self.error is None else self.error.reason,
            message=None if self.error is None else str(self.error),
        )
