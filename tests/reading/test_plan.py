"""A poll asks only for what may have changed, and finds what changed."""

import random
from collections.abc import Iterable
from itertools import pairwise

import pytest
from msgspec.structs import replace

from pearl_exporter.counting.calls import Call
from pearl_exporter.counting.settlement import CountingRules
from pearl_exporter.counting.tracker import Tracker
from pearl_exporter.errors import BadResponseError
from pearl_exporter.reading.catch_up import SLICE_PAGES
from pearl_exporter.reading.cost import (
    MAX_WHOLE_READ_PAGES,
    MIN_CATCH_UP_REQUESTS,
    USUAL_MAX_REQUESTS,
    PlanLimits,
)
from pearl_exporter.reading.outcome_counts import SETS
from pearl_exporter.reading.plan import (
    ASKED_BEFORE_GONE,
    COUNT_EVERY,
    MAX_UNEXPLAINED_COUNTS,
    PlanState,
    PollPlan,
    PollResult,
)
from tests.support.oracle import positive
from tests.support.table import Table, by_id, run_plan

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
T0 = 1_795_000_000_000
LIMIT = 100
RULES = CountingRules(
    window_ms=HOUR,
    settle_ms=2 * MINUTE,
    settle_unanswered_ms=30 * SECOND,
    follow_ms=24 * HOUR,
    catch_up_ms=24 * HOUR,
    scan_every_ms=15 * MINUTE,
    buckets=(10.0, 60.0),
)

QUIET = replace(RULES, scan_every_ms=24 * HOUR)
"""No scan is due, so that a scan finds nothing."""


def done(key: str, start: int, **changes) -> Call:
    row = {"status": 100, "call_status": 4, "duration": 20.0} | changes
    return Call(key, start, **row)


class Outbound:
    """A window of 1,900 calls, one every 1.8 s, all settled."""

    def __init__(
        self, rules: CountingRules = RULES, more: Iterable[Call] = (), calls=1_900, **behaviour
    ) -> None:
        self.rules = rules
        self.now = T0
        self.table = Table(**behaviour)
        self.table.put(*(done(f"old-{n:04d}", T0 - (n + 80) * 1_800) for n in range(calls)))
        self.table.put(*more)
        self.tracker = Tracker(rules)
        self.state = PlanState()
        self.poll(0)

    def poll(self, seconds: float = 30) -> PollResult:
        self.now += round(seconds * SECOND)
        self.table.searches.clear()
        plan = PollPlan(self.tracker, self.state, now=self.now, limits=PlanLimits(LIMIT))
        reading = run_plan(plan, self.table)
        self.state = reading.state
        self.tracker.apply(reading.observation, now=self.now, max_gap_ms=0)
        return reading

    @property
    def requests(self) -> int:
        return len(self.table.searches)

    def new(self, age_ms: int) -> int:
        """Return how many calls since the first poll started at least ``age_ms`` ago."""
        return sum(T0 <= call.start <= self.now - age_ms for call in self.table.rows.values())

    def is_right(self) -> bool:
        """Return whether the window, without its missing calls, is what the API holds."""
        window = self.tracker.snapshot().window
        start = self.now - self.rules.window_ms
        held = [call for call in self.table.rows.values() if start <= call.start <= self.now]
        missing = [each.call for each in self.tracker.calls.missing() if each.in_window]
        wanted: dict[str, int] = {}
        for call in [*held, *missing]:
            name = {100: "success", 40: "on_call", 150: "unreachable"}[call.status]
            wanted[name] = wanted.get(name, 0) + 1
        return positive(window.by_status) == wanted


def test_the_first_poll_reads_the_window_and_older_live_calls():
    outbound = Outbound()
    # the window's pages, the calls before it that are live, and a wider range
    assert outbound.requests == 20 + 1 + 1
    assert outbound.is_right()


def test_at_rest_a_poll_is_one_request():
    outbound = Outbound()
    outbound.poll()
    assert outbound.requests == 1
    assert outbound.is_right()


