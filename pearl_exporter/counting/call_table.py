"""The tracked calls of one outbound, stored compactly and found by id and by start. Pure.

The table stores and finds calls. Whether a call counts is decided by `tracker` and `transitions`.
Two classes, as with ``Mapping`` and ``MutableMapping``: a `CallView` answers questions, and a
`CallTable` also changes. Calls are immutable values. The only way to change one is
`CallTable.replace`, which also brings every index of the table in step and records the call's block
as changed, so that the next delta saves it.
"""

from collections import Counter
from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from typing import NamedTuple

from pearl_exporter.counting.blocks import decode_block, encode_block
from pearl_exporter.counting.calls import MIN_INSTANT, Instant
from pearl_exporter.counting.compact_ids import CompactId, compact_id, compact_ids, full_id
from pearl_exporter.counting.packing import (
    IS_ABSENT,
    IS_IN_WINDOW,
    MAX_UNUSED_KINDS,
    KindTable,
    kind_number_of,
    start_of,
)
from pearl_exporter.counting.start_index import BLOCK_CALLS, Block, StartIndex
from pearl_exporter.counting.tracked_call import (
    GONE,
    UNSETTLED,
    PackedOrTracked,
    TrackedCall,
    entry_of,
    tracked_of,
)


class LoadedWindow(NamedTuple):
    """The calls of a saved state that are in the window.

    Attributes:
        kinds: How many packed calls there are of each kind, by the kind's number.
        objects: The calls that are not packed.
    """

    kinds: Counter[int]
    objects: list[TrackedCall]


class CallView:
    """The tracked calls of one outbound, to be read. Ranges are ``[start, end)``, of starts."""

    def __init__(
        self, *, block_calls: int = BLOCK_CALLS, max_unused_kinds: int = MAX_UNUSED_KINDS
    ) -> None:
        """Make an empty table.

        Args:
            block_calls: As in `start_index.BLOCK_CALLS`.
            max_unused_kinds: As in `packing.MAX_UNUSED_KINDS`.
        """
        self._kinds = KindTable(max_unused_kinds)
        self._unsettled: dict[str, TrackedCall] = {}
        self._missing: dict[str, TrackedCall] = {}
        self._index: StartIndex[CompactId, PackedOrTracked] = StartIndex(block_calls)
        # a bound method, since it is called for each row of each poll
        self.entry = self._index.get
        """Return a call as it is stored, by its compact id; None if it is not tracked."""

    def __len__(self) -> int:
        """Return how many calls are tracked, absent ones included."""
        return len(self._index)

    def get(self, call_id: str) -> TrackedCall | None:
        """Return a call by its id; None if it is not tracked."""
        entry = self.entry(compact_id(call_id))
        return None if entry is None else tracked_of(call_id, entry, self._kinds)

    def between(self, start: Instant, end: Instant) -> list[TrackedCall]:
        """Return the calls of a range, in order, absent ones included."""
        return [*map(self._tracked, self._index.ids_between(start, end))]

    def missed(self, start: Instant, end: Instant, read: Container[CompactId]) -> list[TrackedCall]:
        """Return the calls of a range that are not among those that were ``read``, in order.

        Calls that are gone are left out: nobody expects them.
        """
        compacts = self._index.ids_between(start, end)
        not_read = [self._tracked(compact) for compact in compacts if compact not in read]
        return [tracked for tracked in not_read if tracked.missing_since != GONE]

    def unsettled(self) -> list[TrackedCall]:
        """Return the calls that are live or pending, missing ones included, in no order."""
        return list(self._unsettled.values())

    def missing(self) -> list[TrackedCall]:
        """Return the calls that are missing and not gone, in no order."""
        return list(self._missing.values())

    def present(self, start: Instant, end: Instant) -> int:
        """Return how many calls of a range the API's table holds, as far as is known."""
        return self._index.present(start, end)

    def halfway(self, start: Instant, end: Instant) -> Instant:
        """Return where to cut a range into two with as many calls each; see `StartIndex`."""
        return self._index.halfway(start, end)

    def cut(self, start: Instant, end: Instant, lower: int) -> Instant:
        """Return where to cut a range so that about ``lower`` calls are below; see `StartIndex`."""
        return self._index.cut(start, end, lower)

    def starts_in_window(
        self, start: Instant, end: Instant, *, codes: frozenset[int], but: Collection[str]
    ) -> list[Instant]:
        """Return the starts of calls in the window that the API's table holds, in order.

        Args:
            start: Where the range begins.
            end: Where the range ends.
            codes: The outcomes that the calls have.
            but: The ids of calls to leave out.
        """
        numbers, left_out, starts = self._kinds.with_status(codes), {*compact_ids(but)}, []
        for compact in self._index.ids_between(start, end):
            entry = self._index[compact]
            if isinstance(entry, int):
                flags = entry & (IS_IN_WINDOW | IS_ABSENT)
                is_asked_for = flags == IS_IN_WINDOW and kind_number_of(entry) in numbers
                at = start_of(entry)
            else:
                is_asked_for = (
                    entry.in_window and not entry.is_absent and entry.call.status in codes
                )
                at = entry.call.start
            if is_asked_for and compact not in left_out:
                starts.append(at)
        return starts

    def _tracked(self, compact: CompactId) -> TrackedCall:
        return tracked_of(full_id(compact), self._index[compact], self._kinds)


