"""What is remembered of the last polls and of the last hours, of real polls in virtual time."""

import itertools

import msgspec
import pytest
from msgspec.structs import replace

import pearl_exporter.polling.poller as poller_module
from pearl_exporter.counting.calls import Call
from pearl_exporter.counting.outcome_history import STEP_MS, OutcomeHistory
from pearl_exporter.counting.saved import Progress
from pearl_exporter.polling.poll_history import MAX_POLLS, PollFindings
from pearl_exporter.reading.plan import COUNT_EVERY
from pearl_exporter.simulator import default_campaigns
from pearl_exporter.state.store import open_store
from tests.support.table import Table
from tests.support.table_api import TableApi
from tests.support.world import DAWN_MS, HOUR_MS, World

pytestmark = pytest.mark.virtual_time

SECOND = 1000
PAGE_SIZE = 10


def call(name: str, start: int, **more) -> Call:
    return Call(name, start, **({"status": 100, "call_status": 4, "duration": 5.0} | more))


class Polled:
    """A poller of the real application over a table of 200 calls, all of them settled."""

    def __init__(self, store=None, **settings) -> None:
        campaigns = default_campaigns(3, DAWN_MS, 1, history_ms=0)
        outbound = {"window": 3600.0, "settle": 60.0, "interval": 30.0} | settings
        api = {"page_size": PAGE_SIZE, "rate_limit": 1.0}
        self.table = Table()
        self.world = World(
            campaigns,
            frozen=True,
            store=store,
            outbound=outbound,
            api=api,
            transport=lambda _: TableApi(lambda: self.table),
        )
        (self.poller,) = self.world.app.pollers
        self.put(*(call(f"old-{place:03d}", -120_000 - place * 15_000) for place in range(1, 201)))

    def put(self, *calls: Call) -> None:
        """Calls whose start is counted from the first poll on."""
        self.table.put(*(replace(each, start=DAWN_MS + each.start) for each in calls))

    @property
    def since_begin(self) -> int:
        """Milliseconds since the first poll."""
        return self.world.now_ms - DAWN_MS

    async def begin(self) -> "Polled":
        await self.world.app.start(polling=False)
        await self.poll(0)
        return self

    async def poll(self, after: float = 30.0):
        """The record of a poll, some seconds after the previous one."""
        await self.world.wait(after)
        self.table.searches.clear()
        await self.poller.poll()
        return self.poller.snapshot.polls[0]


async def test_what_a_poll_asked_is_remembered_as_it_was_asked():
    polled = await Polled().begin()
    for _ in range(5):
        record, searches = polled.poller.snapshot.polls[0], polled.table.searches
        assert record.asked.requests == len(searches)
        assert record.asked.start == min(each.start for each in searches)
        assert record.asked.end == max(each.end for each in searches)
        assert record.asked.rows == sum(
            len(polled.table.answer(each).calls) for each in list(searches)
        )
        assert record.at == polled.world.now_ms
        await polled.poll()


async def test_each_search_is_remembered_with_what_it_is_for():
    polled = await Polled().begin()
    first = polled.poller.snapshot.polls[0].asked.purposes
    assert list(first) == ["wider range", "whole window", "older live calls"]
    steady = [list((await polled.poll()).asked.purposes) for _ in range(COUNT_EVERY)]
    assert all(each[0] == "new calls" for each in steady)
    assert "count of outcomes" in steady[-1]

    last = polled.since_begin
    polled.put(call("live", last + SECOND, status=20, call_status=3))
    polled.put(*(call(f"new-{n}", last + (2 + n) * SECOND) for n in range(25)))
    await polled.poll()
    assert "unsettled calls" in (await polled.poll()).asked.purposes

    polled.table.rows.pop("old-150")
    assert "search for a difference" in (await polled.poll()).asked.purposes

    last = polled.since_begin
    seen = set()
    for place in range(60):
        polled.put(call(f"later-{place}", last + place * 30 * SECOND))
        seen.update((await polled.poll()).asked.purposes)
    assert "slice of the full scan" in seen

    last = polled.since_begin
    polled.put(*(call(f"missed-{n}", last + n * 30 * SECOND) for n in range(1, 500)))
    assert "catching up" in (await polled.poll(4 * 3600)).asked.purposes


async def test_a_row_where_was_read_before_is_late_once():
    """A new one is not."""
    polled = await Polled().begin()
    polled.put(call("new", 10 * SECOND))
    assert (await polled.poll()).found == PollFindings(new=1)
    polled.put(call("late", 20 * SECOND), call("newer", 40 * SECOND))
    assert (await polled.poll()).found == PollFindings(new=2, late=1)
    assert (await polled.poll()).found.late == 0