def test_new_calls_cost_the_pages_that_hold_them():
    outbound = Outbound()
    outbound.table.put(*(done(f"new-{n}", T0 + n * 100) for n in range(250)))
    outbound.poll()
    assert outbound.requests == 3
    assert outbound.is_right()


@pytest.mark.parametrize("offset_ms", [-2, -1, 0, 1])
def test_a_call_at_the_edge_of_the_window_costs_nothing(offset_ms):
    """A search is asked a millisecond early, so its count may hold a call that was forgotten."""
    edge = T0 + 30 * SECOND - HOUR + offset_ms
    outbound = Outbound(QUIET, more=[done("edge", edge)])
    outbound.poll()
    outbound.poll()
    assert outbound.requests == 1
    assert outbound.is_right()


def test_a_row_just_before_the_window_is_not_a_contradiction():
    """After a restart it is not known that the row is there: it is found, as a late row is."""
    outbound = Outbound(QUIET, more=[done("edge", T0 + 30 * SECOND - HOUR - 1)])
    outbound.poll()
    outbound.state = PlanState()
    outbound.poll()
    # one of them is for a wider range, after the start
    assert 2 + 1 <= outbound.requests <= 7 + 1
    assert outbound.is_right()


@pytest.mark.parametrize("seed", range(5))
def test_late_rows_among_close_neighbours_are_found(seed):
    """Ranges are cut where no call starts in the millisecond before."""
    numbers = random.Random(seed)
    outbound = Outbound(QUIET)
    dense = (T0 - 20 * MINUTE - numbers.randrange(8 * SECOND) for _ in range(1_500))
    outbound.table.put(*(done(f"dense-{n}", start) for n, start in enumerate(dense)))
    outbound.poll()
    for late in range(5):
        start = T0 - 20 * MINUTE - numbers.randrange(8 * SECOND)
        outbound.table.put(done(f"late-{late}", start))
        outbound.poll()
        assert outbound.requests <= 10
        assert outbound.is_right()


def test_a_call_stuck_live_does_not_widen_the_read():
    outbound = Outbound()
    stuck = [Call(f"stuck-{n}", T0 - (20 + n) * MINUTE, 40, 3) for n in range(5)]
    outbound.table.put(*stuck)
    outbound.poll()
    assert outbound.tracker.snapshot().live == 5
    outbound.poll()
    assert outbound.requests == 2
    assert outbound.table.searches[1].statuses == (1, 20, 40)
    assert outbound.tracker.snapshot().live == 5


def test_a_call_stuck_in_unknown_codes_is_rarely_read():
    """It is looked for every five minutes, as no search can ask for its codes."""
    wide = replace(QUIET, window_ms=4 * HOUR)
    outbound = Outbound(wide, more=[Call("odd", T0 - 3 * HOUR, 777, 8)])
    outbound.state = outbound.state._replace(ignores_statuses=True)
    assert outbound.tracker.snapshot().live == 1
    requests = []
    for _ in range(30):
        outbound.poll()
        requests.append(outbound.requests)
    assert sum(requests) == 30 + 3
    outbound.table.put(done("odd", T0 - 3 * HOUR))
    for _ in range(10):
        outbound.poll()
    assert outbound.tracker.snapshot().live == 0


def test_a_stuck_call_that_ends_is_seen_to_end():
    outbound = Outbound()
    outbound.table.put(*(Call(f"stuck-{n}", T0 - (20 + n) * MINUTE, 40, 3) for n in range(3)))
    outbound.poll()
    outbound.table.put(Call("stuck-1", T0 - 21 * MINUTE, 150, 7))
    outbound.poll()
    assert outbound.tracker.snapshot().live == 2
    outbound.poll(60)
    assert outbound.tracker.snapshot().ledger.by_status["unreachable"] == 1
    assert outbound.is_right()


