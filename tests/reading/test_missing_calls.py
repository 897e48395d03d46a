"""What a poll asks about calls that a read has missed, and what answers that lie can cost."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pearl_exporter.counting.calls import Call
from pearl_exporter.counting.tracker import Tracker
from pearl_exporter.errors import Inconsistent
from pearl_exporter.reading.cost import PlanLimits
from pearl_exporter.reading.plan import (
    ASKED_BEFORE_GONE,
    MISSING_REQUESTS,
    PlanState,
    PollPlan,
    PollResult,
)
from pearl_exporter.reading.search import Purpose
from tests.reading.test_plan import HOUR, LIMIT, MINUTE, QUIET, RULES, SECOND, T0, Outbound, done
from tests.support.oracle import positive
from tests.support.table import Table, run_plan

Shown = Callable[[Mapping[str, Call]], Mapping[str, Call]]


def shows(outbound: Outbound, shown: Shown, *, answers: int) -> None:
    """Let the first ``answers`` of the next poll come from what ``shown`` returns."""

    def choose(table: Table) -> None:
        table.shown = shown if len(table.searches) < answers else dict

    outbound.table.shown, outbound.table.on_search = shown, choose


def nothing(_rows: Mapping[str, Call]) -> Mapping[str, Call]:
    return {}


ALWAYS = 1_000_000


def test_an_empty_poll_empties_no_window():
    outbound = Outbound(QUIET)
    before = outbound.tracker.snapshot()
    shows(outbound, nothing, answers=ALWAYS)
    reading = outbound.poll()
    assert outbound.table.purposes.count(Purpose.MISSING) == 1
    calls, found = before.window.calls, outbound.tracker.snapshot()
    assert (found.window, found.missing) == (before.window, calls)
    assert (len(reading.missed.newly), reading.missed.present) == (calls, calls)
    assert reading.missed.is_many_to_log
    shows(outbound, dict, answers=0)
    assert not outbound.poll().missed.newly
    assert outbound.is_right()
    assert outbound.tracker.snapshot().missing == 0


def test_an_answer_that_is_empty_once_is_asked_again():
    """Within the poll, so that nothing is missing at its end."""
    outbound = Outbound(QUIET)
    outbound.table.put(done("new", T0 + SECOND))
    shows(outbound, nothing, answers=1)
    reading = outbound.poll()
    assert reading.missed.newly == {}
    assert outbound.is_right()
    assert outbound.tracker.snapshot().missing == 0
    assert outbound.tracker.snapshot().ledger.started == 1


@pytest.mark.parametrize(
    ("tracked", "missed", "is_asked_again"),
    [(1, 1, False), (2, 2, True), (9, 8, False), (60, 10, False), (60, 11, True), (90, 12, True)],
)
def test_many_calls_missed_at_once_are_asked_for_again(tracked, missed, is_asked_again):
    table, tracker = Table(), Tracker(RULES)
    table.put(*(done(f"call-{n:03d}", T0 - MINUTE - n * SECOND) for n in range(tracked)))

    def poll(now: int, state: PlanState) -> PollResult:
        result = run_plan(PollPlan(tracker, state, now=now, limits=PlanLimits(LIMIT)), table)
        tracker.apply(result.observation, now=now, max_gap_ms=0)
        return result

    state = poll(T0, PlanState()).state
    for number in range(missed):
        del table.rows[f"call-{number:03d}"]
    result = poll(T0 + 30 * SECOND, state)
    assert table.purposes.count(Purpose.MISSING) == is_asked_again
    assert len(result.missed.newly) == tracker.snapshot().missing == missed


def test_a_missing_live_call_costs_no_page_in_each_poll():
    live = [Call(f"live-{n}", T0 - (20 + n) * MINUTE, 40, 3) for n in range(3)]
    outbound = Outbound(QUIET, more=live)
    outbound.poll()
    del outbound.table.rows["live-1"]
    outbound.poll()
    for _ in range(3):
        outbound.poll()
        assert outbound.tracker.snapshot().live == 3
        # the head, the live calls by their status, and a count of outcomes now and then
        assert outbound.requests <= 3
    outbound.poll()
    assert outbound.requests <= 4 + ASKED_BEFORE_GONE
    assert outbound.tracker.snapshot().live == 2
    assert positive(outbound.tracker.snapshot().ledger.uncounted) == {"deleted": 1}


def test_a_call_that_is_back_is_found_by_the_next_poll():
    outbound = Outbound(QUIET)
    row = outbound.table.rows.pop("old-1000")
    outbound.poll()
    assert outbound.tracker.snapshot().missing == 1
    outbound.table.put(row)
    outbound.poll()
    assert outbound.tracker.snapshot().missing == 0
    assert outbound.is_right()


def test_a_call_back_as_another_is_deleted_is_found_when_due():
    """The count is as it was, so that no search for a difference leads to it."""
    outbound = Outbound(QUIET)
    live = Call("live", T0 - 40 * MINUTE, 40, 3)
    outbound.table.put(live)
    outbound.poll()
    del outbound.table.rows["live"]
    outbound.poll()
    outbound.table.put(live)
    del outbound.table.rows["old-0500"]
    for _ in range(4):
        outbound.poll()
    found = outbound.tracker.snapshot()
    assert (found.live, found.missing) == (1, 1)
    assert positive(found.ledger.uncounted) == {}
    for _ in range(5):
        outbound.poll()
    assert outbound.tracker.snapshot().missing == 0
    assert outbound.is_right()


def test_scattered_deletions_are_confirmed_within_the_budget():
    outbound = Outbound(QUIET)
    for number in range(50, 1850, 50):
        del outbound.table.rows[f"old-{number:04d}"]
    outbound.poll()
    assert outbound.tracker.snapshot().missing > 30
    polls = 0
    while outbound.tracker.snapshot().missing:
        outbound.poll()
        polls += 1
        assert outbound.requests <= 2 + MISSING_REQUESTS + ASKED_BEFORE_GONE
        assert polls < 4 + 10
    assert outbound.is_right()
    assert outbound.state.unexplained_counts == 0


def test_a_full_scan_confirms_as_well():
    outbound = Outbound(RULES)
    outbound.poll()
    del outbound.table.rows["old-1000"]
    outbound.poll()
    assert outbound.tracker.snapshot().missing == 1
    outbound.now += 20 * MINUTE
    while not outbound.poll(1).scanned:
        pass
    assert outbound.tracker.snapshot().missing == 0
    assert outbound.is_right()


def test_counts_of_outcomes_agree_without_the_missing_calls():
    outbound = Outbound(QUIET)
    for number in range(200, 1700, 300):
        del outbound.table.rows[f"old-{number:04d}"]
    outbound.poll(0.01)
    assert outbound.tracker.snapshot().missing == 5
    requests = []
    for _ in range(20):
        outbound.poll(0.01)
        requests.append(outbound.requests)
    assert max(requests) == 2
    assert outbound.state.unexplained_counts == 0


class Campaign:
    """A campaign in a table: a call every few seconds, half of them answered; none is deleted."""

    def __init__(self, calls: int, every_ms: int) -> None:
        self.starts = [T0 - 30 * MINUTE + number * every_ms for number in range(calls)]

    def rows(self, now: int) -> dict[str, Call]:
        return {f"call-{n:04d}": self.row(n, now) for n, at in enumerate(self.starts) if at <= now}

    def row(self, number: int, now: int) -> Call:
        start, talk = self.starts[number], 45 * SECOND * (number % 2)
        if now < start + talk:
            return Call(f"call-{number:04d}", start, 40, 3)
        ending: Any = (100, 4, 45.0) if talk else (150, 7, 0.0)
        return Call(f"call-{number:04d}", start, *ending)


FAULTS = ("fresh", "empty", "dropped", "lagging", "flipping")
BAD_POLLS = 3
"""At most this many polls in a row are answered badly: less than what makes a call gone."""


@settings(max_examples=40, deadline=None)
@given(data=st.data(), pages=st.sampled_from([-1, 3]), lag=st.sampled_from([40, 100, 1000]))
def test_answers_that_lie_for_a_while_lose_and_double_nothing(data, pages, lag):
    """Empty ones, such that lack rows, and those of a replica that is behind."""
    rules, campaign = QUIET, Campaign(300, 10 * SECOND)
    table, tracker, state = Table(), Tracker(rules), PlanState()
    now, bad_polls = T0, 0
    for turn in range(36):
        is_quiet = turn == 0 or turn > 28 or bad_polls == BAD_POLLS
        fault = "fresh" if is_quiet else data.draw(st.sampled_from(FAULTS))
        bad_polls = 0 if fault == "fresh" else bad_polls + 1
        table.rows = campaign.rows(now)
        old = campaign.rows(now - lag * SECOND)
        dropped = data.draw(st.sampled_from([2, 3, 7])) if fault == "dropped" else 1
        flips = data.draw(st.lists(st.booleans(), min_size=8, max_size=8))
        shown: dict[str, Shown] = {
            "fresh": dict,
            "empty": nothing,
            "dropped": lambda rows, by=dropped: {
                key: row for key, row in rows.items() if int(key[5:]) % by
            },
            "lagging": lambda _, old=old: old,
            "flipping": lambda rows, old=old, flips=flips: (
                old if flips[len(table.searches) % len(flips)] else rows
            ),
        }
        table.shown = shown[fault]
        limits = PlanLimits(20, max_whole_read_pages=pages)
        table.searches.clear()
        try:
            reading = run_plan(PollPlan(tracker, state, now=now, limits=limits), table)
        except Inconsistent:
            reading = None
        if reading is not None:
            state = reading.state
            found = tracker.apply(reading.observation, now=now, max_gap_ms=0).snapshot
            ledger = found.ledger
            uncounted = sum(ledger.uncounted.values())
            assert uncounted == 0
            assert ledger.started == ledger.settled + found.live + found.pending
            assert len(table.searches) < 300
        now += 30 * SECOND
    now -= 30 * SECOND
    found = tracker.snapshot()
    held = [call for call in campaign.rows(now).values() if now - HOUR <= call.start]
    assert (found.missing, found.window.calls) == (0, len(held))
    ends = [(each.start, 45 * (each.status != 150 and each.duration > 0)) for each in held]
    settled_at = [start + (talk + (120 if talk else 30)) * SECOND for start, talk in ends]
    assert found.ledger.settled == found.ledger.started - found.live - found.pending
    assert found.ledger.started == sum(at > T0 for at in settled_at)
