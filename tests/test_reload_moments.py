"""A reload at any moment: during a read, a commit, an outage, another reload, a stop."""

import asyncio
import logging
from contextlib import asynccontextmanager

import pytest
from pydantic import SecretStr

from pearl_exporter.config import PollSettings
from pearl_exporter.errors import ConfigError, StateError
from pearl_exporter.exposition.render import Format
from pearl_exporter.reconfigure import MAX_NAMED
from pearl_exporter.reload import Reloader
from pearl_exporter.simulator import Campaign, Profile
from pearl_exporter.state.store import MemoryStore
from tests.support.saving import copied, merged
from tests.support.world import DAWN_MS, World

pytestmark = pytest.mark.virtual_time

INTERVAL = 30.0
SETTLE = 10.0
TOKEN = {"token": SecretStr("account:secret")}
CHANGE = {"window": 900.0, "interval": 20.0, "settle": SETTLE + 1}


class Disk(MemoryStore):
    """A store that keeps what it is given; a load or a commit takes as long as is said."""

    def __init__(self) -> None:
        self.saved = {}
        self.loading_takes = self.committing_takes = 0.0
        self.committing = asyncio.Event()
        self.is_progress_damaged = False
        self.is_closed = False

    async def load(self, outbound_id):
        await asyncio.sleep(self.loading_takes)
        return copied(self.saved.get(outbound_id))

    async def load_progress(self, outbound_id):
        if self.is_progress_damaged:
            raise StateError("the progress is damaged")
        saved = self.saved.get(outbound_id)
        return saved and saved.progress

    async def commit(self, outbound_id, delta):
        self.committing.set()
        await asyncio.sleep(self.committing_takes)
        self.saved[outbound_id] = merged(self.saved.get(outbound_id), delta)

    async def aclose(self):
        self.is_closed = True


@pytest.fixture(autouse=True)
def logging_stays_as_it_is(monkeypatch):
    """A reload sets up logging again, for the whole process."""
    monkeypatch.setattr("pearl_exporter.reload.set_up_logging", lambda _: None)


@asynccontextmanager
async def running(count: int = 1, *, history_ms: int = 3_600_000, **more):
    """Outbounds whose rows never go again, so that every call that is served must be counted."""
    campaigns = [
        Campaign(
            Profile(
                outbound_id=f"o{number}",
                name=f"outbound-{number}",
                calls_a_day=20_000,
                deleted_share=0.0,
                late_row_share=0.0,
                longest_seconds=600.0,
            ),
            start_ms=DAWN_MS - history_ms,
        )
        for number in range(count)
    ]
    outbound = {"settle": SETTLE, **more.pop("outbound", {})}
    world = World(campaigns, outbound=outbound, **more)
    await world.app.start()
    try:
        yield world
    finally:
        await world.app.stop()


def changed(world: World, **values):
    """The settings with other values for every outbound."""
    outbounds = [each.model_copy(update=values) for each in world.app.settings.outbounds]
    return world.app.settings.model_copy(update={"outbounds": tuple(outbounds)})


def assert_counted_once(world: World) -> None:
    """Every call that started since tracking began, and those that had not settled by then."""
    for poller in world.app.pollers:
        calls = poller.snapshot.calls
        ledger = calls.ledger
        done = ledger.settled + sum(ledger.uncounted.values())
        assert ledger.started == done + calls.live + calls.pending
        served = world.served(poller.outbound.id, DAWN_MS - 3_600_000, calls.polled_at)
        since, settle = calls.tracking_since, SETTLE * 1000
        late = [each for each in served.values() if each.start > since]
        assert ledger.started >= len(late)
        open_then = [
            each
            for each in served.values()
            if each.start <= since and each.start + each.duration * 1000 + settle > since - 60_000
        ]
        assert ledger.started <= len(late) + len(open_then)


