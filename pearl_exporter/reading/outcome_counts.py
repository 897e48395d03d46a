"""What counts by outcome tell: where a settled row has changed in place. Pure.

A row that changes its outcome changes no count of a range, but it does change the count of a search
for some outcomes. Four sets of outcomes tell any two of them apart, so each spare request counts
one set, in turn; where the API's count and ours differ, halves of the range lead to the row.
"""

from bisect import bisect_left
from collections.abc import Callable, Generator, Sequence
from enum import Enum

from pearl_exporter.counting.calls import ALIASES, STATUS_LABELS, Instant
from pearl_exporter.counting.tracked_call import TrackedCall
from pearl_exporter.counting.tracker import Tracker
from pearl_exporter.reading.coverage import Coverage, Range
from pearl_exporter.reading.search import Page, Search

SETS: tuple[frozenset[int], ...] = tuple(
    frozenset(code for number, code in enumerate(STATUS_LABELS, 1) if number >> bit & 1)
    for bit in range(len(STATUS_LABELS).bit_length())
)
"""Each outcome is in a combination of sets of its own, and in one at least."""

MAX_HALVINGS = 24
"""Requests after which the rest of a difference is left to the next turn, and to the scan."""

Cut = Callable[[Instant, Instant], Instant | None]
"""Where to halve a range; None if it is small enough to be read."""


def asked_for(codes: frozenset[int]) -> tuple[int, ...]:
    """The codes to search for, those included that were replaced by one of them."""
    replaced = (old for old, new in ALIASES.items() if new in codes)
    return tuple(sorted({*codes, *replaced}))


def changed_ranges(
    doubtful: tuple[Instant, Instant, int],
    starts: Sequence[Instant],
    *,
    tolerated: int,
    search: Callable[[Instant, Instant], Search],
    cut: Cut,
) -> Generator[Search, Page, list[Range]]:
    """Finds ranges, each small enough to be read, in which the API counts otherwise than we do.

    ``doubtful`` is a range with the API's count of it, ``starts`` are those of our own calls that
    should be counted, in order.
    """
    left, found = [doubtful], []
    asked = 0
    while left and asked < MAX_HALVINGS:
        start, end, count = left.pop()
        ours = bisect_left(starts, end) - bisect_left(starts, start)
        if abs(count - ours) <= tolerated:
            continue
        middle = cut(start, end)
        if middle is None or not start < middle < end:
            found.append((start, end))
            continue
        asked += 1
        page = yield search(middle, end)
        # a server whose end is inclusive counts the rows at the very end as well
        upper = page.count - sum(call.start >= end for call in page.calls)
        left += [(start, middle, count - upper), (middle, end, upper)]
    return found


class CountResult(Enum):
    """What a count of outcomes came to."""

    AGREES = "agrees"
    FOUND = "found"
    FRUITLESS = "fruitless_counts"
    """It differs, and no row was found that would explain it."""
    IGNORED = "ignored"
    """The answer bears outcomes that were not asked for."""


class OutcomeCount:
    """Compares the API's count of some outcomes, from ``low`` on, with what a poll knows."""

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

    def steps(self, end: Instant, unreadable_count: int) -> Generator[Search, Page, CountResult]:
        """Count up to ``end``; read the ranges that differ by more than ``unreadable_count``."""
        page = yield self._search(self._low, end)
        if any(call.status not in self._codes for call in page.calls):
            return CountResult.IGNORED
        tolerated = unreadable_count + self._unread_pending()
        before = self._expected()
        if abs(page.count - before) <= tolerated:
            return CountResult.AGREES
        ranges = yield from changed_ranges(
            (self._low, end, page.count),
            self._expected_starts(end),
            tolerated=tolerated,
            search=self._search,
            cut=self._cut,
        )
        for start, upper in ranges:
            yield from self._coverage.down(start, upper)
        return CountResult.FRUITLESS if self._expected() == before else CountResult.FOUND

    def _search(self, start: Instant, end: Instant) -> Search:
        return self._coverage.search(start, end)._replace(statuses=asked_for(self._codes))

    def _expected(self) -> int:
        """How many calls from ``low`` on should bear these outcomes by what this poll knows."""
        gone = sum(each.call.status in self._codes for each in self._superseded().values())
        come = sum(
            call.status in self._codes and call.start >= self._low for call in self._coverage.calls
        )
        return self._tracker.in_window(self._codes) - gone + come

    def _expected_starts(self, end: Instant) -> list[Instant]:
        kept = self._tracker.calls.starts_in_window(
            self._low, end, codes=self._codes, but=self._superseded()
        )
        come = [
            call.start
            for call in self._coverage.calls
            if call.status in self._codes and call.start >= self._low
        ]
        return sorted(kept + come)

    def _superseded(self) -> dict[str, TrackedCall]:
        """The calls of the window of which this poll has news: read, or found deleted."""
        known = (self._tracker.calls.get(call.id) for call in self._coverage.calls)
        news = {each.call.id: each for each in known if each is not None}
        for start, end in self._coverage.ranges:
            news.update((each.call.id, each) for each in self._tracker.calls.between(start, end))
        return {key: each for key, each in news.items() if each.in_window}

    def _unread_pending(self) -> int:
        """How many calls may have changed since they were read, as they are not settled yet."""
        return sum(
            each.call.start >= self._low
            and each.call.id not in self._coverage.calls
            and not self._coverage.covers(each.call.start)
            for each in self._tracker.unsettled()
        )

    def _cut(self, start: Instant, end: Instant) -> Instant | None:
        tracker = self._tracker
        is_page = tracker.calls.present(start, end) <= self._limit
        return None if is_page else tracker.calls.halfway(start, end)
