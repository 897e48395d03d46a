"""One poll: all or nothing, published when committed, its failures logged and counted."""

import asyncio
import gc
import itertools
import json
import logging
import threading
import time
from collections.abc import Sequence
from itertools import pairwise

import httpx
import pytest

from pearl_exporter.api.token_breaker import MAX_BACKOFF_SECONDS
from pearl_exporter.config import TokenSource
from pearl_exporter.counting.calls import Call
from pearl_exporter.counting.observation import Observation
from pearl_exporter.counting.rows import Rows
from pearl_exporter.counting.tracker import Applied, Tracker
from pearl_exporter.errors import StateError
from pearl_exporter.exposition.render import Format
from pearl_exporter.polling import committed_tracker
from pearl_exporter.reading.contradictions import RowSums
from pearl_exporter.reading.coverage import Missed
from pearl_exporter.reading.plan import PlanState, PollResult
from pearl_exporter.simulator import default_campaigns
from pearl_exporter.state.store import MemoryStore
from tests.support.patience import HANGING_SECONDS, until
from tests.support.saving import copied, merged
from tests.support.world import DAWN_MS, HOUR_MS, Dated, World

pytestmark = pytest.mark.virtual_time


def world_of(count: int = 1, **more) -> World:
    return World(default_campaigns(3, DAWN_MS, count, history_ms=2 * HOUR_MS), **more)


def balance_holds(snapshot) -> bool:
    calls = snapshot.calls
    counted = calls.ledger.settled + sum(calls.ledger.uncounted.values())
    return calls.ledger.started == counted + calls.live + calls.pending


async def test_a_good_poll_is_published_whole():
    world = world_of()
    poller = world.app.pollers[0]
    await world.app.start(polling=False)
    assert not world.app.is_ready
    assert await poller.poll(lateness_seconds=0.5) is None
    snapshot = world.app.exposition.outbounds[0]
    wanted = world.served(poller.outbound.id, DAWN_MS - HOUR_MS, DAWN_MS)
    assert snapshot.calls.window.calls == len(wanted) > 100
    health = snapshot.health
    assert (health.up, health.polls) == (True, 1)
    assert health.last_success == pytest.approx(DAWN_MS, abs=1000)
    assert health.lateness_seconds == pytest.approx(0.5, abs=0.1)
    assert snapshot.calls.tracking_since == DAWN_MS
    assert health.caught_up_at == health.last_success
    assert world.app.is_ready
    assert balance_holds(snapshot)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("unauthorized", "auth"),
        ("forbidden", "auth"),
        ("not_found", "not_found"),
        ("rate_limit", "rate_limited"),
        ("rate_limit:1,retry_after=900", "rate_limited"),
        ("slow:seconds=1000", "timeout"),
        ("drop", "connection"),
        ("server_error", "server_error"),
        ("bad_request", "bad_request"),
        ("html", "bad_response"),
        ("cut", "bad_response"),
        ("empty", "bad_response"),
        ("error_object", "bad_response"),
    ],
)
async def test_a_failed_poll_publishes_its_reason(fault, reason):
    """The calls stay as they were."""
    world = world_of()
    poller = world.app.pollers[0]
    await world.app.start(polling=False)
    await poller.poll()
    before = poller.snapshot
    await world.wait(30)
    world.simulator.faults.set([fault], world.now_ms)
    began = asyncio.get_running_loop().time()
    failure = await poller.poll()
    took = asyncio.get_running_loop().time() - began
    assert failure is not None
    assert failure.reason == reason
    assert took <= poller.outbound.give_up + 0.01
    after = poller.snapshot
    assert after.calls == before.calls
    assert after.health.failures == {reason: 1}
    assert (after.health.up, after.health.polls) == (False, 2)
    assert after.health.last_success == before.health.last_success
    assert after.health.catching_up


async def test_after_an_outage_what_settled_meanwhile_counts():
    world = world_of(outbound={"window": 600.0, "settle": 30.0}, poll={"window": 600.0})
    poller = world.app.pollers[0]
    await world.app.start(polling=False)
    await poller.poll()
    world.simulator.faults.set(["server_error"], world.now_ms)
    for _ in range(10):
        await world.wait(360)
        await poller.poll()
    world.simulator.faults.clear()
    await world.wait(30)
    assert await poller.poll() is None
    ledger = poller.snapshot.calls.ledger
    since = world.served(poller.outbound.id, DAWN_MS, world.now_ms)
    assert ledger.started >= len(since)
    assert ledger.settled > 0.8 * len(since)
    health = poller.snapshot.health
    assert (health.up, health.catching_up) == (True, False)
    assert health.caught_up_at == health.last_success
    assert balance_holds(poller.snapshot)


