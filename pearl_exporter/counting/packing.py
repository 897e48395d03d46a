"""Calls that are over, each packed into one whole number. Pure.

What is published of a call besides its id and start is shared by many calls: they are of one
*kind*. A call that won't settle any more is kept as the number of its kind, some marks and its
start, in one integer. That takes a third of the memory of an object, and a row that was read again
is compared with it in one step.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from pearl_exporter.counting.calls import (
    CALL_STATUS_LABELS,
    STATUS_LABELS,
    Call,
    Instant,
    is_answered,
    is_live,
    planned_end,
)

UNKNOWN_STATUS, UNKNOWN_CALL_STATUS = 1, 2
"""Which fields of a call bear a code of no table."""

PHASE = 0b111
IN_WINDOW = 0b1000
ABSENT = 0b10000
UNKNOWN_CODES_SHIFT = 5
"""The marks of a packed call: a `tracked.Phase`, two flags, and its odd codes."""

_FLAG_BITS = 7
_FLAGS = (1 << _FLAG_BITS) - 1
_START_BITS = 39
_START = (1 << _START_BITS) - 1
EPOCH_MS: Instant = 1_577_836_800_000
"""The first start that can be packed: that of 2020."""
_KIND_SHIFT = _START_BITS + _FLAG_BITS
_NOT_IN_A_ROW = ~((PHASE | 0b11 << UNKNOWN_CODES_SHIFT) << _START_BITS)
IS_IN_WINDOW = IN_WINDOW << _START_BITS
IS_ABSENT = ABSENT << _START_BITS
"""The two flags where they stand in a packed call."""

MAX_UNUSED_KINDS = 10_000
"""So many kinds without a call are no reason to number them anew."""

CallValues = tuple[int | None, int | None, float, tuple[str, ...]]
"""Outcome, telephony state, duration and labels of tags: what makes a kind."""


class CallKind(msgspec.Struct, frozen=True, gc=False):
    """What is published of a call besides its id and start, as in `Call`; the tags are labels.

    Attributes:
        base: A packed call of this kind without marks that starts at `EPOCH_MS`.
        lasts_ms: Its duration once more.
        unknown_codes: Which of its codes are in no table.
    """

    number: int
    base: int
    status: int | None
    call_status: int | None
    duration: float
    tags: tuple[str, ...]
    is_live: bool
    is_answered: bool
    lasts_ms: int
    unknown_codes: int

    @property
    def values(self) -> CallValues:
        """What makes the kind."""
        return (self.status, self.call_status, self.duration, self.tags)

    def call(self, call_id: str, start: Instant) -> Call:
        """A call of this kind."""
        return Call(call_id, start, self.status, self.call_status, self.duration, self.tags)


class KindTable:
    """The kinds of one outbound's calls, numbered as they come."""

    def __init__(self) -> None:
        self._numbered: list[CallKind] = []
        self._by_values: dict[CallValues, CallKind] = {}
        self.find = self._by_values.get
        """The kind with these values, None if there is none yet."""

    def __len__(self) -> int:
        """How many there are; the next one gets this number."""
        return len(self._numbered)

    def __iter__(self) -> Iterator[CallKind]:
        """All of them, in the order of their coming."""
        return iter(self._numbered)

    def __getitem__(self, number: int) -> CallKind:
        """The kind of this number."""
        return self._numbered[number]

    def of(self, values: CallValues) -> CallKind:
        """The kind with these values."""
        kind = self._by_values.get(values)
        if kind is None:
            status, call_status, duration, tags = values
            # a number of its own: that of the row would pin the memory of all that was read with it
            values = (status, call_status, duration + 0.0, tags)
            call = Call("", 0, *values)
            number = len(self._numbered)
            kind = CallKind(
                number,
                number << _KIND_SHIFT,
                *values,
                is_live(call),
                is_answered(call),
                planned_end(0, call.duration),
                unknown_codes(call.status, call.call_status),
            )
            self._numbered.append(kind)
            self._by_values[values] = kind
        return kind

    def call(self, call_id: str, packed: int) -> Call:
        """A packed call as it was last read."""
        return self._numbered[packed >> _KIND_SHIFT].call(call_id, start_of(packed))

    def bearing(self, statuses: frozenset[int]) -> frozenset[int]:
        """The numbers of the kinds with one of these outcomes."""
        return frozenset(kind.number for kind in self._numbered if kind.status in statuses)

    def are_too_many(self, calls: int) -> bool:
        """Whether most kinds have no call any more, so that numbering anew saves memory."""
        return len(self._numbered) > 2 * calls + MAX_UNUSED_KINDS


def unknown_codes(status: int | None, call_status: int | None) -> int:
    """Which of two codes are in no table; a telephony state may bear an outcome's code."""
    odd = 0
    if status is not None and status not in STATUS_LABELS:
        odd |= UNKNOWN_STATUS
    if call_status is not None and not (
        call_status in CALL_STATUS_LABELS or call_status in STATUS_LABELS
    ):
        odd |= UNKNOWN_CALL_STATUS
    return odd


def can_be_packed(start: Instant) -> bool:
    """Whether a call of this start can be packed: from 2020 on, for 17 years."""
    return 0 <= start - EPOCH_MS <= _START


def pack(kind: CallKind, start: Instant, flags: int) -> int:
    """A call of this kind; its start is one that `can_be_packed`."""
    return kind.base | start - EPOCH_MS | flags << _START_BITS


def pack_alike(
    bases: Mapping[int, int], numbers: Sequence[int], starts: Sequence[Instant]
) -> list[int]:
    """Calls with the same marks, each by the number of its base."""
    return [bases[number] | start - EPOCH_MS for number, start in zip(numbers, starts, strict=True)]


def kind_number_of(packed: int) -> int:
    """The number of a packed call's kind."""
    return packed >> _KIND_SHIFT


def start_of(packed: int) -> Instant:
    """A packed call's start."""
    return (packed & _START) + EPOCH_MS


def flags_of(packed: int) -> int:
    """A packed call's marks."""
    return packed >> _START_BITS & _FLAGS


class Columns(NamedTuple):
    """Packed calls, column by column: numbers of kinds, starts less a common one, and marks."""

    numbers: list[int]
    starts: list[int]
    flags: bytes


def columns_of(packed: Sequence[int], since: Instant) -> Columns:
    """Takes packed calls apart; their starts are counted from ``since``."""
    less = since - EPOCH_MS
    return Columns(
        [each >> _KIND_SHIFT for each in packed],
        [(each & _START) - less for each in packed],
        bytes([each >> _START_BITS & _FLAGS for each in packed]),
    )


def packed_of(columns: Columns, since: Instant, kinds: Sequence[CallKind]) -> list[int]:
    """Puts them together again; the numbers are those of places in ``kinds``."""
    bases = [kind.base for kind in kinds]
    since -= EPOCH_MS
    return [
        # not +, whose sum of two words takes the room of three
        bases[number] | start + since | flags << _START_BITS
        for number, start, flags in zip(*columns, strict=True)
    ]


def are_alike(packed: int, read: int) -> bool:
    """Whether two packed calls differ in nothing that a row tells: kind, start and flags."""
    return not (packed ^ read) & _NOT_IN_A_ROW
