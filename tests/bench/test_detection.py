"""The benchmark of the detector runs, and its bound is the one that it names."""

from math import log

import pytest

from bench.detection.bound import bound_of, nats_needed
from bench.detection.evaluation import (
    Alarm,
    alarms_of,
    evidence_of,
    false_alarms,
    how_found,
    run_busy,
    run_quiet,
)
from bench.detection.world import (
    HOUR_MS,
    MINUTE_MS,
    START_MS,
    STEP_MS,
    Incident,
    OutboundMonth,
    Step,
    make_month,
)
from pearl_exporter.detection.usual import Prior

INCIDENT = Incident("spike", START_MS, START_MS + HOUR_MS, 4.0)


def month(**how) -> OutboundMonth:
    usual = {
        "seed": 1,
        "scatter": 0.0,
        "rate": 960,
        "mean": 0.05,
        "hours": "all day",
        "is_open_on_weekends": True,
        "pace": "steady",
        "family": "beta",
        "moves": "drift",
        "day_fraction": 0.0,
        "outcome_delay_seconds": 5,
        "days": 2,
        "incidents": (INCIDENT,),
    }
    return OutboundMonth(**{**usual, **how})


def steps(share: float) -> list[Step]:
    return [Step(START_MS + place * STEP_MS, 4, 0, share) for place in range(240)]


def test_without_scatter_the_bound_is_that_of_lorden():
    share, mean = 0.3, 0.05
    divergence = share * log(share / mean) + (1 - share) * log((1 - share) / (1 - mean))
    calls = 12.0 / divergence
    bound = bound_of(month(), INCIDENT, steps(share), 12.0)
    assert (bound - START_MS) / STEP_MS == pytest.approx(max(calls, 10 / share) / 4, abs=1)


def test_scatter_puts_the_bound_off():
    still = bound_of(month(), INCIDENT, steps(0.15), 12.0)
    restless = bound_of(month(scatter=0.2), INCIDENT, steps(0.15), 12.0)
    assert still < restless
    assert bound_of(month(scatter=1.0), INCIDENT, steps(0.15), 12.0) is None


def test_an_incident_that_ends_before_its_bound_is_not_decidable():
    short = INCIDENT._replace(end=START_MS + STEP_MS)
    assert bound_of(month(), short, steps(0.3), 12.0) is None


def test_nats_are_those_of_one_false_alarm_in_20_months():
    assert nats_needed(1_000) == pytest.approx(log(20_000))


def test_alarms_are_spans_over_a_limit():
    evidence = [(1, 3.0), (2, 9.0), (3, 12.0), (4, 2.0), (5, 9.0)]
    assert alarms_of(evidence, 8.0) == [Alarm(2, 4), Alarm(5, 5)]
    assert alarms_of(evidence, 20.0) == []


def test_an_alarm_long_after_an_incident_is_false():
    late = Alarm(INCIDENT.end + 11 * MINUTE_MS, INCIDENT.end + 12 * MINUTE_MS)
    soon = Alarm(INCIDENT.end + 9 * MINUTE_MS, INCIDENT.end + 12 * MINUTE_MS)
    assert false_alarms([late, soon], [INCIDENT]) == [late]


def test_minutes_are_counted_from_bound_and_end():
    alarms = [Alarm(START_MS + 10 * MINUTE_MS, INCIDENT.end + 3 * MINUTE_MS)]
    (found,) = how_found(month(), steps(0.3), alarms, 12.0)
    # the bound is the call of minute 2:15; its step and its outcome take 20 s, then comes a poll
    assert found.is_decidable
    assert found.over_bound == pytest.approx(7, abs=1)
    assert found.after_end == 3


def test_calls_during_an_outage_are_read_after_it():
    first = START_MS + HOUR_MS
    unseen = Incident("spike", first, first + HOUR_MS, 100.0, is_unseen=True)
    one = month(days=1, incidents=(unseen,), mean=0.3)
    some = [step for step in one.steps() if step.start < START_MS + 4 * HOUR_MS]
    prior = Prior(0.05, 30.0)
    evidence = dict(evidence_of(one, some, START_MS, prior))
    down, back = unseen.start - 5 * MINUTE_MS, unseen.start + 15 * MINUTE_MS
    assert not any(down <= now < back for now in evidence)
    assert max(nats for now, nats in evidence.items() if now < down) < 11 < evidence[back]


def test_calls_come_as_often_and_as_bad_as_said():
    some = [*month(days=3, incidents=()).steps()]
    calls = sum(step.calls for step in some)
    assert calls == pytest.approx(3 * 24 * 960, rel=0.03)
    assert sum(step.bad for step in some) / calls == pytest.approx(0.05, rel=0.1)


@pytest.mark.parametrize("moves", ["segments by calls", "segments by time", "drift"])
@pytest.mark.parametrize("family", ["beta", "logit-normal"])
@pytest.mark.parametrize("day_fraction", [0.0, 1.0])
def test_a_share_moves_by_its_scatter(moves, family, day_fraction):
    still = month(
        days=50, incidents=(), scatter=0.3, rate=200, family=family, moves=moves,
        day_fraction=day_fraction,
    )  # fmt: skip
    logits = [log(step.share / (1 - step.share)) for step in still.steps()]
    mean = sum(logits) / len(logits)
    deviation = (sum((each - mean) ** 2 for each in logits) / len(logits)) ** 0.5
    assert deviation == pytest.approx(0.3, rel=0.3)


def test_the_same_seed_makes_the_same_month():
    one, other = (make_month(3, 0.2, days=2, incidents_from_day=1) for _ in range(2))
    assert one == other
    assert [*one.steps()] == [*other.steps()]


@pytest.mark.parametrize("seed", [1, 3])
def test_a_month_runs_through(seed):
    quiet = run_quiet(seed, 0.16, (7.0, 10.0))
    busy = run_busy(seed, 0.16, (7.0, 10.0))
    assert quiet.false.keys() == busy.found.keys() == {7.0, 10.0}
    assert quiet.found[10.0] == []
