"""The counters in closed form are those of the oracle after every poll."""

import pytest

from bench.alerts.closed_form import (
    INTERVAL_MS,
    SETTLE_MS,
    SETTLE_UNANSWERED_MS,
    STARTED,
    STATUSES,
    CounterIncrements,
    PollTimes,
    calls_of,
    count_calls,
)
from bench.alerts.scenario import HOUR_MS, MINUTE_MS, START_MS, Incident, Outbound, Scenario
from pearl_exporter.counting.settlement import CountingRules
from pearl_exporter.simulator import Profile
from tests.support.oracle import NAMES, Recount, name, simulated_polls

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
DOWNTIMES = {
    "no downtime": ((), ()),
    "a restart and an outage of the API": (
        ((NOON + 20 * MINUTE_MS, NOON + 22 * MINUTE_MS),),
        ((NOON + 60 * MINUTE_MS, NOON + 75 * MINUTE_MS),),
    ),
}


def by_oracle(outbound: Outbound, scenario: Scenario, polls: PollTimes) -> list[dict[str, int]]:
    """Started and settled calls after each poll until `END`."""
    rules = CountingRules(
        window_ms=4 * HOUR_MS,
        settle_ms=SETTLE_MS,
        settle_unanswered_ms=SETTLE_UNANSWERED_MS,
        follow_ms=24 * HOUR_MS,
        catch_up_ms=24 * HOUR_MS,
        scan_every_ms=HOUR_MS,
        buckets=(60.0,),
    )
    calls = [call for call in calls_of(outbound, scenario) if call.start < END]
    numbers = range((END - polls.first) // INTERVAL_MS)
    moments = [polls.at(number) for number in numbers if polls.good[number]]
    recount = Recount(list(simulated_polls(calls, moments, rules)), rules)
    totals = dict.fromkeys((STARTED, *STATUSES), 0)
    counted = [(at, STARTED) for at in recount.started_at]
    for each in recount.settled:
        status = name(each.row.status, NAMES)
        counted.append((each.counted_at, status if status in STATUSES else STATUSES[-1]))
    counted.sort()
    after_each = []
    for number in numbers:
        while counted and counted[0][0] <= polls.at(number):
            totals[counted.pop(0)[1]] += 1
        after_each.append(dict(totals))
    return after_each


def in_closed_form(counted: CounterIncrements) -> list[dict[str, int]]:
    totals = dict.fromkeys(counted.increments, 0)
    after_each = []
    for number in range((END - counted.polls.first) // INTERVAL_MS):
        for counter, increments in counted.increments.items():
            totals[counter] += increments[number]
        after_each.append(dict(totals))
    return after_each


@pytest.mark.parametrize("case", DOWNTIMES)
def test_after_every_poll_the_counters_are_those_of_the_oracle(case: str) -> None:
    restarts, api_outages = DOWNTIMES[case]
    scenario = Scenario(1, (), restarts, api_outages, None)
    incident = Incident("error", NOON + 40 * MINUTE_MS, NOON + 55 * MINUTE_MS, 12.0)
    outbound = Outbound(PROFILE, (incident,))
    polls = PollTimes(scenario, 7_000)
    counted = in_closed_form(count_calls(outbound, scenario, polls))
    assert counted[-1][STARTED] > 800
    assert counted == by_oracle(outbound, scenario, polls)
