"""A call as the API shows it: one row of the calls search, its codes, and when it is over.

Instants are whole milliseconds since the epoch, rounded down. The API's dates are asked for in
milliseconds, so a row lies in ``[a, b)`` on our side exactly when it does on the API's.

The code tables are those of the platform's documentation (the page "Search calls" of its outbound
API). Their labels are the exporter's public interface. Pure.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import msgspec

Instant = int
"""Milliseconds since the epoch, rounded down."""

MIN_INSTANT: Instant = -(2**62)
MAX_INSTANT: Instant = 2**62
"""Before and after the start of any call."""

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
"""``conversationStatus``, the outcome of the conversation: code to label ``status``."""

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
"""The row's own ``status``, the telephony state: code to label ``call_status``."""

UNKNOWN = "unknown"
"""The label of a code that is null or missing, and of unknown codes beyond the first twenty."""

ALIASES: Mapping[int, int] = MappingProxyType({200: 500})
"""Outcome codes that were replaced, old to new: the oldest documentation has Error as 200."""

LIVE_STATUSES = frozenset({1, 20, 40})
"""Outcomes of calls that are still going on."""

IN_PROGRESS = 3
"""The telephony state of a call that is still going on."""

ENDED_CALL_STATUSES = frozenset({4, 5, 6, 7})
"""Telephony states that end a call whose outcome is unknown. 8 does not: queued calls had it."""


class CallValues(NamedTuple):
    """What is published of a call besides its id and start.

    Attributes:
        status: ``conversationStatus``; None where it was null, missing or no whole number.
        call_status: The row's own ``status``; None as above.
        duration: Seconds; 0 while the call is going on, and if nobody answered.
        tags: The row's tags as read; inside the tracker, their labels (see `labels`).
    """

    status: int | None
    call_status: int | None
    duration: float
    tags: tuple[str, ...]


class Call(msgspec.Struct, frozen=True, gc=False):
    """A row of the calls search, reduced to what is published.

    Attributes:
        id: The platform's id of the call.
        start: ``startTime``.
        status, call_status, duration: As in `CallValues`.
        tags: As in `CallValues`: trimmed, each once, in the row's order.
    """

    id: str
    start: Instant
    status: int | None = None
    call_status: int | None = None
    duration: float = 0.0
    tags: tuple[str, ...] = ()

    @property
    def values(self) -> CallValues:
        """What is published of the call besides its id and start."""
        return CallValues(self.status, self.call_status, self.duration, self.tags)


def says_live(call: Call | CallValues) -> bool:
    """Return whether a code of a call says that it is still going on."""
    return call.status in LIVE_STATUSES or call.call_status == IN_PROGRESS


def is_live(call: Call | CallValues) -> bool:
    """Return whether a call is still going on, as far as its codes show.

    A call whose outcome is unknown is live until its telephony state says that it ended: the
    platform has introduced live codes before.
    """
    if says_live(call):
        return True
    return call.status not in STATUS_LABELS and call.call_status not in ENDED_CALL_STATUSES


def is_answered(call: Call | CallValues) -> bool:
    """Return whether anybody answered: the platform gives unanswered calls a duration of 0."""
    return call.duration > 0


def planned_end(start: Instant, duration: float) -> Instant:
    """Return when a call ended by its start and its duration (in seconds) alone."""
    return start + round(duration * 1000)


def ended_at(call: Call, seen_live_at: Instant | None) -> Instant:
    """Return when a finished call ended.

    The time that a call spends in a queue is not part of its duration. So start plus duration may
    name an instant at which the call was still going on.

    Args:
        call: A call that is not live any more.
        seen_live_at: T of the last poll that saw it live; None if no poll did.
    """
    end = planned_end(call.start, call.duration)
    return end if seen_live_at is None else max(end, seen_live_at)


def status_label(code: int | None) -> str:
    """Return the ``status`` label of an outcome code."""
    if code is None:
        return UNKNOWN
    return STATUS_LABELS.get(code) or f"{UNKNOWN}_{code}"


def call_status_label(code: int | None) -> str:
    """Return the ``call_status`` label of a telephony code.

    An outcome's code in the place of a telephony code keeps the outcome's label.
    """
    if code is None:
        return UNKNOWN
    return CALL_STATUS_LABELS.get(code) or STATUS_LABELS.get(code) or f"{UNKNOWN}_{code}"


FINISHED_STATUS_LABELS = tuple(
    label for code, label in STATUS_LABELS.items() if code not in LIVE_STATUSES
)
"""The outcomes that a settled call can have."""

FINISHED_CALL_STATUS_LABELS = tuple(
    label for code, label in CALL_STATUS_LABELS.items() if code != IN_PROGRESS
)
"""The telephony states that a settled call can have."""
