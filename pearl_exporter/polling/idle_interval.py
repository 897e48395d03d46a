"""How far apart the polls of an outbound may be while nothing happens there. Pure.

The longer it has been quiet, the longer the interval: a tenth of the quiet time, in whole intervals
as configured, up to a bound. So what ends a quiet hour is seen within six minutes of its beginning.
The first sign of life brings the configured interval back.
"""

from pearl_exporter.counting.tracker import TrackerSnapshot

QUIET_SHARE = 0.1
"""The interval grows to this share of the time for which nothing happened."""


class Idle:
    """How long one outbound has been quiet. Spans in seconds, moments in monotonic seconds."""

    def __init__(self, interval: float, longest: float) -> None:
        self._interval = interval
        self._longest = longest
        self._quiet_since: float | None = None
        self._last: tuple[int, ...] | None = None
        self.interval = interval
        """The interval in force."""

    def polled(self, calls: TrackerSnapshot, *, is_behind: bool, at: float) -> None:
        """A good poll found this. ``is_behind``: calls of an outage are still to be read."""
        seen = _counts(calls)
        is_alive = bool(calls.live or calls.pending or is_behind or seen != self._last)
        self._last = seen
        if is_alive or self._quiet_since is None:
            self._quiet_since = at
        wanted = min(QUIET_SHARE * (at - self._quiet_since), self._longest)
        self.interval = self._interval * max(1, int(wanted / self._interval))


def _counts(calls: TrackerSnapshot) -> tuple[int, ...]:
    """What changes when anything happens; calls that merely leave the window change nothing."""
    ledger = calls.ledger
    return (
        ledger.started,
        ledger.settled,
        sum(ledger.uncounted.values()),
        sum(ledger.revisions.values()),
    )
