"""What to ask next: the searches that read a range of calls whole, and the checks on their answers.

Decide here, act elsewhere: `RangeRead` says which search to make and takes the page back; it does
no I/O and knows no clock. The API is a paginated view of rows that appear, change and vanish while
they are read, so paging by offset alone loses and doubles rows. Two ways of reading:

*Downward* (the usual one). One page of ``[start, upper)``, newest first. Its rows run down from
``upper``; with ``p`` just above the oldest of them, ``[p, upper)`` is read, and the next page is
asked of ``[start, p)``. No page depends on an offset, so rows that shift can do no harm. ``count``
less the rows of ``[p, upper)`` is what the next page's ``count`` must say; where it does not, the
range is asked again, which tells a table that changed from a server whose dates are coarse.

*By offset*, where the server ignores the order or its dates are coarse, and within one millisecond
that holds more rows than a page. Pages by rows received, each of which begins with the last row of
the one before it, so that a shift shows (not behind a page of one row, nor behind a last row that
can't be used). The rows (rejected ones included, doubles dropped by id) must come to ``count``.
Where they do not, the range is read again; two successive equal reads are accepted although
``count`` disagrees, and after `MAX_READS` the read is `Inconsistent`.

That a server ignores the order shows only where a page holds rows enough: of fewer than eight, some
of which can't be used, the rest may look newest first by chance, and rows are passed over.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pearl_exporter.counting.calls import Call, Instant
from pearl_exporter.counting.columns import Rows
from pearl_exporter.counting.settlement import CountingRules
from pearl_exporter.counting.tracker import Tracker
from pearl_exporter.errors import Inconsistent
from pearl_exporter.reading.search import Page, Search

MAX_READS = 5
"""How often one range is read before its answers are called inconsistent."""


def read_start(tracker: Tracker, rules: CountingRules, now: Instant) -> Instant:
    """Where a read of everything at ``now`` must begin.

    That is the window, and what has left it since the last good poll, which is read a last time.
    What an outage has left `unread` behind the window is not part of it.
    """
    start = now - rules.window_ms
    if tracker.low_watermark is None or _is_cut_off(tracker, start):
        return start
    if tracker.unread_until is not None:
        return min(start, tracker.unread_until)
    return min(start, max(tracker.low_watermark, now - rules.catch_up_ms))


def unread(tracker: Tracker, rules: CountingRules, now: Instant) -> tuple[Instant, Instant] | None:
    """The calls that started in an outage and have left the window unread, None if none have.

    They are read beside the polls, oldest first, from ``catch_up`` ago on.
    """
    window_start = now - rules.window_ms
    if tracker.low_watermark is None:
        return None
    start, end = tracker.low_watermark, tracker.unread_until
    if _is_cut_off(tracker, window_start):
        start = start if end is not None else max(start, now - rules.catch_up_ms)
        end = window_start
    return None if end is None or start >= min(end, window_start) else (start, end)


def _is_cut_off(tracker: Tracker, window_start: Instant) -> bool:
    """Whether the last good poll was so long ago that nothing it read is in the window."""
    return tracker.polled_at is not None and tracker.polled_at < window_start


class RangeRead:
    """A whole read of the calls that start in ``[start, end)``, page by page.

    Attributes:
        by_offset: Whether the server's order or dates forbid reading downward; it stays so for a
            next read of the same outbound.
        start, end: The range, in milliseconds.
        pages: Pages taken so far.
        expected: How many calls the range holds, as far as is known by now.
        uncountable: Rows that the API counts, but that could not be read.
        rejected_ids: Their ids, as far as they have one.
    """

    def __init__(
        self,
        start: Instant,
        end: Instant,
        limit: int,
        *,
        by_offset: bool = False,
        statuses: tuple[int, ...] = (),
    ) -> None:
        self.start = start
        self.end = end
        self.by_offset = by_offset
        self.pages = 0
        self.expected = 0
        self.unreadable_count = 0
        self.rejected_ids: set[str] = set()
        self._limit = limit
        self._statuses = statuses
        self._calls = Rows()
        self._done = False
        self._proven = 0
        self._retreats = 0
        self._begin_at(end)

    def _begin_at(self, upper: Instant) -> None:
        self._upper = upper
        self._run = _Run()
        self._previous: Mapping[str, Call] | None = None
        self._reads = 0
        self._rest: _Rest | None = None
        self._missing = 0

    @property
    def calls(self) -> Rows:
        """The rows read so far; when `next_search` gives None, all of them."""
        return self._calls

    @property
    def received(self) -> int:
        """How many different calls were read so far."""
        return len(self._calls) if self._done else self._proven + len(self._run.calls)

    def next_search(self) -> Search | None:
        """The page to ask for now, or None when the range is read whole."""
        if self._done:
            return None
        # a millisecond early: whether the API's start is inclusive is unknown
        return Search(
            self.start - 1,
            self._upper,
            self._run.next_skip,
            self._limit,
            self.by_offset,
            self._statuses,
        )

    def apply(self, page: Page) -> None:
        """Takes the page that `next_search` asked for; raises `Inconsistent` if no read agrees."""
        self.pages += 1
        self.rejected_ids |= page.rejected_ids
        if not self.by_offset and (self._is_out_of_order(page) or self._misses_rows(page)):
            return
        is_further = self._run.take(page)
        self.expected = self._proven + max(page.count, self._run.received)
        if self._reaches_start(page):
            self._finish()
        elif self._run.received == page.count or not is_further:
            self._end_run()
        elif not self.by_offset and self._run.received < page.count:
            self._descend(page)
        # more rows than the API counts: on by offset, until a page is empty

    def _is_out_of_order(self, page: Page) -> bool:
        """Falls back to offsets if rows are not newest first, or lie beyond the asked end."""
        calls = page.calls
        if is_newest_first(calls) and not (calls and calls[0].start > self._upper):
            return False
        self._fall_back()
        return True

    def _misses_rows(self, page: Page) -> bool:
        """Goes back a step if the page's count is less than the page before it has told."""
        rest = self._rest
        if rest is None or self._run.pages:
            return False
        # a server whose end is inclusive counts the rows at the very end once more
        repeated = rows_from(self._upper, page.calls)
        missing = rest.expected - (page.count - repeated)
        if missing <= 0 or self._retreats >= MAX_READS:
            self._missing = 0
            return False
        if missing == self._missing:
            self._fall_back()  # the same rows again: not deleted, but left out by coarse dates
        else:
            self._retreats += 1
            self._calls = self._calls.from_start(rest.upper)
            self._proven = len(self._calls)
            self._begin_at(rest.upper)
            self._missing = missing
        return True

    def _reaches_start(self, page: Page) -> bool:
        if self.by_offset or not self._run.is_steady:
            return False  # rows that shifted may lie on a page that was read before they did
        return bool(page.calls) and page.calls[-1].start < self.start

    def _descend(self, page: Page) -> None:
        """Goes on below the page's oldest row, if that leads down; else on by offset."""
        lower = page.calls[-1].start + 1 if page.calls else self._upper
        if lower >= self._upper or not self._run.is_steady:
            return
        self._keep(self._run, since=lower)  # what lies below comes again
        upper, rejected, missing = self._upper, self._run.rejected, self._missing
        above = rows_from(lower, self._run.rows)
        proven = above - rows_from(upper, self._run.rows)
        rest = self._run.count - above
        self._proven += proven
        self._begin_at(lower)
        self._missing = missing
        # where a rejected row lies is not known: below, there are at least so many
        self._rest = _Rest(upper, rest - rejected)

    def _end_run(self) -> None:
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
        self.unreadable_count += run.rejected
        calls = run.calls.values()
        self._calls.extend([call for call in calls if since <= call.start < self.end])

    def _finish(self) -> None:
        self._keep(self._run, since=self.start)
        self.unreadable_count += max(0, self._run.count - self._run.received)
        self._run = _Run()
        self._done = True

    def _fall_back(self) -> None:
        self.by_offset = True
        self._calls = Rows()
        self._proven = self.unreadable_count = 0
        self._begin_at(self.end)


