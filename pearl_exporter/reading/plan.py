"""The incremental plan: what one poll must ask to know what changed. Decides, does no I/O.

A plan is a generator: it yields searches and is sent their pages, and in the end returns a
`PollResult`. Each page of ``[a, b)``, newest first, runs down from ``b`` to ``p`` just above its
oldest row: ``[p, b)`` is proven, and ``count`` tells how many rows the API holds below. So one
request, the *head*, brings what is new and shows whether all the rest of the window still agrees.
Beyond it are asked: calls that are not settled and lie below the head; where counts differ, halves
of the range, until the difference is found; and, in turn, a count of some outcomes (see `statuses`)
and one slice of a scan through the whole window, for a settled row that changed in place.

After an outage longer than the window, the calls that started in it and have left the window are
read beside all that, oldest first, in slices of a few pages.

A small window is read whole each time, which costs no more. So is everything at the first poll,
after a wider window, and where the server's order or dates forbid reading downward (see `sync`).
"""

from collections.abc import Generator, Sequence
from typing import NamedTuple

from pearl_exporter.counting.calls import LIVE_STATUSES, Call, Instant
from pearl_exporter.counting.columns import Rows
from pearl_exporter.counting.tracked_call import CallPhase, TrackedCall
from pearl_exporter.counting.tracker import Tracker
from pearl_exporter.reading.catch_up import FIRST_SLICE_MS, CatchUp
from pearl_exporter.reading.cost import (
    MAX_WHOLE_READ_PAGES,
    MIN_CATCH_UP_REQUESTS,
    USUAL_MAX_REQUESTS,
)
from pearl_exporter.reading.coverage import Coverage, Range
from pearl_exporter.reading.difference import DifferenceSearch
from pearl_exporter.reading.outcome_counts import SETS, CountResult, OutcomeCount
from pearl_exporter.reading.range_read import RangeRead, read_start, unread
from pearl_exporter.reading.search import Page, Search

MAX_CALL_MS = 7_200_000
STUCK_EVERY_MS = 300_000
"""A call that is live by odd codes for longer than a call lasts is looked for so often only."""

COUNT_EVERY = 4
"""Of so many polls with a request to spare, one counts outcomes; the others are the scan's."""

MAX_FRUITLESS_COUNTS = 3
"""Searches for a changed outcome that found none, after which the outbound does without them."""

MAX_POLLS_WITHOUT_SPARE = 3
"""A poll that has asked often leaves the scan alone, but not so many polls in a row."""


Steps = Generator[Search, Page, "PollResult"]


class PlanState(NamedTuple):
    """What a plan leaves to the next one of the same outbound.

    Attributes:
        by_offset: Whether the server's order or dates forbid reading downward.
        ignores_statuses: Whether the filter by ``statuses`` brings codes that were not asked for.
        covered_from: Whence on every call is tracked; None after a start.
        uncountable: Rows that the API counts, but that can't be read.
        scanned_to: How far down the scan through the window has come, None if none is under way.
        scan_began: When the scan under way began, or the last one.
        turn: Polls with a request to spare, which outcomes and the scan share.
        fruitless: How often in a row a count of outcomes differed and no changed row was found.
        passed_over: Polls in a row that had no request to spare for it.
        slice_ms: How much time the next slice of what an outage left unread shall cover.
    """

    by_offset: bool = False
    ignores_statuses: bool = False
    covered_from: Instant | None = None
    unreadable_count: int = 0
    scan_position: Instant | None = None
    scan_began: Instant = 0
    spare_turns: int = 0
    fruitless_counts: int = 0
    polls_without_spare: int = 0
    slice_ms: int = FIRST_SLICE_MS


class PollResult(NamedTuple):
    """What one poll has read, as of one moment.

    Attributes:
        calls: The rows, each once.
        ranges: Those that were read whole.
        spared: Ids of rows that are there, but could not be read.
        scanned: Whether with this poll the whole window has been read, now or in slices.
        unread: What an outage has left unread behind the window, None if nothing.
        memory: For the next plan.
    """

    calls: Rows
    ranges: Sequence[Range]
    unreadable_ids: frozenset[str]
    scanned: bool
    unread: Range | None
    memory: PlanState


