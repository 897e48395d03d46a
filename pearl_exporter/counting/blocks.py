"""How tracked calls are saved: a block of neighbours by start as one string of bytes. Pure.

A block tells its kinds itself, so it can be read alone. Column by column it takes about 35 bytes a
call; ids as `compact_ids` has them.
"""

from array import array
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from pearl_exporter.counting.calls import Instant
from pearl_exporter.counting.compact_ids import (
    CompactId,
    compact_id,
    compact_ids,
    cut,
    joined_or_full,
)
from pearl_exporter.counting.packing import (
    PHASE,
    CallValues,
    Columns,
    KindTable,
    columns_of,
    packed_of,
)
from pearl_exporter.counting.start_index import Block
from pearl_exporter.counting.tracked_call import UNSETTLED, CallPhase, PackedOrTracked, TrackedCall

_FLAGS_OF_DONE = bytes(
    flags for flags in range(128) if flags & PHASE in set(CallPhase) - {*UNSETTLED}
)


class _SavedBlock(msgspec.Struct, array_like=True, gc=False):
    """The columns of a block: kinds of its calls, calls that are done, calls that are not."""

    kinds: list[CallValues]
    ids: bytes | list[str]
    columns: Columns
    """The starts are counted from the block's key, the numbers are places among ``kinds``."""
    objects: list[TrackedCall]


class Loaded(NamedTuple):
    """A block as it was saved, its calls in the order of their starts."""

    starts: "array[int]"
    entries: dict[CompactId, PackedOrTracked]


_encode = msgspec.msgpack.encode
_decode = msgspec.msgpack.Decoder(_SavedBlock).decode


def encode_block(
    block: Block[CompactId], entry: Callable[[CompactId], PackedOrTracked | None], kinds: KindTable
) -> bytes:
    """A block with its calls as bytes; ``entry`` gives what is kept of an id."""
    ids, entries = block.ids, [entry(key) for key in block.ids]
    objects: list[TrackedCall] = []
    if TrackedCall in set(map(type, entries)):
        objects = [each for each in entries if isinstance(each, TrackedCall)]
        ids = [key for key, each in zip(ids, entries, strict=True) if isinstance(each, int)]
    packed = [each for each in entries if type(each) is int]
    columns = columns_of(packed, block.key)
    places = {number: place for place, number in enumerate(dict.fromkeys(columns.numbers))}
    own = [kinds[number].values for number in places]
    columns = columns._replace(numbers=[places[number] for number in columns.numbers])
    return _encode(_SavedBlock(own, joined_or_full(ids), columns, objects))


def decode_block(key: Instant, content: bytes, kinds: KindTable) -> Loaded:
    """A block that `encode_block` made; raises ValueError if it is damaged."""
    try:
        return _loaded(key, _decode(content), kinds)
    except (msgspec.MsgspecError, ValueError, IndexError, OverflowError):
        raise ValueError("a block of saved calls is damaged") from None


def _loaded(key: Instant, saved: _SavedBlock, kinds: KindTable) -> Loaded:
    if saved.columns.flags.translate(None, _FLAGS_OF_DONE):
        raise ValueError
    packed = packed_of(saved.columns, key, [kinds.of(values) for values in saved.kinds])
    starts = [key + after for after in saved.columns.starts]
    ids = cut(saved.ids) if isinstance(saved.ids, bytes) else compact_ids(saved.ids)
    entries: dict[CompactId, PackedOrTracked] = dict(zip(ids, packed, strict=True))
    if saved.objects:
        pairs = list(zip(starts, entries.items(), strict=True))
        pairs += [(each.call.start, (compact_id(each.call.id), each)) for each in saved.objects]
        pairs.sort(key=lambda pair: pair[0])
        starts, entries = [start for start, _ in pairs], dict(pair for _, pair in pairs)
    if len(entries) < len(starts):
        raise ValueError  # an id stands there twice
    return Loaded(array("q", starts), entries)