async def test_a_read_that_gets_pages_may_exceed_give_up():
    world = world_of(api={"rate_limit": 0.5, "page_size": 10})
    poller = world.app.pollers[0]
    await world.app.start(polling=False)
    began = asyncio.get_running_loop().time()
    assert await poller.poll() is None
    assert asyncio.get_running_loop().time() - began > 2 * poller.outbound.give_up


async def test_the_first_page_makes_ready():
    """The whole read is not awaited."""
    world = world_of(api={"rate_limit": 0.5, "page_size": 10})
    await world.app.start(polling=False)
    poll = asyncio.create_task(world.app.pollers[0].poll())
    await asyncio.sleep(10)
    assert world.app.is_ready
    assert not world.app.pollers[0].snapshot.health.up
    poll.cancel()


async def test_a_long_read_shows_its_progress(caplog):
    heard = []
    world = world_of(
        api={"rate_limit": 0.5, "page_size": 100},
        on_progress=lambda *progress: heard.append(progress),
    )
    poller = world.app.pollers[0]
    await world.app.start(polling=False)
    with caplog.at_level(logging.INFO, "pearl_exporter.polling"):
        await poller.poll()
    assert [name for name, _, _ in heard] == [poller.outbound.name] * len(heard)
    assert heard[-1][1] == heard[-1][2] == poller.snapshot.calls.tracked
    assert any(record.getMessage() == "reading calls" for record in caplog.records)


async def test_a_long_read_publishes_its_progress():
    """At most once a second, until it ends."""
    shown = {}
    world = world_of(api={"rate_limit": 10, "page_size": 10})
    poller, schedule = world.app.pollers[0], world.app.schedule

    def note() -> None:
        for snapshot in world.app.exposition.outbounds:
            if snapshot.read_progress is not None:
                shown.setdefault(snapshot.read_progress, asyncio.get_running_loop().time())

    def is_over() -> bool:
        note()
        return not schedule.is_polling(poller.outbound.id)

    await world.app.start()
    await until(lambda: note() or shown)
    assert schedule.seconds_to_next_poll(poller.outbound.id) == 0
    await until(is_over)
    assert poller.snapshot.health.up
    assert world.app.exposition.outbounds[0].read_progress is None
    assert schedule.seconds_to_next_poll(poller.outbound.id) > 0
    progress = list(shown)
    pauses = [after - before for before, after in pairwise(shown.values())]
    assert len(pauses) > 3
    assert all(pause >= 1 - 0.02 for pause in pauses)  # it is looked at each 0.01 s
    assert sorted(progress) == progress
    assert progress[-1].received <= progress[-1].expected == poller.snapshot.calls.tracked
    await world.app.stop()


@pytest.mark.parametrize("skew", [-299, -30, 45, 299])
async def test_the_api_s_clock_is_followed_from_the_first_poll_on(skew):
    world = world_of(faults=[f"skew:seconds={skew}"])
    poller = world.app.pollers[0]
    await world.app.start(polling=False)
    await poller.poll()
    polled_at = poller.snapshot.calls.polled_at
    assert polled_at == pytest.approx(DAWN_MS + skew * 1000, abs=1500)


@pytest.mark.parametrize("skew", [-3600, -30, 45, 7200])
async def test_so_it_is_where_this_machine_s_is_off_and_calls_show_it(skew):
    """A Date that is an hour off is believed because calls started by that clock."""
    world = world_of(wall_ahead=lambda: -skew)
    poller = world.app.pollers[0]
    await world.app.start(polling=False)
    await poller.poll()
    assert poller.snapshot.calls.polled_at == pytest.approx(DAWN_MS, abs=1500)


async def test_t_does_not_step_back_when_the_correction_ends():
    world = world_of(faults=["skew:seconds=3"])
    poller = world.app.pollers[0]
    await world.app.start(polling=False)
    await poller.poll()
    ahead = poller.snapshot.calls.polled_at
    world.simulator.faults.clear()
    for _ in range(6):
        await poller.poll()
        assert poller.snapshot.calls.polled_at >= ahead


async def test_a_clock_a_little_behind_costs_no_second_read():
    """Answers have no date."""
    world = world_of(frozen=True, transport=lambda it: Dated(it, None))
    poller = world.app.pollers[0]
    await world.app.start(polling=False)
    await poller.poll()
    asked = world.simulator.traffic.total
    await world.wait(-3)
    assert await poller.poll() is None
    assert world.simulator.traffic.total - asked < asked
    assert poller.snapshot.calls.polled_at == DAWN_MS


