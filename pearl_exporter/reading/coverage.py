"""What one poll has read so far, and the step that extends it: a page that runs down from an end.

```
 b ┤■■■■  the page of [a, b): the newest rows, newest first
   ├────  p, just above the page's oldest row: [p, b) is read
   │????  count minus the rows of the page: how many rows the API holds in [a, p)
 a ┤
```
"""

from collections.abc import Callable, Container, Iterable, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from pearl_exporter.counting.call_table import CallView
from pearl_exporter.counting.calls import LIVE_STATUSES, Call, Instant
from pearl_exporter.counting.compact_ids import compact_ids
from pearl_exporter.counting.observation import Range, disjoint
from pearl_exporter.counting.rows import Rows
from pearl_exporter.reading.contradictions import FULL_PAGE, MAX_UNREADABLE, MIN_TOLERATED
from pearl_exporter.reading.range_read import RangeRead, RangeResult, is_newest_first, rows_from
from pearl_exporter.reading.search import Page, Search, Searches

MANY_MISSED = 10
MANY_MISSED_SHARE = 0.1
"""More calls that are missed at once than both of these, as a number and as a share, are many."""


class Missed(NamedTuple):
    """The tracked calls that a poll should have read and did not: their starts, by id.

    Attributes:
        newly: Those that no poll has missed before.
        due: Those that are gone if this poll is to be believed.
        present: How many calls the ranges that it has read were known to hold.
    """

    newly: Mapping[str, Instant]
    due: Mapping[str, Instant]
    present: int

    @property
    def is_many(self) -> bool:
        """Whether a wrong answer is a likelier cause than deletions."""
        return self.is_many_to_log or len(self.newly) == self.present > 1

    @property
    def is_many_to_log(self) -> bool:
        """The same, but not for all of a handful."""
        return len(self.newly) > max(MANY_MISSED, MANY_MISSED_SHARE * self.present)


class PageEnd(NamedTuple):
    """Where a page of a range ends, and what its count says.

    Attributes:
        start: The page holds all rows of the range from here on.
        remaining: How many rows the API holds below, in the range.
        total: How many rows the API holds in all of the range.
        before: How many rows of the page start just before the range. A search is asked a
            millisecond early, so that counts of the range may include them.
    """

    start: Instant
    remaining: int
    total: int
    before: int = 0