async def test_during_a_long_first_read():
    async with running(2, api={"rate_limit": 2.0, "page_size": 20}) as world:
        await asyncio.sleep(20)
        first, second = world.app.pollers
        assert first.snapshot.health.had_page
        assert not first.snapshot.health.polls
        settings = world.app.settings
        new = settings.outbounds[0].model_copy(update={"window": 1800.0})
        await world.app.reconfigure(
            settings.model_copy(update={"outbounds": (new, settings.outbounds[1])})
        )
        assert world.app.pollers[1] is second  # whose read goes on
        await asyncio.sleep(300)
        assert all(each.snapshot.health.up for each in world.app.pollers)
        assert second.snapshot.calls.tracking_since < DAWN_MS + 20_000
        assert_counted_once(world)


async def test_during_a_commit():
    disk = Disk()
    async with running(store=disk) as world:
        await asyncio.sleep(100)
        disk.committing_takes = 1.0
        disk.committing.clear()
        await disk.committing.wait()
        began = asyncio.get_running_loop().time()
        await world.app.reconfigure(changed(world, window=1800.0))
        assert asyncio.get_running_loop().time() - began == pytest.approx(1.0)
        disk.committing_takes = 0.0
        await asyncio.sleep(300)
        assert world.app.pollers[0].snapshot.health.up
        assert_counted_once(world)


async def test_during_a_hanging_commit_the_saved_state_counts():
    disk = Disk()
    async with running(store=disk) as world:
        await asyncio.sleep(100)
        disk.committing_takes = 1e6
        disk.committing.clear()
        await disk.committing.wait()
        disk.committing_takes = 0.0
        async with asyncio.timeout(10):
            await world.app.reconfigure(changed(world, window=1800.0))
        await asyncio.sleep(300)
        assert world.app.pollers[0].snapshot.health.up
        assert_counted_once(world)


async def test_during_an_outage_and_while_catching_up():
    # a window far shorter than the outage, and a rate that makes catching up last
    more = {"window": 300.0}
    async with running(outbound=more, api={"rate_limit": 0.5, "page_size": 10}) as world:
        await asyncio.sleep(200)
        before = world.app.pollers[0].snapshot.calls
        world.simulator.faults.set(["server_error"], world.now_ms)
        await asyncio.sleep(600)
        await world.app.reconfigure(changed(world, window=350.0))
        assert world.app.pollers[0].snapshot.calls.ledger == before.ledger
        assert world.app.pollers[0].snapshot.health.catching_up
        await asyncio.sleep(600)
        world.simulator.faults.clear()
        for _ in range(300):
            await asyncio.sleep(5)
            if world.app.pollers[0].snapshot.health.up:
                break
        assert world.app.pollers[0].snapshot.health.catching_up
        await world.app.reconfigure(changed(world, **CHANGE))
        assert world.app.pollers[0].snapshot.health.catching_up
        await asyncio.sleep(1500)
        poller = world.app.pollers[0]
        assert not poller.snapshot.health.catching_up
        assert poller.snapshot.calls.tracking_since == before.tracking_since
        assert poller.snapshot.calls.ledger.uncounted_seconds == 0
        assert_counted_once(world)


async def test_two_at_once_come_one_after_the_other():
    async with running(3) as world:
        await asyncio.sleep(100)
        narrow, few = changed(world, window=1800.0), world.app.settings
        few = few.model_copy(update={"outbounds": few.outbounds[:1]})
        faults = await asyncio.gather(
            *(Reloader(world.app, lambda each=each: each).reload() for each in (narrow, few))
        )
        assert faults == [(), ()]
        assert world.app.settings in (narrow, few)
        assert tuple(p.outbound for p in world.app.pollers) == world.app.settings.outbounds
        await asyncio.sleep(2 * INTERVAL)
        assert all(each.snapshot.health.up for each in world.app.pollers)