async def test_after_a_poll_of_a_wrong_time_the_log_says_so(caplog):
    """That span is read again, and counted once."""
    with caplog.at_level(logging.WARNING, "pearl_exporter.polling"):
        world = world_of(frozen=True, outbound={"settle": 10.0})
        poller = world.app.pollers[0]
        await world.app.start(polling=False)
        await poller.poll()
        await world.wait(7200)
        await poller.poll()
        counted = poller.snapshot.calls.ledger.settled
        await world.wait(-7000)
        assert await poller.poll() is None
        after = poller.snapshot.calls
        assert after.polled_at == world.now_ms == DAWN_MS + 200_000
        held = world.served(poller.outbound.id, world.now_ms - HOUR_MS, world.now_ms)
        assert after.window.calls == len(held)
        assert after.ledger.settled >= counted
        assert balance_holds(poller.snapshot)
    (record,) = caplog.records
    assert record.getMessage() == (
        "clock went back: re-reading that span, calls already counted are not counted again"
    )
    assert record.seconds == 7000


async def test_a_refused_token_is_backed_off_until_it_changes(tmp_path):
    file = tmp_path / "token"
    file.write_text("account:old")

    world = world_of(faults=["unauthorized"], outbound={"token": TokenSource(file=file)})
    poller = world.app.pollers[0]
    await world.app.start(polling=False)
    loop = asyncio.get_running_loop()
    tried_at, intervals = [], []
    for _ in range(60):
        if poller.may_poll():
            tried_at.append(round(loop.time()) - 1000)
            await poller.poll()
            intervals.append(poller.snapshot.health.interval_seconds)
        await world.wait(30)
    assert tried_at[:6] == [0, 60, 180, 420, 720, 1020]
    assert intervals[:5] == [60, 120, 240, MAX_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS]
    assert not poller.may_poll()
    file.write_text("account:another")
    assert poller.may_poll()
    world.simulator.faults.clear()
    await poller.poll()
    assert poller.snapshot.health.interval_seconds == 30
    assert poller.may_poll()


async def test_a_refused_token_is_probed_when_the_page_says():
    world = world_of(faults=["unauthorized"])
    await world.app.start()
    poller = world.app.pollers[0]
    for polls in range(1, 6):
        await until(lambda polls=polls: poller.snapshot.health.polls == polls, within=400)
        left = world.app.schedule.seconds_to_next_poll(poller.outbound.id)
        began = asyncio.get_running_loop().time()
        await until(lambda polls=polls: poller.snapshot.health.polls > polls, within=400)
        assert asyncio.get_running_loop().time() - began == pytest.approx(left, abs=1)
    await world.app.stop()


class _FullDisk(MemoryStore):
    def __init__(self):
        self.saved = None
        self.is_full = False

    async def load_progress(self, outbound_id):
        return self.saved and self.saved.progress

    async def load(self, outbound_id):
        return copied(self.saved)

    async def commit(self, outbound_id, delta):
        if self.is_full:
            raise StateError("no space left on device")
        self.saved = merged(self.saved, delta)


async def test_damaged_calls_fail_the_poll_and_say_what_to_do():
    disk = _FullDisk()
    world = world_of(store=disk)
    await world.app.start(polling=False)
    assert await world.app.pollers[0].poll() is None
    disk.saved = disk.saved._replace(blocks=dict.fromkeys(disk.saved.blocks, b"torn"))
    again = world_of(store=disk)
    await again.app.start(polling=False)
    failure = await again.app.pollers[0].poll()
    assert failure.reason == "state"
    assert "is damaged" in str(failure)
    assert "restore a backup, or move it away" in str(failure)
    await again.app.stop()
    await world.app.stop()


def row(number: int, tags: Sequence[str] = ()) -> Call:
    return Call(f"65f1c0ffee65f1c0ffee{number:04d}", DAWN_MS - number, 100, 4, 5.0, tuple(tags))


TAGS = tuple(f"tag {number}" for number in range(40))


