"""The plan of one poll: which searches to make, in which order, to know what changed.

The package's text explains the parts of the plan and why they suffice. This is their order (the
numbers are not those of that text):

1. `PollPlan._head` reads what is new, and finds what came or went below; if it cannot, or the
   window is small, `PollPlan._whole` reads everything.
2. `PollPlan._older_live`, at a first start only.
3. `PollPlan._unsettled` reads calls below the head that are not settled.
4. `PollPlan._missing` reads again where calls have been missing for long enough to be gone.
5. What an outage left unread; else, if the poll has a request to spare, `PollPlan._look_deeper`.

If all this has missed many tracked calls at once, one page asks for them again. If the API has any
of them after all, the poll reads once more from the start. Calls that would be gone by this poll
are asked for again as well, by `PollPlan._is_contradicted`.

A plan is a generator: it yields a `Step`, is sent the page of the step's search, and in the end
returns a `PollResult`. It decides and does no I/O.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

from pearl_exporter.counting.calls import LIVE_STATUSES, Call, Instant
from pearl_exporter.counting.observation import Observation
from pearl_exporter.counting.tracked_call import CallPhase, TrackedCall
from pearl_exporter.counting.tracker import Tracker
from pearl_exporter.reading.catch_up import FIRST_SLICE_MS, CatchUp
from pearl_exporter.reading.cost import USUAL_MAX_REQUESTS, PlanLimits
from pearl_exporter.reading.coverage import Coverage, Missed
from pearl_exporter.reading.difference import DifferenceResult, DifferenceSearch
from pearl_exporter.reading.extent import backlog, whole_read_start
from pearl_exporter.reading.outcome_counts import SETS, CountResult, OutcomeCount
from pearl_exporter.reading.range_read import RangeRead
from pearl_exporter.reading.search import Purpose, ReadProgress, Searches, Step, Steps

T = TypeVar("T")

MAX_CALL_MS = 7_200_000
"""No call lasts longer; one that is live for longer is stuck."""

STUCK_EVERY_MS = 300_000
"""How often to look for a call stuck in an unknown live code."""

COUNT_EVERY = 4
"""Of this many polls with a request to spare, one counts outcomes; the others go on scanning."""

MAX_UNEXPLAINED_COUNTS = 3
"""After this many counts of outcomes in a row that found no changed row, they are given up."""

MISSING_REQUESTS = 3
"""About how many requests a poll may make to look for missing calls."""

ASKED_BEFORE_GONE = 2
ASKED_IN_DOUBT = 6
"""How many requests ask again for the calls that are gone if no answer has any of them: usually,
and for `DOUBT_MS` after missing calls were back."""

DOUBT_MS = 3_600_000

MAX_POLLS_WITHOUT_SPARE = 3
"""After this many polls in a row without a request to spare, the next looks deeper all the same."""


class PlanState(NamedTuple):
    """What the plan of one poll leaves to the plan of the next. It is not saved.

    Attributes:
        by_offset: Whether the server's order or dates forbid reading downward.
        ignores_statuses: Whether the filter by ``statuses`` brought codes that were not asked for.
        covered_from: From this start on every call is tracked; None after a start.
        unreadable_count: How many rows the API counts that cannot be read.
        scan_position: The scan through the window has come down to here; None between two scans.
        scan_began: When the present or the last scan began.
        spare_turns: How many polls had a request to spare; outcome counts and the scan take turns.
        unexplained_counts: How many counts of outcomes in a row found no changed row.
        polls_without_spare: How many polls in a row had no request to spare.
        slice_ms: How much time the next slice of a backlog covers.
        doubted_at: When missing calls were last back; None if that never happened.
    """

    by_offset: bool = False
    ignores_statuses: bool = False
    covered_from: Instant | None = None
    unreadable_count: int = 0
    scan_position: Instant | None = None
    scan_began: Instant = 0
    spare_turns: int = 0
    unexplained_counts: int = 0
    polls_without_spare: int = 0
    slice_ms: int = FIRST_SLICE_MS
    doubted_at: Instant | None = None


class PollResult(NamedTuple):
    """What one poll has read, as of one moment.

    Attributes:
        observation: The rows, and which ranges are complete: what the tracker takes.
        scanned: Whether with this poll all of the window has been read, now or in slices.
        state: For the next plan.
        progress: How far the read of the whole window came; None if there was none.
        missed: Which tracked calls it should have read and did not.
    """

    observation: Observation
    scanned: bool
    state: PlanState
    progress: ReadProgress | None
    missed: Missed


class PollPlan:
    """The plan of one poll at ``now``; `steps` yields it.

    Args:
        tracker: Has what earlier polls have read. It must not change while the plan runs.
        state: What the plan of the last good poll left.
        now: The moment as of which to read, by the API's clock.
        limits: What the plan may ask for.
    """

    def __init__(
        self, tracker: Tracker, state: PlanState, *, now: Instant, limits: PlanLimits
    ) -> None:
        self._tracker = tracker
        self._rules = tracker.rules
        self._now = now
        self._limits = limits
        self._begin(state)

    def _begin(self, state: PlanState) -> None:
        """Begin with nothing read."""
        self._state = self._state_before = state
        self._whole_read: RangeRead | None = None
        # whether counts contradicted each other, as they do if rows come and go between two answers
        self._is_table_changing = False
        self._coverage = Coverage(self._limits.page_size)
        unread = backlog(self._tracker, self._now)
        self._catch_up = CatchUp(unread, state.slice_ms, by_offset=state.by_offset)

    def steps(self) -> Steps[PollResult]:
        """Yield the searches of the poll, each with its purpose; be sent the page of each.

        Returns:
            What was read.

        Raises:
            Inconsistent: The answers contradicted each other each time a range was read.
        """
        scanned = yield from self._read()
        missed = self._missed()
        if missed.is_many and (yield from self._ask_again(missed.newly)):
            # what this misses as well is believed to be missing
            self._begin(self._state_before)
            scanned = yield from self._read()
            missed = self._missed()
        is_contradicted = self._is_table_changing or (yield from self._is_contradicted(missed.due))
        return self._result(missed, scanned=scanned, is_contradicted=is_contradicted)

    def _read(self) -> Steps[bool]:
        """Read all parts of the plan, in order.

        Returns:
            Whether with this poll all of the window has been read.
        """
        # The order matters: the later parts leave out what the earlier ones have read.
        low = self._low()
        scanned = low is None or not (yield from self._head(low))
        if scanned:
            yield from self._steps_for(Purpose.WHOLE_WINDOW, self._whole())
        if self._tracker.polled_at is None:
            yield from self._steps_for(Purpose.OLDER_LIVE, self._older_live())
        # a whole read by offset includes them
        if not self._state.by_offset:
            yield from self._steps_for(Purpose.UNSETTLED, self._unsettled())
            yield from self._steps_for(Purpose.MISSING, self._missing())
        if self._catch_up.unread is not None:
            slices = self._catch_up.searches(
                self._coverage, self._limits.page_size, self._limits.catch_up_requests
            )
            yield from self._steps_for(Purpose.CATCH_UP, slices)
        elif low is not None and not scanned and self._has_spare_request():
            scanned = yield from self._look_deeper(low)
        return scanned

    def _steps_for(self, purpose: Purpose, searches: Searches[T]) -> Steps[T]:
        """Yield the searches of one part of the plan as steps.

        Args:
            purpose: What the part is for.
            searches: The part.

        Returns:
            What the part returns.
        """
        try:
            search = next(searches)
            while True:
                # out goes a Step; back comes the Page of its search, which the part is waiting for
                page = yield Step(search, purpose, self._progress())
                search = searches.send(page)
        except StopIteration as end:
            result: T = end.value
            return result

    def _progress(self) -> ReadProgress | None:
        return None if self._whole_read is None else self._whole_read.progress

    def _low(self) -> Instant | None:
        """Return the start from which on the plan reads; None if it must read everything."""
        if self._state.by_offset or self._is_small():
            return None
        tracker, window_start = self._tracker, self._now - self._rules.window_ms
        # after an outage longer than the window, nothing that is tracked lies in it
        if tracker.polled_at is None or tracker.polled_at < window_start:
            return None
        low = self._state.covered_from
        if low is None:
            low = tracker.low_watermark if tracker.unread_until is None else tracker.unread_until
        # a window that has become wider holds calls that were never read
        return None if low is None or low > window_start else low

    def _is_small(self) -> bool:
        start = whole_read_start(self._tracker, self._now)
        calls = self._tracker.calls.present(start, self._now + 1)
        return calls <= self._limits.max_whole_read_pages * self._limits.page_size

    def _result(self, missed: Missed, *, scanned: bool, is_contradicted: bool) -> PollResult:
        state = self._state._replace(
            covered_from=self._covered_from(), slice_ms=self._catch_up.slice_ms
        )
        if any(each.call.id in self._coverage.calls for each in self._tracker.calls.missing()):
            state = state._replace(doubted_at=self._now)
        observation = Observation(
            self._coverage.calls,
            self._coverage.ranges,
            frozenset(self._coverage.unreadable_ids),
            self._catch_up.unread,
            is_contradicted,
        )
        return PollResult(observation, scanned, state, self._progress(), missed)

    def _missed(self) -> Missed:
        due = {each.call.id for each in self._tracker.missing_due(self._now)}
        return self._coverage.missed(self._tracker.calls, due)

    def _ask_again(self, starts: Mapping[str, Instant]) -> Steps[bool]:
        """Ask for calls that were missed; return whether the API has any of them."""
        return (yield from self._steps_for(Purpose.MISSING, self._coverage.ask_again(starts)))

    def _is_contradicted(self, starts: Mapping[str, Instant]) -> Steps[bool]:
        """Ask again for the calls that are gone if this poll is to be believed.

        More than one request, since a balancer may give every other one to a replica that is
        behind, and so the same part of each poll.

        Args:
            starts: Their starts, by id.

        Returns:
            Whether the API has any of them, so that the poll is not to be believed.
        """
        doubted_at = self._state.doubted_at
        is_in_doubt = doubted_at is not None and self._now - doubted_at < DOUBT_MS
        for _ in range(ASKED_IN_DOUBT if is_in_doubt else ASKED_BEFORE_GONE):
            if not starts:
                return False
            if (yield from self._ask_again(starts)):
                return True
        return False

    def _covered_from(self) -> Instant:
        """Return where the next plan begins: the window's start, or just above it.

        A search is asked a millisecond early. A call there is forgotten when this poll is over, and
        its row would look like one that came late.
        """
        start = self._now - self._rules.window_ms
        while self._tracker.calls.present(start - 1, start):
            start += 1
        return start

    def _whole(self) -> Searches[None]:
        """Read the window, and what has left it since the last poll, in one range."""
        # what a failed head has read would only come twice
        self._coverage.start_over()
        start = whole_read_start(self._tracker, self._now)
        if self._state.by_offset and (oldest := self._oldest_unsettled()) is not None:
            start = min(start, oldest)  # by offset, they cannot be looked for one by one
        self._whole_read = RangeRead(
            start, self._now + 1, self._limits.page_size, by_offset=self._state.by_offset
        )
        result = yield from self._whole_read.searches()
        self._coverage.take(result)
        # a whole read is a full scan as well: the one under way ends
        self._state = self._state._replace(
            by_offset=result.by_offset,
            unreadable_count=result.unreadable_count,
            scan_position=None,
            scan_began=self._now,
        )

    def _oldest_unsettled(self) -> Instant | None:
        return self._tracker.oldest_unsettled(since=self._now - self._rules.follow_ms)

    def _head(self, low: Instant) -> Steps[bool]:
        """Read all that is new, and find what came or went below it.

        Answers that contradict each other, as where a row was deleted between them, are asked for
        again. If they do so again, the pages are in no order that could be followed.

        Returns:
            Whether the counts agree now; if not, everything is to be read.
        """
        result = yield from self._try_head(low)
        if result is DifferenceResult.CONTRADICTED:
            self._is_table_changing = True
            self._coverage.start_over()
            result = yield from self._try_head(low)
        return result is DifferenceResult.EXPLAINED

    def _try_head(self, low: Instant) -> Steps[DifferenceResult]:
        new_from = self._tracker.polled_at or low
        page_end = yield from self._steps_for(
            Purpose.NEW_CALLS, self._coverage.down(low, self._now + 1)
        )
        if page_end is None:
            return DifferenceResult.UNEXPLAINED
        # the first page's count is that of all the range, as of the poll's beginning
        total = page_end.total
        # calls that started since the last poll are unknown: what lies above it must be read
        while page_end.start > new_from:
            page_end = yield from self._steps_for(
                Purpose.NEW_CALLS, self._coverage.down(low, page_end.start)
            )
            if page_end is None:
                return DifferenceResult.UNEXPLAINED
        difference = DifferenceSearch(
            self._tracker, self._coverage, self._limits.page_size, self._state.unreadable_count
        )
        result = yield from self._steps_for(
            Purpose.DIFFERENCE, difference.searches(low, page_end.start, page_end.remaining)
        )
        if result is DifferenceResult.EXPLAINED:
            self._note_unreadable(low, total)
        return result

    def _note_unreadable(self, low: Instant, counted: int) -> None:
        """Count the rows that cannot be read: those that the API counts and nobody knows.

        There are at most as many as were met: before, and by this poll.
        """
        unknown = counted - self._coverage.known_between(self._tracker.calls, low, self._now + 1)
        met = self._state.unreadable_count + self._coverage.rejected
        self._state = self._state._replace(unreadable_count=min(max(0, unknown), met))

    def _unsettled(self) -> Searches[None]:
        """Read the calls below the head that are live, or due to settle."""
        since = self._now - self._rules.follow_ms
        left = [
            each
            for each in self._tracker.unsettled()
            if each.call.start >= since
            and not self._coverage.covers(each.call.start)
            and (each.phase is CallPhase.LIVE or self._tracker.is_due(each, self._now))
            and not each.is_missing
            and not self._is_stuck(each)
        ]
        # one search for live calls shows most of them to be as they were
        waiting = [each for each in left if each.call.status in LIVE_STATUSES]
        seen: set[str] = set()
        if len(waiting) > 1 and not self._state.ignores_statuses:
            seen = yield from self._still_live(waiting)
        for each in left:
            # newest first: each page runs down from a call, and may cover the next ones as well
            if each.call.id not in seen and not self._coverage.covers(each.call.start):
                yield from self._coverage.down(left[-1].call.start, each.call.start + 1)

    def _missing(self) -> Searches[None]:
        """Read again where calls have been missing for long enough to be gone.

        The API's counts agree without them, so that no other part of the plan leads to them. One
        that is back, or is a neighbour of the call that is looked for, is read by the same page.
        """
        due = self._tracker.missing_due(self._now)
        low = min((each.call.start for each in due), default=self._now)
        budget = self._coverage.asked + MISSING_REQUESTS
        for each in due:
            if self._coverage.asked >= budget:
                return
            if not self._coverage.covers(each.call.start):
                yield from self._coverage.down(low, each.call.start + 1)

    def _is_stuck(self, each: TrackedCall) -> bool:
        """Return whether a call is live by codes that no search can ask for, and was just read."""
        seen = each.seen_live_at
        return (
            each.call.status not in LIVE_STATUSES
            and each.call.start < self._now - MAX_CALL_MS
            and seen is not None
            and seen > self._now - STUCK_EVERY_MS
        )

    def _still_live(self, waiting: Sequence[TrackedCall]) -> Searches[set[str]]:
        """Search for live calls alone, over the span of ``waiting``, which is newest first.

        Returns:
            The ids of the waiting calls that are still live.
        """
        start, end = waiting[-1].call.start, waiting[0].call.start + 1
        live = yield from self._live_between(start, end)
        wanted = {each.call.id for each in waiting}
        found = [call for call in live if call.id in wanted]
        self._coverage.calls.extend(found)
        return {call.id for call in found}

    def _older_live(self) -> Searches[None]:
        """At a first start, find the calls that are live though they began before the window."""
        start, end = self._now - self._rules.follow_ms, self._now - self._rules.window_ms
        if start < end and not self._state.ignores_statuses:
            live = yield from self._live_between(start, end)
            self._coverage.calls.extend(
                [call for call in live if call.id not in self._coverage.calls]
            )

    def _live_between(self, start: Instant, end: Instant) -> Searches[list[Call]]:
        live = yield from self._coverage.live_between(start, end)
        if live is None:
            self._state = self._state._replace(ignores_statuses=True)
        return live or []

    def _has_spare_request(self) -> bool:
        state = self._state
        has_spare = (
            self._coverage.asked < USUAL_MAX_REQUESTS
            or state.polls_without_spare >= MAX_POLLS_WITHOUT_SPARE
        )
        self._state = state._replace(
            polls_without_spare=0 if has_spare else state.polls_without_spare + 1
        )
        return has_spare

    def _look_deeper(self, low: Instant) -> Steps[bool]:
        """Look for settled calls that changed in place: count outcomes or go on scanning, in turn.

        Returns:
            Whether a scan came to its end.
        """
        state = self._state
        can_count = not state.ignores_statuses and state.unexplained_counts < MAX_UNEXPLAINED_COUNTS
        self._state = state._replace(spare_turns=state.spare_turns + 1)
        # of COUNT_EVERY turns the last is for a count; the sets of outcomes take turns in these
        counts, turn = divmod(state.spare_turns, COUNT_EVERY)
        if not can_count or turn != COUNT_EVERY - 1:
            return (yield from self._steps_for(Purpose.SCAN, self._scan(low)))
        codes = SETS[counts % len(SETS)]
        yield from self._steps_for(Purpose.OUTCOME_COUNT, self._count_outcomes(low, codes))
        return False

    def _count_outcomes(self, low: Instant, codes: frozenset[int]) -> Searches[None]:
        state = self._state
        count = OutcomeCount(
            self._tracker, self._coverage, low=low, codes=codes, limit=self._limits.page_size
        )
        result = yield from count.searches(self._now + 1, state.unreadable_count)
        is_unexplained = result is CountResult.UNEXPLAINED
        self._state = state._replace(
            ignores_statuses=result is CountResult.IGNORED,
            unexplained_counts=state.unexplained_counts + 1 if is_unexplained else 0,
        )

    def _scan(self, low: Instant) -> Searches[bool]:
        """Read the next slice of the window, one page; begin a new scan if one is due.

        Returns:
            Whether that was the last slice.
        """
        state, upper = self._state, self._state.scan_position
        if upper is None:
            if self._now - state.scan_began < self._rules.scan_every_ms:
                return False
            upper, state = self._now + 1, state._replace(scan_began=self._now)
        upper = self._unread_below(upper)
        if upper > low:
            page_end = yield from self._coverage.down(low, upper)
            upper = upper if page_end is None else page_end.start
        is_done = upper <= low
        self._state = state._replace(scan_position=None if is_done else upper)
        return is_done

    def _unread_below(self, upper: Instant) -> Instant:
        """Return where the scan goes on: below what this poll has read anyway."""
        while True:
            starts = [start for start, end in self._coverage.ranges if start < upper <= end]
            if not starts:
                return upper
            upper = min(starts)
