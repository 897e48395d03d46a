"""Runs the plan of one poll: asks the API for each page that the plan wants, and sends it back."""

from collections.abc import Awaitable, Callable, Generator
from contextlib import suppress
from typing import TypeVar

from pearl_exporter.api.clock import TOLERATED_SKEW_SECONDS, ApiClock
from pearl_exporter.counting.calls import Instant
from pearl_exporter.counting.tracker import Tracker
from pearl_exporter.errors import BadRequestError
from pearl_exporter.polling.clock_evidence import PURPOSE, ClockVerdict, is_other_right
from pearl_exporter.polling.context import PollContext
from pearl_exporter.polling.log import PollLog
from pearl_exporter.polling.poll_history import Asked
from pearl_exporter.reading.cost import PlanLimits
from pearl_exporter.reading.plan import PlanState, PollPlan, PollResult
from pearl_exporter.reading.search import Page, Purpose, ReadProgress, Search, Step

S = TypeVar("S")
T = TypeVar("T")

PUBLISH_SECONDS = 1.0
"""The shortest time between two publications of how far a whole read has come."""


async def drive(steps: Generator[S, Page, T], ask: Callable[[S], Awaitable[Page]]) -> T:
    """Run a plan, or a part of one, to its end; this is the only loop that does.

    Args:
        steps: Yields what to ask for, and is sent the page.
        ask: Gets the page.

    Returns:
        What the plan returns.
    """
    try:
        step = next(steps)
        while True:
            # the only await point: until the page is here, the plan stands still
            step = steps.send(await ask(step))
    except StopIteration as end:
        result: T = end.value
        return result


async def decide_clock(
    api_clock: ApiClock, outbound: str, limit: int, ask: Callable[[Search], Awaitable[Page]]
) -> ClockVerdict | None:
    """Let an outbound's calls decide between clocks that are far apart, with at most two searches.

    Args:
        api_clock: Takes the verdict.
        outbound: The name of the outbound.
        limit: How many rows to ask for.
        ask: Gets a page of the outbound's calls.

    Returns:
        The verdict; None if there was no need to ask, or the outbound was asked lately.
    """
    doubt = api_clock.doubt(outbound)
    if doubt is None:
        return None
    verdict: bool | None = None
    with suppress(BadRequestError):  # of a range that the API does not like: no call tells
        verdict = await drive(is_other_right(doubt, limit), ask)
    api_clock.decide(doubt, outbound, is_other_right=verdict)
    return ClockVerdict(doubt, verdict)


class PlanRunner:
    """Runs the plan of one poll of one outbound.

    Args:
        search: Asks the API for a page; raises `PollError`.
        context: Has the clocks, and who hears of progress.
        log: The log of the outbound.
        limits: What the plan may ask for.
        asked: Takes down what is asked, also if the poll fails.
        on_page: Called with each page and what was asked for it.
        on_read_progress: Called at most once in `PUBLISH_SECONDS` while everything is read.
    """

    def __init__(  # noqa: PLR0913 - what it joins is given to it
        self,
        search: Callable[[Search], Awaitable[Page]],
        context: PollContext,
        log: PollLog,
        limits: PlanLimits,
        *,
        asked: Asked,
        on_page: Callable[[Search, Page], None],
        on_read_progress: Callable[[ReadProgress], None],
    ) -> None:
        self._search = search
        self._context = context
        self._log = log
        self._limits = limits
        self._asked = asked
        self._on_page = on_page
        self._on_read_progress = on_read_progress
        self._published_at = self._logged_at = context.clock.monotonic()

    async def read(self, tracker: Tracker, state: PlanState) -> tuple[Instant, PollResult]:
        """Read all that this poll must read.

        Args:
            tracker: Has what earlier polls have read.
            state: What the plan of the last good poll left.

        Returns:
            T, the moment as of which was read, by the API's clock; and what was read.

        Raises:
            PollError: A page did not come, or the answers contradict each other.
        """
        with suppress(_ClockCorrectedError):
            return await self._read_once(tracker, state, may_correct=True)
        return await self._read_once(tracker, state, may_correct=False)

    async def _read_once(
        self, tracker: Tracker, state: PlanState, *, may_correct: bool
    ) -> tuple[Instant, PollResult]:
        """Read as of the present; raise `_ClockCorrectedError` if it turns out to be wrong."""
        api_clock, clock = self._context.api_clock, self._context.clock
        is_sure, began = not may_correct or api_clock.is_known, clock.monotonic()
        may_doubt, is_probe_refused = may_correct, False
        now = _no_small_step_back(api_clock.now(), tracker.polled_at)

        async def ask(step: Step) -> Page:
            nonlocal is_sure, may_doubt, is_probe_refused
            self._report(step.progress)
            try:
                page = await self._page(step.purpose, step.search)
            except BadRequestError:
                if step.purpose is not Purpose.PROBE:
                    raise
                # a range that the API does not like tells nothing, and the poll can do without
                is_probe_refused = True
                page = Page(0, ())
            if may_doubt:
                # The first answer shows what its Date says, and calls have to bear it out if that
                # is far from what this poll goes by.
                may_doubt = False
                if await self._is_another_clock_right():
                    is_sure = False
            # the first answer with a Date says whether this machine's clock is right
            if not is_sure and api_clock.is_known:
                is_sure = True
                elapsed_ms = (clock.monotonic() - began) * 1000
                if abs(api_clock.now() - now - elapsed_ms) > TOLERATED_SKEW_SECONDS * 1000:
                    raise _ClockCorrectedError
            return page

        plan = PollPlan(tracker, state, now=now, limits=self._limits)
        result = await drive(plan.steps(), ask)
        self._report(result.progress)
        if is_probe_refused:
            self._log.probe_refused()
        self._log.oddities(result, state)
        return now, result

    async def _page(self, purpose: str, search: Search) -> Page:
        self._asked.note(purpose, search)
        page = await self._search(search)
        self._asked.answer(page)
        self._on_page(search, page)
        return page

    async def _is_another_clock_right(self) -> bool:
        """Let calls decide between clocks that are far apart; return whether the time changes."""
        verdict = await decide_clock(
            self._context.api_clock,
            self._log.outbound,
            self._limits.page_size,
            lambda search: self._page(PURPOSE, search),
        )
        return verdict is not None and verdict.is_other_right is True

    def _report(self, progress: ReadProgress | None) -> None:
        """Show how far the read of the whole window has come, if there is one."""
        if progress is None:
            return
        now = self._context.clock.monotonic()
        self._context.on_progress(self._log.outbound, *progress)
        if now - self._published_at >= PUBLISH_SECONDS:
            self._published_at = now
            self._on_read_progress(progress)
        self._logged_at = self._log.progress(*progress, logged_at=self._logged_at, now=now)


class _ClockCorrectedError(Exception):
    """The present that the plan goes by is wrong: the read must start over."""


def _no_small_step_back(now: Instant, polled_at: Instant | None) -> Instant:
    """Return T, but not a little before the last poll's: the clock's correction may set in or end.

    Args:
        now: The API's present.
        polled_at: T of the last good poll.
    """
    if polled_at is not None and 0 < polled_at - now <= 2 * TOLERATED_SKEW_SECONDS * 1000:
        return polled_at
    return now