def test_an_ignored_filter_by_statuses_is_not_used_again():
    outbound = Outbound(ignores_statuses=True)
    outbound.table.put(*(Call(f"stuck-{n}", T0 - (20 + n) * MINUTE, 40, 3) for n in range(3)))
    outbound.poll()
    outbound.poll()
    assert outbound.state.ignores_statuses
    outbound.poll()
    assert not any(search.statuses for search in outbound.table.searches)
    assert outbound.tracker.snapshot().live == 3


@pytest.mark.parametrize(("max_statuses", "is_used"), [(None, True), (1, False), (0, False)])
def test_a_filter_that_leaves_live_calls_out_is_not_used_again(max_statuses, is_used):
    """A first poll, which looks for older live calls by it, knows some of what it must bring."""
    live = [Call(f"live-{n}", T0 - (30 + n) * SECOND, 40, 3) for n in range(3)]
    older = [Call("older", T0 - 70 * MINUTE, 40, 3)]
    outbound = Outbound(more=[*live, *older], calls=200, max_statuses=max_statuses)
    assert outbound.state.ignores_statuses is not is_used
    assert outbound.tracker.snapshot().live == (4 if is_used else 3)


def test_after_a_long_read_live_calls_prove_nothing_of_a_filter():
    """They may have ended while it went on."""
    live = [Call(f"live-{n}", T0 - (30 + n) * SECOND, 40, 3) for n in range(3)]
    outbound = Outbound(more=live, max_statuses=0)
    assert not outbound.state.ignores_statuses


@pytest.mark.parametrize("which", ["old-0150", "old-0777", "old-1850"])
def test_a_deleted_row_is_missed_by_the_next_poll(which):
    """From then on it costs nothing, and some pages when it is due to be gone."""
    outbound = Outbound(QUIET)
    del outbound.table.rows[which]
    outbound.poll()
    assert outbound.requests <= 8
    assert outbound.is_right()
    for _ in range(3):
        assert outbound.tracker.snapshot().missing == 1
        outbound.poll()
        assert outbound.requests <= 2
    outbound.poll()
    assert outbound.requests <= 3 + ASKED_BEFORE_GONE
    assert outbound.tracker.snapshot().missing == 0
    assert outbound.is_right()


@pytest.mark.parametrize("minutes", [5, 23, 58])
def test_a_row_that_comes_late_is_found_by_the_next_poll(minutes):
    outbound = Outbound()
    outbound.table.put(done("late", T0 - minutes * MINUTE + 7))
    outbound.poll()
    assert outbound.requests <= 8
    assert outbound.is_right()


def test_what_leaves_the_window_is_read_one_last_time():
    """A row that came late, and one that was deleted, since the poll before and just inside it."""
    outbound = Outbound(QUIET)
    for turn in range(3):
        outbound.table.put(
            done(f"late-{turn}", outbound.now - HOUR + 10 * SECOND, duration=3_600.0),
            Call(f"live-{turn}", outbound.now - HOUR + 40 * SECOND, 40, 3),
        )
        outbound.poll()
        del outbound.table.rows[f"live-{turn}"]
        outbound.poll()
        assert outbound.tracker.snapshot().missing == 1
        for _ in range(4):
            outbound.poll()
        ledger = outbound.tracker.snapshot().ledger
        assert ledger.started == 2 * (turn + 1)
        assert ledger.uncounted["deleted"] == turn + 1
        assert outbound.is_right()


def test_one_row_added_and_one_deleted_are_found_by_the_scan():
    """The count of the window is as it was."""
    outbound = Outbound()
    outbound.table.put(done("late", T0 - 30 * MINUTE + 7))
    del outbound.table.rows["old-1500"]
    while not outbound.poll().scanned:
        assert outbound.requests <= 8
    assert outbound.is_right()


def test_a_row_changed_in_place_is_found_by_the_next_scan():
    outbound = Outbound()
    outbound.state = outbound.state._replace(ignores_statuses=True)
    outbound.table.put(done("old-1000", T0 - 1_080 * 1_800, status=150))
    outbound.poll(15 * 60)
    polls = 1
    while not outbound.is_right():
        outbound.poll()
        polls += 1
        assert outbound.requests <= 3
    assert polls <= 21
    assert outbound.tracker.snapshot().ledger.revisions["status"] == 0  # it was history


