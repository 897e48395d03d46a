"""The tracked calls of one outbound: found by id and by start, few of them objects. Pure.

It keeps and finds; what is counted is the tracker's business.
"""

from collections import Counter
from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from typing import NamedTuple

from pearl_exporter.counting.blocks import decode_block, encode_block
from pearl_exporter.counting.calls import Call, Instant
from pearl_exporter.counting.compact_ids import CompactId, compact_id, compact_ids, full_id
from pearl_exporter.counting.packing import (
    IS_ABSENT,
    IS_IN_WINDOW,
    KindTable,
    kind_number_of,
    start_of,
)
from pearl_exporter.counting.start_index import Block, StartIndex
from pearl_exporter.counting.tracked_call import (
    UNSETTLED,
    PackedOrTracked,
    TrackedCall,
    entry_of,
    tracked_of,
)

MIN_INSTANT: Instant = -(2**62)
MAX_INSTANT: Instant = 2**62
"""Before and after any call."""


class InWindow(NamedTuple):
    """The saved calls in the window: how many are done, by number of kind, and the others."""

    kinds: Counter[int]
    objects: list[TrackedCall]


class CallTable:
    """Calls by id and in the order of their start.

    Attributes:
        kinds: Those that its calls are of.
        unsettled: The calls that are live or pending, by id.
        entry: What is kept of a short id, None if nothing is.
    """

    def __init__(self) -> None:
        self.kinds = KindTable()
        self.unsettled: dict[str, TrackedCall] = {}
        self._index: StartIndex[CompactId, PackedOrTracked] = StartIndex()
        self.entry = self._index.get

    def __len__(self) -> int:
        """How many there are, absent ones included."""
        return len(self._index)

    def load(self, blocks: dict[Instant, bytes]) -> InWindow:
        """Takes over what was saved, into nothing, and leaves no block behind.

        So the room of one serves the next. Raises ValueError if one is damaged.
        """
        in_window, calls = InWindow(Counter(), []), 0
        for key in sorted(blocks):
            starts, entries = decode_block(key, blocks.pop(key), self.kinds)
            self._index.load(key, starts, entries)
            packed = [each for each in entries.values() if type(each) is int]
            in_window.kinds.update([kind_number_of(each) for each in packed if each & IS_IN_WINDOW])
            if len(packed) < len(entries) or any(each & IS_ABSENT for each in packed):
                in_window.objects.extend(self._load_rest(entries))
            calls += len(entries)
        if len(self._index) != calls:
            raise ValueError("the saved calls are damaged: one is in two blocks")
        return in_window

    def _load_rest(self, entries: Mapping[CompactId, PackedOrTracked]) -> Iterator[TrackedCall]:
        """Takes notice of calls that are absent or not packed; gives those in the window."""
        for compact, entry in entries.items():
            if isinstance(entry, int):
                if entry & IS_ABSENT:
                    self._index.mark_absent(compact, start_of(entry))
                continue
            if entry.phase in UNSETTLED:
                self.unsettled[entry.call.id] = entry
            if entry.is_absent:
                self._index.mark_absent(compact, entry.call.start)
            if entry.in_window:
                yield entry

    def get(self, call_id: str) -> TrackedCall | None:
        """What is tracked of a call; what is done to it must be kept, see `keep`."""
        entry = self.entry(compact_id(call_id))
        return None if entry is None else tracked_of(call_id, entry, self.kinds)

    def between(self, start: Instant, end: Instant) -> list[TrackedCall]:
        """The calls that start in ``[start, end)``, in that order, absent ones included."""
        return [*map(self._get, self._index.ids_between(start, end))]

    def missing(
        self, start: Instant, end: Instant, read: Container[CompactId]
    ) -> list[TrackedCall]:
        """Those of them that are not among ``read``."""
        compacts = self._index.ids_between(start, end)
        return [self._get(compact) for compact in compacts if compact not in read]

    def ids_between(self, start: Instant, end: Instant) -> list[CompactId]:
        """Their ids, short."""
        return self._index.ids_between(start, end)

    def present(self, start: Instant, end: Instant) -> int:
        """How many of them the API holds, as far as is known."""
        return self._index.present(start, end)

    def halfway(self, start: Instant, end: Instant) -> Instant:
        """Where to cut ``[start, end)`` so that either half has as many calls."""
        return self._index.halfway(start, end)

    def cut(self, start: Instant, end: Instant, lower: int) -> Instant:
        """Where to cut it so that about so many calls are in the lower part."""
        return self._index.cut(start, end, lower)

    def starts_in_window(
        self, start: Instant, end: Instant, *, codes: frozenset[int], but: Collection[str]
    ) -> list[Instant]:
        """The starts in ``[start, end)`` of the window's calls with these outcomes, in order.

        ``but`` names calls to leave out.
        """
        numbers, left_out, starts = self.kinds.bearing(codes), {*compact_ids(but)}, []
        for compact in self._index.ids_between(start, end):
            entry = self.entry(compact)
            if isinstance(entry, int):
                if (
                    entry & IS_IN_WINDOW
                    and kind_number_of(entry) in numbers
                    and compact not in left_out
                ):
                    starts.append(start_of(entry))
            elif (
                entry and entry.in_window and entry.call.status in codes and compact not in left_out
            ):
                starts.append(entry.call.start)
        return starts

    def add(
        self,
        ids: Sequence[CompactId],
        starts: Sequence[Instant],
        entries: Sequence[PackedOrTracked],
    ) -> None:
        """Puts in calls that are not tracked, in the order of their starts."""
        self._index.fill(ids, starts, entries)

    def keep(self, each: TrackedCall) -> None:
        """Puts a call back after something was done to it, so that it is saved."""
        self._index.put(compact_id(each.call.id), each.call.start, entry_of(each, self.kinds))

    def replace(self, each: TrackedCall, call: Call) -> None:
        """Gives a call its new row."""
        self._index.move(compact_id(call.id), each.call.start, call.start)
        each.call = call

    def mark_absent(self, each: TrackedCall) -> None:
        """Notes that a call is not in the API's table any more."""
        each.is_absent = True
        self._index.mark_absent(compact_id(each.call.id), each.call.start)

    def mark_present(self, each: TrackedCall) -> None:
        """Notes that it is there again."""
        each.is_absent = False
        self._index.mark_present(compact_id(each.call.id))

    def forget(self, before: Instant) -> list[CompactId]:
        """Forgets the calls that started before this and are done; gives their ids, short."""
        compacts = self._index.ids_between(MIN_INSTANT, before)
        done = [compact for compact in compacts if full_id(compact) not in self.unsettled]
        for compact in done:
            self._index.remove(compact, self._get(compact).call.start)
        if self.kinds.are_too_many(len(self._index)):
            self._number_kinds_anew()
        return done

    def saved(self) -> dict[Instant, bytes]:
        """All blocks, by key."""
        return {block.key: self._encoded(block) for block in self._index.blocks()}

    def take_changes(self) -> dict[Instant, bytes | None]:
        """The blocks that changed since this was last asked, by key; None for one that is gone."""
        changes = self._index.take_changes()
        return {
            key: None if block is None else self._encoded(block) for key, block in changes.items()
        }

    def _get(self, compact: CompactId) -> TrackedCall:
        """What is tracked of a call that is."""
        return tracked_of(full_id(compact), self._index[compact], self.kinds)

    def _encoded(self, block: Block[CompactId]) -> bytes:
        return encode_block(block, self.entry, self.kinds)

    def _number_kinds_anew(self) -> None:
        """Lets go of the kinds that no call is of any more."""
        old, self.kinds = self.kinds, KindTable()
        for compact, entry in self._index.items():
            if isinstance(entry, int):
                again = entry_of(tracked_of(full_id(compact), entry, old), self.kinds)
                self._index.renew(compact, again)
