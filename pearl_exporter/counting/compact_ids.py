"""The ids of calls, as short as they can be stored. Pure.

The platform's ids are 24 hex digits. They stand for 12 bytes, which take 48 bytes of memory as a
``bytes`` and 80 as a ``str`` of digits. Any other id is stored as it is.
"""

from collections.abc import Collection, Iterable

CompactId = str | bytes
"""An id as it is stored; two of them are equal if and only if the ids are."""

SavedIds = bytes | list[str]
"""Many ids: 12 bytes each, joined, if all are the platform's; else the ids themselves."""

_DIGITS = 24
_BYTES = _DIGITS // 2


def compact_ids(ids: Collection[str]) -> list[CompactId]:
    """Return ids as they are stored, in the same order; fastest if all are the platform's."""
    # all ids at once: one conversion of a long string takes less time than many of short ones
    if set(map(len, ids)) == {_DIGITS} and (joined := _as_bytes("".join(ids))) is not None:
        return _split(joined)
    return [*map(compact_id, ids)]


def compact_id(call_id: str) -> CompactId:
    """Return one id as it is stored."""
    if len(call_id) == _DIGITS and (compact := _as_bytes(call_id)) is not None:
        return compact
    return call_id


def full_id(compact: CompactId) -> str:
    """Return the id itself."""
    return compact if isinstance(compact, str) else compact.hex()


def saved_ids(compacts: Iterable[CompactId]) -> SavedIds:
    """Return many ids as they are saved."""
    compacts = [*compacts]
    if set(map(type, compacts)) <= {bytes}:
        return b"".join(compacts)  # type: ignore[arg-type] # as was just seen
    return [*map(full_id, compacts)]


def loaded_ids(saved: SavedIds) -> list[CompactId]:
    """Return the ids that `saved_ids` made.

    Raises:
        ValueError: They are damaged.
    """
    return _split(saved) if isinstance(saved, bytes) else compact_ids(saved)


def may_hold(content: bytes, call_id: str) -> bool:
    """Return whether saved calls or journal entries may name an id, which must be valid Unicode.

    This is much faster than decoding ``content``, and for most of it the answer is no.
    """
    compact = compact_id(call_id)
    return call_id.encode() in content or (isinstance(compact, bytes) and compact in content)


def _split(joined: bytes) -> list[CompactId]:
    if len(joined) % _BYTES:
        raise ValueError("not a whole number of ids")
    return [joined[at : at + _BYTES] for at in range(0, len(joined), _BYTES)]


def _as_bytes(digits: str) -> bytes | None:
    """Return what hex digits stand for; None if the bytes would not give the same text back."""
    try:
        compact = bytes.fromhex(digits)
    except ValueError:
        return None
    # fromhex also takes capital letters and spaces, which hex() does not give back
    return compact if compact.hex() == digits else None