async def test_a_new_outbound_with_bad_progress_changes_nothing():
    disk = Disk()
    async with running(3, store=disk) as world:
        full = world.app.settings
        await world.app.reconfigure(full.model_copy(update={"outbounds": full.outbounds[:2]}))
        pollers = world.app.pollers
        disk.is_progress_damaged = True
        with pytest.raises(StateError):
            await world.app.reconfigure(full.model_copy(update={"outbounds": full.outbounds[1:]}))
        assert world.app.pollers == pollers
        assert len(world.app.exposition.outbounds) == 2
        await asyncio.sleep(2 * INTERVAL)
        assert all(each.snapshot.health.up for each in pollers)


async def test_a_stop_during_a_reload_waits_for_it_and_wins():
    disk = Disk()
    async with running(2, store=disk) as world:
        full = world.app.settings
        one = full.model_copy(update={"outbounds": full.outbounds[:1]})
        await world.app.reconfigure(one)
        disk.loading_takes = 1.0
        reload = asyncio.ensure_future(world.app.reconfigure(full))
        await asyncio.sleep(0.5)
        await world.app.stop()
        with pytest.raises(ConfigError, match="stopping"):
            await reload
        assert world.app.settings == one
        assert disk.is_closed
        with pytest.raises(ConfigError, match="stopping"):
            await world.app.reconfigure(full)
        await asyncio.sleep(0.1)
        assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_bug_while_reading_shows_in_the_metric_too():
    async with running() as world:

        def read():
            raise RuntimeError("a bug")

        with pytest.raises(RuntimeError):
            await Reloader(world.app, read).reload()
        assert b"pearl_exporter_config_last_reload_successful 0.0" in metrics_of(world)


def metrics_of(world: World) -> bytes:
    return world.app.exposition.render(Format.TEXT)


def log_line(caplog) -> logging.LogRecord:
    (record,) = [each for each in caplog.records if each.getMessage() == "configuration reloaded"]
    return record


async def test_the_log_says_what_changed_and_never_a_value(caplog):
    with caplog.at_level("INFO", "pearl_exporter.reload"):
        async with running(2) as world:
            first, _ = world.app.settings.outbounds
            other = world.app.settings.model_copy(
                update={
                    "api": world.app.settings.api.model_copy(update={"timeout": 31.0}),
                    "poll": PollSettings(follow=7200.0),
                    "outbounds": (
                        first.model_copy(update={"window": 1800.0, "labels": {"team": "x"}}),
                    ),
                }
            )
            assert await Reloader(world.app, lambda: other).reload() == ()
    record = log_line(caplog)
    assert record.outbounds_added == "none"
    assert record.outbounds_removed == "outbound-1"
    assert record.outbounds_changed == "outbound-0: window, labels"
    assert record.keys_changed == "api.timeout, poll.follow"


async def test_the_log_shows_a_discovered_outbounds_own_settings(caplog):
    with caplog.at_level("INFO", "pearl_exporter.reload"):
        async with running(2, configured=0, api=TOKEN, discovery={"enabled": True}) as world:
            await asyncio.sleep(1)
            found = world.app.settings.outbounds[1]
            mine = found.model_copy(update={"name": "mine", "window": 1800.0})
            other = world.settings.model_copy(update={"outbounds": (mine,)})
            assert await Reloader(world.app, lambda: other).reload() == ()
    record = log_line(caplog)
    assert (record.outbounds_added, record.outbounds_removed) == ("none", "none")
    assert record.outbounds_changed == "mine: window, name"


async def test_the_log_line_of_a_large_reload_stays_short(caplog):
    with caplog.at_level("INFO", "pearl_exporter.reload"):
        async with running(MAX_NAMED + 2) as world:
            changed = [
                each.model_copy(update={"window": 1800.0}) for each in world.app.settings.outbounds
            ]
            other = world.settings.model_copy(update={"outbounds": tuple(changed)})
            assert await Reloader(world.app, lambda: other).reload() == ()
    record = log_line(caplog)
    assert record.outbounds_changed.count(": window") == MAX_NAMED
    assert record.outbounds_changed.endswith("; 2 more")