class Coverage:
    """The rows and ranges that one poll has read so far.

    Attributes:
        calls: The rows, each once.
        ranges: The ranges that were read whole: a tracked call of one that is not among ``calls``
            was missed.
        unreadable_ids: Ids of rows that are in the table, but could not be read.
        rejected: How many such rows the pages held, rows without an id included.
        min_tolerated: How many rows of any range may be counted and not given: as many as of all
            the window, since they may lie together.
        asked: Requests made, except those of a read of the whole window.
    """

    def __init__(
        self, limit: int, *, latest: Instant | None = None, max_unreadable: float = MAX_UNREADABLE
    ) -> None:
        """Begin with nothing read.

        Args:
            limit: Rows to ask for in one page.
            latest: The poll's present, after which no call starts.
            max_unreadable: The share of the rows of a range that may be counted and not given.
        """
        self._limit = limit
        self._latest = latest
        self._max_unreadable = max_unreadable
        self.calls = Rows()
        self.ranges: list[Range] = []
        self.unreadable_ids: set[str] = set()
        self.rejected = 0
        self.min_tolerated = MIN_TOLERATED
        self.asked = 0

    def search(self, start: Instant, end: Instant) -> Search:
        """Return the search for the newest page of ``[start, end)``; it counts as asked."""
        self.asked += 1
        # a millisecond early: whether the API's start is inclusive is unknown
        return Search(start - 1, end, 0, self._limit)

    def add_range(self, calls: Iterable[Call], start: Instant, end: Instant) -> None:
        """Take the calls of a range that was read whole; those that start outside are left out."""
        self.ranges.append((start, end))
        self.calls.extend([call for call in calls if start <= call.start < end])

    def take(self, result: RangeResult) -> None:
        """Take a range that was read whole."""
        self.ranges.append((result.start, result.end))
        if self.calls:
            self.calls.extend([*result.calls])
        else:
            # a first read may hold a million rows: they are not copied
            self.calls = result.calls
        self.unreadable_ids |= result.unreadable_ids

    def range_read(  # noqa: PLR0913 - the options of a `RangeRead`
        self,
        start: Instant,
        end: Instant,
        *,
        by_offset: bool = False,
        statuses: tuple[int, ...] = (),
        max_rows: int | None = None,
        believes_count: bool = True,
        known: Callable[[Instant, Instant], int] = lambda _start, _end: 0,
    ) -> RangeRead:
        """Return the whole read of a range, by the bounds of this poll; as `RangeRead` else."""
        return RangeRead(
            start,
            end,
            self._limit,
            by_offset=by_offset,
            statuses=statuses,
            max_rows=max_rows,
            max_unreadable=self._max_unreadable,
            min_tolerated=self.min_tolerated,
            believes_count=believes_count,
            known=known,
            latest=self._latest,
        )

    def start_over(self) -> None:
        """Drop the rows and ranges read so far; requests made stay counted."""
        self.calls = Rows()
        self.ranges.clear()
        self.rejected = 0

    def known_between(self, calls: CallView, start: Instant, end: Instant) -> int:
        """Return how many calls of ``[start, end)`` are in the API's table, as far as is known.

        Args:
            calls: The tracked calls, which stand for what this poll has not read.
            start: The range's start; all that this poll has read lies in the range.
            end: The range's end, exclusive.
        """
        known = calls.present(start, end) + len(self.calls)
        for first, last in self.ranges:
            known -= calls.present(first, last)
        # a tracked call whose row could not be read this time is still there
        unreadable = (calls.get(call_id) for call_id in self.unreadable_ids)
        return known + sum(
            each is not None and not each.is_absent and self.covers(each.call.start)
            for each in unreadable
        )

    def missed(self, calls: CallView, due: Container[str]) -> Missed:
        """Return which tracked calls of the ranges read so far are not among the rows.

        Args:
            calls: The tracked calls.
            due: The ids of the missing calls that are gone if they are missed again.
        """
        read = self.calls.ids
        if self.unreadable_ids:
            read = {*read, *compact_ids(self.unreadable_ids)}
        ranges = disjoint(self.ranges)
        missed = [each for start, end in ranges for each in calls.missed(start, end, read)]
        return Missed(
            {each.call.id: each.call.start for each in missed if not each.is_missing},
            {each.call.id: each.call.start for each in missed if each.call.id in due},
            sum(calls.present(start, end) for start, end in ranges),
        )

    def ask_again(self, starts: Mapping[str, Instant]) -> Searches[bool]:
        """Ask for calls that were missed: one page of the newest of them.

        Args:
            starts: Their starts, by id.

        Returns:
            Whether the API has any of them. The rows of the page are kept.
        """
        page = yield self.search(min(starts.values()), max(starts.values()) + 1)
        self.unreadable_ids |= page.rejected_ids
        self.calls.extend([call for call in page.calls if call.id not in self.calls])
        found = {*page.rejected_ids, *(call.id for call in page.calls)}
        return not found.isdisjoint(starts)

    def covers(self, at: Instant) -> bool:
        """Return whether a range that was read whole holds this instant."""
        return any(start <= at < end for start, end in self.ranges)

    def down(self, start: Instant, end: Instant) -> Searches[PageEnd | None]:
        """Read the page of ``[start, end)`` that runs down from ``end``.

        Returns:
            Where the page ends; None if its rows or its count contradict each other, so that
            nothing follows from the page. Its rows are not kept.
        """
        page = yield from self._page(start, end)
        if page is None:
            return None
        calls = page.calls
        self.unreadable_ids |= page.rejected_ids
        self.rejected += page.rejected
        # at the very end itself a row is in order: whether the API's end is inclusive is unknown
        if not is_newest_first(calls) or (calls and calls[0].start > end):
            return None
        if page.received > page.count:
            return None
        # of a full page the count may be the page's own: it is believed with the rows below it
        is_full = bool(calls) and page.received >= min(self._limit, FULL_PAGE)
        if page.received == page.count and not is_full:
            self.add_range(calls, start, end)
            inside = sum(start <= call.start < end for call in calls)
            before = sum(call.start < start for call in calls)
            return PageEnd(start, 0, inside + page.rejected, before)
        if not calls:
            return None
        lower = calls[-1].start + 1
        if lower < end:
            lower = max(start, lower)
            self.add_range(calls, lower, end)
            above = rows_from(lower, calls)
        else:
            # one millisecond holds more rows than a page: a page of it proves nothing by itself
            lower = end - 1
            result = yield from self.range_read(lower, end).searches()
            self.take(result)
            above = len(result.calls) + rows_from(end, calls)
        repeated = rows_from(end, calls)
        return PageEnd(lower, page.count - page.rejected - above, page.count - repeated)

    def _page(self, start: Instant, end: Instant) -> Searches[Page | None]:
        """Ask for the newest page of a range, and on to the first row that can be used.

        Returns:
            The last page, with the rejected rows of all pages; None if the API's table changed
            meanwhile, since the pages after the first are asked for by their place.
        """
        page = yield self.search(start, end)
        while not page.calls and 0 < page.rejected < page.count:
            more = yield self.search(start, end)._replace(skip=page.rejected)
            if more.count != page.count or not more.received:
                return None
            page = replace(
                more,
                rejected=page.rejected + more.rejected,
                rejected_ids=page.rejected_ids | more.rejected_ids,
            )
        return page

    def live_between(self, start: Instant, end: Instant) -> Searches[list[Call] | None]:
        """Search for the calls of ``[start, end)`` whose outcome code says that they are live.

        Returns:
            The calls; None if the API answers with other outcomes, and so ignores the filter.
        """
        statuses = tuple(sorted(LIVE_STATUSES))
        read = self.range_read(start, end, statuses=statuses)
        result = yield from read.searches()
        self.asked += result.pages
        return list(result.calls) if result.is_whole else None