@pytest.mark.parametrize("behaviour", [{}, {"inclusive_end": False}, {"inclusive_start": False}])
@pytest.mark.parametrize("which", [0, 777, 1_000, 1_850])
def test_an_outcome_changed_in_place_is_found_by_counts(which, behaviour):
    outbound = Outbound(QUIET, **behaviour)
    outbound.table.put(done(f"old-{which:04d}", T0 - (which + 80) * 1_800, status=150))
    polls = 0
    while not outbound.is_right():
        outbound.poll(0.01)
        polls += 1
        assert outbound.requests <= 12
    assert polls <= len(SETS) * COUNT_EVERY


def test_two_outcomes_that_changed_places_are_found_by_the_scan():
    outbound = Outbound()
    outbound.table.put(done("old-0900", T0 - 980 * 1_800, status=150))
    for _ in range(len(SETS) * COUNT_EVERY):
        outbound.poll(0.01)
    outbound.table.put(done("old-0900", T0 - 980 * 1_800))
    outbound.table.put(done("old-1200", T0 - 1_280 * 1_800, status=150))
    outbound.poll(15 * 60)
    while not outbound.poll().scanned:
        assert outbound.requests <= 12
    assert outbound.is_right()


def test_counts_of_outcomes_that_find_nothing_are_given_up():
    outbound = Outbound(QUIET, miscount_by_status=1)
    requests = []
    for _ in range(6 * COUNT_EVERY):
        outbound.poll(0.01)
        requests.append(outbound.requests)
    assert outbound.state.unexplained_counts == MAX_UNEXPLAINED_COUNTS
    assert requests[-COUNT_EVERY:] == [1] * COUNT_EVERY
    assert outbound.is_right()


def test_a_scan_ends_and_rests_until_the_next_is_due():
    outbound = Outbound()
    began, scans = set(), 0
    for turn in range(120):
        outbound.table.put(*(done(f"new-{turn}-{n}", outbound.now + n * 1_800) for n in range(16)))
        scans += outbound.poll().scanned
        began.add(outbound.state.scan_began)
    assert scans >= 2
    assert all(b - a >= RULES.scan_every_ms for a, b in pairwise(sorted(began)))


def test_a_scan_takes_at_most_a_quarter_of_the_requests():
    """That is a quarter of those that a poll usually may take."""
    outbound, polls, scanning = Outbound(replace(RULES, scan_every_ms=0)), 200, 0
    for _ in range(polls):
        outbound.poll(0.1)
        scanning += sum(not search.statuses for search in outbound.table.searches) - 1
    assert polls / 2 < scanning <= polls * USUAL_MAX_REQUESTS / 4


def test_pages_with_many_unreadable_rows_stop_no_scan():
    unreadable = frozenset(f"old-{number:04d}" for number in range(600, 850) if number % 5 > 2)
    outbound, scans = Outbound(rejected=unreadable), 0
    for _ in range(60):
        scans += outbound.poll().scanned
        assert outbound.requests <= 4
    assert scans == 1


def test_a_page_of_unreadable_rows_fails_the_poll():
    unreadable = frozenset(f"old-{number:04d}" for number in range(600, 850))
    with pytest.raises(BadResponseError, match="94 without a usable id, startTime"):
        Outbound(rejected=unreadable)


def test_after_a_short_outage_all_that_is_new_is_read_at_once():
    outbound = Outbound()
    outbound.table.put(*(done(f"new-{n:04d}", T0 + n * 5_000) for n in range(700)))
    outbound.poll(3_500)
    assert outbound.tracker.snapshot().ledger.started == 700
    assert outbound.is_right()


