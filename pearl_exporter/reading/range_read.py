"""Reads one range of calls whole: which pages to ask for, and the checks on their answers.

The package's text explains the two ways of reading. What this module checks:

*Downward.* The rows of a page must be newest first and start before the end that was asked for.
Each page says how many rows lie below it; the next page's ``count`` must say the same. A smaller
count has two possible causes, so the step is taken again: if the same number is missing again, the
server's dates are coarser than milliseconds; if not, rows were deleted meanwhile. Only the first
cause ends reading downward.

*By offset.* The rows received, rejected ones included and doubles dropped by id, must come to
``count``, every page must name the same ``count``, and each page must begin with the last row of
the page before it. (After a page of one row, or one whose last row cannot be used, a shift is not
noticed.) Where a check fails, the range is read again. Two equal reads in a row are accepted
although ``count`` disagrees; after `MAX_READS` the answers are `Inconsistent`.

A server that ignores the order is noticed only on a page with enough rows. On a page of fewer than
eight rows, of which some cannot be used, the others may be newest first by chance. Then rows are
missed.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pearl_exporter.counting.calls import Call, Instant
from pearl_exporter.counting.rows import Rows
from pearl_exporter.errors import Inconsistent
from pearl_exporter.reading.search import Page, ReadProgress, Search, Searches

MAX_READS = 5
"""How often one range is read before its answers are called inconsistent."""


class RangeResult(NamedTuple):
    """What the read of one range brought.

    Attributes:
        start: The range's start, in milliseconds.
        end: Its end, exclusive.
        calls: The calls that start in the range, each once.
        is_whole: Whether that is all of them; False where the read was given up.
        by_offset: Whether the server's order or dates forbid reading downward.
        expected: How many calls the range holds, as far as the answers say.
        unreadable_count: How many rows the API counts that could not be read.
        unreadable_ids: The ids of those rows, as far as they have one.
        pages: How many pages were taken.
    """

    start: Instant
    end: Instant
    calls: Rows
    is_whole: bool
    by_offset: bool
    expected: int
    unreadable_count: int
    unreadable_ids: frozenset[str]
    pages: int


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
    """

    def __init__(  # noqa: PLR0913 - a range, a page size, and three options by name
        self,
        start: Instant,
        end: Instant,
        limit: int,
        *,
        by_offset: bool = False,
        statuses: tuple[int, ...] = (),
        max_rows: int | None = None,
    ) -> None:
        self._start = start
        self._end = end
        self._limit = limit
        self._by_offset = by_offset
        self._statuses = statuses
        self._max_rows = max_rows
        self._calls = Rows()
        self._pages = 0
        self._expected = 0
        self._unreadable_count = 0
        self._unreadable_ids: set[str] = set()
        self._is_done = False
        # how many rows lie above `_upper`, where everything is read and kept
        self._proven = 0
        self._steps_back = 0
        self._begin_at(end)

    def _begin_at(self, upper: Instant) -> None:
        """Go on with ``[start, upper)``: what lies above is read and kept."""
        self._upper = upper
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
            self._unreadable_ids |= page.rejected_ids
            if self._statuses and any(call.status not in self._statuses for call in page.calls):
                return self._result(is_whole=False)
            self._take(page)
            if self._pages == 1 and self._max_rows is not None and self._expected > self._max_rows:
                return self._result(is_whole=False)
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

    def _result(self, *, is_whole: bool) -> RangeResult:
        return RangeResult(
            start=self._start,
            end=self._end,
            calls=self._calls,
            is_whole=is_whole,
            by_offset=self._by_offset,
            expected=self._expected,
            unreadable_count=self._unreadable_count,
            unreadable_ids=frozenset(self._unreadable_ids),
            pages=self._pages,
        )

    def _take(self, page: Page) -> None:
        """Take the page of the last search, and decide how the read goes on."""
        # before the page is kept: either check may drop what was read and choose the next search
        if not self._by_offset and (
            self._fall_back_if_out_of_order(page) or self._go_back_if_rows_missing(page)
        ):
            return
        is_further = self._run.take(page)
        self._expected = self._proven + max(page.count, self._run.received)
        if self._reaches_start(page):
            self._finish()
        elif self._run.received == page.count or not is_further:
            self._end_run()
        elif not self._by_offset and self._run.received < page.count:
            self._descend(page)
        # else go on by offset: up to the API's count, or until a page is empty if more rows came

    def _fall_back_if_out_of_order(self, page: Page) -> bool:
        """Fall back to offsets if rows are not newest first, or start after the asked end.

        Returns:
            Whether it fell back.
        """
        calls = page.calls
        # a row at the very end is in order: whether the API's end is inclusive is unknown
        if is_newest_first(calls) and not (calls and calls[0].start > self._upper):
            return False
        self._fall_back()
        return True

    def _go_back_if_rows_missing(self, page: Page) -> bool:
        """Take the last step again if the page's count is smaller than the page above it said.

        Returns:
            Whether that is so, and the page is not to be kept.
        """
        forecast = self._forecast
        if forecast is None or self._run.pages:
            return False
        # a server whose end is inclusive counts the rows at the very end once more
        repeated = rows_from(self._upper, page.calls)
        missing = forecast.rows - (page.count - repeated)
        if missing <= 0 or self._steps_back >= MAX_READS:
            self._missing = 0
            return False
        if missing == self._missing:
            self._fall_back()  # the same rows again: not deleted, but left out by coarse dates
        else:
            self._steps_back += 1
            self._calls = self._calls.from_start(forecast.upper)
            self._proven = len(self._calls)
            self._begin_at(forecast.upper)
            self._missing = missing
        return True

    def _reaches_start(self, page: Page) -> bool:
        """Return whether the page's oldest row lies below the range, so that nothing is left."""
        if self._by_offset or not self._run.is_steady:
            return False  # rows that shifted may lie on a page that was read before they did
        return bool(page.calls) and page.calls[-1].start < self._start

    def _descend(self, page: Page) -> None:
        """Go on below the page's oldest row, if that leads down; else go on by offset."""
        # the oldest row's millisecond is asked for again: the page may have cut it in two
        lower = page.calls[-1].start + 1 if page.calls else self._upper
        if lower >= self._upper or not self._run.is_steady:
            return
        self._keep(self._run, since=lower)
        upper, rejected, missing = self._upper, self._run.rejected, self._missing
        above = rows_from(lower, self._run.rows)
        self._proven += above - rows_from(upper, self._run.rows)
        below = self._run.count - above
        self._begin_at(lower)
        self._missing = missing
        # where a rejected row starts is not known: at least this many rows lie below
        self._forecast = _Forecast(upper, below - rejected)

    def _end_run(self) -> None:
        """Finish if the run agrees with its count or with the run before it; else read again."""
        run = self._run
        if run.agrees or run.calls == self._previous:
            self._finish()
            return
        self._reads += 1
        if self._reads >= MAX_READS:
            raise Inconsistent(
                f"read the range {MAX_READS} times, each time with other rows than the API counts "
                f"(last {run.received} of {run.count}); is its table changing that fast?"
            )
        self._previous = run.calls
        self._run = _Run()

    def _keep(self, run: "_Run", since: Instant) -> None:
        self._unreadable_count += run.rejected
        calls = run.calls.values()
        self._calls.extend([call for call in calls if since <= call.start < self._end])

    def _finish(self) -> None:
        self._keep(self._run, since=self._start)
        self._unreadable_count += max(0, self._run.count - self._run.received)
        self._run = _Run()
        self._is_done = True

    def _fall_back(self) -> None:
        """Read the whole range again by offset, from its start upward."""
        self._by_offset = True
        self._calls = Rows()
        self._proven = self._unreadable_count = 0
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
    """How many rows a page that was asked for up to ``upper`` says lie below it, at least."""

    upper: Instant
    rows: int


