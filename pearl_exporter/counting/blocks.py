"""How tracked calls are saved: a block of neighbours by start as one string of bytes. Pure.

A block tells its kinds itself, so it can be read alone. Column by column it takes about 35 bytes a
call; ids as `short_ids` has them.
"""

from array import array
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from pearl_exporter.counting.calls import Instant
from pearl_exporter.counting.compact_ids import ShortId, cut, joined_or_long, short_id, short_ids
from pearl_exporter.counting.packing import PHASE, Columns, Kinds, Values, columns_of, packed_of
from pearl_exporter.counting.start_index import Block
from pearl_exporter.counting.tracked_call import UNSETTLED, Entry, Phase, Tracked

_MARKS_OF_THE_DONE = bytes(
    marks for marks in range(128) if marks & PHASE in set(Phase) - {*UNSETTLED}
)


class _Saved(msgspec.Struct, array_like=True, gc=False):
    """The columns of a block: kinds of its calls, calls that are done, calls that are not."""

    kinds: list[Values]
    ids: bytes | list[str]
    columns: Columns
    """The starts are counted from the block's key, the numbers are places among ``kinds``."""
    objects: list[Tracked]


class Loaded(NamedTuple):
    """A block as it was saved, its calls in the order of their starts."""

    starts: "array[int]"
    entries: dict[ShortId, Entry]


_encode = msgspec.msgpack.encode
_decode = msgspec.msgpack.Decoder(_Saved).decode


def encode_block(
    block: Block[ShortId], entry: Callable[[ShortId], Entry | None], kinds: Kinds
) -> bytes:
    """A block with its calls as bytes; ``entry`` gives what is kept of an id."""
    ids, entries = block.ids, [entry(key) for key in block.ids]
    objects: list[Tracked] = []
    if Tracked in set(map(type, entries)):
        objects = [each for each in entries if isinstance(each, Tracked)]
        ids = [key for key, each in zip(ids, entries, strict=True) if isinstance(each, int)]
    packed = [each for each in entries if type(each) is int]
    columns = columns_of(packed, block.key)
    places = {number: place for place, number in enumerate(dict.fromkeys(columns.numbers))}
    own = [kinds[number].values for number in places]
    columns = columns._replace(numbers=[places[number] for number in columns.numbers])
    return _encode(_Saved(own, joined_or_long(ids), columns, objects))


def decode_block(key: Instant, content: bytes, kinds: Kinds) -> Loaded:
    """A block that `encode_block` made; raises ValueError if it is damaged."""
    try:
        return _loaded(key, _decode(content), kinds)
    except (msgspec.MsgspecError, ValueError, IndexError, OverflowError):
        raise ValueError("a block of saved calls is damaged") from None


def _loaded(key: Instant, saved: _Saved, kinds: Kinds) -> Loaded:
    if saved.columns.marks.translate(None, _MARKS_OF_THE_DONE):
        raise ValueError
    packed = packed_of(saved.columns, key, [kinds.of(values) for values in saved.kinds])
    starts = [key + after for after in saved.columns.starts]
    ids = cut(saved.ids) if isinstance(saved.ids, bytes) else short_ids(saved.ids)
    entries: dict[ShortId, Entry] = dict(zip(ids, packed, strict=True))
    if saved.objects:
        pairs = list(zip(starts, entries.items(), strict=True))
        pairs += [(each.call.start, (short_id(each.call.id), each)) for each in saved.objects]
        pairs.sort(key=lambda pair: pair[0])
        starts, entries = [start for start, _ in pairs], dict(pair for _, pair in pairs)
    if len(entries) < len(starts):
        raise ValueError  # an id stands there twice
    return Loaded(array("q", starts), entries)
