"""What one poll has read of an outbound's calls: the input of `tracker.Tracker.apply`. Pure."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pearl_exporter.counting.calls import Instant
from pearl_exporter.counting.rows import Rows

Range = tuple[Instant, Instant]
"""``[a, b)``: from an instant, included, to another one, excluded."""


class Observation(NamedTuple):
    """The rows that one poll has read, and what it knows to be complete.

    Attributes:
        rows: Every row that was read, each call once.
        ranges: The ranges of starts that were read whole: this read has missed a tracked call of
            them that is not among the rows, unless its id is among ``unreadable_ids``.
        unreadable_ids: Calls whose rows are there, but could not be read.
        unread: The calls that an outage has left to be read by later polls, by their starts; None
            if there are none.
        is_contradicted: Whether the API, asked again for calls that this read has missed, has shown
            some of them. Then no missing call is gone by this read.
    """

    rows: Rows
    ranges: Sequence[Range]
    unreadable_ids: frozenset[str] = frozenset()
    unread: Range | None = None
    is_contradicted: bool = False


def disjoint(ranges: Iterable[Range]) -> list[Range]:
    """Return the union of ranges as ranges that neither overlap nor touch, in order."""
    united: list[Range] = []
    for start, end in sorted(ranges):
        if united and start <= united[-1][1]:
            first, last = united.pop()
            united.append((first, max(last, end)))
        else:
            united.append((start, end))
    return united
