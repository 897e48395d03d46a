"""Finds calls whose outcome changed in place, by counts of the calls with some outcomes.

A row that changes its outcome changes no count of a range. But it changes the count of a search for
some outcomes. Each such search counts one of the `SETS`, in turn. Where the API's count differs
from the tracked calls, halves of the range lead to the row.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from enum import Enum
from typing import NamedTuple, TypeAlias

from pearl_exporter.counting.calls import ALIASES, STATUS_LABELS, Instant
from pearl_exporter.counting.observation import Range
from pearl_exporter.counting.tracked_call import TrackedCall
from pearl_exporter.counting.tracker import Tracker
from pearl_exporter.reading.coverage import Coverage
from pearl_exporter.reading.search import Search, Searches

SETS: tuple[frozenset[int], ...] = tuple(
    frozenset(code for number, code in enumerate(STATUS_LABELS, 1) if number >> bit & 1)
    for bit in range(len(STATUS_LABELS).bit_length())
)
"""Bit *i* of an outcome's 1-based index puts the outcome into set *i*.

So any two outcomes differ in some set, and each outcome is in one at least, as no index is 0.
"""

MAX_HALVINGS = 24
"""After this many requests the rest of a difference is left to the next count, and to the scan."""

Cut: TypeAlias = Callable[[Instant, Instant], Instant | None]
"""Where to halve a range; None if it is small enough to be read."""


def asked_for(codes: frozenset[int]) -> tuple[int, ...]:
    """Return the codes to search for: ``codes``, and the older codes that they replaced."""
    replaced = (old for old, new in ALIASES.items() if new in codes)
    return tuple(sorted({*codes, *replaced}))


class Counted(NamedTuple):
    """A range, and how many of its rows the API counts."""

    start: Instant
    end: Instant
    rows: int


def changed_ranges(
    counted: Counted,
    starts: Sequence[Instant],
    *,
    tolerated: int,
    search: Callable[[Instant, Instant], Search],
    cut: Cut,
) -> Searches[list[Range]]:
    """Find the small ranges in which the API's count differs from the tracked calls.

    Args:
        counted: The range to look in.
        starts: The starts of the tracked calls that the search should count, in order.
        tolerated: By how much two counts may differ without anything having changed.
        search: Makes the search that counts a range.
        cut: Says where to halve a range.

    Returns:
        Ranges of at most one page each, not read yet.
    """
    left, found = [counted], []
    asked = 0
    while left and asked < MAX_HALVINGS:
        start, end, rows = left.pop()
        known = bisect_left(starts, end) - bisect_left(starts, start)
        if abs(rows - known) <= tolerated:
            continue
        middle = cut(start, end)
        if middle is None or not start < middle < end:
            found.append((start, end))
            continue
        # one request for both halves: what the upper one does not hold is in the lower one
        asked += 1
        page = yield search(middle, end)
        # a server whose end is inclusive counts the rows at the very end as well
        upper = page.count - sum(call.start >= end for call in page.calls)
        left += [Counted(start, middle, rows - upper), Counted(middle, end, upper)]
    return found


class CountResult(Enum):
    """What a count of outcomes came to."""

    AGREES = "agrees"
    FOUND = "found"
    """It differs, and rows were read that explain it."""
    UNEXPLAINED = "unexplained"
    """It differs, and no row was found that would explain it."""
    IGNORED = "ignored"
    """The answer has outcomes that were not asked for: the server ignores the filter."""


class OutcomeCount:
    """Compares the API's count of some outcomes, from a start on, with what a poll knows.

    Args:
        tracker: Has the calls that are known.
        coverage: Has what this poll has read, and takes the ranges that differ.
        low: The start; all of the window lies above.
        codes: The outcomes to count.
        limit: Rows to ask for in one page.
    """

    def __init__(
        self,
        tracker: Tracker,
        coverage: Coverage,
        *,
        low: Instant,
        codes: frozenset[int],
        limit: int,
    ) -> None:
        self._tracker = tracker
        self._coverage = coverage
        self._low = low
        self._codes = codes
        self._limit = limit

    def searches(self, end: Instant, unreadable_count: int) -> Searches[CountResult]:
        """Count up to ``end``, and read the ranges that differ.

        Args:
            end: The end of the range to count, exclusive.
            unreadable_count: How many rows the API counts that cannot be read. Nobody knows their
                outcomes, so counts may differ by this many.
        """
        # the page's rows are not kept: they are only some of the range, and prove nothing of it
        page = yield self._search(self._low, end)
        if any(call.status not in self._codes for call in page.calls):
            return CountResult.IGNORED
        tolerated = unreadable_count + self._unread_unsettled()
        before = self._expected()
        if abs(page.count - before) <= tolerated:
            return CountResult.AGREES
        ranges = yield from changed_ranges(
            Counted(self._low, end, page.count),
            self._expected_starts(end),
            tolerated=tolerated,
            search=self._search,
            cut=self._cut,
        )
        for start, upper in ranges:
            page_end = yield from self._coverage.down(start, upper)
            if page_end is not None and page_end.start > start:  # the page was full
                yield from self._coverage.down(start, page_end.start)
        # what was read explains the difference if it changes what is expected
        return CountResult.UNEXPLAINED if self._expected() == before else CountResult.FOUND

    def _search(self, start: Instant, end: Instant) -> Search:
        return self._coverage.search(start, end)._replace(statuses=asked_for(self._codes))

    def _expected(self) -> int:
        """Return how many calls from ``low`` on have these outcomes, as far as this poll knows.

        The tracker counts them as of the last poll; what this poll has read replaces its part.
        """
        # the tracker's count - its calls that this poll has read + the rows that it has read
        superseded = sum(each.call.status in self._codes for each in self._superseded().values())
        return self._tracker.in_window(self._codes) - superseded + len(self._starts_read())

    def _expected_starts(self, end: Instant) -> list[Instant]:
        kept = self._tracker.calls.starts_in_window(
            self._low, end, codes=self._codes, but=self._superseded()
        )
        return sorted(kept + self._starts_read())

    def _starts_read(self) -> list[Instant]:
        """Return the starts of the rows with these outcomes that this poll has read."""
        return [
            call.start
            for call in self._coverage.calls
            if call.status in self._codes and call.start >= self._low
        ]

    def _superseded(self) -> dict[str, TrackedCall]:
        """Return the calls of the window that this poll has read, or is the first to miss."""
        known = (self._tracker.calls.get(call.id) for call in self._coverage.calls)
        news = {each.call.id: each for each in known if each is not None}
        # a tracked call of a range that was read whole is either among the rows or was missed
        for start, end in self._coverage.ranges:
            news.update((each.call.id, each) for each in self._tracker.calls.between(start, end))
        # those that are missing already are not counted by the tracker
        return {key: each for key, each in news.items() if each.in_window and not each.is_absent}

    def _unread_unsettled(self) -> int:
        """Return how many calls may have changed unseen: not settled, and not read by this poll."""
        return sum(
            each.call.start >= self._low
            and not each.is_missing
            and each.call.id not in self._coverage.calls
            and not self._coverage.covers(each.call.start)
            for each in self._tracker.unsettled()
        )

    def _cut(self, start: Instant, end: Instant) -> Instant | None:
        calls = self._tracker.calls
        return None if calls.present(start, end) <= self._limit else calls.halfway(start, end)
