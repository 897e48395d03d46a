"""A call that will not settle any more and is not missing, packed into one integer. Pure.

Most calls are equal in all that is published of them but id and start: same outcome, same duration
in whole seconds, same tags. So these values are stored once, as a `CallKind` with a number, and
each call refers to it: dictionary encoding. What is left of a call fits into one integer, a third
of the memory of an object::

    bit   46 and up      45      39 38                      0
          ┌─────────────┬──────────┬────────────────────────┐
          │ kind number │  flags   │  start - EPOCH_MS      │
          └─────────────┴──────────┴────────────────────────┘
           unbounded       7 bits      39 bits: 17 years

    flags    6   5     4         3       2   1   0
          ┌─────────┬────────┬────────┬─────────────┐
          │ unknown │ absent │ in     │ call phase  │
          │ codes   │        │ window │             │
          └─────────┴────────┴────────┴─────────────┘

A row that was read again is packed as well, and compared with the stored integer by one XOR.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from pearl_exporter.counting.calls import (
    CALL_STATUS_LABELS,
    STATUS_LABELS,
    Call,
    CallValues,
    Instant,
)

UNKNOWN_STATUS, UNKNOWN_CALL_STATUS = 1, 2
"""Which fields of a call have a code that is in no table; bits of ``unknown_codes``."""

PHASE = 0b111
IN_WINDOW = 0b1000
ABSENT = 0b10000
UNKNOWN_CODES_SHIFT = 5
"""The flags: a `tracked_call.CallPhase`, two bits, and two bits of unknown codes."""

_FLAG_BITS = 7
_FLAGS = (1 << _FLAG_BITS) - 1
_START_BITS = 39
_START = (1 << _START_BITS) - 1
_KIND_SHIFT = _START_BITS + _FLAG_BITS

EPOCH_MS: Instant = 1_577_836_800_000
"""The earliest start that can be packed: the first instant of 2020."""

IS_IN_WINDOW = IN_WINDOW << _START_BITS
IS_ABSENT = ABSENT << _START_BITS
"""Two of the flags at their place in a packed call."""

# A row shows its kind, its start, whether the start is in the window, and that the call is not
# absent. It does not show the other bits, phase and unknown codes: they come from earlier reads.
_SHOWN_BY_A_ROW = ~((PHASE | 0b11 << UNKNOWN_CODES_SHIFT) << _START_BITS)

MAX_UNUSED_KINDS = 10_000
"""Unused kinds are dropped once there are more kinds than this plus two for each call."""

PlainValues = tuple[int | None, int | None, float, tuple[str, ...]]
"""A `CallValues` as a plain tuple, equal to it. One is made for each row of a first read, and a
named tuple takes five times as long to make."""


class CallKind(msgspec.Struct, frozen=True, gc=False):
    """Values that calls share; their tags are labels.

    Attributes:
        number: By which packed calls refer to the kind.
        base: A packed call of this kind without flags that starts at `EPOCH_MS`.
        values: The values.
        unknown_codes: Which of the codes are in no table.
    """

    number: int
    base: int
    values: CallValues
    unknown_codes: int

    def call(self, call_id: str, start: Instant) -> Call:
        """Return a call of this kind."""
        return Call(call_id, start, *self.values)


class KindTable:
    """The kinds of one outbound's calls, numbered in the order in which they came."""

    def __init__(self, max_unused: int = MAX_UNUSED_KINDS) -> None:
        self._max_unused = max_unused
        self._by_number: list[CallKind] = []
        self._by_values: dict[PlainValues, CallKind] = {}
        # a bound method, since it is called for each kind of each poll's rows
        self.find = self._by_values.get
        """Return the kind with these values, None if there is none yet."""

    def __len__(self) -> int:
        """Return how many kinds there are, which is the number of the next one."""
        return len(self._by_number)

    def __iter__(self) -> Iterator[CallKind]:
        """Iterate over all kinds, by number."""
        return iter(self._by_number)

    def __getitem__(self, number: int) -> CallKind:
        """Return the kind with a number."""
        return self._by_number[number]

    def of(self, values: PlainValues) -> CallKind:
        """Return the kind with these values, a new one if there is none yet."""
        kind = self._by_values.get(values)
        if kind is None:
            status, call_status, duration, tags = values
            # `+ 0.0` makes a float of its own. The row's float was allocated among those of all
            # rows read with it, and would keep their memory from being given back.
            own = CallValues(status, call_status, duration + 0.0, tags)
            number = len(self._by_number)
            kind = CallKind(number, number << _KIND_SHIFT, own, unknown_codes(status, call_status))
            self._by_number.append(kind)
            self._by_values[own] = kind
        return kind

    def call(self, call_id: str, packed: int) -> Call:
        """Return a packed call as it was last read."""
        return self._by_number[packed >> _KIND_SHIFT].call(call_id, start_of(packed))

    def with_status(self, statuses: frozenset[int]) -> frozenset[int]:
        """Return the numbers of the kinds with one of these outcomes."""
        return frozenset(kind.number for kind in self._by_number if kind.values.status in statuses)

    def has_many_unused(self, calls: int) -> bool:
        """Return whether most kinds must be unused, since there are far fewer calls."""
        return len(self._by_number) > 2 * calls + self._max_unused

    def emptied(self) -> "KindTable":
        """Return an empty table with the same limit."""
        return KindTable(self._max_unused)