async def test_what_comes_after_an_outage_is_not_late():
    polled = await Polled().begin()
    polled.put(*(call(f"missed-{n}", n * 30 * SECOND) for n in range(1, 361)))
    found = [(await polled.poll(3 * 3600)).found]
    while polled.poller.snapshot.health.catching_up:
        found.append((await polled.poll()).found)
    assert len(found) > 1
    assert sum(each.new for each in found) == 360
    assert [each.late for each in found] == [0] * len(found)


async def test_a_poll_is_remembered_with_what_changed():
    polled = await Polled().begin()
    polled.put(call("a", SECOND), call("b", 2 * SECOND), call("c", 3 * SECOND))
    assert (await polled.poll()).found == PollFindings(new=3)
    polled.table.rows.pop("c")
    assert (await polled.poll()).found == PollFindings()
    assert (await polled.poll(60)).found == PollFindings(settled=2, deleted=1)
    polled.put(call("a", SECOND, status=150, duration=6.0))
    assert (await polled.poll()).found == PollFindings(revised=2)
    assert (await polled.poll()).found == PollFindings()


async def test_the_last_failed_polls_are_remembered_by_reason():
    world = World(
        default_campaigns(3, DAWN_MS, 1, history_ms=HOUR_MS), faults=["not_found"], frozen=True
    )
    (poller,) = world.app.pollers
    await world.app.start(polling=False)
    for _ in range(MAX_POLLS + 5):
        await poller.poll()
        await world.wait(30)
    polls = poller.snapshot.polls
    assert len(polls) == MAX_POLLS
    assert {(each.reason, each.found) for each in polls} == {("not_found", None)}
    assert polls[0].message == poller.snapshot.health.last_message
    assert {each.asked.requests for each in polls} == {0}
    ends = [each.at for each in polls]
    assert {a - b for a, b in itertools.pairwise(ends)} == {30 * SECOND}


@pytest.mark.parametrize("broken", ["findings_between", "with_poll"])
async def test_a_bug_in_remembering_ends_no_polls(broken, monkeypatch):
    def bug(*_):
        raise ZeroDivisionError

    polled = await Polled().begin()
    polled.put(call("a", SECOND))
    with monkeypatch.context() as patch:
        patch.setattr(poller_module, broken, bug)
        await polled.world.wait(30)
        await polled.poller.poll()
    health = polled.poller.snapshot.health
    assert health.polls == 2
    assert (await polled.poll()).reason is None
    assert polled.poller.snapshot.calls.ledger.started == 1


# --- the last hours


def steps_of(outbound) -> list[tuple[int, dict[str, int] | None]]:
    """The steps since the first poll, without outcomes of which there was none."""
    return [
        (
            each.start // STEP_MS - DAWN_MS // STEP_MS,
            each.calls and {status: n for status, n in each.calls.items() if n},
        )
        for each in outbound.calls.outcomes.steps()
    ]


async def test_the_last_hours_survive_a_restart(tmp_path):
    """An outage shows as a gap."""
    url = f"sqlite:///{tmp_path}/state.db"
    before = await Polled(open_store(url)).begin()
    before.put(call("a", SECOND), call("b", 2 * SECOND, status=150))
    for _ in range(20):
        await before.poll()
    known = steps_of(before.poller.snapshot)
    assert known == [(0, {"success": 1, "unreachable": 1}), (1, {}), (2, {})]
    await before.world.app.stop()

    after = Polled(open_store(url))
    after.table = before.table
    await after.world.app.start(polling=False)
    assert steps_of(after.poller.snapshot) == known, "shown before any poll"
    after.put(call("c", before.since_begin + SECOND))
    await after.poll(before.since_begin / SECOND + 1200)
    assert steps_of(after.poller.snapshot) == [
        *known,
        *((step, None) for step in (3, 4, 5)),
        (6, {"success": 1}),
    ]
    await after.world.app.stop()


async def test_a_long_interval_leaves_no_gap():
    polled = await Polled(interval=900.0).begin()
    polled.put(call("a", SECOND))
    await polled.poll(900)
    await polled.poll(1801)
    assert steps_of(polled.poller.snapshot) == [
        (0, {}),
        *((step, {}) for step in (1, 2)),
        (3, {"success": 1}),
        *((step, None) for step in range(4, 9)),
        (9, {}),
    ]


async def test_a_state_of_an_earlier_version_begins_them_again():
    polled = await Polled().begin()
    saved = msgspec.to_builtins(polled.poller.saved().progress)
    del saved["outcomes"]
    old = msgspec.msgpack.encode(saved)
    assert msgspec.msgpack.decode(old, type=Progress).outcomes == OutcomeHistory()
