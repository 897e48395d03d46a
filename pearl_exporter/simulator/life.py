"""One call: what happens to it when, and the row that the API shows of it at a given moment.

A call's whole life is decided when it is made; `CallLife.row_at` only looks up how far it has come.
Times are epoch milliseconds. What is not needed to find a row (its id, numbers, the spelling of its
time) is worked out from its number when the row is shown: a million calls must fit in memory.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec

NEVER = 1 << 62
"""A moment that does not come."""

NEW, IN_CALL_QUEUE, ON_CALL = 1, 20, 40
IN_PROGRESS, CANCELED = 3, 8

Row = dict[str, Any]
Tags = tuple[str, ...] | None

_AREAS = ("201", "212", "305", "312", "415", "512", "617", "702", "808", "907")
_EAST = timezone(timedelta(hours=2))
_MASK = (1 << 64) - 1


def spin(number: int) -> int:
    """Return 64 well-mixed bits of ``number``: the same bits for the same number, always."""
    number = (number + 0x9E3779B97F4A7C15) & _MASK
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _MASK
    return number ^ (number >> 31)


class Revision(msgspec.Struct, frozen=True, gc=False):
    """What a row says from ``at_ms`` on, long after its outcome had been written."""

    at_ms: int
    outcome: int
    duration: int
    tags: Tags


class CallLife(msgspec.Struct, gc=False, eq=False):
    """A call from its start to its last change. ``duration`` is in seconds, moments in ms.

    ``appear`` row is first served; ``queued`` 1 becomes 20; ``talk`` 20 becomes 40; ``end`` call
    over: telephony state and duration are there; ``written`` outcome is; ``tagged`` tags are.
    """

    number: int
    lead: int
    start: int
    appear: int
    queued: int
    talk: int
    end: int
    written: int
    tagged: int
    outcome: int
    call_status: int
    duration: int
    tags: Tags
    form: int = 0
    early_cancel: bool = False
    revision: Revision | None = None
    deleted: int = NEVER

    def last_event(self) -> int:
        """Return the moment after which the row never changes again."""
        if self.deleted != NEVER:
            return self.deleted
        last = max(self.appear, self.written, self.tagged)
        return last if self.revision is None else max(last, self.revision.at_ms)

    def final_outcome(self) -> int:
        """Return the conversation status that the row ends up with."""
        return self.outcome if self.revision is None else self.revision.outcome

    def visible_at(self, at_ms: int) -> bool:
        """Say whether the API serves the row at ``at_ms``."""
        return self.appear <= at_ms < self.deleted

    def status_at(self, at_ms: int) -> int:
        """Return the conversation status at ``at_ms``, whether or not the row is visible."""
        if at_ms >= self.written:
            late = self.revision
            return late.outcome if late is not None and at_ms >= late.at_ms else self.outcome
        if at_ms >= self.talk:
            return ON_CALL
        return IN_CALL_QUEUE if at_ms >= self.queued else NEW

    def call_status_at(self, at_ms: int) -> int:
        """Return the telephony state at ``at_ms``."""
        if at_ms >= self.end:
            return self.call_status
        if self.early_cancel and self.queued <= at_ms < self.talk:
            return CANCELED
        return IN_PROGRESS

    def tags_at(self, at_ms: int) -> list[str] | None:
        """Return the tags at ``at_ms``: None until they are written, and for good in a few rows."""
        if at_ms < self.tagged:
            return None
        late = self.revision
        tags = late.tags if late is not None and at_ms >= late.at_ms else self.tags
        return None if tags is None else list(tags)

    def duration_at(self, at_ms: int) -> int:
        """Return the duration in seconds at ``at_ms``: 0 until the call is over."""
        if at_ms < self.end:
            return 0
        late = self.revision
        return late.duration if late is not None and at_ms >= late.at_ms else self.duration


@dataclass(frozen=True, slots=True)
class Letterhead:
    """What all rows of a campaign share: its salt in ids, its own numbers, its share of nulls."""

    salt: int
    null_share: float

    def call_id(self, call: CallLife) -> str:
        """Return the 24 hex digits that name the call; distinct within all campaigns."""
        return (
            f"{call.start // 1000:08x}{self.salt & 0xFFFFFFFFFF:010x}{call.number & 0xFFFFFF:06x}"
        )

    def numbers(self, call: CallLife) -> tuple[str | None, str | None]:
        """Return ``from`` and ``to``, of the ranges that are kept free for fiction, or None."""
        bits = spin(call.number ^ self.salt)
        nulls = int(self.null_share * 65536)
        caller = None if bits & 0xFFFF < nulls else _own_number(spin(self.salt) + bits % 3)
        callee = None if (bits >> 16) & 0xFFFF < nulls else _number(spin(call.lead ^ self.salt))
        return caller, callee

    def row(self, call: CallLife, at_ms: int) -> Row:
        """Return the row as the API shows it at ``at_ms`` (whether or not it would be served)."""
        caller, callee = self.numbers(call)
        return {
            "id": self.call_id(call),
            "startTime": start_time(call),
            "conversationStatus": call.status_at(at_ms),
            "status": call.call_status_at(at_ms),
            "from": caller,
            "to": callee,
            "duration": call.duration_at(at_ms),
            "tags": call.tags_at(at_ms),
        }


def _own_number(bits: int) -> str:
    return "55501" if bits % 11 == 0 else _number(bits)


def _number(bits: int) -> str:
    if bits % 5 == 0:
        return f"+447700900{bits // 5 % 1000:03d}"
    return f"+1{_AREAS[bits // 5 % len(_AREAS)]}55501{bits // 64 % 100:02d}"


FORM_STEPS = (1, 1, 1, 1, 1000, 100, 10, 1)
"""To how many milliseconds a startTime of each form is exact: a call must start on such a step."""


def start_time(call: CallLife) -> str:
    """Return the spelling of the call's start, the same each time.

    Forms: 0 ``.fffZ``, 1 seven digits, 2 offset +02:00, 3 no zone, 4 to 7 with 0, 1, 2, 6 digits.
    The digits after the third, of forms 1 and 7, need not be 0: cut to ms, it is ``start``.
    """
    form = call.form
    moment = datetime.fromtimestamp(call.start // 1000, _EAST if form == 2 else UTC)
    text = moment.isoformat()[:19]
    fraction = f"{call.start % 1000:03d}"
    if form == 0:
        return f"{text}.{fraction}Z"
    below = f"{spin(call.number) % 10_000:04d}"
    endings = (
        "",
        f".{fraction}{below}Z",
        f".{fraction}+02:00",
        f".{fraction}",
        "Z",
        f".{fraction[:1]}Z",
        f".{fraction[:2]}Z",
        f".{fraction}{below[:3]}Z",
    )
    return text + endings[form]
