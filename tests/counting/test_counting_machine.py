"""Any history of calls gives the counts of a brute-force recount: nothing lost, nothing doubled.

Rows appear late, change, go live again, can't be read, are deleted and come back; polls come at any
time, with long gaps, over any page size, and the table may change while it is read. Answers are
empty, lack rows or come from a replica that is behind, for a whole poll or for some of its
requests. The recount gets what was read. That this is what the API holds is shown by the tests of
`reading`.
"""

from functools import partial
from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from pearl_exporter.counting.calls import Call
from pearl_exporter.counting.saved import SavedOutbound
from pearl_exporter.counting.settlement import CountingRules
from pearl_exporter.counting.tracker import Tracker
from pearl_exporter.errors import Inconsistent
from pearl_exporter.reading.contradictions import MIN_TOLERATED
from pearl_exporter.reading.cost import PlanLimits
from pearl_exporter.reading.plan import PlanState, PollPlan, PollResult
from tests.support.oracle import (
    Poll,
    Recount,
    bucketed,
    live,
    passed_over,
    positive,
    recount_window,
)
from tests.support.saving import copied, merged
from tests.support.table import Table, by_id, run_plan

pytestmark = pytest.mark.slow

MINUTE = 60_000
BEGIN = 1_795_000_000_000
BOUNDS = (5.0, 30.0, 120.0)
NAMES = [f"call-{number:02d}" for number in range(24)]

statuses = st.sampled_from([None, 1, 20, 40, 40, 10, 100, 110, 130, 150, 500, 777])
call_statuses = st.sampled_from([None, 3, 3, 4, 4, 4, 5, 6, 7, 8, 12])
durations = st.sampled_from([0.0, 0.0, 3.0, 5.0, 29.0, 61.0, 500.0])
tags = st.sampled_from([(), (), ("vip",), ("vip", "résilié"), ("late",)])


def by_start(call: Call) -> int:
    return call.start


def by_name(call: Call) -> str:
    return call.id


