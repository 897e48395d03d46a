"""What an outage has left unread behind the window: read in slices, oldest first. Pure.

A slice covers so much time that it holds a few pages; the next is longer or shorter by what the
last one held.
"""

from collections.abc import Generator

from pearl_exporter.reading.coverage import Coverage, Range
from pearl_exporter.reading.range_read import RangeRead
from pearl_exporter.reading.search import Page, Search

SLICE_PAGES = 5
"""A slice is cut so as to hold about so many pages, at most twice as many."""

FIRST_SLICE_MS = 300_000
_MAX_SLICE_MS = 86_400_000


class CatchUp:
    """The calls that are still to be read; ``slice_ms`` is how much time a slice covers now."""

    def __init__(self, unread: Range | None, slice_ms: int, *, by_offset: bool) -> None:
        self.unread = unread
        self.slice_ms = slice_ms
        self._by_offset = by_offset

    def read_on(self, coverage: Coverage, limit: int, spare: int) -> Generator[Search, Page, None]:
        """Reads slices, as far as so many requests allow."""
        budget = coverage.asked + spare
        while self.unread is not None and coverage.asked < budget:
            start, end = self.unread
            cut = min(start + self.slice_ms, end)
            read = RangeRead(start, cut, limit, by_offset=self._by_offset)
            if not (yield from self._read_slice(read, coverage, limit)):
                continue
            coverage.take(read)
            self.unread = None if cut >= end else (cut, end)
            if read.pages <= SLICE_PAGES // 2:
                self._stretch(2.0)

    def _read_slice(
        self, read: RangeRead, coverage: Coverage, limit: int
    ) -> Generator[Search, Page, bool]:
        """Reads a slice whole; False if it is too large, and the next shall be smaller."""
        most = 2 * SLICE_PAGES * limit
        while (search := read.next_search()) is not None:
            coverage.asked += 1
            read.apply((yield search))
            if read.expected > most and read.end - read.start > 1 and read.pages == 1:
                self._stretch(most / 2 / read.expected)
                return False
        return True

    def _stretch(self, factor: float) -> None:
        longest = min(round(self.slice_ms * factor), _MAX_SLICE_MS)
        self.slice_ms = max(1, longest)