def test_a_backlog_follows_beside_polls_oldest_first():
    """After an outage the window is right at once; what left it unread takes several polls."""
    outbound = Outbound()
    outbound.table.put(*(done(f"new-{n:04d}", T0 + n * 5_000) for n in range(6_000)))
    reading = outbound.poll(8 * 3_600)
    assert outbound.is_right()
    begin, end = T0 - HOUR, T0 + 7 * HOUR
    assert reading.observation.unread is not None
    began_again, ended = reading.observation.unread
    assert begin < began_again < end
    assert ended == end
    polls = [outbound.requests]
    while reading.observation.unread is not None:
        before = reading.observation.unread
        reading = outbound.poll()
        polls.append(outbound.requests)
        assert outbound.is_right()
        assert reading.observation.unread is None or reading.observation.unread[0] > before[0]
    assert len(polls) > 4
    assert max(polls[1:]) <= 2 + MIN_CATCH_UP_REQUESTS + SLICE_PAGES * 2
    assert outbound.tracker.snapshot().ledger.started == outbound.new(0) > 5_766


def test_a_quiet_backlog_takes_few_requests():
    outbound = Outbound()
    reading, requests = outbound.poll(24 * 3_600), outbound.requests
    while reading.observation.unread is not None:
        reading = outbound.poll()
        requests += outbound.requests
    assert requests <= 40


def test_what_left_the_window_while_catching_up_is_counted_once():
    outbound = Outbound()
    outbound.table.put(*(done(f"new-{n:05d}", T0 + n * 1_000) for n in range(36_000)))
    reading = outbound.poll(8 * 3_600)
    while reading.observation.unread is not None:
        reading = outbound.poll(120)
    assert outbound.tracker.snapshot().ledger.settled == outbound.new(140 * SECOND)
    assert outbound.tracker.snapshot().tracked < 3_800


def test_catching_up_goes_on_after_a_restart():
    outbound = Outbound()
    outbound.table.put(*(done(f"new-{n:04d}", T0 + n * 5_000) for n in range(5_700)))
    before = outbound.poll(8 * 3_600).observation.unread
    outbound.tracker, outbound.state = Tracker(RULES, outbound.tracker.saved()), PlanState()
    after = outbound.poll().observation.unread
    assert outbound.requests < 30
    assert before is not None
    assert after is not None
    assert after[0] > before[0]
    while outbound.poll().observation.unread is not None:
        assert outbound.is_right()
    assert outbound.tracker.snapshot().ledger.settled == outbound.new(140 * SECOND)


@pytest.mark.parametrize("odd", [{"order": lambda call: call.start}, {"coarse_ms": 1_000}])
def test_a_backlog_is_read_by_offset_where_the_window_is(odd):
    outbound = Outbound(**odd)
    outbound.table.put(*(done(f"new-{n:04d}", T0 + n * 5_000) for n in range(3_000)))
    while (
        outbound.poll(4 * 3_600 if outbound.now < T0 + HOUR else 30).observation.unread is not None
    ):
        assert outbound.is_right()
    assert outbound.tracker.snapshot().ledger.started >= 2_900


def test_a_first_start_finds_live_calls_before_the_window():
    older = [Call(f"older-{n:03d}", T0 - 3 * HOUR - n, 40, 3) for n in range(150)]
    outbound = Outbound(more=older)
    assert outbound.tracker.snapshot().live == 150
    outbound.poll()
    assert outbound.tracker.snapshot().live == 150
    assert outbound.is_right()
    outbound.table.put(done("older-007", T0 - 3 * HOUR - 7))
    outbound.poll(200)
    outbound.poll(30)
    assert outbound.tracker.snapshot().ledger.settled == 1


def test_live_calls_older_than_follow_are_not_looked_for():
    outbound = Outbound(more=[Call("older", T0 - 25 * HOUR, 40, 3)])
    assert outbound.tracker.snapshot().live == 0


def test_unreadable_rows_cost_no_whole_reads():
    outbound = Outbound(rejected=frozenset({"old-0500", "old-0900"}))
    assert outbound.state.unreadable_count == 2
    outbound.poll()
    assert outbound.requests == 1


