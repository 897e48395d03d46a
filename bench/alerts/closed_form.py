"""The exporter's counters of one outbound after each poll, in closed form.

A month of twenty outbounds has millions of calls and 86,000 polls each: too many for the oracle,
which goes through every call at every poll. Here each call is assigned directly to the poll that
starts it and the poll that settles it. A test compares both, poll by poll.

There is a poll every 30 seconds unless the exporter or the API is down. The first good poll that
finds a call's row starts it. The call is finished for the first poll that finds its outcome
written, and settles ``settle`` after its end, which is not before the last poll that saw it live.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from bench.alerts.scenario import DAY_MS, START_MS, Drift, Incident, Outbound, Scenario, Span
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
"""Time from T of a poll until its result is published."""

STATUSES = ("error", "unreachable", "success", "not_successful", "complete")
"""Outcomes that the rules name. All other outcomes are counted as the last of these."""

STARTED = "started"
_UNIT = float(1 << 64)


class PollTimes:
    """The times at which an outbound is polled, and which of these polls are good.

    Attributes:
        first: T of poll 0, in milliseconds.
        count: Number of polls.
        good: 1 for each good poll, 0 for each failed one.
        next_good: For each poll the number of the first good poll from it on.
        last_good: For each poll the number of the last good poll before it, -1 if there is none.
    """

    def __init__(self, scenario: Scenario, offset_ms: int) -> None:
        self.first = START_MS + offset_ms
        self.count = (scenario.end - self.first) // INTERVAL_MS
        down = sorted((*scenario.restarts, *scenario.api_outages))
        good = bytearray(b"\1") * self.count
        for start, end in down:
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
        """Return the number of the first good poll from a moment on; ``count`` if there is none."""
        number = self._at_or_after(moment)
        return self.next_good[number] if number < self.count else self.count

    def at(self, number: int) -> int:
        """Return T of a poll, in milliseconds."""
        return self.first + number * INTERVAL_MS


@dataclass
class CounterIncrements:
    """By how much each poll increments each counter of one outbound.

    Attributes:
        polls: The polls.
        increments: For each counter (`STARTED`, or an outcome) its increment at each poll.
        bad_starts: The starts of all calls that end in error or unreachable.
        calls: Number of calls.
    """

    polls: PollTimes
    increments: dict[str, "array[int]"]
    bad_starts: dict[str, "array[int]"] = field(default_factory=dict)
    calls: int = 0


def count_calls(outbound: Outbound, scenario: Scenario, polls: PollTimes) -> CounterIncrements:
    """Generate all calls of an outbound and count them."""
    names = (STARTED, *STATUSES)
    counted = CounterIncrements(polls, {name: array("l", bytes(8 * polls.count)) for name in names})
    counted.bad_starts = {kind: array("q") for kind in ("error", "unreachable")}
    lost = None if scenario.lost_state_at is None else polls.find(scenario.lost_state_at)
    for call in calls_of(outbound, scenario):
        counted.calls += 1
        label = status_label(call.outcome)
        if label in counted.bad_starts:
            counted.bad_starts[label].append(call.start)
        count_call(call, counted, lost)
    return counted


def count_call(call: CallLife, counted: CounterIncrements, lost: int | None = None) -> None:
    """Count one call at the poll that starts it and the poll that settles it.

    Args:
        call: The call.
        counted: The increments to add to.
        lost: The first poll after the exporter lost its state, if it does.
    """
    polls, increments = counted.polls, counted.increments
    seen = polls.find(max(call.start, call.appear))
    if seen >= polls.count or call.deleted <= polls.at(seen):
        return
    settles = settled_by(call, seen, polls)
    gone = polls.find(call.deleted) if call.deleted < polls.at(polls.count) else polls.count
    increments[STARTED][seen] += 1
    if lost is not None and seen < lost <= min(settles, gone):
        increments[STARTED][lost] += 1  # the first poll without a state finds it again
    if settles < gone and settles < polls.count:
        label = status_label(call.status_at(polls.at(settles)))
        increments[label if label in increments else "complete"][settles] += 1


def settled_by(call: CallLife, seen: int, polls: PollTimes) -> int:
    """Return the poll that counts a call. ``seen`` is the first poll that saw it."""
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


def _settled_step_by_step(call: CallLife, seen: int, polls: PollTimes) -> int:
    """Return the same for a call whose row is revised, or whose code is in no table."""
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


def calls_of(outbound: Outbound, scenario: Scenario) -> Iterator[CallLife]:
    """Yield the calls by the minute of their start, changed by incidents, pauses and drift."""
    generator = CallGenerator(outbound.profile, 1, START_MS)
    last_minute = scenario.end // 60_000
    while generator.next_minute < last_minute:
        moment = generator.next_minute * 60_000
        calls: Iterable[CallLife] = generator.minute()
        for incident in outbound.incidents:
            if incident.start - 60_000 < moment < incident.end:
                calls = [each for each in calls if _apply_incident(each, incident, outbound)]
        for start, end in outbound.pauses:
            if start - 60_000 < moment < end:
                calls = [each for each in calls if not start <= each.start < end]
        if outbound.drift is not None and moment > outbound.drift.start:
            for each in calls:
                _apply_drift(each, outbound.drift, outbound.usual(outbound.drift.kind))
        yield from calls


def _apply_incident(call: CallLife, incident: Incident, outbound: Outbound) -> bool:
    """Change a call by an incident. Return False if the call is not made at all."""
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


def _apply_drift(call: CallLife, drift: Drift, usual: float) -> None:
    progress = min(1.0, (call.start - drift.start) / (drift.end - drift.start))
    share = progress * (drift.times - 1) * usual / (1 - usual)
    if splitmix64(call.number ^ drift.start) / _UNIT < share:
        apply_incident(
            call, SimulatedIncident(kind=drift.kind, start_ms=0, end_ms=1 << 60, share=1.0)
        )


def nth_bad(counted: CounterIncrements, incident: Incident, number: int) -> int | None:
    """Return the start of the ``number``-th bad call in an incident; None if there are fewer."""
    starts = counted.bad_starts[incident.kind]
    place = bisect_left(starts, incident.start) + number - 1
    return starts[place] if place < len(starts) and starts[place] < incident.end else None


def days_of(scenario: Scenario) -> Iterator[Span]:
    """Yield the days, each as (start, end) in milliseconds."""
    for day in range(scenario.days):
        yield START_MS + day * DAY_MS, START_MS + (day + 1) * DAY_MS
