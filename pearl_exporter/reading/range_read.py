"""Reads one range of calls whole: which pages to ask for, and the checks on their answers.

The package's text explains the two ways of reading. What this module checks:

*Downward.* The rows of a page must be newest first and start before the end that was asked for.
Each page says how many rows lie below it; the next page's ``count`` must say the same. A smaller
count has two possible causes. Either rows below were deleted meanwhile, or the server's dates are
coarser than milliseconds, and the rows just below the boundary are left out. The rows at the
boundary tell which: they are asked for again, so they are on the next page unless dates are coarse.
Where they are not, the step is taken again, as they may have been deleted themselves; only if the
same number is missing again, the dates are coarse, and reading downward ends. Where rows seem to
have been deleted, the range is counted once more when it is read: the API must not count more rows
than it gave.

*By offset.* The rows received, rejected ones included and doubles dropped by id, must come to
``count``, every page must name the same ``count``, and each page must begin with the last row of
the page before it. (After a page of one row, or one whose last row cannot be used, a shift is not
noticed.) If a page does not, rows below were deleted, and it is asked for again with more rows of
the page before it. Where a check fails, the range is read again. A read that came to its end
without a gap is good although rows that it has were deleted meanwhile. Two equal reads in a row are
accepted although ``count`` disagrees a little; after `MAX_READS` the answers are `Inconsistent`.

*The count* may be of no use. A page that is full, or has more rows than are counted, is never the
end of a read: what lies below it is asked for, too. A read goes on only while rows come that it has
not seen, and up to a number of rows that follows from what was counted at its beginning.

A server that ignores the order is noticed only on a page with enough rows. On a page of fewer than
eight rows, of which some cannot be used, the others may be newest first by chance. Then rows are
missed.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from pearl_exporter.counting.calls import Call, Instant
from pearl_exporter.counting.rows import Rows
from pearl_exporter.errors import Inconsistent
from pearl_exporter.reading.contradictions import (
    FULL_PAGE,
    FUZZ_MS,
    LATE_MS,
    MAX_UNREADABLE,
    MIN_EVIDENCE,
    MIN_TOLERATED,
    check_shortfall,
    max_rows,
    outside,
    tolerated,
)
from pearl_exporter.reading.search import Page, ReadProgress, Search, Searches

MAX_READS = 5
"""How often one range is read before its answers are called inconsistent."""

MAX_PAGES_READ_AGAIN = 10
"""A read by offset of more pages is not repeated only because rows that it has were deleted."""


class OffsetCause(Enum):
    """Why a range can't be read downward, in words for the log."""

    ORDER = "order"
    """The rows are not newest first."""
    END = "end"
    """Rows start after the end that was asked for."""
    DATES = "coarse dates"
    """Rows just below the end that was asked for are left out."""


class RangeResult(NamedTuple):
    """What the read of one range brought.

    Attributes:
        start: The range's start, in milliseconds.
        end: Its end, exclusive.
        calls: The calls that start in the range, each once.
        is_whole: Whether that is all of them; False where the read was given up.
        by_offset: Whether the server's order or dates forbid reading downward.
        offset_cause: Why, if this read has found out.
        expected: How many calls the range holds, as far as the answers say.
        unreadable_count: How many rows the API counts that could not be read.
        unreadable_ids: The ids of those rows, as far as they have one.
        pages: How many pages were taken.
        low_by: By how many rows the count of an answer was too low for the answer itself, at most.
        grew_by: By how many rows a count exceeded what the answer before it said, at most.
        begins_early: Whether rows of the pages start before the range, as if its start were coarse.
    """

    start: Instant
    end: Instant
    calls: Rows
    is_whole: bool
    by_offset: bool
    offset_cause: OffsetCause | None
    expected: int
    unreadable_count: int
    unreadable_ids: frozenset[str]
    pages: int
    low_by: int
    grew_by: int
    begins_early: bool


