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
from pearl_exporter.errors import Inconsistent
from pearl_exporter.reading.catch_up import FIRST_SLICE_MS, CatchUp
from pearl_exporter.reading.contradictions import (
    FUZZ_MS,
    LAG_MS,
    MIN_EVIDENCE,
    MIN_INSIDE,
    ZONE_STEP_MS,
    RowSums,
    check_known,
    check_page,
    check_probe,
    check_usable,
    outside,
    tolerated,
    wider,
)
from pearl_exporter.reading.cost import USUAL_MAX_REQUESTS, PlanLimits
from pearl_exporter.reading.coverage import Coverage, Missed, PageEnd
from pearl_exporter.reading.difference import DifferenceResult, DifferenceSearch
from pearl_exporter.reading.extent import backlog, whole_read_start
from pearl_exporter.reading.outcome_counts import SETS, CountResult, OutcomeCount
from pearl_exporter.reading.range_read import OffsetCause, RangeRead, RangeResult, is_newest_first
from pearl_exporter.reading.search import Page, Purpose, ReadProgress, Search, Searches, Step, Steps

T = TypeVar("T")

FILTER_LAG_MS = 20_000
"""By how much the filter by outcomes may be behind the calls."""

QUICK_PAGES = 5
"""After at most this many pages most calls that were live in the first answer still are."""

RECENT_MS = 3_600_000
"""Most calls that are live began within this time."""

MIN_PAGE = 10
ROUND_LENGTHS = (5, 16)
"""Servers cut pages off at multiples of these from `MIN_PAGE` on, beside the length asked for."""

MAX_LOW_COUNTS = 3
"""After this many polls in a row with a count that is too low, the count is of no use."""

PROBE_EVERY_MS = 6 * 3_600_000
"""How often a wider range is asked for while the window is empty."""

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
        offset_cause: Why.
        low_counts: How many polls in a row met a count that was too low.
        probed_at: When a wider range was last asked for; None after a start.
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
    offset_cause: OffsetCause | None = None
    low_counts: int = 0
    probed_at: Instant | None = None
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

    @property
    def is_count_useless(self) -> bool:
        """Whether nothing can be concluded from the API's counts."""
        return self.low_counts >= MAX_LOW_COUNTS


