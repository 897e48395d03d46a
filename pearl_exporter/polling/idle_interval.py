"""How far apart the polls of an outbound may be while nothing happens there. Pure.

The longer it has been quiet, the longer the interval: a tenth of the quiet time, in whole intervals
as configured, up to a bound. So what ends a quiet hour is seen at most six minutes after it began.
The first sign of life brings the configured interval back.
"""

from pearl_exporter.counting.tracker import TrackerSnapshot

QUIET_SHARE = 0.1
"""The interval grows to this share of the time for which nothing happened."""


class Idle:
    """How long one outbound has been quiet. Spans in seconds, moments in monotonic seconds.

    Attributes:
        interval: The interval in force.
    """

    def __init__(self, interval: float, longest: float) -> None:
        """Start with the configured interval.

        Args:
            interval: As configured.
            longest: Up to here the interval grows.
        """
        self.interval = interval
        self._interval = interval
        self._longest = longest
        self._quiet_since: float | None = None
        self._last: tuple[int, ...] | None = None

    def polled(self, calls: TrackerSnapshot, *, is_behind: bool, at: float) -> None:
        """Set the interval after a good poll.

        Args:
            calls: What the outbound's calls amount to.
            is_behind: Whether calls of an outage are still to be read.
            at: When the poll was due.
        """
        counts = _counts(calls)
        is_alive = bool(calls.live or calls.pending or is_behind or counts != self._last)
        self._last = counts
        if is_alive or self._quiet_since is None:
            self._quiet_since = at
        wanted = min(QUIET_SHARE * (at - self._quiet_since), self._longest)
        self.interval = self._interval * max(1, int(wanted / self._interval))


def _counts(calls: TrackerSnapshot) -> tuple[int, ...]:
    """Return what changes when anything happens; calls that only leave the window change none."""
    ledger = calls.ledger
    return (
        ledger.started,
        ledger.settled,
        sum(ledger.uncounted.values()),
        sum(ledger.revisions.values()),
    )