@pytest.mark.parametrize(
    ("rows", "unreadable", "is_in_thread"),
    [
        ([row(number) for number in range(99)], 0, False),
        ([row(number) for number in range(100)], 0, True),
        ([row(number, TAGS[:2]) for number in range(34)], 0, True),
        ([row(number, TAGS) for number in range(3)], 0, True),
        ([row(0, TAGS), row(1, TAGS)], 0, False),
        ([row(0)], 99, True),
    ],
    ids=["99 rows", "100 rows", "two tags", "many tags", "82 in all", "unreadable"],
)
async def test_what_is_applied_in_a_thread_goes_by_all_that_is_read(rows, unreadable, is_in_thread):
    threads = []

    class Noted(Tracker):
        def apply(self, *given, **more):
            threads.append(threading.current_thread())
            return super().apply(*given, **more)

    world = world_of()
    poller = world.new_poller(MemoryStore(), large_read_rows=100, new_tracker=Noted)
    ids = frozenset(f"unreadable {number}" for number in range(unreadable))
    read = Observation(Rows(rows), [], ids)
    result = PollResult(
        read,
        scanned=False,
        state=PlanState(),
        progress=None,
        missed=Missed({}, {}, 0),
        rows=RowSums(),
    )
    tracker = await poller._tracker.load()
    await poller._tracker.apply_and_commit(tracker, result, now=DAWN_MS, max_gap_ms=0)
    assert [each is not threading.main_thread() for each in threads] == [is_in_thread]


async def test_other_rules_rebuild_the_tracker_in_a_thread():
    """A reload may change the window of many large outbounds at once."""
    threads = []

    class Noted(Tracker):
        def __init__(self, rules, saved=None, **more):
            if saved is not None:
                threads.append(threading.current_thread())
            super().__init__(rules, saved, **more)

    world, disk = world_of(), MemoryStore()
    old = world.new_poller(disk, large_read_rows=10, new_tracker=Noted)
    assert await old.poll() is None
    before = old.saved()
    world.settings = world.settings.model_copy(
        update={"metrics": world.settings.metrics.model_copy(update={"max_tags": 7})}
    )
    for _ in range(2):  # the second one takes over from one that has not polled
        new = world.new_poller(disk, large_read_rows=10, new_tracker=Noted)
        new.resume_from(old)
        old = new
    assert threads == []
    assert copied(new.saved()) == before
    assert await new.poll() is None
    assert [each is not threading.main_thread() for each in threads] == [True]
    assert new.saved().progress.ledger.started >= before.progress.ledger.started


async def test_a_poll_that_was_given_up_commits_nothing_later():
    """By then another poller may have loaded the state, and go on from there."""
    may_apply, is_applying = threading.Event(), threading.Event()
    may_apply.set()

    class Held(Tracker):
        def apply(self, *given, **more):
            is_applying.set()
            assert may_apply.wait(HANGING_SECONDS)
            return super().apply(*given, **more)

    disk = _FullDisk()
    poller = world_of().new_poller(disk, large_read_rows=0, commit_seconds=0.0, new_tracker=Held)
    assert await poller.poll() is None
    before = disk.saved
    may_apply.clear()
    is_applying.clear()
    polling = asyncio.ensure_future(poller.poll())
    while not is_applying.is_set():  # noqa: ASYNC110 - a thread sets it
        await asyncio.sleep(0)
    polling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await polling
    assert poller.saved() is None
    may_apply.set()
    (applying,) = asyncio.all_tasks() - {asyncio.current_task()}
    await applying
    assert disk.saved is before


async def test_what_a_poll_saved_is_free_when_memory_is_trimmed(monkeypatch):
    """Else the system gets it back after the next large poll at the earliest."""
    alive = []

    def held() -> list[object]:
        gc.collect()
        return [each for each in gc.get_objects() if isinstance(each, Applied | PollResult)]

    def trim() -> None:
        # the thread that applied the poll lets go of it when it comes to run again
        tries = itertools.takewhile(lambda _: held(), range(100))
        for _ in tries:
            time.sleep(0.1)
        alive.append(held())

    monkeypatch.setattr(committed_tracker, "trim_heap", trim)
    poller = world_of().new_poller(MemoryStore(), large_read_rows=0)
    assert await poller.poll() is None
    assert alive == [[]]


async def test_what_was_not_committed_is_not_published():
    """The next poll counts it."""
    store = _FullDisk()
    world = world_of(store=store, outbound={"settle": 10.0})
    poller = world.app.pollers[0]
    await world.app.start(polling=False)
    await poller.poll()
    before, state = poller.snapshot.calls, poller.plan_state
    store.is_full = True
    await world.wait(120)
    failure = await poller.poll()
    assert failure is not None
    assert failure.reason == "state"
    assert poller.snapshot.calls == before
    assert poller.plan_state is state, "what that poll read, a scan must not think to be known"
    store.is_full = False
    await world.wait(30)
    assert await poller.poll() is None
    assert poller.snapshot.calls.ledger.settled > before.ledger.settled
    assert balance_holds(poller.snapshot)


class _SlowDisk(MemoryStore):
    def __init__(self):
        self.committing = asyncio.Event()

    async def commit(self, outbound_id, delta):
        self.committing.set()
        await asyncio.sleep(1)