class PollPlan:
    """The plan of one poll at ``now``; `steps` runs it.

    ``spare`` is how many requests it may spend on what an outage has left unread.
    ``read`` is the whole read under way, if there is one, for those who show progress.
    """

    def __init__(
        self,
        tracker: Tracker,
        *,
        now: Instant,
        limit: int,
        memory: PlanState,
        spare: int = MIN_CATCH_UP_REQUESTS,
    ) -> None:
        self.now = now
        self.read: RangeRead | None = None
        self.purpose = "new calls"
        """What the search that was yielded last is for, in words."""
        self._tracker = tracker
        self._rules = tracker.rules
        self._limit = limit
        self._memory = memory
        self._spare = spare
        self._backlog = CatchUp(
            unread(tracker, tracker.rules, now), memory.slice_ms, by_offset=memory.by_offset
        )
        self._coverage = Coverage(limit)

    def steps(self) -> Steps:
        """The searches of the poll; returns its `PollResult`, raises `Inconsistent`."""
        low = self._low()
        is_whole = low is None or not (yield from self._head(low))
        if is_whole:
            yield from self._whole()
        if self._tracker.polled_at is None:
            yield from self._older_live()
        if not self._memory.by_offset:
            yield from self._unsettled()
        if self._backlog.unread is not None:
            self.purpose = "catching up"
            yield from self._backlog.read_on(self._coverage, self._limit, self._spare)
        elif low is not None and not is_whole and self._has_spare_request():
            is_whole = yield from self._look_deeper(low)
        return self._reading(scanned=is_whole)

    def _low(self) -> Instant | None:
        """Where the plan's range begins; None if everything is to be read whole."""
        if self._memory.by_offset or self._is_small():
            return None
        tracker, window_start = self._tracker, self.now - self._rules.window_ms
        if tracker.polled_at is None or tracker.polled_at < window_start:
            return None
        low = self._memory.covered_from
        if low is None:
            low = tracker.low_watermark if tracker.unread_until is None else tracker.unread_until
        # a window that has become wider holds calls that were never read
        return None if low is None or low > window_start else low

    def _is_small(self) -> bool:
        tracker = self._tracker
        start = read_start(tracker, self._rules, self.now)
        return tracker.calls.present(start, self.now + 1) <= MAX_WHOLE_READ_PAGES * self._limit

    def _reading(self, *, scanned: bool) -> PollResult:
        memory = self._memory._replace(
            covered_from=self.now - self._rules.window_ms, slice_ms=self._backlog.slice_ms
        )
        return PollResult(
            self._coverage.calls,
            self._coverage.ranges,
            frozenset(self._coverage.unreadable_ids),
            scanned,
            self._backlog.unread,
            memory,
        )

    def _whole(self) -> Generator[Search, Page, None]:
        """The window, and what has left it since the last poll, in one range."""
        self.purpose = "whole window"
        self._coverage.start_over()
        start = read_start(self._tracker, self._rules, self.now)
        if self._memory.by_offset and (oldest := self._oldest_unsettled()) is not None:
            start = min(start, oldest)  # they can't be looked for one by one
        read = self.read = RangeRead(
            start, self.now + 1, self._limit, by_offset=self._memory.by_offset
        )
        yield from self._coverage.run(read)
        self._memory = self._memory._replace(
            by_offset=read.by_offset,
            unreadable_count=read.unreadable_count,
            scan_position=None,
            scan_began=self.now,
        )

    def _oldest_unsettled(self) -> Instant | None:
        return self._tracker.oldest_unsettled(since=self.now - self._rules.follow_ms)

    def _head(self, low: Instant) -> Generator[Search, Page, bool]:
        """Reads all that is new, finds where the rest differs; False if that can't be done so.

        Answers that contradict each other, as where a row was deleted between them, are asked for
        again; if they do so again, the pages are in no order that could be gone by.
        """
        agrees = yield from self._try_head(low)
        if agrees is None:
            self.purpose = "new calls"
            self._coverage.start_over()
            agrees = yield from self._try_head(low)
        return bool(agrees)

    def _try_head(self, low: Instant) -> Generator[Search, Page, bool | None]:
        upper = self.now + 1
        new_from = self._tracker.polled_at or low
        counted: int | None = None
        agrees: bool | None = True
        while upper > low and agrees:
            below = yield from self._coverage.down(low, upper)
            if below is None:
                return False
            counted = below.total if counted is None else counted
            upper = below.start
            if upper <= new_from:
                self.purpose = "search for a difference"
                difference = DifferenceSearch(
                    self._tracker, self._coverage, self._limit, self._memory.unreadable_count
                )
                agrees, upper = (yield from difference.steps(low, upper, below.rest)), low
        if agrees and counted is not None:
            self._note_unreadable(low, counted)
        return agrees

    def _note_unreadable(self, low: Instant, counted: int) -> None:
        """What is counted and not known can't be read, as far as so many such rows were met."""
        unknown = counted - self._coverage.known_between(self._tracker.calls, low, self.now + 1)
        met = self._memory.unreadable_count + self._coverage.rejected
        self._memory = self._memory._replace(unreadable_count=min(max(0, unknown), met))

    def _unsettled(self) -> Generator[Search, Page, None]:
        """Looks at the calls below the head that are live, or due to settle."""
        self.purpose = "unsettled calls"
        since = self.now - self._rules.follow_ms
        left = [
            each
            for each in self._tracker.unsettled()
            if each.call.start >= since
            and not self._coverage.covers(each.call.start)
            and (each.phase is CallPhase.LIVE or self._tracker.is_due(each, self.now))
            and not self._is_stuck(each)
        ]
        waiting = [each for each in left if each.call.status in LIVE_STATUSES]
        seen: set[str] = set()
        if len(waiting) > 1 and not self._memory.ignores_statuses:
            seen = yield from self._still_live(waiting)
        for each in left:
            if each.call.id not in seen and not self._coverage.covers(each.call.start):
                # the page that runs down from a call brings its neighbours as well
                yield from self._coverage.down(left[-1].call.start, each.call.start + 1)

    def _is_stuck(self, each: TrackedCall) -> bool:
        """Whether a call is live by codes that no search can ask for, for too long to be a call."""
        seen = each.seen_live_at
        return (
            each.call.status not in LIVE_STATUSES
            and each.call.start < self.now - MAX_CALL_MS
            and seen is not None
            and seen > self.now - STUCK_EVERY_MS
        )

    def _still_live(self, waiting: Sequence[TrackedCall]) -> Generator[Search, Page, set[str]]:
        """Asks for live calls alone; gives the ids of those that are as live as they were."""
        start, end = waiting[-1].call.start, waiting[0].call.start + 1
        live = yield from self._live_between(start, end)
        wanted = {each.call.id for each in waiting}
        found = [call for call in live if call.id in wanted]
        self._coverage.calls.extend(found)
        return {call.id for call in found}

    def _older_live(self) -> Generator[Search, Page, None]:
        """At a first start, finds the calls that are live though they began before the window."""
        self.purpose = "older live calls"
        start, end = self.now - self._rules.follow_ms, self.now - self._rules.window_ms
        if start < end and not self._memory.ignores_statuses:
            live = yield from self._live_between(start, end)
            self._coverage.calls.extend(
                [call for call in live if call.id not in self._coverage.calls]
            )

    def _live_between(self, start: Instant, end: Instant) -> Generator[Search, Page, list[Call]]:
        live = yield from self._coverage.live_between(start, end)
        if live is None:
            self._memory = self._memory._replace(ignores_statuses=True)
        return live or []

    def _has_spare_request(self) -> bool:
        memory = self._memory
        spare = (
            self._coverage.asked < USUAL_MAX_REQUESTS
            or memory.polls_without_spare >= MAX_POLLS_WITHOUT_SPARE
        )
        self._memory = memory._replace(
            polls_without_spare=0 if spare else memory.polls_without_spare + 1
        )
        return spare

    def _look_deeper(self, low: Instant) -> Generator[Search, Page, bool]:
        """Counts outcomes and scans, in turn; gives whether a scan came to its end."""
        memory = self._memory
        trusted = not memory.ignores_statuses and memory.fruitless_counts < MAX_FRUITLESS_COUNTS
        self._memory = memory._replace(spare_turns=memory.spare_turns + 1)
        spare_turns, is_other = divmod(memory.spare_turns, COUNT_EVERY)
        if not trusted or is_other != COUNT_EVERY - 1:
            return (yield from self._scan(low))
        yield from self._count_outcomes(low, SETS[spare_turns % len(SETS)])
        return False

    def _count_outcomes(self, low: Instant, codes: frozenset[int]) -> Generator[Search, Page, None]:
        self.purpose = "count of outcomes"
        memory = self._memory
        count = OutcomeCount(self._tracker, self._coverage, low=low, codes=codes, limit=self._limit)
        verdict = yield from count.steps(self.now + 1, memory.unreadable_count)
        self._memory = memory._replace(
            ignores_statuses=verdict is CountResult.IGNORED,
            fruitless_counts=memory.fruitless_counts + 1 if verdict is CountResult.FRUITLESS else 0,
        )

    def _scan(self, low: Instant) -> Generator[Search, Page, bool]:
        """Reads one slice more of the window; gives whether that was the last of a scan."""
        self.purpose = "slice of the full scan"
        memory, upper = self._memory, self._memory.scan_position
        if upper is None:
            if self.now - memory.scan_began < self._rules.scan_every_ms:
                return False
            upper, memory = self.now + 1, memory._replace(scan_began=self.now)
        upper = self._unproven_below(upper)
        if upper > low:
            below = yield from self._coverage.down(low, upper)
            upper = upper if below is None else below.start
        is_done = upper <= low
        self._memory = memory._replace(scan_position=None if is_done else upper)
        return is_done

    def _unproven_below(self, upper: Instant) -> Instant:
        """Where a scan goes on: below what this poll has read anyway."""
        while True:
            starts = [start for start, end in self._coverage.ranges if start < upper <= end]
            if not starts:
                return upper
            upper = min(starts)