class RangeRead:
    """One whole read of the calls that start in ``[start, end)``.

    Args:
        start: The range's start, in milliseconds.
        end: Its end, exclusive.
        limit: Rows to ask for in one page.
        by_offset: Whether earlier reads of the outbound found that it cannot be read downward.
        statuses: The outcomes to read; empty for all. If the API answers with others, it ignores
            the filter, and the read is given up.
        max_rows: If the first page says that the range holds more rows, the read is given up.
        max_unreadable: The share of the rows that may be counted and not given.
        believes_count: Whether a page may be the last one because as many rows came as are
            counted.
        min_tolerated: How many rows may always be counted and not given.
        latest: The present, after which no call starts; None if that is the range's end.
        known: Returns how many calls of a range are known from before.
    """

    def __init__(  # noqa: PLR0913 - a range, a page size, and options by name
        self,
        start: Instant,
        end: Instant,
        limit: int,
        *,
        by_offset: bool = False,
        statuses: tuple[int, ...] = (),
        max_rows: int | None = None,
        max_unreadable: float = MAX_UNREADABLE,
        min_tolerated: int = MIN_TOLERATED,
        believes_count: bool = True,
        latest: Instant | None = None,
        known: Callable[[Instant, Instant], int] = lambda _start, _end: 0,
    ) -> None:
        self._start = start
        self._end = end
        self._limit = limit
        self._by_offset = by_offset
        self._statuses = statuses
        self._max_rows = max_rows
        self._max_unreadable = max_unreadable
        self._min_tolerated = min_tolerated
        self._believes_count = believes_count
        self._latest = end if latest is None else latest
        self._known = known
        self._cause: OffsetCause | None = None
        self._calls = Rows()
        self._pages = 0
        # the rows of all pages, those that came again included
        self._received = 0
        self._expected = 0
        self._low_by = 0
        self._grew_by = 0
        # the first count, by which is bounded how many rows the read may bring
        self._counted = 0
        # whether all that was counted had come before the page that is asked for
        self._is_past_count = False
        self._unreadable_count = 0
        self._unreadable_ids: set[str] = set()
        # where a step down lost rows to coarse dates: its newest row, and the end asked for
        self._cut: tuple[Instant, Instant] | None = None
        # rows that lie where no search of the range should find them
        self._misplaced_ids: set[str] = set()
        self._begins_early = False
        self._is_done = False
        # how many rows lie above `_upper`, where everything is read and kept
        self._proven = 0
        # how many rows seem to have been deleted below while this read came down
        self._deleted = 0
        self._steps_back = 0
        self._begin_at(end)

    def _begin_at(self, upper: Instant, boundary: frozenset[str] = frozenset()) -> None:
        """Go on with ``[start, upper)``: what lies above is read and kept.

        Args:
            upper: The end of what is still to be read.
            boundary: The ids of the rows just below ``upper``, which were seen already.
        """
        self._upper = upper
        self._boundary = boundary
        self._run = _Run()
        self._previous: Mapping[str, Call] | None = None
        self._reads = 0
        self._forecast: _Forecast | None = None
        # how many rows the last step lacked when it was taken before
        self._missing = 0

    @property
    def progress(self) -> ReadProgress | None:
        """How far the read has come; None before the first page."""
        if not self._pages:
            return None
        received = len(self._calls) if self._is_done else self._proven + len(self._run.calls)
        return ReadProgress(received, self._expected)

    def searches(self) -> Searches[RangeResult]:
        """Yield the searches that read the range.

        Returns:
            What was read.

        Raises:
            Inconsistent: No read agreed with its count.
        """
        while not self._is_done:
            page = yield self._search()
            self._pages += 1
            self._received += page.received
            self._unreadable_ids |= page.rejected_ids
            if self._statuses and any(call.status not in self._statuses for call in page.calls):
                return self._result(is_whole=False)
            if self._pages == 1:
                self._counted = page.count
            self._take(page)
            self._check_bound()
            if self._pages == 1 and self._max_rows is not None and self._expected > self._max_rows:
                return self._result(is_whole=False)
            if self._is_done and self._deleted:
                page = yield self._search_whole()
                self._pages += 1
                self._check_deleted(page)
        self._unreadable_count += len(self._misplaced_ids)
        return self._result(is_whole=True)

    def _search(self) -> Search:
        return Search(
            # a millisecond early: whether the API's start is inclusive is unknown
            self._start - 1,
            self._upper,
            self._run.next_skip,
            self._limit,
            self._by_offset,
            self._statuses,
        )

    def _search_whole(self) -> Search:
        return Search(self._start - 1, self._end, 0, self._limit, statuses=self._statuses)

    def _result(self, *, is_whole: bool) -> RangeResult:
        return RangeResult(
            start=self._start,
            end=self._end,
            calls=self._calls,
            is_whole=is_whole,
            by_offset=self._by_offset,
            offset_cause=self._cause,
            expected=self._expected,
            unreadable_count=self._unreadable_count,
            unreadable_ids=frozenset(self._unreadable_ids),
            pages=self._pages,
            low_by=self._low_by,
            grew_by=self._grew_by,
            begins_early=self._begins_early,
        )

    def _take(self, page: Page) -> None:
        """Take the page of the last search, and decide how the read goes on."""
        # before the page is kept: either check may drop what was read and choose the next search
        if not self._by_offset and (
            self._fall_back_if_out_of_order(page) or self._go_back_if_rows_missing(page)
        ):
            return
        self._note_misplaced(page)
        self._note_count(page)
        run = self._run
        is_further = run.take(page)
        if run.is_page_asked_again:
            return
        self._expected = self._proven + max(page.count, run.received)
        self._is_past_count = run.received >= page.count
        reaches_start = self._reaches_start(page)
        if reaches_start and page.received >= min(self._limit, FULL_PAGE):
            # what is counted besides lies before the range, there was no room for it
            self._finish(missing=0)
        elif not is_further or (run.received == page.count and not self._may_be_full(page)):
            self._end_run()
        elif not self._by_offset and not reaches_start:
            self._descend(page)
        # else go on by offset, until a page brings nothing that was not seen

    def _fall_back_if_out_of_order(self, page: Page) -> bool:
        """Fall back to offsets if rows are not newest first, or start after the asked end.

        Returns:
            Whether it fell back.
        """
        calls = page.calls
        # a row at the very end is in order: whether the API's end is inclusive is unknown
        if not is_newest_first(calls):
            self._fall_back(OffsetCause.ORDER)
        elif calls and calls[0].start > self._upper:
            self._fall_back(OffsetCause.END)
        else:
            return False
        return True

    def _go_back_if_rows_missing(self, page: Page) -> bool:
        """Take the last step again if rows may be missing just below its boundary.

        So it may be if the page's count is smaller than the page above it said, unless the rows at
        the boundary are there: then rows further down were deleted meanwhile.

        Returns:
            Whether that is so, and the page is not to be kept.
        """
        forecast = self._forecast
        if forecast is None or self._run.pages or (self._is_past_count and not page.calls):
            return False
        # a server whose end is inclusive counts the rows at the very end once more
        repeated = rows_from(self._upper, page.calls)
        counted = page.count - repeated
        missing = forecast.rows - counted
        self._grew_by = max(self._grew_by, counted - forecast.most)
        is_boundary_there = any(call.id in self._boundary for call in page.calls)
        if missing <= 0 and (is_boundary_there or not self._low_by):
            self._missing = 0
            return False
        if is_boundary_there or self._steps_back >= MAX_READS:
            self._deleted += max(0, missing)
            self._missing = 0
            return False
        # a count that was too low says nothing: at least the rows at the boundary are missing
        missing = max(missing, 1)
        if missing == self._missing:
            # the same rows again: not deleted, but left out by coarse dates
            self._cut = (page.calls[0].start if page.calls else self._start, self._upper)
            self._fall_back(OffsetCause.DATES)
        else:
            self._steps_back += 1
            self._calls = self._calls.from_start(forecast.upper)
            self._proven = len(self._calls)
            self._begin_at(forecast.upper, forecast.boundary)
            self._is_past_count = False
            self._missing = missing
        return True

    def _note_misplaced(self, page: Page) -> None:
        """Note rows that start outside the range by more than its ends are fuzzy.

        Rows before the start that are in order beside the others are what a coarse start brings.
        So are rows after the end, if the server ignores it. No order explains any others.
        """
        strays = outside(page.calls, self._start, self._end)
        if not strays:
            return
        latest = self._latest + LATE_MS
        if not is_newest_first(page.calls) and not is_newest_first(page.calls[::-1]):
            self._misplaced_ids |= {call.id for call in strays}
        else:
            self._misplaced_ids |= {call.id for call in strays if call.start > latest}
            self._begins_early |= any(call.start < self._start - FUZZ_MS for call in strays)

    def _note_count(self, page: Page) -> None:
        """Note whether a count was too low."""
        run = self._run
        # one answer alone: it has a row at a place where by its own count there is none
        low_by = run.next_skip + page.received - page.count if page.received else 0
        if self._is_past_count:
            seen = self._boundary | run.calls.keys()
            unseen = sum(call.id not in seen for call in page.calls)
            low_by = max(low_by, unseen)
        self._low_by = max(self._low_by, low_by)

    def _check_bound(self) -> None:
        """Raise if more rows came than the first count can explain."""
        kept = self._proven + max(self._run.received, len(self._run.calls))
        bound = max_rows(self._counted)
        # as many again for rows of one millisecond, which come with each step down to it
        if kept > bound or self._received > 2 * bound:
            raise Inconsistent(
                f"the API counted {self._counted:,} calls, gave over {bound:,} and goes on: does "
                "it ignore skip and the range asked for?"
            )

    def _may_be_full(self, page: Page) -> bool:
        """Return whether a page may be cut off, so that its count may be of what it shows alone."""
        if page.received >= min(self._limit, FULL_PAGE):
            return True
        # calls that were there a moment ago are said to be gone
        oldest = page.calls[-1].start if page.calls and not self._by_offset else self._start
        if self._known(self._start, oldest) >= MIN_EVIDENCE:
            return True
        return not self._believes_count and page.received > 0

    def _reaches_start(self, page: Page) -> bool:
        """Return whether the page's oldest row lies below the range, so that nothing is left."""
        if self._by_offset or not self._run.is_steady:
            return False  # rows that shifted may lie on a page that was read before they did
        return bool(page.calls) and page.calls[-1].start < self._start

    def _descend(self, page: Page) -> None:
        """Go on below the page's oldest row, if that leads down; else go on by offset."""
        # the oldest row's millisecond is asked for again: the page may have cut it in two
        lower = page.calls[-1].start + 1 if page.calls else self._upper
        run = self._run
        if lower >= self._upper or not run.is_steady:
            return
        # rows below it come again, unless this is all that is counted: what follows is a question
        self._keep(run, since=self._start if self._is_past_count else lower)
        upper, boundary_above, missing = self._upper, self._boundary, self._missing
        above = rows_from(lower, run.rows)
        self._proven += above - rows_from(upper, run.rows)
        below = run.count - above
        self._begin_at(lower, frozenset(call.id for call in run.rows[above:]))
        self._missing = missing
        # where a rejected row starts is not known: at least this many rows lie below
        self._forecast = _Forecast(upper, below - run.rejected, below, boundary_above)

    def _end_run(self) -> None:
        """Finish if the run agrees with its count or with the run before it; else read again."""
        run = self._run
        self._reads += 1
        if run.repeats_itself and run.calls == self._previous:
            raise Inconsistent(
                f"pages that leave out {run.received:,} rows hold the same rows as those before "
                "them: does the API ignore skip?"
            )
        if (
            run.agrees
            or run.calls == self._previous
            or (run.is_gapless and (self._reads > 1 or run.pages > MAX_PAGES_READ_AGAIN))
        ):
            # a server that ignores skip gives rows of every place, and the same ones
            self._finish(missing=max(0, run.count - run.different))
            return
        if self._reads >= MAX_READS:
            equal = max(Counter(call.start for call in run.calls.values()).values(), default=0)
            cause = (
                f"do the {equal} calls of one startTime come in another order each time?"
                if equal > self._limit / 2
                else "is its table changing that fast?"
            )
            raise Inconsistent(
                f"read the range {MAX_READS} times, each time with other rows than the API counts "
                f"(last {run.received} of {run.count}); {cause}"
            )
        self._previous = run.calls
        self._run = _Run()

    def _keep(self, run: "_Run", since: Instant) -> None:
        self._unreadable_count += run.rejected
        calls = run.calls.values()
        self._calls.extend([call for call in calls if since <= call.start < self._end])

    def _finish(self, missing: int) -> None:
        """End the read.

        Args:
            missing: How many rows are counted below and do not come.
        """
        run = self._run
        self._keep(run, since=self._start)
        if self._cut is not None:
            self._check_cut(*self._cut)
        if self._deleted:
            missing = 0  # the count that follows tells how many are missing in all
        not_given = missing + len(self._misplaced_ids)
        check_shortfall(self._expected, not_given, self._tolerated(self._expected))
        self._unreadable_count += missing
        repeated = rows_from(self._upper, run.rows) if self._upper < self._end else 0
        self._proven += run.received - run.rejected - repeated
        self._run = _Run()
        self._is_done = True

    def _check_cut(self, newest: Instant, upper: Instant) -> None:
        """Raise if the server cuts the end of a range by over a second: it hides the newest calls.

        Args:
            newest: The start of the newest row of a step down that lacked rows.
            upper: The end that was asked for.
        """
        lost = [call.start for call in self._calls if newest < call.start < upper]
        if lost and min(lost) < upper - FUZZ_MS - 1:
            raise Inconsistent(
                f"calls up to {(upper - min(lost)) / 1000:.0f} s before the end asked for are left "
                "out: is toDate cut to minutes or days?"
            )

    def _check_deleted(self, page: Page) -> None:
        """Fall back to offsets if rows that seemed to be deleted are still counted.

        Args:
            page: The answer to `_search_whole`, after all else was read.
        """
        missing = max(0, page.count - self._proven - self._unreadable_count)
        if missing + len(self._misplaced_ids) > self._tolerated(page.count):
            self._fall_back(OffsetCause.ORDER)
        self._unreadable_count += missing if self._is_done else 0

    def _tolerated(self, counted: int) -> int:
        return max(self._min_tolerated, tolerated(counted, self._max_unreadable))

    def _fall_back(self, cause: OffsetCause) -> None:
        """Read the whole range again by offset, from its start upward."""
        self._by_offset = True
        self._is_done = False
        self._cause = cause
        self._calls = Rows()
        self._proven = self._unreadable_count = self._deleted = 0
        self._is_past_count = False
        self._begin_at(self._end)


