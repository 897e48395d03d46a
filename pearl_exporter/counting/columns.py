"""Rows of the calls search, each call once, column by column, so that a million fit. Pure.

A first read holds every row of the window until the last page has come. As objects they would take
some 250 bytes each, and what Python's allocator has once taken for them it seldom gives back. Here
a row takes about 100, and most of that is its id, which is kept anyway.
"""

from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from pearl_exporter.counting.calls import Call, Instant
from pearl_exporter.counting.compact_ids import CompactId, compact_id, compact_ids, full_id
from pearl_exporter.counting.packing import CallValues


class RowsByStart(NamedTuple):
    """Rows in the order of their starts; ``numbers`` are those of places in ``values``."""

    ids: Sequence[CompactId]
    starts: Sequence[Instant]
    numbers: Sequence[int]
    values: Sequence[CallValues]

    def at(self, places: Sequence[int]) -> "RowsByStart":
        """Some of the rows, in the order of ``places``."""
        if len(places) == len(self.ids):
            return self
        ids, starts, numbers, values = self
        return RowsByStart(
            [ids[place] for place in places],
            [starts[place] for place in places],
            [numbers[place] for place in places],
            values,
        )


class Rows:
    """Rows by id. A row that comes again takes the place of the one before."""

    def __init__(self, calls: Iterable[Call] = ()) -> None:
        self._ids: list[CompactId] = []
        self._starts = array("q")
        self._numbers = array("L")
        self._numbered: dict[CallValues, int] = {}
        self._known: set[CompactId] = set()
        self._places: dict[CompactId, int] | None = None  # made when a row first comes again
        self.extend(list(calls))

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self._ids)

    def __contains__(self, call_id: str) -> bool:
        """Whether there is a row with this id."""
        return compact_id(call_id) in self._known

    def __iter__(self) -> Iterator[Call]:
        """The rows, in the order in which their ids first came."""
        values = list(self._numbered)
        for compact, start, number in zip(self._ids, self._starts, self._numbers, strict=True):
            yield Call(full_id(compact), start, *values[number])

    def extend(self, calls: Collection[Call]) -> None:
        """Takes rows; many that are new at once cost least."""
        ids = compact_ids([call.id for call in calls])
        new = set(ids)
        if len(new) < len(ids) or not self._known.isdisjoint(new):
            for compact, call in zip(ids, calls, strict=True):
                self._put(compact, call)
            return
        if self._places is not None:
            self._places.update(zip(ids, range(len(self), len(self) + len(ids)), strict=True))
        self._known |= new
        self._ids += ids
        self._starts.extend([call.start for call in calls])
        numbered = self._numbered
        number_of = numbered.setdefault
        self._numbers.extend(
            [
                number_of((call.status, call.call_status, call.duration, call.tags), len(numbered))
                for call in calls
            ]
        )

    def from_start(self, start: Instant) -> "Rows":
        """The rows that start there or later."""
        return Rows(call for call in self if call.start >= start)

    def by_start(self) -> RowsByStart:
        """All of them, in the order of their starts."""
        ids, starts, numbers = self._ids, self._starts, self._numbers
        upward = array("q", sorted(starts))
        if upward == starts[::-1]:  # as pages are read
            return RowsByStart(ids[::-1], upward, numbers[::-1], list(self._numbered))
        order = sorted(range(len(ids)), key=starts.__getitem__)
        return RowsByStart(
            [ids[place] for place in order],
            array("q", map(starts.__getitem__, order)),
            array("L", map(numbers.__getitem__, order)),
            list(self._numbered),
        )

    def _put(self, compact: CompactId, call: Call) -> None:
        if compact not in self._known:
            self.extend((call,))
            return
        if self._places is None:
            self._places = {known: place for place, known in enumerate(self._ids)}
        place = self._places[compact]
        values = (call.status, call.call_status, call.duration, call.tags)
        self._starts[place] = call.start
        self._numbers[place] = self._numbered.setdefault(values, len(self._numbered))
