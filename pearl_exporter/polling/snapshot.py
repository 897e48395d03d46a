"""What is known of one outbound at one moment, for a scrape and for the page. Pure, immutable."""

from collections.abc import Mapping

import msgspec

from pearl_exporter.counting.calls import Instant
from pearl_exporter.counting.tracker import TrackerSnapshot
from pearl_exporter.polling.poll_health import Health
from pearl_exporter.polling.poll_history import PollRecord
from pearl_exporter.reading.search import ReadProgress


class PollTimings(msgspec.Struct, frozen=True):
    """What an outbound is polled by, as configured, in seconds; names as in the configuration."""

    interval: float
    idle_interval: float
    settle: float
    settle_unanswered: float


class OutboundSnapshot(msgspec.Struct, frozen=True):
    """One outbound: who it is, how its polls fare, and its calls as of the last good one.

    ``polls`` are the last ones that ended, the newest first. ``read_progress`` is that of the poll
    under way, None unless it reads everything and that takes seconds.
    """

    name: str
    outbound_id: str
    labels: Mapping[str, str]
    window_seconds: float
    stale_after_seconds: float
    spans: PollTimings
    health: Health
    calls: TrackerSnapshot
    polls: tuple[PollRecord, ...] = ()
    read_progress: ReadProgress | None = None

    def is_stale(self, now: Instant) -> bool:
        """Whether its window is too old to be shown; before the first good poll there is none."""
        last = self.health.last_success
        return last is None or now - last > self.stale_after_seconds * 1000

    @property
    def was_tried(self) -> bool:
        """Whether it has had its first page or its first failure, be it another one's."""
        health = self.health
        return health.had_page or health.last_reason is not None or any(health.failures.values())
