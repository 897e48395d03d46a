"""What one poll has read so far, and the step by which it reads on: a page that runs down. Pure.

A page of ``[a, b)``, newest first, runs down from ``b`` to ``p`` just above its oldest row: then
``[p, b)`` is proven, and ``count`` tells how many rows the API holds below.
"""

from collections.abc import Generator, Iterable
from typing import NamedTuple

from msgspec.structs import replace

from pearl_exporter.counting.call_table import CallTable
from pearl_exporter.counting.calls import LIVE_STATUSES, Call, Instant
from pearl_exporter.counting.columns import Rows
from pearl_exporter.reading.range_read import RangeRead, is_newest_first, rows_from
from pearl_exporter.reading.search import Page, Search

Range = tuple[Instant, Instant]


class PageEnd(NamedTuple):
    """Where a page ends, how many rows the API holds below in its range, and in all of it."""

    start: Instant
    rest: int
    total: int


class Coverage:
    """Reads pages of at most ``limit`` rows and keeps what they bring.

    Attributes:
        calls: The rows read so far.
        ranges: The ranges that were read whole.
        spared: Ids of rows that are there, but could not be read.
        rejected: How many such rows the pages held, those without an id included.
        asked: Requests made, reads of whole ranges apart.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.calls = Rows()
        self.ranges: list[Range] = []
        self.unreadable_ids: set[str] = set()
        self.rejected = 0
        self.asked = 0

    def search(self, start: Instant, end: Instant) -> Search:
        """One page of ``[start, end)``, counted as asked."""
        self.asked += 1
        # a millisecond early: whether the API's start is inclusive is unknown
        return Search(start - 1, end, 0, self._limit)

    def add_range(self, calls: Iterable[Call], start: Instant, end: Instant) -> None:
        """Takes the calls of a range that was read whole."""
        self.ranges.append((start, end))
        self.calls.extend([call for call in calls if start <= call.start < end])

    def take(self, read: RangeRead) -> None:
        """Takes a range that was read whole."""
        self.ranges.append((read.start, read.end))
        if self.calls:
            self.calls.extend([*read.calls])
        else:
            self.calls = read.calls
        self.unreadable_ids |= read.rejected_ids

    def start_over(self) -> None:
        """Lets go of what was read."""
        self.calls = Rows()
        self.ranges.clear()
        self.rejected = 0

    def known_between(self, calls: CallTable, start: Instant, end: Instant) -> int:
        """How many calls there are, by what is tracked and by what was read of this range alone."""
        known = calls.present(start, end) + len(self.calls)
        for first, last in self.ranges:
            known -= calls.present(first, last)
        unreadable_ids = (calls.get(call_id) for call_id in self.unreadable_ids)
        return known + sum(
            each is not None and not each.is_absent and self.covers(each.call.start)
            for each in unreadable_ids
        )

    def covers(self, at: Instant) -> bool:
        """Whether a range that was read whole holds this instant."""
        return any(start <= at < end for start, end in self.ranges)

    def run(self, read: RangeRead) -> Generator[Search, Page, None]:
        """Reads a range whole."""
        while (search := read.next_search()) is not None:
            read.apply((yield search))
        self.take(read)

    def down(self, start: Instant, end: Instant) -> Generator[Search, Page, "PageEnd | None"]:
        """Asks for the page that runs down from ``end``, takes it, tells what lies below it.

        None if the page is out of order or unreadable, so that nothing can be told from it.
        """
        page = yield from self._page(start, end)
        if page is None:
            return None
        calls = page.calls
        self.unreadable_ids |= page.rejected_ids
        self.rejected += page.rejected
        if not is_newest_first(calls) or (calls and calls[0].start > end):
            return None
        if page.received > page.count:
            return None  # a count that is too low tells nothing
        if page.received == page.count:
            self.add_range(calls, start, end)
            inside = sum(start <= call.start < end for call in calls)
            return PageEnd(start, 0, inside + page.rejected)
        if not calls:
            return None
        lower = calls[-1].start + 1
        if lower < end:
            lower = max(start, lower)
            self.add_range(calls, lower, end)
            above = rows_from(lower, calls)
        else:  # one millisecond holds more rows than a page
            lower = end - 1
            read = RangeRead(lower, end, self._limit)
            yield from self.run(read)
            above = len(read.calls) + rows_from(end, calls)
        repeated = rows_from(end, calls)
        return PageEnd(lower, page.count - page.rejected - above, page.count - repeated)

    def _page(self, start: Instant, end: Instant) -> Generator[Search, Page, Page | None]:
        """The newest page of a range, on to where it holds a row that can be read.

        None if the table changed meanwhile, for further rows are asked for by their place.
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

    def live_between(
        self, start: Instant, end: Instant
    ) -> Generator[Search, Page, list[Call] | None]:
        """The calls of ``[start, end)`` that are live by their outcome.

        None if the answers bear other outcomes as well: the server ignores what was asked for.
        """
        read = RangeRead(start, end, self._limit, statuses=tuple(sorted(LIVE_STATUSES)))
        while (search := read.next_search()) is not None:
            self.asked += 1
            page = yield search
            if any(call.status not in LIVE_STATUSES for call in page.calls):
                return None
            read.apply(page)
        return list(read.calls)
