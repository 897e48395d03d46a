"""What the detector says of an outbound-month: which alarms are false, and how late others are."""

import math
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from random import Random
from typing import NamedTuple

from bench.detection.bound import bound_of, nats_needed
from bench.detection.world import (
    DAY_MS,
    MINUTE_MS,
    START_MS,
    STEP_MS,
    Incident,
    OutboundMonth,
    Step,
    make_month,
)
from pearl_exporter.counting.calls import CallValues
from pearl_exporter.detection.beta_binomial import with_odds
from pearl_exporter.detection.detector import Detector
from pearl_exporter.detection.signals import Signal
from pearl_exporter.detection.usual import Prior, Usual, prior_of

POLL_MS = 30_000
IDLE_ASSESS_MS = 10 * MINUTE_MS
"""How often evidence is looked at while no calls come."""
LEARN_DAYS = 7
SIBLINGS_DIFFER = 0.8
"""The standard deviation of the logarithm of the odds by which siblings differ."""
GRACE_MS = 10 * MINUTE_MS
"""An alarm that begins up to this long after the end of an incident still belongs to it."""

_LIVE = CallValues(40, 3, 0.0, ())
_ERROR = CallValues(500, 6, 0.0, ())


class Alarm(NamedTuple):
    """A span in which the evidence was over a limit; milliseconds."""

    start: int
    end: int


class Found(NamedTuple):
    """How an incident was found.

    Attributes:
        incident: The incident.
        is_decidable: Whether the bound lies before its end.
        over_bound: Minutes from the bound to the alarm; None if there was no alarm or no bound.
        after_end: Minutes from the incident's end to the last alarm's end; None without alarm.
        alarms: How many alarms there were.
    """

    incident: Incident
    is_decidable: bool
    over_bound: float | None
    after_end: float | None
    alarms: int


class MonthResult(NamedTuple):
    """What came of one outbound-month, by limit.

    Attributes:
        rate: Calls an hour.
        false: How many alarms were false.
        found: How each incident was found.
    """

    rate: float
    false: dict[float, int]
    found: dict[float, list[Found]]


def polls(month: OutboundMonth) -> Iterator[int]:
    """Yield the moments at which the exporter polls, in milliseconds."""
    unseen = [
        (i.start - 5 * MINUTE_MS, i.start + 15 * MINUTE_MS) for i in month.incidents if i.is_unseen
    ]
    for now in range(START_MS, START_MS + (month.days + 1) * DAY_MS, POLL_MS):
        if not any(a <= now < b for a, b in unseen):
            yield now


def evidence_of(
    month: OutboundMonth, steps: Sequence[Step], first: int, prior: Prior | None
) -> Iterator[tuple[int, float]]:
    """Yield each poll since ``first``, and the evidence that the detector has then."""
    random = Random(f"delays {month.seed}")
    detector = Detector()
    # bad calls by their start, by the first poll at which they are known
    known: dict[int, Counter[int]] = defaultdict(Counter)
    place = assessed_at = 0
    for now in polls(month):
        is_new = False
        while place < len(steps) and steps[place].start + STEP_MS <= now:
            step = steps[place]
            detector.add({(step.start, _LIVE): step.calls}, now)
            for _ in range(step.bad):
                delay = random.expovariate(1 / month.outcome_delay_seconds)
                at = step.start + STEP_MS + int(1000 * delay)
                known[at - at % POLL_MS + POLL_MS][step.start] += 1
            place, is_new = place + 1, True
        # after an outage of the exporter these are those of many polls
        for poll in [poll for poll in known if poll <= now]:
            is_new = True
            for start, bad in known.pop(poll).items():
                detector.add({(start, _LIVE): -bad, (start, _ERROR): bad}, now)
        if now >= first and (is_new or now - assessed_at >= IDLE_ASSESS_MS):
            assessed_at = now
            stretch = detector.assess(Signal.ERROR, now, prior=lambda: prior).stretch
            yield now, stretch.evidence if stretch else 0.0


