"""What one poll reads: `plan` says what to ask, the API answers."""

from collections.abc import Awaitable, Callable

from pearl_exporter.api.clock import TOLERATED_SKEW_SECONDS
from pearl_exporter.api.deadline import Deadline
from pearl_exporter.counting.calls import Instant
from pearl_exporter.counting.tracker import Tracker
from pearl_exporter.polling.context import PollContext
from pearl_exporter.polling.log import PollLog
from pearl_exporter.polling.poll_history import Asked
from pearl_exporter.polling.snapshot import ReadProgress
from pearl_exporter.reading.plan import PlanState, PollPlan, PollResult
from pearl_exporter.reading.range_read import RangeRead
from pearl_exporter.reading.search import Page, Search

SHOW_SECONDS = 1.0
"""How often it is published, at most, how far a whole read has come."""


class PlanRunner:
    """Reads once.

    Attributes:
        asked: What was asked of the API, for those who look at polls.
    """

    def __init__(  # noqa: PLR0913 - what it joins is given to it
        self,
        search: Callable[[Search, Deadline], Awaitable[Page]],
        context: PollContext,
        log: PollLog,
        *,
        page_size: int,
        spare: int,
        on_page: Callable[[Page], None],
        on_read_progress: Callable[[ReadProgress], None],
    ) -> None:
        self.asked = Asked()
        self._search = search
        self._context = context
        self._log = log
        self._page_size = page_size
        self._spare = spare
        self._on_page = on_page
        self._on_read_so_far = on_read_progress
        self._shown_at = self._told_at = context.clock.monotonic()

    async def read(
        self, tracker: Tracker, memory: PlanState, deadline: Deadline
    ) -> tuple[Instant, PollResult]:
        """Reads all that this poll must read, as of the API's present; raises `PollError`."""
        api_clock, clock = self._context.api_clock, self._context.clock
        was_known, began = api_clock.is_known, clock.monotonic()
        now = _no_small_step_back(api_clock.now(), tracker.polled_at)
        plan = PollPlan(tracker, now=now, limit=self._page_size, memory=memory, spare=self._spare)
        steps = plan.steps()
        try:
            search = next(steps)
            while True:
                self.asked.note(plan.purpose, search)
                page = await self._page(search, deadline)
                if not was_known and api_clock.is_known:
                    was_known = True
                    elapsed = (clock.monotonic() - began) * 1000
                    if abs(api_clock.now() - now - elapsed) > TOLERATED_SKEW_SECONDS * 1000:
                        self._log.skew(api_clock.skew_text)
                        return await self.read(tracker, memory, deadline)
                search = steps.send(page)
                self._tell_of_progress(plan.read)
        except StopIteration as end:
            self._tell_of_progress(plan.read)
            reading: PollResult = end.value
            self._log.oddities(reading.memory, memory)
            return now, reading

    async def _page(self, search: Search, deadline: Deadline) -> Page:
        page = await self._search(search, deadline)
        self.asked.answer(page)
        self._on_page(page)
        return page

    def _tell_of_progress(self, read: RangeRead | None) -> None:
        """Shows how far a read of everything has come, if there is one."""
        if read is None:
            return
        now = self._context.clock.monotonic()
        self._context.on_progress(self._log.outbound, read.received, read.expected)
        if now - self._shown_at >= SHOW_SECONDS:
            self._shown_at = now
            self._on_read_so_far(ReadProgress(read.received, read.expected))
        self._told_at = self._log.progress(
            read.received, read.expected, told_at=self._told_at, now=now
        )


def _no_small_step_back(now: Instant, polled_at: Instant | None) -> Instant:
    """T, but not a little before the last poll's: the clock's correction may set in or end."""
    if polled_at is not None and 0 < polled_at - now <= 2 * TOLERATED_SKEW_SECONDS * 1000:
        return polled_at
    return now