class Histories(RuleBasedStateMachine):
    rest_ms = 1
    """How much time lies between the polls of a quiet time."""

    @initialize(
        window=st.sampled_from([5, 20, 60]),
        settle=st.sampled_from([0, 30_000, 2 * MINUTE]),
        settle_unanswered=st.sampled_from([0, 30_000]),
        follow=st.sampled_from([0, 30, 120]),
        catch_up=st.sampled_from([0, 40, 1440]),
        catch_up_requests=st.sampled_from([1, 3, 10]),
        scan_every=st.sampled_from([0, 0, 10]),
        interval=st.sampled_from([0, 1000, MINUTE]),
        max_whole_read_pages=st.sampled_from([-1, -1, 1, 3]),
        block_calls=st.sampled_from([1, 2, 4, 256]),
        max_unused_kinds=st.sampled_from([0, 1, 10_000]),
        min_bulk_rows=st.sampled_from([1, 3, 500]),
        inclusive_end=st.booleans(),
        inclusive_start=st.booleans(),
        clamp=st.sampled_from([1, 2, 10_000, 10_000]),
        order=st.sampled_from([None, None, None, None, by_start, by_name]),
        ignores_statuses=st.booleans(),
        without_ids=st.booleans(),
    )
    def begin(
        self,
        window,
        settle,
        settle_unanswered,
        follow,
        catch_up,
        catch_up_requests,
        scan_every,
        interval,
        max_whole_read_pages,
        block_calls,
        max_unused_kinds,
        min_bulk_rows,
        inclusive_end,
        inclusive_start,
        clamp,
        order,
        ignores_statuses,
        without_ids,
    ):
        self.rules = CountingRules(
            window_ms=window * MINUTE,
            settle_ms=settle,
            settle_unanswered_ms=min(settle, settle_unanswered),
            follow_ms=follow * MINUTE,
            catch_up_ms=catch_up * MINUTE,
            scan_every_ms=scan_every,
            buckets=BOUNDS,
            interval_ms=interval,
        )
        self.max_whole_read_pages = max_whole_read_pages
        self.new_tracker = partial(
            Tracker,
            self.rules,
            block_calls=block_calls,
            max_unused_kinds=max_unused_kinds,
            min_bulk_rows=min_bulk_rows,
        )
        self.catch_up_requests = catch_up_requests
        self.now = BEGIN
        self.table = Table(
            inclusive_end=inclusive_end,
            inclusive_start=inclusive_start,
            clamp=clamp,
            order=order,
            ignores_statuses=ignores_statuses,
            without_ids=without_ids,
        )
        self.gone: dict[str, Call] = {}
        self.tracker = self.new_tracker()
        self.polls: list[Poll] = []
        self.plan_state = PlanState()
        self.saved: SavedOutbound | None = None
        self.replica: dict[str, Call] = {}

    def _row(self, data, key: str, start: int) -> Call:
        return Call(
            key,
            start,
            data.draw(statuses),
            data.draw(call_statuses),
            data.draw(durations),
            data.draw(tags),
        )

    @rule(
        data=st.data(),
        keys=st.lists(st.sampled_from(NAMES), min_size=1, max_size=5, unique=True),
        age=st.sampled_from([0, 1, 400, 61_000, 11 * MINUTE, 70 * MINUTE]),
        apart=st.sampled_from([0, 1, 20_000, 3 * MINUTE]),
    )
    def mark_present(self, data, keys, age, apart):
        for place, key in enumerate(keys):
            if key not in self.table.rows and key not in self.gone:
                self.table.put(self._row(data, key, self.now - age - place * apart))

    @precondition(lambda self: self.table.rows)
    @rule(data=st.data())
    def change(self, data):
        key = data.draw(st.sampled_from(sorted(self.table.rows)))
        self.table.put(self._row(data, key, self.table.rows[key].start))

    @precondition(lambda self: self.live_rows())
    @rule(
        data=st.data(), ending=st.sampled_from([(100, 4), (130, 4), (150, 7)]), duration=durations
    )
    def end(self, data, ending, duration):
        call = self.table.rows[data.draw(st.sampled_from(self.live_rows()))]
        self.table.put(Call(call.id, call.start, *ending, duration, call.tags))

    def live_rows(self) -> list[str]:
        return sorted(key for key, call in self.table.rows.items() if live(call))

    @precondition(lambda self: self.table.rows)
    @rule(data=st.data())
    def delete(self, data):
        key = data.draw(st.sampled_from(sorted(self.table.rows)))
        self.gone[key] = self.table.rows.pop(key)

    # of more unusable rows than two, and than half, a poll may fail: see `contradictions`
    @precondition(lambda self: self.table.rows and len(self.table.rejected) < MIN_TOLERATED)
    @rule(data=st.data())
    def spoil(self, data):
        self.table.rejected |= {data.draw(st.sampled_from(sorted(self.table.rows)))}

    @precondition(lambda self: self.table.rejected)
    @rule(data=st.data())
    def mend(self, data):
        self.table.rejected -= {data.draw(st.sampled_from(sorted(self.table.rejected)))}

    @precondition(lambda self: self.gone)
    @rule(data=st.data())
    def come_back(self, data):
        key = data.draw(st.sampled_from(sorted(self.gone)))
        self.table.put(self.gone.pop(key))

    @rule(
        milliseconds=st.sampled_from(
            [1, 30_000, MINUTE, 5 * MINUTE, 25 * MINUTE, 130 * MINUTE, 1600 * MINUTE]
        )
    )
    def wait(self, milliseconds):
        self.now += milliseconds

    @rule()
    def restart(self):
        """What the deltas of all polls add up to is all that a new tracker needs."""
        if self.saved is not None:
            self.tracker = self.new_tracker(copied(self.saved))
            self.plan_state = PlanState()
            self.check()

    @rule(limit=st.sampled_from([1, 2, 3, 100]), data=st.data(), disturbed=st.booleans())
    def poll(self, limit, data, disturbed):
        def disturb(table: Table) -> None:
            if disturbed and table.rows and data.draw(st.booleans()):
                self.change(data)

        self.table.on_search = disturb
        try:
            self.read(limit)
        except Inconsistent:
            return
        finally:
            self.table.on_search = lambda _: None
        self.check()

    @rule()
    def replicate(self):
        """A replica is brought up to date, and falls behind from here on."""
        self.replica = dict(self.table.rows)

    @rule(
        limit=st.sampled_from([1, 2, 3, 100]),
        data=st.data(),
        fault=st.sampled_from(["empty", "dropped", "lagging"]),
        first=st.integers(0, 3),
        answers=st.sampled_from([1, 2, 1_000_000]),
    )
    def poll_with_bad_answers(self, limit, data, fault, first, answers):
        """The API knows no rows, not all of them, or those of some time ago."""
        table, asked = self.table, len(self.table.searches)
        dropped = frozenset[str]()
        if fault == "dropped" and table.rows:
            dropped = data.draw(st.frozensets(st.sampled_from(sorted(table.rows))))
        shown = {
            "empty": lambda _: {},
            "dropped": lambda rows: {key: rows[key] for key in rows if key not in dropped},
            "lagging": lambda _: self.replica,
        }

        def choose(table: Table) -> None:
            is_bad = first <= len(table.searches) - asked < first + answers
            table.shown = shown[fault] if is_bad else dict

        choose(table)
        table.on_search = choose
        try:
            self.read(limit)
        except Inconsistent:
            return
        finally:
            table.on_search, table.shown = lambda _: None, dict
        self.check()

    def read(self, limit: int) -> PollResult:
        limits = PlanLimits(limit, self.catch_up_requests, self.max_whole_read_pages)
        plan = PollPlan(self.tracker, self.plan_state, now=self.now, limits=limits)
        reading = run_plan(plan, self.table)
        self.plan_state = reading.state
        observation = reading.observation
        applied = self.tracker.apply(observation, now=self.now, max_gap_ms=0)
        unread = None if observation.unread is None else observation.unread[0]
        rows = by_id(observation.rows)
        self.polls.append(
            Poll(
                self.now,
                tuple(observation.ranges),
                rows,
                unread,
                observation.unreadable_ids,
                is_contradicted=observation.is_contradicted,
            )
        )
        self.saved = merged(self.saved, applied.delta)
        return reading

    @precondition(lambda self: self.polls)
    @rule(limit=st.sampled_from([1, 2, 3]))
    def rest(self, limit):
        """Once the API has been quiet for a full scan, the window is the API's own."""
        if self.table.order is not None:
            # on smaller pages, rows in any order may look newest first: see `range_read`
            limit = self.table.clamp = 100
        scans = 0
        for _ in range(1000):  # pages of one row may take that long
            self.wait(self.rest_ms)
            reading = self.read(limit)
            scans += reading.scanned and reading.observation.unread is None
            if scans == 2:
                break
        assert scans == 2
        self.check()
        now = self.polls[-1].now
        start = now - self.rules.window_ms
        wanted = Recount(self.polls, self.rules)
        window, spoiled = by_id(wanted.window), self.table.rejected
        window = {key: call for key, call in window.items() if key not in wanted.missing}
        held = {key: c for key, c in self.table.rows.items() if start <= c.start <= now}
        assert {key: c for key, c in window.items() if key not in spoiled} == {
            key: c for key, c in held.items() if key not in spoiled
        }

    def check(self):
        found, wanted = self.tracker.snapshot(), Recount(self.polls, self.rules)
        ledger, window = found.ledger, recount_window(wanted.window)
        assert found.window is not None
        assert ledger.started == wanted.started
        assert positive(ledger.by_status) == wanted.by_status
        assert positive(ledger.by_call_status) == wanted.by_call_status
        assert positive(ledger.by_tag) == wanted.by_tag
        assert ledger.untagged == wanted.untagged
        assert {
            status: (each.counts, each.total_seconds)
            for status, each in ledger.durations.items()
            if any(each.counts)
        } == {
            status: (bucketed(each, BOUNDS), sum(each)) for status, each in wanted.durations.items()
        }
        assert positive(ledger.revisions) == positive(wanted.revisions)
        assert positive(ledger.uncounted) == positive(wanted.uncounted)
        assert ledger.uncounted_seconds == pytest.approx(wanted.uncounted_ms / 1000)
        assert (found.live, found.pending) == (wanted.live, wanted.pending)
        assert found.missing == len(wanted.missing)
        assert positive(found.window.by_status) == window.by_status
        assert positive(found.window.by_call_status) == window.by_call_status
        assert positive(found.window.by_tag) == window.by_tag
        assert found.window.untagged == window.untagged
        assert found.window.durations.counts == bucketed(window.durations, BOUNDS)
        assert found.window.durations.total_seconds == sum(window.durations)
        assert found.window.calls == sum(window.by_status.values())
        if all(before.now <= poll.now for before, poll in pairwise(self.polls)):
            assert passed_over(self.polls, self.rules, wanted.low_watermark) is None
        assert ledger.started == (
            ledger.settled + found.live + found.pending + sum(ledger.uncounted.values())
        )


Histories.TestCase.settings = settings(max_examples=500, stateful_step_count=40, deadline=None)
TestHistories = Histories.TestCase