class CallTable(CallView):
    """The tracked calls of one outbound, to be read and changed."""

    @property
    def kinds(self) -> KindTable:
        """The kinds of its calls; after `forget` it may be another table."""
        return self._kinds

    def ids_between(self, start: Instant, end: Instant) -> list[CompactId]:
        """Return the ids of the calls of a range, in order, absent ones included."""
        return self._index.ids_between(start, end)

    def load(self, blocks: dict[Instant, bytes]) -> LoadedWindow:
        """Load saved calls into an empty table.

        Args:
            blocks: The saved blocks by key. They are taken out one by one, so that the memory of
                one can serve the next.

        Raises:
            ValueError: A block is damaged, or a call is in two of them.
        """
        in_window, calls = LoadedWindow(Counter(), []), 0
        for key in sorted(blocks):
            starts, entries = decode_block(key, blocks.pop(key), self._kinds)
            self._index.load(key, starts, entries)
            packed = [each for each in entries.values() if type(each) is int]
            in_window.kinds.update([kind_number_of(each) for each in packed if each & IS_IN_WINDOW])
            # most blocks hold nothing else, and need not be gone through once more
            if len(packed) < len(entries) or any(each & IS_ABSENT for each in packed):
                in_window.objects.extend(self._load_special(entries))
            calls += len(entries)
        if len(self._index) != calls:
            raise ValueError("the saved calls are damaged: a call is in two blocks")
        return in_window

    def _load_special(self, entries: Mapping[CompactId, PackedOrTracked]) -> Iterator[TrackedCall]:
        """Index the calls that are absent or unsettled; yield the objects in the window."""
        for compact, entry in entries.items():
            if isinstance(entry, int):
                if entry & IS_ABSENT:
                    self._index.mark_absent(compact, start_of(entry))
                continue
            self._note(entry)
            if entry.is_absent:
                self._index.mark_absent(compact, entry.call.start)
            if entry.in_window:
                yield entry

    def add(self, tracked: TrackedCall) -> None:
        """Add a call that is not tracked yet."""
        compact, start = compact_id(tracked.call.id), tracked.call.start
        self._index.add(compact, start, self._stored(tracked))

    def add_all(
        self,
        ids: Sequence[CompactId],
        starts: Sequence[Instant],
        entries: list[PackedOrTracked],
        objects: Mapping[int, TrackedCall],
    ) -> None:
        """Add many calls that are not tracked yet, none of them absent.

        Args:
            ids: Their ids.
            starts: Their starts, in order.
            entries: The calls in the same order, packed. The list is changed.
            objects: Calls that are not as in ``entries``, by their index there.
        """
        for position, tracked in objects.items():
            entries[position] = self._stored(tracked)
        self._index.add_all(ids, starts, entries)

    def replace(self, old: TrackedCall, new: TrackedCall) -> None:
        """Replace a call by what is known of it now, and record it as changed if it is.

        Args:
            old: The call as `get`, `between`, `missed`, `missing` or `unsettled` returned it.
            new: The same call as it is to be.
        """
        if new == old:
            return
        compact, start = compact_id(new.call.id), new.call.start
        # The index finds a call's block by its start, so a call moves before anything else. `put`
        # comes last, since it records the block as changed in which the call is then.
        self._index.move(compact, old.call.start, start)
        if new.is_absent:
            self._index.mark_absent(compact, start)
        else:
            self._index.mark_present(compact)
        self._index.put(compact, start, self._stored(new))

    def forget(self, before: Instant) -> list[CompactId]:
        """Remove the calls that started before an instant and are done; return their ids."""
        # unsettled calls are never forgotten: they are followed until they settle or expire
        compacts = self._index.ids_between(MIN_INSTANT, before)
        done = [compact for compact in compacts if full_id(compact) not in self._unsettled]
        for compact in done:
            self._index.remove(compact, self._tracked(compact).call.start)
        if self._missing:
            for compact in done:
                self._missing.pop(full_id(compact), None)
        if self._kinds.has_many_unused(len(self._index)):
            self._drop_unused_kinds()
        return done

    def saved(self) -> dict[Instant, bytes]:
        """Return all blocks as they are saved, by key."""
        return {block.key: self._encoded(block) for block in self._index.blocks()}

    def take_changes(self) -> dict[Instant, bytes | None]:
        """Return the blocks that changed since the last call of this, by key.

        None is in the place of a block that is gone.
        """
        changes = self._index.take_changes()
        return {
            key: None if block is None else self._encoded(block) for key, block in changes.items()
        }

    def _stored(self, tracked: TrackedCall) -> PackedOrTracked:
        """Return a call as it is stored, and keep the unsettled and the missing calls in step."""
        self._note(tracked)
        return entry_of(tracked, self._kinds)

    def _note(self, tracked: TrackedCall) -> None:
        """Keep the unsettled and the missing calls in step with a call."""
        call_id = tracked.call.id
        if tracked.phase in UNSETTLED:
            self._unsettled[call_id] = tracked
        else:
            self._unsettled.pop(call_id, None)
        if tracked.is_missing:
            self._missing[call_id] = tracked
        else:
            self._missing.pop(call_id, None)

    def _encoded(self, block: Block[CompactId]) -> bytes:
        return encode_block(block, self.entry, self._kinds)

    def _drop_unused_kinds(self) -> None:
        """Number the kinds again from 0, without those that no call has any more."""
        old, new = self._kinds, self._kinds.emptied()

        def with_new_number(compact: CompactId, entry: PackedOrTracked) -> PackedOrTracked:
            if not isinstance(entry, int):
                return entry
            return entry_of(tracked_of(full_id(compact), entry, old), new)

        self._index.map_items(with_new_number)
        self._kinds = new
