"""What a call is: one row of the calls search, its codes, and when it is over.

Instants are whole milliseconds since the epoch (`Instant`), rounded down, because the API's dates
are asked for in milliseconds: a row lies in ``[a, b)`` on our side exactly when it does on theirs.

Pure: no clock, no I/O. The tables are those of the platform's documentation (the page "Search
calls" of its outbound API), their labels are the exporter's public interface.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

import msgspec

Instant = int
"""Milliseconds since the epoch, rounded down."""

STATUS_LABELS: Mapping[int, str] = MappingProxyType(
    {
        1: "new",
        10: "need_retry",
        20: "in_call_queue",
        30: "wrong_country_code",
        40: "on_call",
        70: "voice_mail_left",
        100: "success",
        110: "not_successful",
        130: "complete",
        150: "unreachable",
        220: "blacklisted",
        300: "queue_abandon",
        500: "error",
    }
)
"""``conversationStatus``, the outcome of the conversation, by its label under ``status``."""

CALL_STATUS_LABELS: Mapping[int, str] = MappingProxyType(
    {
        3: "in_progress",
        4: "completed",
        5: "busy",
        6: "failed",
        7: "no_answer",
        8: "canceled",
    }
)
"""The row's own ``status``, the telephony state, by its label under ``call_status``."""

UNKNOWN = "unknown"
"""The label of a code that is null or missing, and of unknown ones beyond the first twenty."""

ALIASES: Mapping[int, int] = MappingProxyType({200: 500})
"""Outcome codes that were replaced: the oldest documentation has Error as 200."""

LIVE_STATUSES = frozenset({1, 20, 40})
IN_PROGRESS = 3
ENDED_CALL_STATUSES = frozenset({4, 5, 6, 7})
"""Telephony states that end a call whose outcome says nothing; 8 was seen on queued calls."""


class Call(msgspec.Struct, frozen=True, gc=False):
    """A row of the calls search, reduced to what is published.

    Attributes:
        id: The platform's id of the call.
        start: ``startTime``.
        status: ``conversationStatus``, None where it was null, missing or no whole number.
        call_status: The row's ``status``, likewise.
        duration: Seconds, 0 while the call is not over or was not answered.
        tags: Trimmed, each once, in the row's order.
    """

    id: str
    start: Instant
    status: int | None = None
    call_status: int | None = None
    duration: float = 0.0
    tags: tuple[str, ...] = ()


class Outcome(Protocol):
    """What tells whether a call is over, and was answered: of a `Call`, or of a kind of calls."""

    @property
    def status(self) -> int | None:
        """``conversationStatus``."""

    @property
    def call_status(self) -> int | None:
        """The row's ``status``."""

    @property
    def duration(self) -> float:
        """Seconds."""

    @property
    def tags(self) -> tuple[str, ...]:
        """Labels or tags."""


def is_live(call: Outcome) -> bool:
    """Whether the call is still going on, as far as its codes tell.

    A call whose outcome is unknown counts as live until telephony says that it ended, since the
    platform has introduced live codes before.
    """
    if call.status in LIVE_STATUSES or call.call_status == IN_PROGRESS:
        return True
    return call.status not in STATUS_LABELS and call.call_status not in ENDED_CALL_STATUSES


def is_answered(call: Outcome) -> bool:
    """Whether somebody was spoken to: the platform gives unanswered calls a duration of 0."""
    return call.duration > 0


def planned_end(start: Instant, duration: float) -> Instant:
    """Where start and duration alone put a call's end."""
    return start + round(duration * 1000)


def ended_at(call: Call, seen_live_at: Instant | None) -> Instant:
    """The instant at which a finished call ended.

    ``seen_live_at`` is the last poll that saw it live, if one did: time in a queue is not part of
    the duration, so start and duration alone may name an instant at which it was still going on.
    """
    end = planned_end(call.start, call.duration)
    return end if seen_live_at is None else max(end, seen_live_at)


def status_label(code: int | None) -> str:
    """The ``status`` label of an outcome code."""
    if code is None:
        return UNKNOWN
    return STATUS_LABELS.get(code) or f"{UNKNOWN}_{code}"


def call_status_label(code: int | None) -> str:
    """The ``call_status`` label of a telephony code; an outcome's code keeps the outcome's name."""
    if code is None:
        return UNKNOWN
    return CALL_STATUS_LABELS.get(code) or STATUS_LABELS.get(code) or f"{UNKNOWN}_{code}"


FINISHED_STATUS_LABELS = tuple(
    label for code, label in STATUS_LABELS.items() if code not in LIVE_STATUSES
)
"""The outcomes that a settled call can bear."""

FINISHED_CALL_STATUS_LABELS = tuple(
    label for code, label in CALL_STATUS_LABELS.items() if code != IN_PROGRESS
)
"""The telephony states that a settled call can bear."""