async def test_a_poll_cancelled_while_it_commits_loses_nothing():
    store = _SlowDisk()
    world = world_of(store=store)
    poller = world.app.pollers[0]
    await world.app.start(polling=False)
    poll = asyncio.create_task(poller.poll())
    await store.committing.wait()
    poll.cancel()
    with pytest.raises(asyncio.CancelledError):
        await poll
    assert poller.saved().progress.polled_at == DAWN_MS


async def test_after_a_restart_the_saved_counters_are_published():
    """Before any poll."""
    store = _FullDisk()
    world = world_of(store=store, outbound={"settle": 10.0})
    poller = world.app.pollers[0]
    await world.app.start(polling=False)
    for _ in range(5):
        await poller.poll()
        await world.wait(30)
    again = world_of(store=store, outbound={"settle": 10.0}).app
    restarted = again.pollers[0]
    await restarted.start()
    assert restarted.snapshot.calls.ledger == poller.snapshot.calls.ledger
    assert restarted.snapshot.health.catching_up
    text = again.exposition.render(Format.TEXT).decode()
    assert "pearl_window_calls{" not in text
    assert "pearl_calls_total{" in text


async def test_a_bug_in_one_poll_does_not_end_the_polls(caplog):
    class Buggy(MemoryStore):
        async def load(self, outbound_id):
            raise ZeroDivisionError

    world = world_of(store=(store := Buggy()))
    poller = world.app.pollers[0]
    await world.app.start(polling=False)
    failure = await poller.poll()
    store.load = MemoryStore().load
    assert failure is not None
    assert failure.reason == "bad_response"
    assert "ZeroDivisionError" in str(failure)
    assert await poller.poll() is None


async def test_failures_are_logged_when_they_begin_and_end(caplog):
    with caplog.at_level(logging.INFO, "pearl_exporter.polling"):
        world = world_of(faults=["server_error"])
        poller = world.app.pollers[0]
        await world.app.start(polling=False)
        for _ in range(3):
            await poller.poll()
        world.simulator.faults.clear()
        await poller.poll()
    messages = [record.getMessage() for record in caplog.records]
    assert messages == ["poll failed", "polls succeed again"]
    assert caplog.records[0].error.startswith("the API answered 503")


async def test_no_slow_outbound_delays_another():
    world = world_of(3)
    slow = world.app.pollers[0]
    world.simulator.faults.set(
        [{"fault": "slow", "seconds": 20, "outbound": slow.outbound.id}], world.now_ms
    )
    await world.app.start(polling=False)
    loop = asyncio.get_running_loop()
    began = loop.time()
    polls = asyncio.gather(*(poller.poll() for poller in world.app.pollers[1:]))
    stuck = asyncio.create_task(slow.poll())
    await polls
    assert loop.time() - began < 2
    assert await stuck is None
    assert loop.time() - began > 20


class _Changing(httpx.AsyncBaseTransport):
    """Answers after 20 s, each time with another outcome of the one call, and too high a count."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(20)
        asked = json.loads(await request.aread())
        now = asyncio.get_running_loop().time()
        row = {"id": "call", "startTime": asked["fromDate"], "conversationStatus": int(now) % 999}
        answer = {"count": 9, "results": [row] if not asked["skip"] else []}
        return httpx.Response(200, stream=httpx.ByteStream(json.dumps(answer).encode()))


async def test_answers_to_the_same_question_do_not_put_off_giving_up():
    """They are no progress, whatever arrives."""
    world = world_of(transport=lambda _: _Changing(), outbound={"give_up": 70.0})
    poller = world.app.pollers[0]
    await world.app.start(polling=False)
    began = asyncio.get_running_loop().time()
    failure = await poller.poll()
    assert failure is not None
    assert failure.reason == "timeout"
    # four different questions: the wider range, the window, and twice below its oldest row
    assert asyncio.get_running_loop().time() - began <= 4 * 20 + 70 + 1


@pytest.mark.parametrize(
    ("hours", "reasons", "is_said"), [(24, [None] * 3, 1), (0, ["bad_request"] * 3, 0)]
)
async def test_a_wider_range_that_is_refused_fails_no_poll(hours, reasons, is_said, caplog):
    """The log says so once; where all is refused, as for a wrong id, polls fail."""
    world = world_of(faults=[f"range_refused:hours={hours}"])
    poller = world.app.pollers[0]
    await world.app.start(polling=False)
    errors = [await poller.poll() for _ in range(3)]
    assert [error and error.reason for error in errors] == reasons
    said = "the API refuses a range that is wider than the window"
    assert sum(said in record.getMessage() for record in caplog.records) == is_said
