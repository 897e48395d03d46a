"""The tracked calls of one outbound, found by id and by start. Pure.

Ids are stored in *blocks* of neighbours by start, a few hundred calls each::

    block 0              block 1              block 2
    key 10:00:00.000     key 10:14:07.250     key 10:31:55.001
    ┌──────────────────┐ ┌──────────────────┐ ┌──────────────────┐
    │ starts, in order │ │ starts, in order │ │ starts, in order │
    │ ids, same order  │ │ ids, same order  │ │ ids, same order  │
    └──────────────────┘ └──────────────────┘ └──────────────────┘

So a range of a window of a million calls is found by bisection, a new call is inserted into a short
list, and a state saves the blocks that changed instead of all calls.

Invariants: no block is empty. A block's key is a lower bound of its starts and above every start of
the block before it. Calls of one millisecond are in one block.
"""

from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, NamedTuple, TypeVar

from pearl_exporter.counting.calls import Instant

Id = TypeVar("Id")
Item = TypeVar("Item")

BLOCK_CALLS = 256
"""How many calls a new block holds. A block that has grown to twice as many is split."""


class Block(Generic[Id]):
    """Neighbours by start: their ids, and their starts in order."""

    __slots__ = ("ids", "key", "starts")

    def __init__(self, key: Instant, starts: "array[int]", ids: list[Id]) -> None:
        self.key = key
        self.starts = starts
        self.ids = ids


class _Position(NamedTuple):
    """A position between two calls: the number of a block, and of a call in it."""

    block: int
    call: int