def alarms_of(evidence: Sequence[tuple[int, float]], limit: float) -> list[Alarm]:
    """Return the spans in which evidence was over a limit."""
    alarms, began = [], None
    for now, nats in evidence:
        if nats >= limit and began is None:
            began = now
        elif nats < limit and began is not None:
            alarms.append(Alarm(began, now))
            began = None
    if began is not None:
        alarms.append(Alarm(began, evidence[-1][0]))
    return alarms


def false_alarms(alarms: Sequence[Alarm], incidents: Sequence[Incident]) -> list[Alarm]:
    """Return the alarms that belong to no incident."""
    return [
        alarm
        for alarm in alarms
        if not any(i.start < alarm.end and alarm.start <= _last_moment(i) for i in incidents)
    ]


def _last_moment(incident: Incident) -> int:
    unseen = 15 * MINUTE_MS if incident.is_unseen else 0
    return max(incident.end, incident.start + unseen) + GRACE_MS


def how_found(
    month: OutboundMonth, steps: Sequence[Step], alarms: Sequence[Alarm], needed: float
) -> list[Found]:
    """Return how each incident was found."""
    found = []
    starts = [step.start for step in steps]
    for incident in month.incidents:
        first, last = bisect_left(starts, incident.start), bisect_left(starts, incident.end)
        bound = bound_of(month, incident, steps[first:last], needed)
        its = [a for a in alarms if a.end > incident.start and a.start <= _last_moment(incident)]
        over = after = None
        is_decidable = False
        if bound is not None:
            # the outcome is known later, and then the next poll reads it
            seen = bound + STEP_MS + 1000 * month.outcome_delay_seconds
            seen += -seen % POLL_MS
            if incident.is_unseen:
                seen = max(seen, incident.start + 15 * MINUTE_MS)
            is_decidable = not incident.is_unseen or seen <= incident.end
            if its:
                over = (its[0].start - seen) / MINUTE_MS
        if its:
            after = (its[-1].end - incident.end) / MINUTE_MS
        found.append(Found(incident, is_decidable, over, after, len(its)))
    return found


def run_month(
    month: OutboundMonth, limits: Sequence[float], first_day: int, prior: Prior | None = None
) -> MonthResult:
    """Run the detector over an outbound-month, with several limits at once.

    Args:
        month: The outbound.
        limits: The limits, in nats.
        first_day: The first day on which the detector judges.
        prior: What its siblings say.
    """
    steps = [*month.steps()]
    first = START_MS + first_day * DAY_MS
    evidence = [*evidence_of(month, steps, first, prior)]
    looks = len(evidence) * 30 / (month.days - first_day)
    calls = sum(step.calls for step in steps) * 30 / month.days
    needed = nats_needed(min(looks, calls))
    by_limit = {limit: alarms_of(evidence, limit) for limit in limits}
    return MonthResult(
        month.rate,
        {limit: len(false_alarms(alarms, month.incidents)) for limit, alarms in by_limit.items()},
        {limit: how_found(month, steps, alarms, needed) for limit, alarms in by_limit.items()},
    )


def run_quiet(seed: int, scatter: float, limits: Sequence[float]) -> MonthResult:
    """Run the detector over 30 days of an outbound without incidents; every fourth is new."""
    if seed % 4 < 3:
        month = make_month(seed, scatter, days=LEARN_DAYS + 30, incidents_from_day=None)
        return run_month(month, limits, LEARN_DAYS)
    month = make_month(seed, scatter, days=30, incidents_from_day=None)
    random = Random(f"siblings {seed}")
    siblings = [with_odds(month.mean, math.exp(random.gauss(0, SIBLINGS_DIFFER))) for _ in range(5)]
    prior = prior_of(Usual(mean, scatter, 10_000, 10_000.0) for mean in siblings)
    return run_month(month, limits, 0, prior)


def run_busy(seed: int, scatter: float, limits: Sequence[float]) -> MonthResult:
    """Run the detector over 10 days of an outbound with incidents, after it has learned."""
    month = make_month(seed, scatter, days=LEARN_DAYS + 10, incidents_from_day=LEARN_DAYS)
    return run_month(month, limits, LEARN_DAYS)
