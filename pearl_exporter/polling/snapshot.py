"""What is known of one outbound at one moment, for scrapes and pages. Pure, immutable."""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from pearl_exporter.counting.calls import Instant
from pearl_exporter.counting.tracker import TrackerSnapshot
from pearl_exporter.polling.poll_health import Health
from pearl_exporter.polling.poll_history import PollRecord
from pearl_exporter.polling.signal_readings import SignalReadings
from pearl_exporter.reading.search import ReadProgress


class PollTimings(msgspec.Struct, frozen=True):
    """The configured timings of an outbound's polls, in seconds, named as in the configuration."""

    interval: float
    idle_interval: float
    settle: float
    settle_unanswered: float


class OutboundSnapshot(msgspec.Struct, frozen=True):
    """One outbound: what it is, the health of its polls, and its calls as of the last good poll.

    Attributes:
        name: What metrics call it.
        outbound_id: Its id at the platform.
        labels: Its configured labels.
        window_seconds: The window that ``calls`` is of.
        stale_after_seconds: From this age on the window is not shown any more.
        spans: The configured timings of its polls.
        health: The health of its polls.
        calls: What its calls amount to.
        signals: How unusual the shares of its calls are, as of the last good poll of this process.
        polls: The last polls that ended, the newest first.
        read_progress: How far the running poll has come; None unless it reads everything and that
            takes seconds.
    """

    name: str
    outbound_id: str
    labels: Mapping[str, str]
    window_seconds: float
    stale_after_seconds: float
    spans: PollTimings
    health: Health
    calls: TrackerSnapshot
    signals: SignalReadings = MappingProxyType({})
    polls: tuple[PollRecord, ...] = ()
    read_progress: ReadProgress | None = None

    def is_stale(self, now: Instant) -> bool:
        """Return whether its window is too old to be shown, or there is none yet."""
        last = self.health.last_success
        return last is None or now - last > self.stale_after_seconds * 1000

    @property
    def was_tried(self) -> bool:
        """Whether a first page arrived or a first poll failed.

        Also when another outbound's failure withheld it: the token is refused.
        """
        health = self.health
        return health.had_page or health.last_reason is not None or any(health.failures.values())