class StartIndex(Generic[Id, Item]):
    """Items by id, and in the order of their starts.

    An item may be *absent*: remembered, but not in the API's table any more as far as is known.
    """

    def __init__(self, block_calls: int = BLOCK_CALLS) -> None:
        self._block_calls = block_calls
        self._items: dict[Id, Item] = {}
        # a bound method, since it is called for each row of each poll
        self.get = self._items.get
        """Return the item of an id, None if there is none."""
        self._blocks: list[Block[Id]] = []
        self._keys: list[Instant] = []  # of the blocks, for bisection
        self._changed: set[Block[Id]] = set()
        self._gone: set[Instant] = set()
        # for the absent items, their starts by id and in order: `present` subtracts them
        self._absent: dict[Id, Instant] = {}
        self._absent_starts: list[Instant] = []

    def __len__(self) -> int:
        """Return how many items there are, absent ones included."""
        return len(self._items)

    def __getitem__(self, item_id: Id) -> Item:
        """Return the item of an id."""
        return self._items[item_id]

    def add(self, item_id: Id, start: Instant, item: Item) -> None:
        """Insert a new item, behind those with the same start."""
        self._items[item_id] = item
        if not self._blocks:
            self._insert_block(0, Block(start, array("q", [start]), [item_id]))
            return
        if start < self._keys[0]:
            self._lower_first_key(start)
        number = self._block_number(start)
        block = self._blocks[number]
        position = bisect_right(block.starts, start)
        block.starts.insert(position, start)
        block.ids.insert(position, item_id)
        self._changed.add(block)
        if len(block.ids) >= 2 * self._block_calls:
            self._split(number)

    def add_all(self, ids: Sequence[Id], starts: Sequence[Instant], items: Sequence[Item]) -> None:
        """Insert many new items, in the order of their starts.

        The blocks are those that `add` would make; into an empty index it is much faster.
        """
        if self._items:
            for item_id, start, item in zip(ids, starts, items, strict=True):
                self.add(item_id, start, item)
            return
        self._items.update(zip(ids, items, strict=True))
        first = 0
        while first < len(ids):
            # `add` would split a block at the first call that makes it large enough and gives it
            # two different starts, and go on in the upper half
            equal = bisect_right(starts, starts[first], first)
            full = max(first + 2 * self._block_calls, equal + 1)
            end = _cut(starts, first, full) if full <= len(ids) else len(ids)
            block = Block(starts[first], array("q", starts[first:end]), list(ids[first:end]))
            self._insert_block(len(self._blocks), block)
            first = end

    def load(self, key: Instant, starts: "array[int]", items: dict[Id, Item]) -> None:
        """Append a block as it was saved, which is no change.

        Args:
            key: Its key, above all starts that the index holds.
            starts: The starts of its items, in order.
            items: Its items by id, in the same order.
        """
        self._items.update(items)
        self._blocks.append(Block(key, starts, list(items)))
        self._keys.append(key)

    def put(self, item_id: Id, start: Instant, item: Item) -> None:
        """Replace an item, whose start stays; its block is to be saved."""
        self._items[item_id] = item
        self._changed.add(self._blocks[self._block_number(start)])

    def map_items(self, function: Callable[[Id, Item], Item]) -> None:
        """Replace each item by an equal one of another form, which is no change."""
        for item_id, item in list(self._items.items()):
            self._items[item_id] = function(item_id, item)

    def take_changes(self) -> dict[Instant, Block[Id] | None]:
        """Return the blocks that changed since the last call of this, by key.

        None is in the place of a block that is gone.
        """
        changes: dict[Instant, Block[Id] | None] = dict.fromkeys(self._gone)
        # after those that are gone: a new block may have the key of an old one
        changes.update((block.key, block) for block in self._changed)
        self._changed.clear()
        self._gone.clear()
        return changes

    def blocks(self) -> Iterable[Block[Id]]:
        """Return all blocks, oldest first."""
        return iter(self._blocks)

    def remove(self, item_id: Id, start: Instant) -> None:
        """Take out an item of this start."""
        self.mark_present(item_id)
        number = self._block_number(start)
        block = self._blocks[number]
        position = block.ids.index(item_id, bisect_left(block.starts, start))
        del block.starts[position]
        del block.ids[position]
        del self._items[item_id]
        self._changed.add(block)
        if not block.ids:
            self._remove_block(number)

    def move(self, item_id: Id, start: Instant, to: Instant) -> None:
        """Give an item another start."""
        if start == to:
            return
        item, was_absent = self._items[item_id], item_id in self._absent
        self.remove(item_id, start)
        self.add(item_id, to, item)
        if was_absent:
            self.mark_absent(item_id, to)

    def mark_absent(self, item_id: Id, start: Instant) -> None:
        """Note that an item of this start is absent."""
        if item_id not in self._absent:
            self._absent[item_id] = start
            insort(self._absent_starts, start)

    def mark_present(self, item_id: Id) -> None:
        """Note that an item is not absent."""
        start = self._absent.pop(item_id, None)
        if start is not None:
            del self._absent_starts[bisect_left(self._absent_starts, start)]

    def ids_between(self, start: Instant, end: Instant) -> list[Id]:
        """Return the ids of the items in ``[start, end)``, in order, absent ones included."""
        if not self._blocks or end <= start:
            return []
        first, last = self._position(start), self._position(end)
        if first.block == last.block:
            return self._blocks[first.block].ids[first.call : last.call]
        ids = self._blocks[first.block].ids[first.call :]
        for block in self._blocks[first.block + 1 : last.block]:
            ids += block.ids
        return ids + self._blocks[last.block].ids[: last.call]

    def present(self, start: Instant, end: Instant) -> int:
        """Return how many items that are not absent start in ``[start, end)``."""
        if end <= start:
            return 0
        absent = bisect_left(self._absent_starts, end) - bisect_left(self._absent_starts, start)
        return self._calls_between(self._position(start), self._position(end)) - absent

    def halfway(self, start: Instant, end: Instant) -> Instant:
        """Return where to cut ``[start, end)`` into two ranges with as many items each.

        Returns:
            As `cut` does.
        """
        calls = self._calls_between(self._position(start), self._position(end))
        return self.cut(start, end, calls // 2)

    def cut(self, start: Instant, end: Instant, lower: int) -> Instant:
        """Return where to cut ``[start, end)`` so that about ``lower`` items are below the cut.

        Returns:
            An instant above the oldest start, with no item in the millisecond before it; ``start``
            if there is none. A search from the cut on is asked a millisecond early, and an item
            there would count as one of the upper range.
        """
        first, last = self._position(start), self._position(end)
        calls = self._calls_between(first, last)
        if calls <= 0:
            return start
        oldest = self._start_at(first, 0)
        at = self._start_at(first, min(lower, calls - 1))
        while at > oldest and self._holds(at - 1):
            at -= 1
        if at > oldest:
            return at
        # the cut would be at the oldest start, with nothing below it: cut above that one instead
        above = self._position(oldest + 1)
        while self._calls_between(above, last) > 0:
            at = self._start_at(above, 0)
            if not self._holds(at - 1):
                return at
            above = self._position(at + 1)
        return start

    def _holds(self, start: Instant) -> bool:
        """Return whether an item starts at this very millisecond."""
        return self._calls_between(self._position(start), self._position(start + 1)) > 0

    def _block_number(self, start: Instant) -> int:
        """Return the number of the block that a start belongs to."""
        return max(0, bisect_right(self._keys, start) - 1)

    def _position(self, start: Instant) -> _Position:
        """Return the position of the first item that starts at ``start`` or later."""
        if not self._blocks:
            return _Position(0, 0)
        number = self._block_number(start)
        return _Position(number, bisect_left(self._blocks[number].starts, start))

    def _calls_between(self, first: _Position, last: _Position) -> int:
        whole = sum(len(block.ids) for block in self._blocks[first.block : last.block])
        return whole - first.call + last.call

    def _start_at(self, position: _Position, further: int) -> Instant:
        """Return the start of the item that is ``further`` items behind a position."""
        number, call = position
        call += further
        while call >= len(self._blocks[number].ids):
            call -= len(self._blocks[number].ids)
            number += 1
        return self._blocks[number].starts[call]

    def _insert_block(self, number: int, block: Block[Id]) -> None:
        self._blocks.insert(number, block)
        self._keys.insert(number, block.key)
        self._changed.add(block)

    def _remove_block(self, number: int) -> None:
        block = self._blocks.pop(number)
        del self._keys[number]
        self._changed.discard(block)
        self._gone.add(block.key)

    def _lower_first_key(self, key: Instant) -> None:
        # a saved block is found by its key: under the old one nothing is left
        block = self._blocks[0]
        self._gone.add(block.key)
        block.key = self._keys[0] = key
        self._changed.add(block)

    def _split(self, number: int) -> None:
        block = self._blocks[number]
        cut = _cut(block.starts, 0, len(block.ids))
        if cut == len(block.ids):
            return  # all of one millisecond, which are never in two blocks
        upper = Block(block.starts[cut], block.starts[cut:], block.ids[cut:])
        del block.starts[cut:], block.ids[cut:]
        self._insert_block(number + 1, upper)


def _cut(starts: Sequence[Instant], first: int, end: int) -> int:
    """Return where to cut a block: between two different starts, near the middle.

    Args:
        starts: Starts in order.
        first: The index of the block's first start.
        end: The index behind its last start.

    Returns:
        The index of the upper part's first start; ``end`` if all starts are equal.
    """
    middle = starts[(first + end) // 2]
    cut = bisect_left(starts, middle, first, end)
    return cut if cut > first else bisect_right(starts, middle, first, end)
