"""The benchmark's counters, in closed form, are those of the tracker that is fed whole rows."""

import pytest

from bench.alert_quality.counting import (
    INTERVAL_MS,
    SETTLE_MS,
    SETTLE_UNANSWERED_MS,
    STARTED,
    STATUSES,
    Counted,
    Polls,
    calls_of,
    count,
)
from bench.alert_quality.world import HOUR_MS, MINUTE_MS, START_MS, Incident, Outbound, World
from pearl_exporter.counting.calls import Call
from pearl_exporter.counting.settlement import CountingRules
from pearl_exporter.counting.tracker import Tracker
from pearl_exporter.simulator import Profile

NOON = START_MS + 12 * HOUR_MS
END = NOON + 2 * HOUR_MS
PROFILE = Profile(
    outbound_id="65f1c0ffee",
    name="noon",
    calls_a_day=6_000,
    hours=(0.0,) * 12 + (1.0,) * 12,
    success_definition=True,
    queue_seconds=20,
    longest_seconds=1800,
    late_row_share=0.05,
    late_outcome_share=0.05,
    deleted_share=0.02,
    revised_share=0.05,
)
AWAY = {
    "all is well": ((), ()),
    "a restart and an outage of the API": (
        ((NOON + 20 * MINUTE_MS, NOON + 22 * MINUTE_MS),),
        ((NOON + 60 * MINUTE_MS, NOON + 75 * MINUTE_MS),),
    ),
}


def by_tracker(outbound: Outbound, world: World, polls: Polls) -> list[dict[str, int]]:
    """Started and settled calls after each poll until `END`, by the real rules of counting."""
    rules = CountingRules(
        window_ms=4 * HOUR_MS,
        settle_ms=SETTLE_MS,
        settle_unanswered_ms=SETTLE_UNANSWERED_MS,
        follow_ms=24 * HOUR_MS,
        catch_up_ms=24 * HOUR_MS,
        scan_every_ms=HOUR_MS,
        buckets=(60.0,),
    )
    calls = [call for call in calls_of(outbound, world) if call.start < END]
    tracker, seen = Tracker(rules), []
    for number in range((END - polls.first) // INTERVAL_MS):
        at = polls.at(number)
        if polls.good[number]:
            rows = [
                Call(
                    id=str(call.number),
                    start=call.start,
                    status=call.status_at(at),
                    call_status=call.call_status_at(at),
                    duration=float(call.duration_at(at)),
                )
                for call in calls
                if call.start <= at and call.visible_at(at)
            ]
            tracker.apply(rows, ranges=[(at - rules.window_ms, at + 1)], now=at)
        ledger = tracker.snapshot().ledger
        known = {name: ledger.by_status.get(name, 0) for name in STATUSES[:-1]}
        others = ledger.settled - sum(known.values())
        seen.append({STARTED: ledger.started, **known, STATUSES[-1]: others})
    return seen


def in_closed_form(counted: Counted) -> list[dict[str, int]]:
    totals = dict.fromkeys(counted.increments, 0)
    made = []
    for number in range((END - counted.polls.first) // INTERVAL_MS):
        for name, increments in counted.increments.items():
            totals[name] += increments[number]
        made.append(dict(totals))
    return made


@pytest.mark.parametrize("name", AWAY)
def test_every_poll_shows_the_counters_of_the_tracker(name: str) -> None:
    restarts, api_outages = AWAY[name]
    world = World(1, (), restarts, api_outages, None)
    spell = Incident("error", NOON + 40 * MINUTE_MS, NOON + 55 * MINUTE_MS, 12.0)
    outbound = Outbound(PROFILE, (spell,))
    polls = Polls(world, 7_000)
    counted = in_closed_form(count(outbound, world, polls))
    tracked = by_tracker(outbound, world, polls)
    assert counted[-1][STARTED] > 800
    assert counted == tracked
