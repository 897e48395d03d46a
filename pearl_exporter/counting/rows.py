"""Rows of the calls search in columns, so that a first read of a million fits in memory. Pure.

A first read holds every row of the window until the last page has come. As objects they would take
about 250 bytes each, and Python's allocator seldom gives the memory of many small objects back.
In columns a row takes about 100 bytes, and most of them are its id, which is stored anyway.
"""

from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from pearl_exporter.counting.calls import Call, Instant
from pearl_exporter.counting.compact_ids import CompactId, compact_id, compact_ids, full_id
from pearl_exporter.counting.packing import PlainValues


class RowsByStart(NamedTuple):
    """Rows in the order of their starts.

    Attributes:
        ids: The id of each row.
        starts: The start of each row.
        numbers: For each row, the index of its values in ``values``.
        values: The values that rows have, their tags as read.
    """

    ids: Sequence[CompactId]
    starts: Sequence[Instant]
    numbers: Sequence[int]
    values: Sequence[PlainValues]

    def at(self, positions: Sequence[int]) -> "RowsByStart":
        """Return the rows at some positions, which are in ascending order."""
        if len(positions) == len(self.ids):
            return self
        ids, starts, numbers, values = self
        return RowsByStart(
            [ids[position] for position in positions],
            [starts[position] for position in positions],
            [numbers[position] for position in positions],
            values,
        )


class Rows:
    """Rows by id. A row that comes again replaces the one that came before."""

    def __init__(self, calls: Iterable[Call] = ()) -> None:
        self._ids: list[CompactId] = []
        self._starts = array("q")
        self._numbers = array("L")
        self._numbered: dict[PlainValues, int] = {}
        self._known: set[CompactId] = set()
        # by id; made when a row first comes again, which in most reads never happens
        self._positions: dict[CompactId, int] | None = None
        self.extend(list(calls))

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self._ids)

    @property
    def size(self) -> int:
        """How much there is to look at: the rows, and the tags of each."""
        tags = [len(values[-1]) for values in self._numbered]
        return len(self) + sum(map(tags.__getitem__, self._numbers))

    def __contains__(self, call_id: str) -> bool:
        """Return whether there is a row with this id."""
        return compact_id(call_id) in self._known

    @property
    def ids(self) -> AbstractSet[CompactId]:
        """The ids of all rows; not a copy."""
        return self._known

    def __iter__(self) -> Iterator[Call]:
        """Iterate over the rows in the order in which their ids first came."""
        values = list(self._numbered)
        for compact, start, number in zip(self._ids, self._starts, self._numbers, strict=True):
            yield Call(full_id(compact), start, *values[number])

    def extend(self, calls: Collection[Call]) -> None:
        """Add rows; fastest for a whole page of new ones."""
        ids = compact_ids([call.id for call in calls])
        new = set(ids)
        if len(new) < len(ids) or not self._known.isdisjoint(new):
            for compact, call in zip(ids, calls, strict=True):
                self._put(compact, call)
            return
        if self._positions is not None:
            self._positions.update(zip(ids, range(len(self), len(self) + len(ids)), strict=True))
        self._known |= new
        self._ids += ids
        self._starts.extend([call.start for call in calls])
        numbered = self._numbered
        number_of = numbered.setdefault
        # a plain tuple and not `call.values`, and `setdefault` looked up once: see `PlainValues`
        self._numbers.extend(
            [
                number_of((call.status, call.call_status, call.duration, call.tags), len(numbered))
                for call in calls
            ]
        )

    def have_starts(self, starts: Iterable[Instant]) -> bool:
        """Return whether there are rows with each of these starts."""
        return set(starts) <= set(self._starts)

    def from_start(self, start: Instant) -> "Rows":
        """Return the rows that start at ``start`` or later."""
        return Rows(call for call in self if call.start >= start)

    @property
    def span(self) -> tuple[Instant, Instant] | None:
        """The earliest and the latest start; None if there are no rows."""
        return (min(self._starts), max(self._starts)) if self._starts else None

    def by_start(self) -> RowsByStart:
        """Return all rows in the order of their starts."""
        ids, starts, numbers = self._ids, self._starts, self._numbers
        ascending = array("q", sorted(starts))
        if ascending == starts[::-1]:  # newest first, as pages are read: nothing to sort
            return RowsByStart(ids[::-1], ascending, numbers[::-1], list(self._numbered))
        order = sorted(range(len(ids)), key=starts.__getitem__)
        return RowsByStart(
            [ids[position] for position in order],
            array("q", map(starts.__getitem__, order)),
            array("L", map(numbers.__getitem__, order)),
            list(self._numbered),
        )

    def _put(self, compact: CompactId, call: Call) -> None:
        if compact not in self._known:
            self.extend((call,))
            return
        if self._positions is None:
            self._positions = {known: position for position, known in enumerate(self._ids)}
        position = self._positions[compact]
        self._starts[position] = call.start
        self._numbers[position] = self._numbered.setdefault(call.values, len(self._numbered))