def is_newest_first(calls: Sequence[Call]) -> bool:
    """Return whether rows are in the order in which a downward read asks for them."""
    starts = [call.start for call in calls]
    return starts == sorted(starts, reverse=True)


def rows_from(start: Instant, calls: Sequence[Call]) -> int:
    """Return how many of ``calls``, newest first, start at ``start`` or later."""
    return bisect_right(calls, -start, key=_minus_start)


def _minus_start(call: Call) -> int:
    return -call.start


class _Forecast(NamedTuple):
    """What a page that was asked for up to ``upper`` says of the rows below it.

    Attributes:
        upper: The end up to which the page was asked for.
        rows: How many rows lie below the page, at least.
        most: How many, at most.
        boundary: The ids of the rows just below ``upper``.
    """

    upper: Instant
    rows: int
    most: int
    boundary: frozenset[str]


class _Run:
    """Pages of one search, one behind the other, by offset.

    A page begins with the last row of the page before it, if that one had several: if it does not,
    rows have shifted, even if ``count`` is still the same. Then rows before it were deleted, and
    the page is asked for again, with half a page of the rows before it. If the last row is among
    these, nothing lies between the two pages::

        before       a b c d e f g h          the last row is h
        now          c d e f g h i j          a and b were deleted
        asked          [ e f g h i j ]        from e on, which was the fifth and is the third

    Attributes:
        calls: The usable rows, by id.
        rows: The same in the order received, doubles included.
        pages: How many pages were taken.
        received: How many rows of the search were received, rejected ones included.
        rejected: How many rows could not be used.
        count: How many rows the search has, as its last page says.
        is_steady: Whether no row came twice or shifted, and all pages name the same count.
        has_gap: Whether rows may lie between two pages that were on neither.
        repeats_itself: Whether a page of several rows brought none that was not seen.
        is_page_asked_again: Whether the last page was not taken: it is asked for again.
    """

    def __init__(self) -> None:
        self.calls: dict[str, Call] = {}
        self.rows: list[Call] = []
        self.pages = 0
        self.received = 0
        self.rejected = 0
        self.count = 0
        self.is_steady = True
        self.has_gap = False
        self.repeats_itself = False
        self.is_page_asked_again = False
        self._rejected_ids: set[str] = set()
        # how many of the rows received are asked for again with the next page
        self._overlap = 0
        self._wide_overlap = 0

    @property
    def next_skip(self) -> int:
        """How many rows the next page must leave out: all received ones but the overlap."""
        return self.received - self._overlap

    @property
    def different(self) -> int:
        """How many different rows were received, rejected ones included."""
        return len(self.calls) + self.rejected

    @property
    def agrees(self) -> bool:
        """Whether the run has as many rows as its pages count, and none shifted."""
        return self.is_steady and self.received == self.count

    @property
    def is_gapless(self) -> bool:
        """Whether the run came to its end without a gap; some of its rows may be deleted since."""
        return not self.has_gap and min(self.received, self.different) >= self.count

    def take(self, page: Page) -> bool:
        """Take the next page.

        Returns:
            Whether the page brought rows that were not seen.
        """
        skip, calls, is_first = self.next_skip, page.calls, not self.pages
        self.is_page_asked_again = False
        if self._overlap:
            repeated = self._repeated(calls)
            if not repeated:
                self.is_steady = False
                if not self._wide_overlap and page.received > 1:
                    self._wide_overlap = max(2, page.received // 2)
                    self._overlap = min(self._wide_overlap, self.received)
                    self.is_page_asked_again = True
                    return True
                self.has_gap = True
            calls = calls[repeated:]
        if not is_first and page.count != self.count:
            self.is_steady = False
        known = len(self.calls)
        self.rows += calls
        self.calls.update({call.id: call for call in calls})
        unseen = len(self.calls) - known
        if unseen < len(calls):
            self.is_steady = False
            self.has_gap = True
        self.repeats_itself |= self.has_gap and not unseen and len(calls) > 1
        before, end = self.received, skip + page.received
        # where rows before it were deleted, a page ends earlier than those before it let expect
        self.received = end if self._wide_overlap and not self.has_gap else max(before, end)
        self.pages += 1
        nameless = page.rejected - len(page.rejected_ids)
        self.rejected += nameless + len(page.rejected_ids - self._rejected_ids)
        self._rejected_ids |= page.rejected_ids
        self.count = page.count
        # a page of one row that overlapped its predecessor would lead nowhere
        can_overlap = page.received > 1 and page.ends_usably and bool(page.calls)
        self._overlap = min(self._wide_overlap or 1, self.received) if can_overlap else 0
        # rows that nobody can use lead further only as long as rows are counted there
        return unseen > 0 or (page.rejected > 0 and before < min(end, page.count))

    def _repeated(self, calls: Sequence[Call]) -> int:
        """Return how many rows a page repeats: it begins with the last rows of the run, or not."""
        last = self.rows[-1].id
        for place, call in enumerate(calls[: self._overlap]):
            if call.id == last:
                length = place + 1
                again = [each.id for each in calls[:length]]
                return length if again == [each.id for each in self.rows[-length:]] else 0
        return 0
