"""The tracked calls of one outbound, by id and by start. Pure.

Starts are kept sorted in one array, ids beside it, so that a range of a window of a hundred
thousand calls is found by bisection and costs sixteen bytes a call.
"""

from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from pearl_exporter.calls import Instant

Item = TypeVar("Item")


class StartIndex(Generic[Item]):
    """Items by id, and in the order of their start.

    An item may be *absent*: remembered, but not in the API's table as far as is known.
    """

    def __init__(self) -> None:
        self._items: dict[str, Item] = {}
        self._starts = array("q")
        self._ids: list[str] = []
        self._absent: dict[str, Instant] = {}
        self._absent_starts: list[Instant] = []

    def __len__(self) -> int:
        """How many items there are, absent ones included."""
        return len(self._items)

    def __contains__(self, key: str) -> bool:
        """Whether there is an item of this id."""
        return key in self._items

    def __iter__(self) -> Iterator[Item]:
        """Every item, in no order."""
        return iter(self._items.values())

    def get(self, key: str) -> Item | None:
        """The item of an id."""
        return self._items.get(key)

    def add(self, key: str, start: Instant, item: Item) -> None:
        """Puts in a new item; cheapest in the order of starts."""
        place = bisect_right(self._starts, start)
        self._starts.insert(place, start)
        self._ids.insert(place, key)
        self._items[key] = item

    def fill(self, items: Iterable[tuple[str, Instant, Item]]) -> None:
        """Puts in many new items at once, in any order; cheapest where there are none yet."""
        listed = sorted(items, key=lambda each: each[1])
        if self._items:
            for key, start, item in listed:
                self.add(key, start, item)
            return
        self._starts.extend(start for _, start, _ in listed)
        self._ids.extend(key for key, _, _ in listed)
        self._items.update((key, item) for key, _, item in listed)

    def remove(self, key: str, start: Instant) -> None:
        """Takes out an item that was put in with this start."""
        self.appear(key)
        place = self._place(key, start)
        del self._starts[place]
        del self._ids[place]
        del self._items[key]

    def move(self, key: str, start: Instant, to: Instant) -> None:
        """Gives an item another start."""
        if start == to:
            return
        item, was_absent = self._items[key], key in self._absent
        self.remove(key, start)
        self.add(key, to, item)
        if was_absent:
            self.vanish(key, to)

    def vanish(self, key: str, start: Instant) -> None:
        """Notes that an item is absent."""
        if key not in self._absent:
            self._absent[key] = start
            insort(self._absent_starts, start)

    def appear(self, key: str) -> None:
        """Notes that an item is there, again or still."""
        start = self._absent.pop(key, None)
        if start is not None:
            del self._absent_starts[bisect_left(self._absent_starts, start)]

    def is_absent(self, key: str) -> bool:
        """Whether the item was noted as absent."""
        return key in self._absent

    def between(self, start: Instant, end: Instant) -> list[Item]:
        """The items that start in ``[start, end)``, in that order, absent ones included."""
        first, last = bisect_left(self._starts, start), bisect_left(self._starts, end)
        return [self._items[key] for key in self._ids[first:last]]

    def present(self, start: Instant, end: Instant) -> int:
        """How many items that are not absent start in ``[start, end)``."""
        return _count(self._starts, start, end) - _count(self._absent_starts, start, end)

    def halfway(self, start: Instant, end: Instant) -> Instant:
        """An instant that cuts the items of ``[start, end)`` in two halves, between two starts.

        ``start`` if they can't be cut, as all start in one millisecond.
        """
        first, last = bisect_left(self._starts, start), bisect_left(self._starts, end)
        if first == last:
            return start
        at = self._starts[(first + last) // 2]
        if at > self._starts[first]:
            return at
        after = bisect_right(self._starts, at)
        return self._starts[after] if after < last else start

    def _place(self, key: str, start: Instant) -> int:
        place = bisect_left(self._starts, start)
        while self._ids[place] != key:
            place += 1
        return place


def _count(starts: "array[int] | list[int]", start: Instant, end: Instant) -> int:
    return bisect_left(starts, end) - bisect_left(starts, start)
