"""When each outbound is polled: one APScheduler job for each, by a monotonic clock.

First polls are staggered over the interval. An outbound is never polled twice at once: a poll that
falls due while the previous one is still running is counted as skipped. No outbound waits for
another one here; requests queue in the API's limiter.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from math import ceil
from zlib import crc32

from apscheduler.events import (
    EVENT_JOB_MAX_INSTANCES,
    EVENT_JOB_SUBMITTED,
    JobSubmissionEvent,
)
from apscheduler.executors.asyncio import AsyncIOExecutor
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from pearl_exporter.errors import PollError
from pearl_exporter.polling.poller import Poller
from pearl_exporter.polling.steady_time import Every, Once, SteadyTime

HEARTBEAT_SECONDS = 1.0
HEARTBEAT_TIMEOUT_SECONDS = 15.0
"""Without a heartbeat for this long the scheduler counts as hung."""

LOOK_AGAIN_SECONDS = 60.0
"""After this, up to twice as long, an outbound that a refused token blocks looks if it may poll."""

# APScheduler's names of jobs: what comes before the colon keeps them apart, whatever an id is
_HEARTBEAT = "heartbeat:"
_POLL = "poll:"
_AGAIN = "again:"


class Schedule:
    """Starts polls on time, and knows whether it is still doing so.

    ``monotonic`` returns seconds; all times here are of that clock.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._time = SteadyTime(monotonic)
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
        """Whether the heartbeat is in time."""
        age = self.beat_age
        return age is not None and age < HEARTBEAT_TIMEOUT_SECONDS

    @property
    def beat_age(self) -> float | None:
        """Seconds since the last heartbeat, None before the first."""
        return None if self._last_beat is None else self._monotonic() - self._last_beat

    def start(self, pollers: Iterable[Poller]) -> None:
        """Start to poll, each outbound at its own offset into its interval."""
        # every skipped poll is counted; APScheduler would log a warning for each as well
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        now = self._time.now()
        self._scheduler.add_job(
            self._beat, Every(HEARTBEAT_SECONDS), id=_HEARTBEAT, next_run_time=now
        )
        self.add_staggered(pollers)
        self._scheduler.start()

    def add_staggered(self, pollers: Iterable[Poller]) -> None:
        """Poll these outbounds as well, each at its own offset into its interval."""
        pollers = tuple(pollers)
        for index, poller in enumerate(pollers):
            self.add(poller, poller.outbound.interval * index / len(pollers))

    def add(self, poller: Poller, seconds: float) -> None:
        """Poll an outbound as well, for the first time in some seconds."""
        outbound = poller.outbound
        self._pollers[outbound.id] = poller
        self._scheduler.add_job(
            self.poll_due,
            Every(outbound.interval),
            args=(outbound.id,),
            id=_POLL + outbound.id,
            next_run_time=self._time.now() + timedelta(seconds=seconds),
        )

    async def remove(self, outbound_id: str) -> None:
        """Stop to poll an outbound, and cancel its poll if one is running."""
        self._scheduler.remove_job(_POLL + outbound_id)
        if self._scheduler.get_job(_AGAIN + outbound_id) is not None:
            self._scheduler.remove_job(_AGAIN + outbound_id)
        del self._pollers[outbound_id]
        self._due.pop(outbound_id, None)
        task = self._running.get(outbound_id)
        if task is not None:
            task.cancel()
            # Until this returns the poll may finish its commit, and publish nothing.
            await asyncio.wait([task])

    def seconds_to_next_poll(self, outbound_id: str) -> float | None:
        """Return how long until an outbound is polled next; 0 during a poll, None if unknown."""
        if outbound_id in self._running:
            return 0.0
        times = (self._seconds_to(_POLL + outbound_id), self._seconds_to(_AGAIN + outbound_id))
        scheduled = min((each for each in times if each is not None), default=None)
        poller = self._pollers.get(outbound_id)
        if scheduled is None or poller is None:
            return None
        # the polls that fall due before it may poll are skipped
        pause = poller.outbound.interval
        if poller.waits_for_token:
            pause = min(pause, LOOK_AGAIN_SECONDS)
        skipped = max(0, ceil((poller.seconds_until_allowed - scheduled) / pause))
        return scheduled + pause * skipped

    def seconds_to_regular_poll(self, outbound_id: str) -> float | None:
        """Return how long until an outbound's next poll by its interval, which may be skipped."""
        return self._seconds_to(_POLL + outbound_id)

    def _seconds_to(self, job_id: str) -> float | None:
        job = self._scheduler.get_job(job_id)
        if job is None or job.next_run_time is None:
            return None
        return float((job.next_run_time - self._time.now()).total_seconds())

    def is_polling(self, outbound_id: str) -> bool:
        """Return whether a poll of an outbound is running."""
        return outbound_id in self._running

    async def stop(self) -> None:
        """Start no further poll, and cancel the running ones: what they read is not published."""
        if not self._scheduler.running:
            return
        self._scheduler.pause()
        tasks = tuple(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # the jobs that waited for them end as well, and by themselves
        self._scheduler.shutdown(wait=False)
        await asyncio.sleep(0)  # APScheduler carries that out in the loop's next iteration

    def _submitted(self, event: JobSubmissionEvent) -> None:
        """Note when the poll that begins now was due: APScheduler does not pass that to its job."""
        poller = self._poller_of(event)
        if poller is not None:
            self._due[poller.outbound.id] = event.scheduled_run_times[-1]

    def _overran(self, event: JobSubmissionEvent) -> None:
        poller = self._poller_of(event)
        if poller is not None:
            poller.skip()

    def _poller_of(self, event: JobSubmissionEvent) -> Poller | None:
        job_id = str(event.job_id)
        return self._pollers.get(job_id.removeprefix(_POLL)) if job_id.startswith(_POLL) else None

    async def _beat(self) -> None:
        self._last_beat = self._monotonic()

    async def poll_due(self, outbound_id: str) -> None:
        """Poll an outbound that is due now; APScheduler calls this."""
        # APScheduler has submitted this an iteration ago. The outbound may have been removed since,
        # or exchanged: then this poll is the new poller's first.
        poller = self._pollers.get(outbound_id)
        if poller is None:
            return
        if not poller.may_poll():
            poller.skip_blocked()
            self._look_again(poller)
            return
        now = self._time.now()
        lateness = (now - self._due.get(outbound_id, now)).total_seconds()
        await self._run(poller, lateness)

    async def _poll_again(self, outbound_id: str) -> None:
        """Make up for a poll that a refused token blocked, if the outbound may poll by now."""
        poller = self._pollers.get(outbound_id)
        if poller is None or outbound_id in self._running:
            return
        if poller.may_poll():
            await self._run(poller, 0.0)
        else:
            self._look_again(poller)

    def _look_again(self, poller: Poller) -> None:
        """Let an outbound of a long interval not wait for its next poll once the token is good."""
        outbound_id = poller.outbound.id
        if self._pollers.get(outbound_id) is not poller or not poller.waits_for_token:
            return
        share = crc32(outbound_id.encode()) / 2**32  # spreads them evenly, and stays the same
        seconds = LOOK_AGAIN_SECONDS * (1 + share)
        regular = self.seconds_to_regular_poll(outbound_id)
        if regular is not None and seconds < regular:
            self._scheduler.add_job(
                self._poll_again,
                Once(),
                args=(outbound_id,),
                id=_AGAIN + outbound_id,
                next_run_time=self._time.now() + timedelta(seconds=seconds),
                replace_existing=True,
            )

    async def _run(self, poller: Poller, lateness: float) -> None:
        outbound_id = poller.outbound.id
        if outbound_id in self._running:
            poller.skip()
            return
        # A task of its own can be cancelled without APScheduler logging a failed job.
        task = asyncio.create_task(poller.poll(max(0.0, lateness)))
        self._running[outbound_id] = task
        await asyncio.wait([task])
        del self._running[outbound_id]
        self._look_again(poller)
