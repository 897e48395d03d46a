"""The tracked calls of one outbound, by id and by start. Pure.

Ids are kept in *blocks* of neighbours by start, a few hundred calls each, so that a range of a
window of a million calls is found by bisection, a call is put in among few others, and what changed
can be saved by the block: a state holds blocks, not calls. A block is named by its key, a start
that none of its calls is before and all of the block below are.
"""

from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Sequence
from typing import Generic, NamedTuple, TypeVar

from pearl_exporter.counting.calls import Instant

Key = TypeVar("Key")
Item = TypeVar("Item")

BLOCK_CALLS = 256
"""How many calls a new block holds; one of twice as many is split."""


class Block(Generic[Key]):
    """Neighbours by start: their ids, and their starts in order."""

    __slots__ = ("ids", "key", "starts")

    def __init__(self, key: Instant, starts: "array[int]", ids: list[Key]) -> None:
        self.key = key
        self.starts = starts
        self.ids = ids


class _Place(NamedTuple):
    """A place between two calls: the number of a block, and of a call in it."""

    block: int
    call: int


class StartIndex(Generic[Key, Item]):
    """Items by id, and in the order of their start.

    An item may be *absent*: remembered, but not in the API's table as far as is known.
    """

    def __init__(self) -> None:
        self._items: dict[Key, Item] = {}
        self.get = self._items.get
        """The item of an id, None if there is none."""
        self._blocks: list[Block[Key]] = []
        self._keys: list[Instant] = []
        self._changed: set[Block[Key]] = set()
        self._gone: set[Instant] = set()
        self._absent: dict[Key, Instant] = {}
        self._absent_starts: list[Instant] = []

    def __len__(self) -> int:
        """How many items there are, absent ones included."""
        return len(self._items)

    def __contains__(self, key: Key) -> bool:
        """Whether there is an item of this id."""
        return key in self._items

    def __getitem__(self, key: Key) -> Item:
        """The item of an id that there is."""
        return self._items[key]

    def items(self) -> list[tuple[Key, Item]]:
        """Every item with its id, in no order."""
        return list(self._items.items())

    def add(self, key: Key, start: Instant, item: Item) -> None:
        """Puts in a new item."""
        self._items[key] = item
        if not self._blocks:
            self._insert_block(0, Block(start, array("q", [start]), [key]))
            return
        if start < self._keys[0]:
            self._rename_first(start)
        number = self._number(start)
        block = self._blocks[number]
        place = bisect_right(block.starts, start)
        block.starts.insert(place, start)
        block.ids.insert(place, key)
        self._changed.add(block)
        if len(block.ids) >= 2 * BLOCK_CALLS:
            self._split(number)

    def fill(self, ids: Sequence[Key], starts: Sequence[Instant], items: Sequence[Item]) -> None:
        """Puts in many new items, in the order of their starts; cheapest where there are none."""
        if self._items:
            for key, start, item in zip(ids, starts, items, strict=True):
                self.add(key, start, item)
            return
        self._items.update(zip(ids, items, strict=True))
        first = 0
        while first < len(ids):
            # a block ends between two different starts
            end = bisect_right(starts, starts[min(first + BLOCK_CALLS, len(ids)) - 1])
            block = Block(starts[first], array("q", starts[first:end]), list(ids[first:end]))
            self._insert_block(len(self._blocks), block)
            first = end

    def load(self, key: Instant, starts: "array[int]", items: dict[Key, Item]) -> None:
        """Puts in a block as it was saved, behind all others; both in the order of starts."""
        self._items.update(items)
        self._blocks.append(Block(key, starts, list(items)))
        self._keys.append(key)

    def put(self, key: Key, start: Instant, item: Item) -> None:
        """Replaces an item that was put in with this start; its block is to be saved."""
        self._items[key] = item
        self._changed.add(self._blocks[self._number(start)])

    def renew(self, key: Key, item: Item) -> None:
        """Replaces an item by another form of the same: nothing of it is to be saved."""
        self._items[key] = item

    def take_changes(self) -> dict[Instant, Block[Key] | None]:
        """The blocks that changed since this was last asked, by key; None for one that is gone."""
        changes: dict[Instant, Block[Key] | None] = dict.fromkeys(self._gone)
        changes.update((block.key, block) for block in self._changed)
        self._changed.clear()
        self._gone.clear()
        return changes

    def blocks(self) -> Iterable[Block[Key]]:
        """All blocks, oldest first."""
        return iter(self._blocks)

    def remove(self, key: Key, start: Instant) -> None:
        """Takes out an item that was put in with this start."""
        self.mark_present(key)
        number = self._number(start)
        block = self._blocks[number]
        place = block.ids.index(key, bisect_left(block.starts, start))
        del block.starts[place]
        del block.ids[place]
        del self._items[key]
        self._changed.add(block)
        if not block.ids:
            self._remove_block(number)

    def move(self, key: Key, start: Instant, to: Instant) -> None:
        """Gives an item another start."""
        if start == to:
            return
        item, was_absent = self._items[key], key in self._absent
        self.remove(key, start)
        self.add(key, to, item)
        if was_absent:
            self.mark_absent(key, to)

    def mark_absent(self, key: Key, start: Instant) -> None:
        """Notes that an item is absent."""
        if key not in self._absent:
            self._absent[key] = start
            insort(self._absent_starts, start)

    def mark_present(self, key: Key) -> None:
        """Notes that an item is there, again or still."""
        start = self._absent.pop(key, None)
        if start is not None:
            del self._absent_starts[bisect_left(self._absent_starts, start)]

    def ids_between(self, start: Instant, end: Instant) -> list[Key]:
        """The ids of items that start in ``[start, end)``, in order, absent ones included."""
        if not self._blocks or end <= start:
            return []
        first, last = self._place(start), self._place(end)
        if first.block == last.block:
            return self._blocks[first.block].ids[first.call : last.call]
        ids = self._blocks[first.block].ids[first.call :]
        for block in self._blocks[first.block + 1 : last.block]:
            ids += block.ids
        return ids + self._blocks[last.block].ids[: last.call]

    def present(self, start: Instant, end: Instant) -> int:
        """How many items that are not absent start in ``[start, end)``."""
        if end <= start:
            return 0
        absent = bisect_left(self._absent_starts, end) - bisect_left(self._absent_starts, start)
        return self._calls_between(self._place(start), self._place(end)) - absent

    def halfway(self, start: Instant, end: Instant) -> Instant:
        """An instant that cuts the items of ``[start, end)`` in two halves, between two starts.

        ``start`` if they can't be cut, as all start in one millisecond.
        """
        return self.cut(start, end, self._calls_between(self._place(start), self._place(end)) // 2)

    def cut(self, start: Instant, end: Instant, lower: int) -> Instant:
        """An instant that leaves about so many items of ``[start, end)`` below it.

        It lies between two starts; ``start`` if there is no such place.
        """
        first, last = self._place(start), self._place(end)
        calls = self._calls_between(first, last)
        if calls <= 0:
            return start
        at = self._start_at(first, min(lower, calls - 1))
        if at > self._start_at(first, 0):
            return at
        after = self._place(at + 1)
        left = self._calls_between(after, last)
        return self._start_at(after, 0) if left > 0 else start

    def _number(self, start: Instant) -> int:
        """The block that a start belongs to."""
        return max(0, bisect_right(self._keys, start) - 1)

    def _place(self, start: Instant) -> _Place:
        """Where the items begin that do not start before ``start``."""
        if not self._blocks:
            return _Place(0, 0)
        number = self._number(start)
        return _Place(number, bisect_left(self._blocks[number].starts, start))

    def _calls_between(self, first: _Place, last: _Place) -> int:
        whole = sum(len(block.ids) for block in self._blocks[first.block : last.block])
        return whole - first.call + last.call

    def _start_at(self, place: _Place, further: int) -> Instant:
        """The start of the item that stands so many items behind a place."""
        number, call = place
        call += further
        while call >= len(self._blocks[number].ids):
            call -= len(self._blocks[number].ids)
            number += 1
        return self._blocks[number].starts[call]

    def _insert_block(self, number: int, block: Block[Key]) -> None:
        self._blocks.insert(number, block)
        self._keys.insert(number, block.key)
        self._changed.add(block)

    def _remove_block(self, number: int) -> None:
        block = self._blocks.pop(number)
        del self._keys[number]
        self._changed.discard(block)
        self._gone.add(block.key)

    def _rename_first(self, key: Instant) -> None:
        block = self._blocks[0]
        self._gone.add(block.key)
        block.key = self._keys[0] = key
        self._changed.add(block)

    def _split(self, number: int) -> None:
        block = self._blocks[number]
        cut = bisect_left(block.starts, block.starts[len(block.ids) // 2])
        if cut == 0:
            cut = bisect_right(block.starts, block.starts[0])
        if cut == len(block.ids):
            return  # all of one millisecond
        upper = Block(block.starts[cut], block.starts[cut:], block.ids[cut:])
        del block.starts[cut:], block.ids[cut:]
        self._insert_block(number + 1, upper)
