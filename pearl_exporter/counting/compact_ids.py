"""The ids of tracked calls as they are kept: short. Pure.

The platform's ids are 24 hex digits; they are kept as the 12 bytes that they stand for, which take
48 bytes of memory instead of 80. Any other id is kept as it is.
"""

from collections.abc import Collection, Iterable

CompactId = str | bytes
"""An id as it is kept; two are equal if and only if the ids are."""

_DIGITS = 24
_BYTES = _DIGITS // 2


def compact_ids(ids: Collection[str]) -> list[CompactId]:
    """The ids in the same order, as they are kept."""
    if set(map(len, ids)) == {_DIGITS} and (joined := _as_bytes("".join(ids))) is not None:
        return [*cut(joined)]
    return [*map(compact_id, ids)]


def compact_id(call_id: str) -> CompactId:
    """One id, as it is kept."""
    if len(call_id) == _DIGITS and (compact := _as_bytes(call_id)) is not None:
        return compact
    return call_id


def full_id(compact: CompactId) -> str:
    """The id itself."""
    return compact if isinstance(compact, str) else compact.hex()


def may_hold(content: bytes, call_id: str) -> bool:
    """Whether saved calls or entries may name this id; most don't, and need not be taken apart.

    The id must be Unicode.
    """
    compact = compact_id(call_id)
    return call_id.encode() in content or (isinstance(compact, bytes) and compact in content)


def joined_or_full(compacts: Iterable[CompactId]) -> bytes | list[str]:
    """Many as one string of bytes, if all are bytes; else the ids themselves."""
    compacts = [*compacts]
    if set(map(type, compacts)) <= {bytes}:
        return b"".join(compacts)  # type: ignore[arg-type] # as was just seen
    return [*map(full_id, compacts)]


def cut(joined: bytes) -> list[bytes]:
    """Takes apart what was joined; raises ValueError if that is damaged."""
    if len(joined) % _BYTES:
        raise ValueError("not a whole number of ids")
    return [joined[at : at + _BYTES] for at in range(0, len(joined), _BYTES)]


def _as_bytes(digits: str) -> bytes | None:
    """What lower-case hex digits stand for; None for anything else, so that nothing is lost."""
    try:
        compact = bytes.fromhex(digits)
    except ValueError:
        return None
    return compact if compact.hex() == digits else None
