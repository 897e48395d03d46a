"""Finds where the API's count of a range differs from the tracked calls, by asking for halves."""

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from pearl_exporter.counting.calls import Instant
from pearl_exporter.counting.tracker import Tracker
from pearl_exporter.reading.coverage import Coverage
from pearl_exporter.reading.search import Searches

GROWTH = 6
"""How many times as many calls each piece holds as the newer piece before it."""

MAX_SEARCHES = 40
"""After this many requests the search ends, and the poll reads everything."""


class DifferenceResult(Enum):
    """What a search for a difference came to."""

    EXPLAINED = "explained"
    """What came and went is read; all counts agree now."""
    UNEXPLAINED = "unexplained"
    """Pages are in no order that could be followed, or the requests were not enough."""
    CONTRADICTED = "contradicted"
    """A range held fewer rows than just before: a row was deleted meanwhile, or has moved."""


class _Part(NamedTuple):
    """A range, the API's count of it, and by how much that exceeds the tracked calls."""

    start: Instant
    end: Instant
    counted: int
    surplus: int


class DifferenceSearch:
    """One search for rows that came or went; the pages it leads to are read.

    Args:
        tracker: Has the calls that are known.
        coverage: Takes the pages.
        limit: Rows to ask for in one page.
        unreadable_count: How many rows the API counts that cannot be read.
    """

    def __init__(
        self, tracker: Tracker, coverage: Coverage, limit: int, unreadable_count: int
    ) -> None:
        self._tracker = tracker
        self._coverage = coverage
        self._limit = limit
        self._unreadable_count = unreadable_count
        # calls of the newest untouched piece, before it has grown for the first time
        self._piece_calls = limit

    def searches(self, low: Instant, high: Instant, counted: int) -> Searches[DifferenceResult]:
        """Look for the difference in ``[low, high)``, of which the API counts ``counted`` rows."""
        # Invariant: the parts are disjoint, newest first. What of [low, high) is in no part is read
        # already, or its counts agree. The last part, the oldest, is cut first.
        parts = [self._part(low, high, counted)]
        for _ in range(MAX_SEARCHES):
            parts = [part for part in parts if part.surplus]
            if self._is_explained(parts):
                return DifferenceResult.EXPLAINED
            start, end, rows, _ = parts.pop()
            middle = self._cut(start, end, is_oldest=start == low)
            page_end = yield from self._coverage.down(middle, end)
            if page_end is None:
                return DifferenceResult.UNEXPLAINED
            # all of the part was asked for, and holds fewer rows than when it was counted
            # (of the oldest part, read to its start, the oldest rows were deleted meanwhile)
            is_all_read = start == low and page_end.start == start
            if middle == start and page_end.total + page_end.before < rows and not is_all_read:
                return DifferenceResult.CONTRADICTED
            # only the upper part is asked for: the rows of the lower one are all the others
            lower = self._part(start, middle, rows - page_end.total)
            upper = self._part(middle, page_end.start, page_end.remaining)
            parts += [part for part in (upper, lower) if part.start < part.end]
        return DifferenceResult.UNEXPLAINED

    def _part(self, start: Instant, end: Instant, counted: int) -> _Part:
        return _Part(start, end, counted, counted - self._tracker.calls.present(start, end))

    def _is_explained(self, parts: Sequence[_Part]) -> bool:
        """Return whether rows that cannot be read are all that makes the difference.

        A row that was known to be unreadable, and that no page of this poll held, explains a
        surplus of one, in whichever part: so the surpluses are added up. Such a row never explains
        a deficit.
        """
        left = max(0, self._unreadable_count - self._coverage.rejected)
        surpluses = [part.surplus for part in parts]
        return min(surpluses, default=0) >= 0 and sum(surpluses) <= left

    def _cut(self, start: Instant, end: Instant, *, is_oldest: bool) -> Instant:
        """Return where to cut a part that differs; its start if one page holds it.

        What comes late or is deleted is seldom old. So the oldest part, which is still untouched,
        is not halved: a piece is cut off its newer end, each time `GROWTH` times as long as the
        one before. Within such a piece the cuts are halves.
        """
        calls = self._tracker.calls
        present = calls.present(start, end)
        if present <= self._limit:
            return start
        if not is_oldest:
            return calls.halfway(start, end)
        self._piece_calls *= GROWTH
        return calls.cut(start, end, max(present // 2, present - self._piece_calls))
