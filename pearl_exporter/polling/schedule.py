"""Who polls when: one job for each outbound, with APScheduler.

Starts are staggered over the interval, an outbound is never polled twice at once, a poll that
falls due meanwhile is counted as skipped, and no outbound waits for another one here. All goes by
the monotonic clock: setting this machine's clock, back or forward, delays and hastens nothing.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from zlib import crc32

from apscheduler.events import (
    EVENT_JOB_MAX_INSTANCES,
    EVENT_JOB_SUBMITTED,
    JobSubmissionEvent,
)
from apscheduler.executors.asyncio import AsyncIOExecutor
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

from pearl_exporter.errors import PollError
from pearl_exporter.polling.poller import Poller

HEARTBEAT_SECONDS = 1.0
HEARTBEAT_TIMEOUT_SECONDS = 15.0
"""Without a heartbeat for this long the scheduler counts as wedged."""

LOOK_AGAIN_SECONDS = 60.0
"""How soon, up to twice as long, an outbound that waited for its token looks whether it may ask."""

_HEARTBEAT = "/heartbeat"
"""No outbound's id has a slash."""
_DAWN = datetime(2000, 1, 1, tzinfo=UTC)
"""What the steady time begins with; no one sees it but APScheduler."""


class _SteadyTime(tzinfo):
    """A zone in which it is always as late as a monotonic clock says, from `_DAWN` on.

    APScheduler takes the present from ``datetime.now`` of its zone and from nothing else, and that
    asks the zone. So no other date can be brought into it: all dates here are of it to begin with,
    which is what `_Every` is for.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic

    def now(self) -> datetime:
        """The steady present."""
        return _DAWN.replace(tzinfo=self) + timedelta(seconds=self._monotonic())

    def fromutc(self, _: datetime) -> datetime:
        """The steady present, whatever the wall clock says."""
        return self.now()

    def utcoffset(self, _: datetime | None) -> timedelta:
        """None at all."""
        return timedelta(0)

    def dst(self, _: datetime | None) -> timedelta:
        """None at all."""
        return timedelta(0)

    def tzname(self, _: datetime | None) -> str:
        """A name for people."""
        return "steady"


class _Every(BaseTrigger):  # type: ignore[misc]  # APScheduler has no types
    """A trigger by steady time; APScheduler's own would bring its dates into the zone."""

    def __init__(self, seconds: float) -> None:
        self._span = timedelta(seconds=seconds)

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """An interval after the time before."""
        return now if previous_fire_time is None else previous_fire_time + self._span


class _Once(BaseTrigger):  # type: ignore[misc]
    """A trigger for the time that its job is given alone."""

    def get_next_fire_time(self, _previous: datetime | None, _now: datetime) -> None:
        """None after that."""


