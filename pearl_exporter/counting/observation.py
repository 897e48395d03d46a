"""What one poll has read of an outbound's calls: the input of `tracker.Tracker.apply`. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from pearl_exporter.counting.calls import Instant
from pearl_exporter.counting.rows import Rows

Range = tuple[Instant, Instant]
"""``[a, b)``: from an instant, included, to another one, excluded."""


class Observation(NamedTuple):
    """The rows that one poll has read, and what it knows to be complete.

    Attributes:
        rows: Every row that was read, each call once.
        ranges: The ranges of starts that were read whole: a tracked call of them that is not among
            the rows was deleted, unless its id is among ``unreadable_ids``.
        unreadable_ids: Calls whose rows are there, but could not be read.
        unread: The calls that an outage has left to be read by later polls, by their starts; None
            if there are none.
    """

    rows: Rows
    ranges: Sequence[Range]
    unreadable_ids: frozenset[str] = frozenset()
    unread: Range | None = None
