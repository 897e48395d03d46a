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
    ODD_SHIFT,
    PHASE,
    Kinds,
    can_be_packed,
    marks_of,
    pack,
)


class Phase(IntEnum):
    """What the counters owe a tracked call; see the module's text."""

    HISTORY = 0
    LIVE = 1
    PENDING = 2
    SETTLED = 3
    LOST = 4


UNSETTLED = (Phase.LIVE, Phase.PENDING)
_PHASES = tuple(Phase)


class Tracked(msgspec.Struct, gc=False):
    """One tracked call.

    Attributes:
        call: As it was last read, its tags replaced by their labels.
        phase: What the counters owe it.
        seen_live_at: The last poll that saw it live; of no use, and not kept, once it is done.
        in_window: Whether the window counts it.
        is_absent: Whether it was not in the API's table when it was last looked for.
        odd_codes: Which fields have borne a code of no table (1: status, 2: call_status).
    """

    call: Call
    phase: Phase
    seen_live_at: Instant | None = None
    in_window: bool = False
    is_absent: bool = False
    odd_codes: int = 0


Entry = int | Tracked
"""A call as it is kept."""


def entry_of(each: Tracked, kinds: Kinds) -> Entry:
    """How a call is kept: as it is, or packed if it is done."""
    call = each.call
    if each.phase in UNSETTLED or not can_be_packed(call.start):
        return each
    kind = kinds.of((call.status, call.call_status, call.duration, call.tags))
    marks = each.phase | each.odd_codes << ODD_SHIFT
    if each.in_window:
        marks |= IN_WINDOW
    if each.is_absent:
        marks |= ABSENT
    return pack(kind, call.start, marks)


def tracked_of(call_id: str, entry: Entry, kinds: Kinds) -> Tracked:
    """The call that is kept; a packed one as an object of its own."""
    if not isinstance(entry, int):
        return entry
    marks = marks_of(entry)
    return Tracked(
        kinds.call(call_id, entry),
        _PHASES[marks & PHASE],
        None,
        bool(marks & IN_WINDOW),
        bool(marks & ABSENT),
        marks >> ODD_SHIFT,
    )
