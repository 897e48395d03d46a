"""The ids of tracked calls as they are kept: short. Pure.

The platform's ids are 24 hex digits; they are kept as the 12 bytes that they stand for, which take
48 bytes of memory instead of 80. Any other id is kept as it is.
"""

from collections.abc import Collection, Iterable

ShortId = str | bytes
"""An id as it is kept; two are equal if and only if the ids are."""

_DIGITS = 24
_BYTES = _DIGITS // 2


def short_ids(ids: Collection[str]) -> list[ShortId]:
    """The ids in the same order, as they are kept."""
    if set(map(len, ids)) == {_DIGITS} and (joined := _as_bytes("".join(ids))) is not None:
        return [*cut(joined)]
    return [*map(short_id, ids)]


def short_id(call_id: str) -> ShortId:
    """One id, as it is kept."""
    if len(call_id) == _DIGITS and (short := _as_bytes(call_id)) is not None:
        return short
    return call_id


def long_id(short: ShortId) -> str:
    """The id itself."""
    return short if isinstance(short, str) else short.hex()


def may_hold(content: bytes, call_id: str) -> bool:
    """Whether saved calls or entries may name this id; most don't, and need not be taken apart.

    The id must be Unicode.
    """
    short = short_id(call_id)
    return call_id.encode() in content or (isinstance(short, bytes) and short in content)


def joined_or_long(shorts: Iterable[ShortId]) -> bytes | list[str]:
    """Many as one string of bytes, if all are bytes; else the ids themselves."""
    shorts = [*shorts]
    if set(map(type, shorts)) <= {bytes}:
        return b"".join(shorts)  # type: ignore[arg-type] # as was just seen
    return [*map(long_id, shorts)]


def cut(joined: bytes) -> list[bytes]:
    """Takes apart what was joined; raises ValueError if that is damaged."""
    if len(joined) % _BYTES:
        raise ValueError("not a whole number of ids")
    return [joined[at : at + _BYTES] for at in range(0, len(joined), _BYTES)]


def _as_bytes(digits: str) -> bytes | None:
    """What lower-case hex digits stand for; None for anything else, so that nothing is lost."""
    try:
        short = bytes.fromhex(digits)
    except ValueError:
        return None
    return short if short.hex() == digits else None
