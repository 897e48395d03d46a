"""Reads the calls that left the window unread in an outage: slices of some pages, oldest first.

A slice covers a span of time. How long the span is follows from how many rows the last slice held.
"""

from pearl_exporter.counting.observation import Range
from pearl_exporter.reading.coverage import Coverage
from pearl_exporter.reading.search import Searches

SLICE_PAGES = 5
"""The number of pages that a slice is meant to hold; a slice of more than twice as many is cut."""

FIRST_SLICE_MS = 300_000
_MAX_SLICE_MS = 86_400_000


class CatchUp:
    """The calls that an outage left unread, while one poll reads on through them.

    Attributes:
        unread: The range that is still to be read, None if nothing is.
        slice_ms: How much time the next slice covers.
    """

    def __init__(self, unread: Range | None, slice_ms: int, *, by_offset: bool) -> None:
        self.unread = unread
        self.slice_ms = slice_ms
        self._by_offset = by_offset

    def searches(self, coverage: Coverage, limit: int, requests: int) -> Searches[None]:
        """Read slices until nothing is left, or the requests are spent.

        Args:
            coverage: Takes what the slices hold.
            limit: Rows to ask for in one page.
            requests: After how many requests no further slice is begun.
        """
        budget = coverage.asked + requests
        while self.unread is not None and coverage.asked < budget:
            start, end = self.unread
            cut = min(start + self.slice_ms, end)
            # too many rows are not read, unless the span can't be cut
            max_rows = 2 * SLICE_PAGES * limit if cut - start > 1 else None
            read = coverage.range_read(start, cut, by_offset=self._by_offset, max_rows=max_rows)
            result = yield from read.searches()
            coverage.asked += result.pages
            if not result.is_whole:
                # too many rows: try again with a span that should hold SLICE_PAGES
                self._stretch(SLICE_PAGES * limit / result.expected)
                continue
            coverage.take(result)
            # oldest first, so what is left is one range, and is saved as two instants
            self.unread = None if cut >= end else (cut, end)
            if result.pages <= SLICE_PAGES // 2:
                self._stretch(2.0)

    def _stretch(self, factor: float) -> None:
        stretched = round(self.slice_ms * factor)
        self.slice_ms = max(1, min(stretched, _MAX_SLICE_MS))
