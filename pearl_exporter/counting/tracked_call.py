"""What is kept of one tracked call: an object while it may settle, packed when it is done. Pure.

A tracked call is in a phase, which says what the counters owe it::

    HISTORY   settled before tracking began, or came back after it was forgotten: never counted
    LIVE      going on
    PENDING   finished, its outcome may still change
    SETTLED   counted; later changes are revisions
    LOST      deleted before it settled, or followed in vain: counted as uncounted

    (new) ──> LIVE <──> PENDING ──> SETTLED
                └─────────┴──> LOST
"""

from enum import IntEnum

import msgspec

from pearl_exporter.counting.calls import Call, Instant
from pearl_exporter.counting.packing import (
    ABSENT,
    IN_WINDOW,
    PHASE,
    UNKNOWN_CODES_SHIFT,
    KindTable,
    can_be_packed,
    flags_of,
    pack,
)


class CallPhase(IntEnum):
    """What the counters owe a tracked call; see the module's text."""

    HISTORY = 0
    LIVE = 1
    PENDING = 2
    SETTLED = 3
    LOST = 4


UNSETTLED = (CallPhase.LIVE, CallPhase.PENDING)
_PHASES = tuple(CallPhase)


# The name under which a state of schema version 4 holds this field.
_SAVED_AS = {"unknown_codes": "odd_codes"}


class TrackedCall(msgspec.Struct, gc=False, rename=_SAVED_AS):
    """One tracked call.

    Attributes:
        call: As it was last read, its tags replaced by their labels.
        phase: What the counters owe it.
        seen_live_at: The last poll that saw it live; of no use, and not kept, once it is done.
        in_window: Whether the window counts it.
        is_absent: Whether it was not in the API's table when it was last looked for.
        unknown_codes: Which fields have borne a code of no table (1: status, 2: call_status).
    """

    call: Call
    phase: CallPhase
    seen_live_at: Instant | None = None
    in_window: bool = False
    is_absent: bool = False
    unknown_codes: int = 0


PackedOrTracked = int | TrackedCall
"""A call as it is kept."""


def entry_of(each: TrackedCall, kinds: KindTable) -> PackedOrTracked:
    """How a call is kept: as it is, or packed if it is done."""
    call = each.call
    if each.phase in UNSETTLED or not can_be_packed(call.start):
        return each
    kind = kinds.of((call.status, call.call_status, call.duration, call.tags))
    flags = each.phase | each.unknown_codes << UNKNOWN_CODES_SHIFT
    if each.in_window:
        flags |= IN_WINDOW
    if each.is_absent:
        flags |= ABSENT
    return pack(kind, call.start, flags)


def tracked_of(call_id: str, entry: PackedOrTracked, kinds: KindTable) -> TrackedCall:
    """The call that is kept; a packed one as an object of its own."""
    if not isinstance(entry, int):
        return entry
    flags = flags_of(entry)
    return TrackedCall(
        kinds.call(call_id, entry),
        _PHASES[flags & PHASE],
        None,
        bool(flags & IN_WINDOW),
        bool(flags & ABSENT),
        flags >> UNKNOWN_CODES_SHIFT,
    )