@pytest.mark.parametrize("unreadable", [1, 3])
def test_unreadable_rows_cost_no_requests_in_any_part(unreadable):
    """They pass through the head, the rest of the window, and out of it."""
    outbound, requests = Outbound(QUIET), []
    for turn in range(200):
        new = [done(f"new-{turn}-{n}", outbound.now + n * 1_000) for n in range(5)]
        outbound.table.put(*new)
        if turn == 5:
            outbound.table.rejected = frozenset(call.id for call in new[:unreadable])
        outbound.poll()
        requests.append(outbound.requests)
        is_there = 5 <= turn <= 5 + HOUR // (30 * SECOND)
        assert outbound.state.unreadable_count == (unreadable if is_there else 0)
    assert max(requests) <= 2
    assert outbound.state.unexplained_counts == 0


@pytest.mark.parametrize("turns", [1, 60, 130])
@pytest.mark.parametrize("unreadable", ["new-0-1", "old-0500"])
def test_an_unreadable_row_hides_no_other(unreadable, turns):
    """Neither in the head nor below, nor when it has left the window."""
    outbound = Outbound(QUIET, rejected=frozenset({unreadable}))
    for turn in range(turns):
        outbound.table.put(*(done(f"new-{turn}-{n}", outbound.now + n * 1_000) for n in range(5)))
        outbound.poll()
    started = outbound.tracker.snapshot().ledger.started
    outbound.table.put(done("late", outbound.now - 50 * MINUTE, duration=2_990.0))
    outbound.poll()
    assert outbound.tracker.snapshot().ledger.started == started + 1


def test_a_count_always_too_large_costs_no_whole_reads():
    outbound = Outbound(miscount=3)
    outbound.poll()
    assert outbound.requests <= 2


def test_a_small_window_is_read_whole():
    outbound = Outbound()
    rules = {name: getattr(RULES, name) for name in RULES.__struct_fields__}
    small = Outbound(CountingRules(**rules | {"window_ms": 5 * MINUTE}))
    reading = small.poll()
    assert reading.scanned
    assert small.requests <= MAX_WHOLE_READ_PAGES
    assert len(reading.observation.ranges) == 1
    assert not outbound.poll().scanned


def test_a_wider_window_is_read_whole_once():
    outbound = Outbound()
    rules = {name: getattr(RULES, name) for name in RULES.__struct_fields__}
    wide = CountingRules(**rules | {"window_ms": 2 * HOUR})
    outbound.rules, outbound.tracker = wide, Tracker(wide, outbound.tracker.saved())
    assert outbound.poll().scanned
    assert not outbound.poll().scanned
    assert outbound.is_right()


def test_a_server_with_its_own_order_is_read_by_offset():
    """From the first poll on."""
    outbound = Outbound(order=lambda call: call.start)
    assert outbound.state.by_offset
    assert outbound.poll().scanned
    assert outbound.requests in (19, 20)


def test_a_call_that_is_due_is_read_again_before_it_is_counted():
    outbound = Outbound()
    outbound.table.put(done("call", T0 - 30 * MINUTE, duration=1_790.0, tags=("first",)))
    outbound.poll()
    assert outbound.tracker.snapshot().pending == 1
    outbound.table.put(done("call", T0 - 30 * MINUTE, duration=1_790.0, tags=("final",)))
    outbound.poll(90)
    by_tag = outbound.tracker.snapshot().ledger.by_tag
    assert (by_tag["first"], by_tag["final"]) == (0, 1)


def test_more_rows_of_one_millisecond_than_a_page_are_read():
    outbound = Outbound()
    outbound.table.put(*(done(f"tie-{n:03d}", T0 - 40 * MINUTE) for n in range(250)))
    outbound.poll()
    assert outbound.is_right()
    assert len(by_id(outbound.poll().observation.rows)) <= 2 * LIMIT
