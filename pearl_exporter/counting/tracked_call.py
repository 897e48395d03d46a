"""What is known of one call that is tracked: its values and its phase. Pure.

A call that may still settle, or is missing, is stored as an object, a `TrackedCall`. Any other call
is stored as one integer (see `packing`), which takes a third of the memory. The phases and the
steps between them are drawn in the text of the package.
"""

from enum import IntEnum

import msgspec

from pearl_exporter.counting.calls import MIN_INSTANT, Call, Instant
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
    """Whether a call was counted, or still will be.

    Attributes:
        HISTORY: Never counted: it settled before tracking began, or was read again after it was
            forgotten.
        LIVE: Going on.
        PENDING: Finished, but its outcome and tags may still change.
        SETTLED: Counted. Later changes count as revisions.
        LOST: Counted as uncounted: it was gone, or followed for too long, before it settled.
    """

    HISTORY = 0
    LIVE = 1
    PENDING = 2
    SETTLED = 3
    LOST = 4


UNSETTLED = (CallPhase.LIVE, CallPhase.PENDING)
"""The phases of calls that may still be counted."""

GONE: Instant = MIN_INSTANT
"""In the place of the first read that missed a call, once a second one has confirmed it."""

_PHASES = tuple(CallPhase)

# The name under which a state of schema version 4 holds this field.
_SAVED_AS = {"unknown_codes": "odd_codes"}


class TrackedCall(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, rename=_SAVED_AS):
    """One tracked call; it is changed by `call_table.CallTable.replace` alone.

    Attributes:
        call: As it was last read, its tags replaced by their labels.
        phase: Whether it was counted, or still will be.
        seen_live_at: T of the last poll that saw it live; not kept once the call is done.
        in_window: Whether the window counts it.
        missing_since: T of the first of the reads that have missed it in a row; `GONE` once two
            of them were far enough apart; None if the last read that covered its start had it.
        unknown_codes: Which of its fields have had a code of no table: bits of `packing`.
    """

    call: Call
    phase: CallPhase
    seen_live_at: Instant | None = None
    in_window: bool = False
    missing_since: Instant | None = None
    unknown_codes: int = 0

    @property
    def is_absent(self) -> bool:
        """Whether the API's table does not hold it as far as is known: it is missing or gone."""
        return self.missing_since is not None

    @property
    def is_missing(self) -> bool:
        """Whether reads have missed it, but none that would confirm that it is gone."""
        return self.missing_since is not None and self.missing_since != GONE


PackedOrTracked = int | TrackedCall
"""A call as it is stored."""


def entry_of(tracked: TrackedCall, kinds: KindTable) -> PackedOrTracked:
    """Return a call as it is stored: packed if it is done and not missing, else as it is."""
    call = tracked.call
    if tracked.phase in UNSETTLED or tracked.is_missing or not can_be_packed(call.start):
        return tracked
    flags = tracked.phase | tracked.unknown_codes << UNKNOWN_CODES_SHIFT
    if tracked.in_window:
        flags |= IN_WINDOW
    if tracked.is_absent:
        flags |= ABSENT
    return pack(kinds.of(call.values), call.start, flags)


def tracked_of(call_id: str, entry: PackedOrTracked, kinds: KindTable) -> TrackedCall:
    """Return a stored call as an object."""
    if not isinstance(entry, int):
        return entry
    flags = flags_of(entry)
    return TrackedCall(
        kinds.call(call_id, entry),
        _PHASES[flags & PHASE],
        None,
        bool(flags & IN_WINDOW),
        GONE if flags & ABSENT else None,
        flags >> UNKNOWN_CODES_SHIFT,
    )
