"""What counts by outcome tell: where a settled row has changed in place. Pure.

A row that changes its outcome changes no count of a range, but it does change the count of a search
for some outcomes. Four sets of outcomes tell any two of them apart, so each spare request counts
one set, in turn; where the API's count and ours differ, halves of the range lead to the row.
"""

from bisect import bisect_left
from collections.abc import Callable, Generator, Sequence

from pearl_exporter.calls import ALIASES, STATUS_LABELS, Instant
from pearl_exporter.sync import Page, Search

SETS: tuple[frozenset[int], ...] = tuple(
    frozenset(code for number, code in enumerate(STATUS_LABELS, 1) if number >> bit & 1)
    for bit in range(len(STATUS_LABELS).bit_length())
)
"""Each outcome is in a combination of sets of its own, and in one at least."""

MOST_HALVINGS = 24
"""Requests after which the rest of a difference is left to the next turn, and to the scan."""

Range = tuple[Instant, Instant]
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
    while left and asked < MOST_HALVINGS:
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
