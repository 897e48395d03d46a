"""How tracked calls are saved: a block of neighbours by start, as one string of bytes. Pure.

A block is MessagePack of four columns, about 35 bytes a call::

    kinds     the values that the block's calls have: outcome, telephony state, duration, tags
    ids       of the packed calls, as `compact_ids.saved_ids` makes them
    columns   of the same calls: index of the kind, start less the block's key, flags
    objects   the calls that are not done or are missing, each with its fields

A block holds its own kinds, so it can be read alone.
"""

from array import array
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from pearl_exporter.counting.calls import Instant
from pearl_exporter.counting.compact_ids import (
    CompactId,
    SavedIds,
    compact_id,
    loaded_ids,
    saved_ids,
)
from pearl_exporter.counting.packing import (
    PHASE,
    Columns,
    KindTable,
    PlainValues,
    columns_of,
    packed_of,
)
from pearl_exporter.counting.start_index import Block
from pearl_exporter.counting.tracked_call import UNSETTLED, CallPhase, PackedOrTracked, TrackedCall

# every value that the flags of a done call can have, one byte each
_FLAGS_OF_DONE = bytes(
    flags for flags in range(128) if flags & PHASE in set(CallPhase) - {*UNSETTLED}
)


class _SavedBlock(msgspec.Struct, array_like=True, gc=False):
    """A block as it is saved; see the text of the module."""

    kinds: list[PlainValues]
    ids: SavedIds
    columns: Columns
    objects: list[TrackedCall]


class LoadedBlock(NamedTuple):
    """The calls of a saved block, in the order of their starts."""

    starts: "array[int]"
    entries: dict[CompactId, PackedOrTracked]


_encode = msgspec.msgpack.encode
_decode = msgspec.msgpack.Decoder(_SavedBlock).decode


def encode_block(
    block: Block[CompactId], entry: Callable[[CompactId], PackedOrTracked | None], kinds: KindTable
) -> bytes:
    """Return a block of calls as bytes.

    Args:
        block: The block.
        entry: Returns a call of it as it is stored.
        kinds: The kinds to which packed calls refer.
    """
    ids, entries = block.ids, [entry(key) for key in block.ids]
    objects: list[TrackedCall] = []
    # most blocks hold packed calls alone, and need not be gone through twice
    if TrackedCall in set(map(type, entries)):
        objects = [each for each in entries if isinstance(each, TrackedCall)]
        ids = [key for key, each in zip(ids, entries, strict=True) if isinstance(each, int)]
    packed = [each for each in entries if type(each) is int]
    columns = columns_of(packed, block.key)
    own_numbers = {number: own for own, number in enumerate(dict.fromkeys(columns.numbers))}
    own_kinds: list[PlainValues] = [kinds[number].values for number in own_numbers]
    columns = columns._replace(numbers=[own_numbers[number] for number in columns.numbers])
    return _encode(_SavedBlock(own_kinds, saved_ids(ids), columns, objects))


def decode_block(key: Instant, content: bytes, kinds: KindTable) -> LoadedBlock:
    """Return the calls of a block that `encode_block` made.

    Args:
        key: The block's key.
        content: The block as it was saved.
        kinds: Where its kinds are added.

    Raises:
        ValueError: The block is damaged.
    """
    try:
        return _loaded(key, _decode(content), kinds)
    except (msgspec.MsgspecError, ValueError, IndexError, OverflowError):
        raise ValueError("a block of saved calls is damaged") from None


def _loaded(key: Instant, saved: _SavedBlock, kinds: KindTable) -> LoadedBlock:
    # Only the flags of done calls are expected: `translate` deletes them, and nothing may be left.
    # A packed call of an unsettled phase would never be looked at again.
    if saved.columns.flags.translate(None, _FLAGS_OF_DONE):
        raise ValueError
    packed = packed_of(saved.columns, key, [kinds.of(values) for values in saved.kinds])
    starts = [key + after for after in saved.columns.starts]
    ids = loaded_ids(saved.ids)
    entries: dict[CompactId, PackedOrTracked] = dict(zip(ids, packed, strict=True))
    if saved.objects:
        pairs = list(zip(starts, entries.items(), strict=True))
        pairs += [(each.call.start, (compact_id(each.call.id), each)) for each in saved.objects]
        pairs.sort(key=lambda pair: pair[0])
        starts, entries = [start for start, _ in pairs], dict(pair for _, pair in pairs)
    if len(entries) < len(starts):
        raise ValueError  # an id is there twice
    return LoadedBlock(array("q", starts), entries)