class Schedule:
    """Starts polls on time, and knows whether it is still doing so. Times are monotonic."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._time = _SteadyTime(monotonic)
        self._pollers: dict[str, Poller] = {}
        self._due: dict[str, datetime] = {}
        self._running: dict[str, asyncio.Task[PollError | None]] = {}
        self._last_beat: float | None = None
        self._scheduler = AsyncIOScheduler(
            timezone=self._time,
            executors={"default": AsyncIOExecutor()},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._scheduler.add_listener(self._submitted, EVENT_JOB_SUBMITTED)
        self._scheduler.add_listener(self._overran, EVENT_JOB_MAX_INSTANCES)

    @property
    def is_alive(self) -> bool:
        """Whether the scheduler's heart beats."""
        age = self.beat_age
        return age is not None and age < HEARTBEAT_TIMEOUT_SECONDS

    @property
    def beat_age(self) -> float | None:
        """Seconds since its last beat, None before the first."""
        return None if self._last_beat is None else self._monotonic() - self._last_beat

    def start(self, pollers: Iterable[Poller]) -> None:
        """Begins to poll, each outbound at its own offset into its interval."""
        # every skipped poll is counted; APScheduler would log a warning for each as well
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        now = self._time.now()
        self._scheduler.add_job(
            self._beat,
            _Every(HEARTBEAT_SECONDS),
            id=_HEARTBEAT,
            next_run_time=now,
        )
        self.add_staggered(pollers)
        self._scheduler.start()

    def add_staggered(self, pollers: Iterable[Poller]) -> None:
        """Begins to poll these as well, each at its own offset into its interval."""
        pollers = tuple(pollers)
        for index, poller in enumerate(pollers):
            self.add(poller, poller.outbound.interval * index / len(pollers))

    def add(self, poller: Poller, seconds: float) -> None:
        """Begins to poll an outbound in so many seconds."""
        outbound = poller.outbound
        first = self._time.now() + timedelta(seconds=seconds)
        self._pollers[outbound.id] = poller
        self._scheduler.add_job(
            self._poll,
            _Every(outbound.interval),
            args=(outbound.id,),
            id=outbound.id,
            next_run_time=first,
        )

    async def remove(self, outbound_id: str) -> None:
        """Polls an outbound no more, and cuts its poll short if one is going on."""
        self._scheduler.remove_job(outbound_id)
        if self._scheduler.get_job(_again(outbound_id)) is not None:
            self._scheduler.remove_job(_again(outbound_id))
        del self._pollers[outbound_id]
        self._due.pop(outbound_id, None)
        task = self._running.get(outbound_id)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    def seconds_to_next_poll(self, outbound_id: str) -> float | None:
        """How long until an outbound may be polled next, None if it is not scheduled."""
        soonest = (self.seconds_to_regular_poll(outbound_id), self._seconds_to(_again(outbound_id)))
        return min((each for each in soonest if each is not None), default=None)

    def seconds_to_regular_poll(self, outbound_id: str) -> float | None:
        """The same by its interval alone, which goes on whatever is made up for in between."""
        return self._seconds_to(outbound_id)

    def _seconds_to(self, job_id: str) -> float | None:
        job = self._scheduler.get_job(job_id)
        if job is None or job.next_run_time is None:
            return None
        return float((job.next_run_time - self._time.now()).total_seconds())

    def is_polling(self, outbound_id: str) -> bool:
        """Whether a poll of an outbound is under way."""
        return outbound_id in self._running

    async def stop(self) -> None:
        """Starts no further poll and cuts short those going on; what they read is not published."""
        if not self._scheduler.running:
            return
        self._scheduler.pause()
        tasks = tuple(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # the jobs that waited for them end as well, and by themselves
        self._scheduler.shutdown(wait=False)
        await asyncio.sleep(0)  # APScheduler carries that out in the loop's next round

    def _submitted(self, event: JobSubmissionEvent) -> None:
        if event.job_id in self._pollers:
            self._due[event.job_id] = event.scheduled_run_times[-1]

    def _overran(self, event: JobSubmissionEvent) -> None:
        poller = self._pollers.get(event.job_id)
        if poller is not None:
            poller.skip()

    async def _beat(self) -> None:
        self._last_beat = self._monotonic()

    async def _poll(self, outbound_id: str) -> None:
        poller = self._pollers.get(outbound_id)
        if poller is None:
            return
        if poller.is_held():
            poller.skip_blocked()
            self._look_again(poller)
            return
        # a poll that was about to begin when its outbound was exchanged is the new poller's first
        now = self._time.now()
        lateness = (now - self._due.get(outbound_id, now)).total_seconds()
        await self._run(poller, lateness)

    async def _poll_at_last(self, outbound_id: str) -> None:
        """A poll that was passed over for a refused token: made up for, if it may ask by now."""
        poller = self._pollers.get(outbound_id)
        if poller is None or outbound_id in self._running:
            return
        if poller.is_held():
            self._look_again(poller)
        else:
            await self._run(poller, 0.0)

    def _look_again(self, poller: Poller) -> None:
        """Lets an outbound of a long interval not wait for its next poll when the token is good."""
        key = poller.outbound.id
        if self._pollers.get(key) is not poller or not poller.waits_for_token:
            return
        seconds = LOOK_AGAIN_SECONDS * (1 + crc32(key.encode()) / 2**32)  # not all at once
        regular = self.seconds_to_regular_poll(key)
        if regular is not None and seconds < regular:
            self._scheduler.add_job(
                self._poll_at_last,
                _Once(),
                args=(key,),
                id=_again(key),
                next_run_time=self._time.now() + timedelta(seconds=seconds),
                replace_existing=True,
            )

    async def _run(self, poller: Poller, lateness: float) -> None:
        outbound_id = poller.outbound.id
        if outbound_id in self._running:
            poller.skip()
            return
        # a task of our own, which can be cut short without APScheduler calling it a failed job
        task = asyncio.create_task(poller.poll(max(0.0, lateness)))
        self._running[outbound_id] = task
        await asyncio.wait([task])
        del self._running[outbound_id]
        self._look_again(poller)


def _again(outbound_id: str) -> str:
    """The name of the job that makes up for a poll; no outbound's id has a slash."""
    return f"{outbound_id}/again"
