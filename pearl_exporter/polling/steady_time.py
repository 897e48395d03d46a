"""APScheduler by a monotonic clock: setting this machine's clock must not move a poll.

APScheduler 3 plans by wall-clock dates. If the clock is set back by an hour, it starts no job for
an hour; if it is set forward, all jobs are due at once. Polls go by intervals, so they need a clock
that nobody sets.

The trick: APScheduler learns the present by ``datetime.now(timezone)`` and in no other way, and
``datetime.now`` converts UTC to the time zone by calling ``timezone.fromutc``. `SteadyTime` is a
time zone whose ``fromutc`` ignores its argument and returns what a monotonic clock says. So to
APScheduler it is always "now" by that clock, counted from `_BEGINNING`.

Two things follow. No date of the real world may be handed to APScheduler: all dates here come from
`SteadyTime.now`. And APScheduler's own triggers can't be used, since they convert dates between
time zones, which ``fromutc`` can't do: hence `Every` and `Once`.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo

from apscheduler.triggers.base import BaseTrigger

_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
"""The date at second 0 of the monotonic clock. Only APScheduler sees it."""


class SteadyTime(tzinfo):
    """A time zone in which the present is what a monotonic clock says.

    ``monotonic`` returns seconds.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic

    def now(self) -> datetime:
        """Return the present of this zone."""
        return _BEGINNING.replace(tzinfo=self) + timedelta(seconds=self._monotonic())

    def fromutc(self, _: datetime) -> datetime:
        """Return the present of this zone, whatever the wall clock says."""
        return self.now()

    def utcoffset(self, _: datetime | None) -> timedelta:
        """Return no offset, so that differences of dates are seconds of the monotonic clock."""
        return timedelta(0)

    def dst(self, _: datetime | None) -> timedelta:
        """Return no summer time."""
        return timedelta(0)

    def tzname(self, _: datetime | None) -> str:
        """Return a name for people."""
        return "steady"


class Every(BaseTrigger):  # type: ignore[misc]  # APScheduler has no types
    """A trigger that fires at its job's first time and then at a fixed interval."""

    def __init__(self, seconds: float) -> None:
        self._interval = timedelta(seconds=seconds)

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """Return the time one interval after the previous one."""
        return now if previous_fire_time is None else previous_fire_time + self._interval


class Once(BaseTrigger):  # type: ignore[misc]
    """A trigger that fires at its job's first time only."""

    def get_next_fire_time(self, _previous: datetime | None, _now: datetime) -> None:
        """Return that there is no next time."""
