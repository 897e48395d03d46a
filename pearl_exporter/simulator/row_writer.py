"""The row that the API shows of a call: id, numbers and the many spellings of its start."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from pearl_exporter.simulator.call_life import CallLife
from pearl_exporter.simulator.splitmix import splitmix64

CallRow = dict[str, Any]
"""A row of the calls search, as its JSON has it."""

TIME_STEPS_MS = (1, 1, 1, 1, 1000, 100, 10, 1)
"""The resolution of ``startTime`` by time format: a call must start on such a step."""

_AREAS = ("201", "212", "305", "312", "415", "512", "617", "702", "808", "907")
_EAST = timezone(timedelta(hours=2))


@dataclass(frozen=True, slots=True)
class RowWriter:
    """Writes the rows of one campaign.

    Attributes:
        salt: Keeps ids and numbers of one campaign apart from those of another.
        null_share: Share of the rows whose ``from``, and of those whose ``to``, is null.
    """

    salt: int
    null_share: float

    def call_id(self, call: CallLife) -> str:
        """Return the 24 hex digits of the call's id, distinct within all campaigns.

        They have the layout of a MongoDB ObjectId: 8 digits of seconds, here of the start, 10 that
        are random, here the campaign's salt, and 6 that count, here the call's number.
        """
        return (
            f"{call.start // 1000:08x}{self.salt & 0xFFFFFFFFFF:010x}{call.number & 0xFFFFFF:06x}"
        )

    def numbers(self, call: CallLife) -> tuple[str | None, str | None]:
        """Return ``from`` and ``to``: numbers of ranges reserved for fiction, or None."""
        # Bits 0 to 15 decide whether `from` is null, 16 to 31 whether `to` is.
        bits = splitmix64(call.number ^ self.salt)
        nulls = int(self.null_share * 65536)
        own = splitmix64(self.salt) + bits % 3  # a campaign calls from three numbers
        lead = splitmix64(call.lead ^ self.salt)
        caller = None if bits & 0xFFFF < nulls else _own_number(own)
        callee = None if (bits >> 16) & 0xFFFF < nulls else _number(lead)
        return caller, callee

    def row(self, call: CallLife, at_ms: int) -> CallRow:
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


def call_number(row: Any) -> int:
    """Return the number of the row's call, as its id has it; 1 for a row without a usable id."""
    call_id = row.get("id") if isinstance(row, dict) else None
    try:
        return int(str(call_id)[-6:], 16)
    except ValueError:
        return 1


def start_time(call: CallLife) -> str:
    """Return the spelling of the call's start, always the same one for the same call.

    The time formats are: 0 ``.fffZ``, 1 seven digits, 2 offset +02:00, 3 no zone, 4 to 7 with 0, 1,
    2 and 6 digits. In formats 1 and 7 the digits after the third are not all 0: cut to
    milliseconds, the time is `CallLife.start`.
    """
    form = call.time_format
    moment = datetime.fromtimestamp(call.start // 1000, _EAST if form == 2 else UTC)
    text = moment.isoformat()[:19]
    fraction = f"{call.start % 1000:03d}"
    if form == 0:
        return f"{text}.{fraction}Z"
    below = f"{splitmix64(call.number) % 10_000:04d}"
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


def _own_number(bits: int) -> str:
    return "55501" if bits % 11 == 0 else _number(bits)


def _number(bits: int) -> str:
    """Return a number of a range reserved for fiction: of Ofcom's, or +1 XXX 555 01XX."""
    if bits % 5 == 0:
        return f"+447700900{bits // 5 % 1000:03d}"
    return f"+1{_AREAS[bits // 5 % len(_AREAS)]}55501{bits // 64 % 100:02d}"