def is_newest_first(calls: Sequence[Call]) -> bool:
    """Whether rows are in the order in which a downward read asks for them."""
    starts = [call.start for call in calls]
    return starts == sorted(starts, reverse=True)


def rows_from(start: Instant, calls: Sequence[Call]) -> int:
    """How many rows start at ``start`` or later, of rows that are newest first."""
    return bisect_right(calls, -start, key=_minus_start)


def _minus_start(call: Call) -> int:
    return -call.start


class _Rest(NamedTuple):
    """What a page at ``upper`` told of the rows below it."""

    upper: Instant
    expected: int


class _Run:
    """Pages of one range, by rows received.

    A page begins with the last row of the one before it, where that one had several: if it does
    not, rows have shifted, even if ``count`` says nothing of it.
    """

    def __init__(self) -> None:
        self.calls: dict[str, Call] = {}
        self.rows: list[Call] = []
        self.pages = 0
        self.received = 0
        self.rejected = 0
        self.count = 0
        self.is_steady = True
        """Whether no row came twice or shifted and every page named the same count."""
        self._last_id: str | None = None

    @property
    def next_skip(self) -> int:
        """How many rows the next page shall leave out."""
        return self.received - (self._last_id is not None)

    def take(self, page: Page) -> bool:
        """Takes the next page; gives whether it led further."""
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
        can_overlap = page.received > 1 and page.ends_usably and bool(page.calls)
        self._last_id = page.calls[-1].id if can_overlap else None
        return self.received > before

    @property
    def agrees(self) -> bool:
        return self.is_steady and self.received == self.count