def unknown_codes(status: int | None, call_status: int | None) -> int:
    """Return which of two codes are in no table, as bits.

    A telephony state may have an outcome's code: then it is not unknown.
    """
    unknown = 0
    if status is not None and status not in STATUS_LABELS:
        unknown |= UNKNOWN_STATUS
    if call_status is not None and not (
        call_status in CALL_STATUS_LABELS or call_status in STATUS_LABELS
    ):
        unknown |= UNKNOWN_CALL_STATUS
    return unknown


def can_be_packed(start: Instant) -> bool:
    """Return whether a call of this start can be packed: one of the 17 years from 2020 on."""
    return 0 <= start - EPOCH_MS <= _START


def pack(kind: CallKind, start: Instant, flags: int) -> int:
    """Return a call as one integer; its start is one that `can_be_packed`."""
    return kind.base | (start - EPOCH_MS) | (flags << _START_BITS)


def pack_all(
    bases: Mapping[int, int], numbers: Sequence[int], starts: Sequence[Instant]
) -> list[int]:
    """Return many calls packed.

    Args:
        bases: A call's kind and flags, as in `CallKind.base`, by the call's number.
        numbers: The number of each call.
        starts: The start of each call, in the same order.
    """
    return [
        bases[number] | (start - EPOCH_MS) for number, start in zip(numbers, starts, strict=True)
    ]


def kind_number_of(packed: int) -> int:
    """Return the number of a packed call's kind."""
    return packed >> _KIND_SHIFT


def start_of(packed: int) -> Instant:
    """Return a packed call's start."""
    return (packed & _START) + EPOCH_MS


def flags_of(packed: int) -> int:
    """Return a packed call's flags."""
    return packed >> _START_BITS & _FLAGS


def is_unchanged(packed: int, read: int) -> bool:
    """Return whether a row shows nothing new of a call.

    Args:
        packed: The call as it is stored.
        read: The row, packed with no flag but `IN_WINDOW`.
    """
    return not (packed ^ read) & _SHOWN_BY_A_ROW


class Columns(NamedTuple):
    """Packed calls, column by column: numbers of kinds, starts minus a common one, and flags."""

    numbers: list[int]
    starts: list[int]
    flags: bytes


def columns_of(packed: Sequence[int], since: Instant) -> Columns:
    """Return packed calls column by column, their starts counted from ``since`` on."""
    offset = since - EPOCH_MS
    return Columns(
        [each >> _KIND_SHIFT for each in packed],
        [(each & _START) - offset for each in packed],
        bytes([each >> _START_BITS & _FLAGS for each in packed]),
    )


def packed_of(columns: Columns, since: Instant, kinds: Sequence[CallKind]) -> list[int]:
    """Return the calls of `columns_of` packed again; their numbers are indexes of ``kinds``."""
    bases = [kind.base for kind in kinds]
    offset = since - EPOCH_MS
    return [
        # `|` and not `+`: CPython stores an integer in words of 30 bits, and `+` allocates one
        # word more than the longer operand has, for a carry. Two words take 32 bytes, three 48.
        bases[number] | (start + offset) | (flags << _START_BITS)
        for number, start, flags in zip(*columns, strict=True)
    ]
