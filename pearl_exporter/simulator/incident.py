"""A span of time in which calls fail, and what it does to a call."""

from dataclasses import dataclass

from pearl_exporter.simulator.call_life import NEVER, CallLife
from pearl_exporter.simulator.splitmix import splitmix64


@dataclass(frozen=True, kw_only=True)
class Incident:
    """A span of time in which calls fail: ``share`` of those that start in [start_ms, end_ms).

    Attributes:
        kind: ``error`` ends calls with outcome 500, most of them with telephony state ``failed``;
            ``unreachable`` ends them with outcome 150 and ``no_answer``. The duration is 0.
        start_ms: First moment, in epoch milliseconds.
        end_ms: First moment after it.
        share: Share of the calls that fail, 0 to 1.
    """

    kind: str
    start_ms: int
    end_ms: int
    share: float = 0.8

    def __post_init__(self) -> None:
        """Check the fields.

        Raises:
            ValueError: A field has a value that can't be; the message says what was wanted.
        """
        if self.kind not in ("error", "unreachable"):
            raise ValueError(f'Incident.kind is {self.kind!r}, wanted "error" or "unreachable"')
        if self.end_ms <= self.start_ms:
            raise ValueError("Incident.end_ms must be after start_ms")
        if not 0.0 <= self.share <= 1.0:
            raise ValueError(f"Incident.share is {self.share}, wanted 0 to 1")


def apply_incident(call: CallLife, incident: Incident) -> None:
    """End the call as the incident has it, if the call is in the incident's share.

    The caller sees to it that the call starts within the incident. The call keeps its start.
    """
    # Drawn from the call's number, so that an incident hits the same calls whether they were
    # generated before it was added or after. The low 24 bits decide whether the call is hit. The
    # others, shifted by 24, 32 and 44, decide its telephony state and its times.
    bits = splitmix64(call.number ^ incident.start_ms)
    if (bits & 0xFFFFFF) / 0x1000000 >= incident.share:
        return
    is_error = incident.kind == "error"
    is_usual = (bits >> 24) % 10 < 8
    call.outcome = 500 if is_error else 150
    call.call_status = 6 if is_error and is_usual else 7
    call.duration = 0
    call.tags = ()
    call.end = call.queued + (1_000 if is_error else 25_000) + (bits >> 32) % 2_000
    call.written = call.tagged = call.talk = call.end + 1_000 + (bits >> 44) % 4_000
    call.late_change = None
    call.deleted = NEVER
