"""Where the API's count of a range and ours differ: found by asking for halves. Pure."""

from collections.abc import Generator, Sequence
from typing import NamedTuple

from pearl_exporter.counting.calls import Instant
from pearl_exporter.counting.tracker import Tracker
from pearl_exporter.reading.coverage import Coverage
from pearl_exporter.reading.search import Page, Search

GROWTH = 6
"""How many times longer a part is, in which a difference is looked for, than the one above it."""

MAX_SEARCHES = 40
"""Requests after which a difference that can't be found makes the poll read everything."""


class _Part(NamedTuple):
    """A range, the API's count of it, and how much larger that is than ours."""

    start: Instant
    end: Instant
    counted: int
    surplus: int


class DifferenceSearch:
    """One search for what came or went; the pages that it is led to are read.

    ``unreadable_count`` is how many rows the API counts that can't be read.
    """

    def __init__(
        self, tracker: Tracker, coverage: Coverage, limit: int, unreadable_count: int
    ) -> None:
        self._tracker = tracker
        self._coverage = coverage
        self._limit = limit
        self._uncountable = unreadable_count
        self._growth = limit

    def steps(self, low: Instant, high: Instant, rest: int) -> Generator[Search, Page, bool | None]:
        """Finds, by halves, where the API's count of ``[low, high)`` and ours differ.

        None if the API counts fewer rows of a range than it did a moment ago.
        """
        doubtful = [self._part(low, high, rest)]
        for _ in range(MAX_SEARCHES):
            doubtful = [part for part in doubtful if part.surplus]
            if self._is_explained(doubtful):
                return True
            start, end, counted, _ = doubtful.pop()
            middle = self._cut(start, end, is_oldest=start == low)
            below = yield from self._coverage.down(middle, end)
            if below is None:
                return False
            if middle == start and below.total < counted:
                return None
            parts = (
                self._part(middle, below.start, below.rest),
                self._part(start, middle, counted - below.total),
            )
            doubtful += [part for part in parts if part.start < part.end]
        return False

    def _part(self, start: Instant, end: Instant, counted: int) -> _Part:
        return _Part(start, end, counted, counted - self._tracker.calls.present(start, end))

    def _is_explained(self, doubtful: Sequence[_Part]) -> bool:
        """Whether rows that can't be read, and were not met in this poll, make the difference.

        Each explains one row, wherever it is: what all parts hold too many is added up.
        """
        left = max(0, self._uncountable - self._coverage.rejected)
        surpluses = [part.surplus for part in doubtful]
        return min(surpluses, default=0) >= 0 and sum(surpluses) <= left

    def _cut(self, start: Instant, end: Instant, *, is_oldest: bool) -> Instant:
        """Where to ask next in a range that differs; its start if one page holds it.

        What comes late or is deleted is seldom old: from the head down, each part looked at is
        several times as long as the one above it; within a part the halves are.
        """
        calls = self._tracker.calls
        present = calls.present(start, end)
        if present <= self._limit:
            return start
        if not is_oldest:
            return calls.halfway(start, end)
        self._growth *= GROWTH
        return calls.cut(start, end, max(present // 2, present - self._growth))
