"""What the exporter's counters show of one outbound, poll by poll, by its rules of counting.

A poll happens every 30 seconds unless the exporter or the API is away. A call is started at the
first good poll that finds its row; it is finished at the first that finds its outcome written; it
settles ``settle`` after its end, which is not before the last poll that saw it live. This is what
`pearl_exporter.counting.tracker` does with whole rows, worked out in closed form: a test compares
the two.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from bench.alert_quality.world import DAY_MS, START_MS, Drift, Incident, Outbound, Span, World
from pearl_exporter.counting.calls import (
    STATUS_LABELS,
    Call,
    ended_at,
    is_answered,
    is_live,
    status_label,
)
from pearl_exporter.simulator.call_generator import CallGenerator
from pearl_exporter.simulator.call_life import CallLife
from pearl_exporter.simulator.incident import Incident as SimulatedIncident
from pearl_exporter.simulator.incident import apply_incident
from pearl_exporter.simulator.splitmix import splitmix64

INTERVAL_MS = 30_000
SETTLE_MS = 120_000
SETTLE_UNANSWERED_MS = 30_000
FOLLOW_MS = DAY_MS
PUBLISHED_AFTER_MS = 1_000
"""How long a poll takes."""

STATUSES = ("error", "unreachable", "success", "not_successful", "complete")
"""Outcomes that the rules name; all others are counted under the last."""

STARTED = "started"
_UNIT = float(1 << 64)


class Polls:
    """When an outbound is polled: the grid, and which of its moments were good."""

    def __init__(self, world: World, offset_ms: int) -> None:
        self.first = START_MS + offset_ms
        self.count = (world.end - self.first) // INTERVAL_MS
        away = sorted((*world.restarts, *world.api_outages))
        good = bytearray(b"\1") * self.count
        for start, end in away:
            first, last = self._at_or_after(start), self._at_or_after(end)
            for number in range(first, min(last, self.count)):
                good[number] = 0
        self.good = good
        self.next_good = array("l", [self.count]) * (self.count + 1)
        self.last_good = array("l", [-1]) * (self.count + 1)
        for number in range(self.count - 1, -1, -1):
            self.next_good[number] = number if good[number] else self.next_good[number + 1]
        for number in range(1, self.count + 1):
            self.last_good[number] = number - 1 if good[number - 1] else self.last_good[number - 1]

    def _at_or_after(self, moment: int) -> int:
        return max(0, -((self.first - moment) // INTERVAL_MS))

    def find(self, moment: int) -> int:
        """The first good poll at or after this moment; ``count`` if there is none."""
        number = self._at_or_after(moment)
        return self.next_good[number] if number < self.count else self.count

    def at(self, number: int) -> int:
        """When a poll is."""
        return self.first + number * INTERVAL_MS


@dataclass
class Counted:
    """Increments by poll, and what the labels need to know of the calls."""

    polls: Polls
    increments: dict[str, array]
    bad_starts: dict[str, array] = field(default_factory=dict)
    calls: int = 0


def count(outbound: Outbound, world: World, polls: Polls) -> Counted:
    """Makes all calls of the outbound and counts them."""
    names = (STARTED, *STATUSES)
    counted = Counted(polls, {name: array("l", bytes(8 * polls.count)) for name in names})
    counted.bad_starts = {kind: array("q") for kind in ("error", "unreachable")}
    lost = None if world.lost_state_at is None else polls.find(world.lost_state_at)
    for call in calls_of(outbound, world):
        counted.calls += 1
        label = status_label(call.outcome)
        if label in counted.bad_starts:
            counted.bad_starts[label].append(call.start)
        count_call(call, counted, lost)
    return counted


def count_call(call: CallLife, counted: Counted, lost: int | None = None) -> None:
    """Adds one call to the increments of the polls that start and settle it."""
    polls, increments = counted.polls, counted.increments
    seen = polls.find(max(call.start, call.appear))
    if seen >= polls.count or call.deleted <= polls.at(seen):
        return
    settles = settled_by(call, seen, polls)
    gone = polls.find(call.deleted) if call.deleted < polls.at(polls.count) else polls.count
    increments[STARTED][seen] += 1
    if lost is not None and seen < lost <= min(settles, gone):
        increments[STARTED][lost] += 1  # tracking began anew, and found it going on
    if settles < gone and settles < polls.count:
        label = status_label(call.status_at(polls.at(settles)))
        increments[label if label in increments else "complete"][settles] += 1


def settled_by(call: CallLife, seen: int, polls: Polls) -> int:
    """The poll that counts a call which poll ``seen`` was the first to see."""
    if call.late_change is not None or call.outcome not in STATUS_LABELS:
        return _settled_step_by_step(call, seen, polls)
    finished = max(seen, polls.find(max(call.written, call.end)))
    if finished >= polls.count:
        return polls.count
    end = call.start + call.duration * 1000
    before = polls.last_good[finished]
    if before >= seen:
        end = max(end, polls.at(before))
    settle = SETTLE_MS if call.duration else SETTLE_UNANSWERED_MS
    return max(finished, polls.find(end + settle))


def _settled_step_by_step(call: CallLife, seen: int, polls: Polls) -> int:
    """The same for the odd call, whose row may change once more or bears a code of no table."""
    seen_live_at = None
    number, last = seen, min(polls.count, seen + FOLLOW_MS // INTERVAL_MS)
    while number < last:
        at = polls.at(number)
        row = Call(
            "",
            call.start,
            call.status_at(at),
            call.call_status_at(at),
            float(call.duration_at(at)),
        )
        if is_live(row):
            seen_live_at = at
        elif at >= ended_at(row, seen_live_at) + (
            SETTLE_MS if is_answered(row) else SETTLE_UNANSWERED_MS
        ):
            return number
        number = polls.next_good[number + 1]
    return polls.count


def calls_of(outbound: Outbound, world: World) -> Iterator[CallLife]:
    """The calls in the order of their minutes, with all that befalls them."""
    generator = CallGenerator(outbound.profile, 1, START_MS)
    last_minute = world.end // 60_000
    while generator.next_minute < last_minute:
        moment = generator.next_minute * 60_000
        calls: Iterable[CallLife] = generator.minute()
        for incident in outbound.incidents:
            if incident.start - 60_000 < moment < incident.end:
                calls = [each for each in calls if _hit(each, incident, outbound)]
        for start, end in outbound.pauses:
            if start - 60_000 < moment < end:
                calls = [each for each in calls if not start <= each.start < end]
        if outbound.drift is not None and moment > outbound.drift.start:
            for each in calls:
                _drift(each, outbound.drift, outbound.usual(outbound.drift.kind))
        yield from calls


def _hit(call: CallLife, incident: Incident, outbound: Outbound) -> bool:
    """Lets an incident befall a call; False if the call is not made at all."""
    if not incident.start <= call.start < incident.end:
        return True
    if incident.kind == "stop":
        return False
    if incident.kind == "success":
        if call.outcome == 100 and splitmix64(call.number ^ incident.end) / _UNIT > incident.times:
            call.outcome = 110
            call.late_change = None
        return True
    usual = outbound.usual(incident.kind)
    share = min(0.97, (incident.times - 1) * usual / (1 - usual))
    apply_incident(
        call,
        SimulatedIncident(
            kind=incident.kind, start_ms=incident.start, end_ms=incident.end, share=share
        ),
    )
    return True


def _drift(call: CallLife, drift: Drift, usual: float) -> None:
    way = min(1.0, (call.start - drift.start) / (drift.end - drift.start))
    share = way * (drift.times - 1) * usual / (1 - usual)
    if splitmix64(call.number ^ drift.start) / _UNIT < share:
        apply_incident(
            call, SimulatedIncident(kind=drift.kind, start_ms=0, end_ms=1 << 60, share=1.0)
        )


def nth_bad(counted: Counted, incident: Incident, number: int) -> int | None:
    """When the so-manieth bad call of an incident started, the usual bad ones included."""
    starts = counted.bad_starts[incident.kind]
    place = bisect_left(starts, incident.start) + number - 1
    return starts[place] if place < len(starts) and starts[place] < incident.end else None


def days_of(world: World) -> Iterator[Span]:
    """The days, each as (start, end)."""
    for day in range(world.days):
        yield START_MS + day * DAY_MS, START_MS + (day + 1) * DAY_MS