class _Run:
    """Pages of one search, one behind the other, by offset.

    A page begins with the last row of the page before it, if that one had several: if it does not,
    rows have shifted, even if ``count`` is still the same.

    Attributes:
        calls: The usable rows, by id.
        rows: The same in the order received, doubles included.
        pages: How many pages were taken.
        received: How many rows of the search were received, rejected ones included.
        rejected: How many rows could not be used.
        count: How many rows the search has, as its last page says.
        is_steady: Whether no row came twice or shifted, and all pages name the same count.
    """

    def __init__(self) -> None:
        self.calls: dict[str, Call] = {}
        self.rows: list[Call] = []
        self.pages = 0
        self.received = 0
        self.rejected = 0
        self.count = 0
        self.is_steady = True
        self._last_id: str | None = None

    @property
    def next_skip(self) -> int:
        """How many rows the next page must leave out: all received ones but the last."""
        return self.received - (self._last_id is not None)

    @property
    def agrees(self) -> bool:
        """Whether the run has as many rows as its pages count, and none shifted."""
        return self.is_steady and self.received == self.count

    def take(self, page: Page) -> bool:
        """Take the next page.

        Returns:
            Whether the page led further than the pages before it.
        """
        if self.pages and page.count != self.count:
            self.is_steady = False
        skip, calls = self.next_skip, page.calls
        if self._last_id is not None:
            if calls and calls[0].id == self._last_id:
                calls = calls[1:]
            else:
                self.is_steady = False
        known = len(self.calls)
        self.rows += calls
        self.calls.update({call.id: call for call in calls})
        if len(self.calls) != known + len(calls):
            self.is_steady = False
        before = self.received
        self.received = max(before, skip + page.received)
        self.pages += 1
        self.rejected += page.rejected
        self.count = page.count
        # a page of one row that overlapped its predecessor would lead nowhere
        can_overlap = page.received > 1 and page.ends_usably and bool(page.calls)
        self._last_id = page.calls[-1].id if can_overlap else None
        return self.received > before