class PollResult(NamedTuple):
    """What one poll has read, as of one moment.

    Attributes:
        observation: The rows, and which ranges are complete: what the tracker takes.
        scanned: Whether with this poll all of the window has been read, now or in slices.
        state: For the next plan.
        progress: How far the read of the whole window came; None if there was none.
        missed: Which tracked calls it should have read and did not.
        rows: How usable the rows were, and how many were not asked for.
    """

    observation: Observation
    scanned: bool
    state: PlanState
    progress: ReadProgress | None
    missed: Missed
    rows: RowSums


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
        self._begins_early = False
        self._rows = RowSums()
        # of the whole read, each once
        self._unusable_keys: set[int] = set()
        self._coverage = Coverage(
            self._limits.page_size,
            latest=self._now + 1,
            max_unreadable=self._limits.max_unreadable,
        )
        unread = backlog(self._tracker, self._now)
        self._catch_up = CatchUp(unread, state.slice_ms, by_offset=state.by_offset)

    def steps(self) -> Steps[PollResult]:
        """Yield the searches of the poll, each with its purpose; be sent the page of each.

        Returns:
            What was read.

        Raises:
            Inconsistent: The answers contradict each other, or what was asked.
            BadResponseError: Most of the rows are no rows of calls.
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
        wide = None
        if self._state.probed_at is None:
            # before all else: in a long read, calls begin that would seem to lie in the future
            wide = yield from self._steps_for(Purpose.PROBE, self._wide_page())
        low = self._low()
        scanned = low is None or not (yield from self._head(low))
        if scanned:
            yield from self._steps_for(Purpose.WHOLE_WINDOW, self._whole())
        yield from self._steps_for(Purpose.PROBE, self._probe(wide))
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
                self._judge(search, page)
                search = searches.send(page)
        except StopIteration as end:
            result: T = end.value
            return result

    def _judge(self, search: Search, page: Page) -> None:
        """Raise if a page contradicts what was asked, or what was known before."""
        strays = outside(page.calls, search.start, search.end)
        self._rows = self._rows.plus(page, len(strays))
        if self._whole_read is not None:
            self._unusable_keys.update(row.key for row in page.unusable)
        check_page(search, page, self._now)
        if self._tracker.polled_at is not None:
            check_known(page, self._known_call)

    def _known_call(self, call_id: str) -> Call | None:
        known = self._tracker.calls.get(call_id)
        return None if known is None else known.call

    def _progress(self) -> ReadProgress | None:
        return None if self._whole_read is None else self._whole_read.progress

    def _low(self) -> Instant | None:
        """Return the start from which on the plan reads; None if it must read everything."""
        if self._state.by_offset or self._state.is_count_useless or self._is_small():
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
        return PollResult(observation, scanned, state, self._progress(), missed, self._rows)

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
        self._whole_read = self._coverage.range_read(
            start,
            self._now + 1,
            by_offset=self._state.by_offset,
            believes_count=not self._state.is_count_useless,
            known=self._tracker.calls.present,
        )
        result = yield from self._whole_read.searches()
        self._check_usable(result)
        if result.offset_cause is OffsetCause.END:
            yield from self._check_end_is_ignored(result)
        self._coverage.take(result)
        self._coverage.min_tolerated = tolerated(result.expected, self._limits.max_unreadable)
        self._begins_early = result.begins_early
        # a whole read is a full scan as well: the one under way ends
        self._state = self._state._replace(
            by_offset=result.by_offset,
            offset_cause=result.offset_cause or self._state.offset_cause,
            low_counts=self._low_counts_after(result),
            unreadable_count=result.unreadable_count,
            scan_position=None,
            scan_began=self._now,
        )

    def _check_usable(self, result: RangeResult) -> None:
        """Raise if most rows of the window are unusable, each row counted once."""
        lost = result.unreadable_count
        unusable = max(lost, len(self._unusable_keys))
        check_usable(RowSums(len(result.calls) + lost, lost, unusable, self._rows.fields))

    def _low_counts_after(self, result: RangeResult) -> int:
        """Return how many polls in a row met a count that was too low, after a whole read."""
        allowed = tolerated(result.expected, self._limits.max_unreadable)
        if self._state.is_count_useless or result.low_by > allowed:
            return MAX_LOW_COUNTS
        # one poll alone may meet rows that come between a count and its page, or between two pages
        is_low = result.low_by > 0 or result.grew_by > allowed
        return self._state.low_counts + 1 if is_low else 0

    def _check_end_is_ignored(self, result: RangeResult) -> Searches[None]:
        """Raise if the server does not ignore the end, as it seems, but takes it for another one.

        If it takes the ends of a range for local time, the oldest rows of the window are never
        given. So it is asked for the time before the oldest row that came: a server that ignores
        the end answers with all rows, one that knows it with none.
        """
        span = result.calls.span
        if span is None or span[0] - result.start <= ZONE_STEP_MS:
            return
        oldest = span[0]
        length = min(oldest - result.start - FUZZ_MS, (self._now - oldest) // 2)
        if length > 0:
            page = yield self._coverage.search(result.start, result.start + length)
            if 0 < page.count < (1 - MIN_INSIDE) * result.expected:
                raise Inconsistent(
                    "the rows start after the end asked for, by less than if it were ignored: is "
                    "toDate taken for UTC?"
                )

    def _probe(self, wide: Page | None) -> Searches[None]:
        """Ask for other ranges where the server may have answered for another one than was asked.

        So it is asked once after a start, where calls are gone that were the newest or the oldest,
        and now and then while there are no calls at all. The server may take the ends of a range
        for local time, cut them to days, cut a long range short, or give the starts of calls in
        local time.

        Args:
            wide: The newest page of a wider range, if this poll has asked for it already.
        """
        span, is_start = self._coverage.calls.span, wide is not None
        if wide is None and (self._is_probe_due(span) or self._has_lost_calls(span)):
            wide = yield from self._wide_page()
        if wide is not None:
            self._check_probe(wide)
            if span is None and wide.count > wide.received and not is_newest_first(wide.calls):
                # the newest calls are on the last page of a server with another order
                last = max(0, wide.count - self._limits.page_size)
                self._check_probe((yield from self._one_page(self._wider()._replace(skip=last))))
            self._state = self._state._replace(probed_at=self._now)
        window_start = self._now - self._rules.window_ms
        is_late = span is not None and span[0] > window_start + ZONE_STEP_MS
        if span is not None and is_late and is_start and not self._begins_early:
            # a server that cuts long ranges short may leave out the oldest calls
            self._check_probe((yield self._coverage.search(window_start + 1, span[0] - 1)))
        is_old = span is not None and span[1] < self._now - ZONE_STEP_MS
        if span is not None and is_old and (is_start or self._begins_early):
            # calls that began since, and seem to have begun before, would be found here
            page = yield self._coverage.search(span[1] + 2 * FUZZ_MS + 2, self._now + 1)
            self._check_probe(page)

    def _wider(self) -> Search:
        return wider(self._now - self._rules.window_ms, self._now, self._limits.page_size)

    def _wide_page(self) -> Searches[Page]:
        """Ask for the newest page of a wider range, and find out whether its count is of use.

        If all rows that are counted are on a page of a round length, at which servers cut pages
        off, the count may be that of the page alone: what lies below it is asked for.
        """
        search = self._wider()
        page = yield from self._one_page(search)
        length = page.received
        is_round = length >= MIN_PAGE and any(length % each == 0 for each in ROUND_LENGTHS)
        if page.calls and length == page.count and is_round:
            seen = {call.id for call in page.calls}
            oldest = page.calls[-1].start
            below = yield from self._one_page(search._replace(end=oldest))
            if any(call.start > oldest and call.id in seen for call in below.calls):
                # it ignores the end
                below = yield from self._one_page(search._replace(skip=length))
            if not seen.issuperset(call.id for call in below.calls):
                self._state = self._state._replace(low_counts=MAX_LOW_COUNTS)
        return page

    def _check_probe(self, page: Page) -> None:
        start, coverage = self._now - self._rules.window_ms, self._coverage
        unread = [
            call
            for call in page.calls
            if start <= call.start <= self._now
            and call.id not in coverage.calls
            and coverage.covers(call.start)
        ]
        check_probe(page, unread, read=coverage.calls, now=self._now)

    def _is_probe_due(self, span: tuple[Instant, Instant] | None) -> bool:
        probed_at = self._state.probed_at
        is_empty = span is None and not self._tracker.calls.present(
            self._now - self._rules.window_ms, self._now + 1
        )
        return is_empty and probed_at is not None and self._now - probed_at >= PROBE_EVERY_MS

    def _has_lost_calls(self, span: tuple[Instant, Instant] | None) -> bool:
        """Return whether the newest or the oldest known calls of the window are gone."""
        polled_at, present = self._tracker.polled_at, self._tracker.calls.present
        if polled_at is None:
            return False
        start = self._now - self._rules.window_ms
        if span is None:
            return present(start, polled_at + 1) > 0
        oldest, newest = span
        if present(max(start, newest + 1), polled_at + 1) > 0:
            return True
        is_cut_off = self._whole_read is not None and oldest - start > ZONE_STEP_MS
        return is_cut_off and present(start, oldest) >= MIN_EVIDENCE

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
        if page_end is None or (yield from self._goes_on_below(page_end, low)):
            return DifferenceResult.UNEXPLAINED
        # the first page's count is that of all the range, as of the poll's beginning
        total = page_end.total
        self._coverage.min_tolerated = tolerated(total, self._limits.max_unreadable)
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

    def _goes_on_below(self, page_end: PageEnd, low: Instant) -> Steps[bool]:
        """Return whether the API has calls below a first page that is said to hold all of them.

        That is asked only where known calls would be gone. Then the count is of no use.
        """
        span = self._coverage.calls.span
        oldest = self._now + 1 if span is None else span[0]
        if page_end.start > low or self._tracker.calls.present(low, oldest) < MIN_EVIDENCE:
            return False
        below = Search(low - 1, oldest, 0, self._limits.page_size)
        page = yield from self._steps_for(Purpose.DIFFERENCE, self._one_page(below))
        # rows at the very end are known; rows above it come from a server that ignores the end
        if all(call.start == oldest for call in page.calls):
            return False
        self._state = self._state._replace(low_counts=MAX_LOW_COUNTS)
        return True

    def _one_page(self, search: Search) -> Searches[Page]:
        self._coverage.asked += 1
        return (yield search)

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
        """At a first start, find the calls that are live though they began before the window.

        Where some of the window's calls are live, the search goes over them as well: an API that
        leaves them out does not filter as it says.
        """
        start, end = self._now - self._rules.follow_ms, self._now - self._rules.window_ms
        if start >= end or self._state.ignores_statuses:
            return
        recent = self._coverage.calls.from_start(max(end, self._now - RECENT_MS))
        known = {
            call.id
            for call in recent
            if call.status in LIVE_STATUSES and call.start < self._now - FILTER_LAG_MS
        }
        # in a longer read most calls that were live at its start have ended
        is_quick = len(self._coverage.calls) <= QUICK_PAGES * self._limits.page_size
        is_checked = is_quick and len(known) >= MIN_EVIDENCE
        # a little shorter then, since longer ranges than a day may be refused
        live = yield from self._live_between(
            *((start + LAG_MS, self._now) if is_checked else (start, end))
        )
        lacking = known.difference(call.id for call in live)
        if is_checked and len(lacking) > len(known) / 2:
            self._state = self._state._replace(ignores_statuses=True)
        self._coverage.calls.extend(
            [call for call in live if call.start < end and call.id not in self._coverage.calls]
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
