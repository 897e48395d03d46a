"""A new configuration while the exporter runs: checked first, then taken over, counters kept."""

import asyncio
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import bcrypt
import pytest

from pearl_exporter.config import ApiSettings, PollSettings, TokenSource
from pearl_exporter.counting.saved import SavedOutbound
from pearl_exporter.errors import ConfigError, StateError
from pearl_exporter.exposition.render import Format
from pearl_exporter.reload import Reloader
from pearl_exporter.serving import with_web
from pearl_exporter.simulator import many_campaigns
from pearl_exporter.state.store import MemoryStore
from pearl_exporter.web.config_watcher import WebConfigWatcher
from tests.support.patience import until
from tests.support.saving import copied, merged
from tests.support.world import DAWN_MS, World, outbound_settings

pytestmark = pytest.mark.virtual_time

INTERVAL = 0.3


@pytest.fixture(autouse=True)
def logging_stays_as_it_is(monkeypatch):
    """A reload sets up logging again, for the whole process."""
    monkeypatch.setattr("pearl_exporter.reload.set_up_logging", lambda _: None)


@asynccontextmanager
async def running(count: int = 3, **more):
    campaigns = many_campaigns(count, DAWN_MS, calls_a_day=100_000, history_ms=3_600_000)
    world = World(campaigns, outbound={"interval": INTERVAL, "give_up": 5.0, "settle": 0.0}, **more)
    await world.app.start()
    try:
        await until(lambda: all(poller.snapshot.health.polls for poller in world.app.pollers))
        yield world
    finally:
        await world.app.stop()


def with_outbounds(world, *outbounds):
    return world.settings.model_copy(update={"outbounds": outbounds})


def counters(text: str, outbound: str) -> dict[str, float]:
    lines = [line for line in text.splitlines() if f'outbound="{outbound}"' in line]
    return {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
        for line in lines
        if line.startswith(("pearl_calls", "pearl_telephony_calls_total"))
    }


def scraped(world) -> str:
    return world.app.exposition.render(Format.TEXT).decode()


async def test_outbounds_come_go_and_stay():
    async with running() as world:
        first, second, third = world.settings.outbounds
        poller = world.app.pollers[0]
        await until(lambda: poller.snapshot.calls.ledger.settled > 0)
        before = counters(scraped(world), first.name)
        changes = await world.app.reconfigure(with_outbounds(world, first, second))
        assert (changes.added, changes.removed, changes.changed) == ((), (third.name,), ())
        assert world.app.pollers[0] is poller
        text = scraped(world)
        assert f'outbound="{third.name}"' not in text
        after = counters(text, first.name)
        assert all(after[series] >= value for series, value in before.items())
        changes = await world.app.reconfigure(with_outbounds(world, first, second, third))
        assert changes.added == (third.name,)
        new = world.app.pollers[2]
        assert f'pearl_calls_started_total{{outbound="{third.name}"}} 0.0' in scraped(world)
        await until(lambda: new.snapshot.health.up)


async def test_a_changed_outbound_keeps_its_counters():
    """It goes by its new settings."""
    async with running(1) as world:
        poller = world.app.pollers[0]
        await until(lambda: poller.snapshot.calls.ledger.settled > 0)
        old = poller.snapshot.calls
        campaign = next(iter(world.simulator.campaigns.values()))
        changed = outbound_settings(
            campaign, interval=INTERVAL, give_up=5.0, settle=0.0, window=1800.0
        ).model_copy(update={"name": "renamed"})
        changes = await world.app.reconfigure(with_outbounds(world, changed))
        assert changes.changed == ("renamed",)
        new = world.app.pollers[0]
        assert new.snapshot.calls.ledger.settled >= old.ledger.settled
        polls = new.snapshot.health.polls
        await until(lambda: new.snapshot.health.polls > polls)
        calls = new.snapshot.calls
        assert calls.tracking_since == old.tracking_since
        assert calls.window.calls < 0.7 * old.window.calls
        assert calls.ledger.settled >= old.ledger.settled
        text = scraped(world)
        assert f'outbound="{poller.outbound.name}"' not in text
        assert 'pearl_window_seconds{outbound="renamed"} 1800.0' in text


async def test_a_wider_window_counts_nothing_twice():
    async with running(1) as world:
        poller = world.app.pollers[0]
        campaign = next(iter(world.simulator.campaigns.values()))
        narrow = outbound_settings(campaign, interval=INTERVAL, settle=0.0, window=60.0)
        await world.app.reconfigure(with_outbounds(world, narrow))
        poller = world.app.pollers[0]
        polls = poller.snapshot.health.polls
        await until(lambda: poller.snapshot.health.polls > polls)
        started = poller.snapshot.calls.ledger.started
        wide = outbound_settings(campaign, interval=INTERVAL, settle=0.0, window=3600.0)
        await world.app.reconfigure(with_outbounds(world, wide))
        poller = world.app.pollers[0]
        polls = poller.snapshot.health.polls
        await until(lambda: poller.snapshot.health.polls > polls)
        calls = poller.snapshot.calls
        assert calls.window.calls > 1000
        assert calls.ledger.started - started < 100


async def test_an_outbound_that_stays_is_not_polled_early():
    campaigns = many_campaigns(2, DAWN_MS, calls_a_day=1000, history_ms=3_600_000)
    world = World(campaigns, outbound={"interval": 100.0})
    await world.app.start()
    kept, other = world.settings.outbounds
    await until(lambda: world.app.pollers[0].snapshot.health.polls == 1)
    due = world.app.schedule.seconds_to_regular_poll(kept.id)
    due_other = world.app.schedule.seconds_to_regular_poll(other.id)
    changed = other.model_copy(update={"window": 600.0})
    await world.app.reconfigure(with_outbounds(world, kept, changed))
    assert world.app.schedule.seconds_to_regular_poll(kept.id) == pytest.approx(due, abs=1)
    assert world.app.schedule.seconds_to_regular_poll(other.id) == pytest.approx(due_other, abs=1)
    await world.app.stop()


async def test_new_settings_of_the_api_make_a_new_client():
    """The old one is closed."""
    async with running(1) as world:
        (old,) = world.app.clients.values()
        settings = world.settings.model_copy(
            update={"api": ApiSettings(url="http://simulated", rate_limit=500.0)}
        )
        await world.app.reconfigure(settings)
        (new,) = world.app.clients.values()
        assert new is not old
        assert world.closed_clients == 1
        assert "pearl_exporter_api_rate_limit 500.0" in scraped(world)
        poller = world.app.pollers[0]
        polls = poller.snapshot.health.polls
        await until(lambda: poller.snapshot.health.polls > polls)
        assert poller.snapshot.health.up


@pytest.mark.parametrize(
    ("api", "keeps_pause", "keeps_rate"),
    [
        ({"timeout": 31.0}, True, True),
        ({"rate_limit": 500.0}, True, False),
        ({"url": "http://another"}, False, False),
    ],
)
async def test_new_settings_of_the_api_keep_its_limits(api, keeps_pause, keeps_rate):
    async with running(1) as world:
        (old,) = world.app.clients.values()
        faults = [{"fault": "rate_limit", "requests": 1, "retry_after": 60}]
        world.simulator.faults.set(faults, world.now_ms)
        await until(lambda: old.limiter.paused_for)
        changed = world.settings.api.model_copy(update=api)
        await world.app.reconfigure(world.settings.model_copy(update={"api": changed}))
        (new,) = world.app.clients.values()
        assert new is not old
        assert (new.limiter.paused_for > 50) == keeps_pause
        slowed = world.settings.api.rate_limit / 2
        assert new.limiter.reduced_rate == (slowed if keeps_rate else changed.rate_limit)


async def test_a_bad_configuration_is_refused_and_the_old_one_kept(caplog):
    async with running(1) as world:

        def broken():
            raise ConfigError(["config.yml:3: poll.windoww: unknown key"])

        poller = world.app.pollers[0]
        faults = await Reloader(world.app, broken).reload()
        assert faults == ("config.yml:3: poll.windoww: unknown key",)
        assert world.app.pollers == (poller,)
        assert "pearl_exporter_config_last_reload_successful 0.0" in scraped(world)
        assert "keeping the old configuration: config.yml:3" in caplog.text
        assert await Reloader(world.app, lambda: world.settings).reload() == ()
        assert "pearl_exporter_config_last_reload_successful 1.0" in scraped(world)


@contextmanager
def replaced_outside(folder, content: str):
    """A path by which the old content of a file is read, as by a mount of the file alone."""
    file = folder / "file"
    file.write_text(content)
    with file.open() as opened:
        file.unlink()
        yield Path(f"/proc/self/fd/{opened.fileno()}")


async def test_a_file_that_was_replaced_outside_its_mount_is_told(tmp_path, caplog):
    async with running(1) as world:
        (outbound,) = world.settings.outbounds
        with replaced_outside(tmp_path, "a:b") as gone:
            source = TokenSource(file=gone)
            there = tmp_path / "config.yml"
            there.write_text("x")
            changed = outbound.model_copy(update={"token": source})
            for config, settings, told in (
                (gone, world.settings, 1),
                (there, with_outbounds(world, changed), 1),
                (there, world.settings, 0),
                (None, world.settings, 0),
                (tmp_path / "no such file", world.settings, 0),
            ):
                caplog.clear()
                reloader = Reloader(world.app, lambda settings=settings: settings, config)
                assert await reloader.reload() == ()
                found = [each for each in caplog.records if "replaced outside" in each.message]
                assert [each.levelname for each in found] == ["WARNING"] * told
                assert {each.file for each in found} <= {str(gone)}


async def test_a_refused_token_is_tried_at_once_after_a_reload():
    async with running(1) as world:
        poller = world.app.pollers[0]
        world.simulator.faults.set(["unauthorized"], world.now_ms)
        await until(lambda: not poller.may_poll())
        await world.app.reconfigure(world.settings)
        assert poller.may_poll()


async def test_many_reloads_leave_no_task_behind():
    async with running(3) as world:
        first, second, third = world.settings.outbounds
        tasks = len(asyncio.all_tasks())
        for turn in range(30):
            kept = [first, second, third][: 1 + turn % 3]
            poll = PollSettings(follow=3600.0 + turn)
            settings = with_outbounds(world, *kept).model_copy(update={"poll": poll})
            await Reloader(world.app, lambda settings=settings: settings).reload()
        await world.app.reconfigure(world.settings)
        await until(lambda: all(p.snapshot.health.up for p in world.app.pollers))
        await until(lambda: len(asyncio.all_tasks()) <= tasks + 3)


class _Disk(MemoryStore):
    """A store that can be full, and keeps what it is given."""

    def __init__(self) -> None:
        self.saved: dict[str, SavedOutbound] = {}
        self.is_full = self.is_damaged = False

    async def load(self, outbound_id):
        if self.is_damaged:
            raise StateError("the progress is damaged")
        return copied(self.saved.get(outbound_id))

    async def load_progress(self, outbound_id):
        saved = await self.load(outbound_id)
        return saved and saved.progress

    async def commit(self, outbound_id, delta):
        if self.is_full:
            raise StateError("no space left on device")
        self.saved[outbound_id] = merged(self.saved.get(outbound_id), delta)


async def test_a_reload_after_a_failed_commit_costs_no_counts():
    disk = _Disk()
    async with running(1, store=disk) as world:
        poller = world.app.pollers[0]
        await until(lambda: poller.snapshot.calls.ledger.settled > 0)
        disk.is_full = True
        await until(lambda: poller.snapshot.health.last_reason == "state")
        before = poller.snapshot.calls
        (outbound,) = world.settings.outbounds
        changed = outbound.model_copy(update={"window": 1800.0})
        await world.app.reconfigure(with_outbounds(world, changed))
        new = world.app.pollers[0]
        assert new.snapshot.calls == before
        assert f'pearl_window_seconds{{outbound="{outbound.name}"}} 3600.0' in scraped(world)
        disk.is_full = False
        await until(lambda: new.snapshot.health.up)
        after = new.snapshot.calls
        assert after.tracking_since == before.tracking_since
        assert after.ledger.settled >= before.ledger.settled
        assert after.ledger.started >= before.ledger.started


async def test_a_new_outbound_with_unreadable_state_changes_nothing():
    disk = _Disk()
    async with running(3, store=disk) as world:
        first, second, third = world.settings.outbounds
        await world.app.reconfigure(with_outbounds(world, first, second))
        pollers = world.app.pollers
        disk.is_damaged = True
        wanted = with_outbounds(world, first, third)
        faults = await Reloader(world.app, lambda: wanted).reload()
        assert faults == ("the progress is damaged",)
        assert world.app.pollers == pollers
        assert "pearl_exporter_config_last_reload_successful 0.0" in scraped(world)
        polls = pollers[1].snapshot.health.polls
        await until(lambda: pollers[1].snapshot.health.polls > polls)
        disk.is_damaged = False
        assert await Reloader(world.app, lambda: wanted).reload() == ()
        assert [poller.outbound.name for poller in world.app.pollers] == [first.name, third.name]


# --- the web configuration


async def test_a_reload_that_would_open_a_door_is_refused(tmp_path, caplog):
    """Also the rest of it: what is refused is refused whole."""
    path = tmp_path / "web.yml"
    path.write_text(
        f"basic_auth_users: {{alice: {bcrypt.hashpw(b'a', bcrypt.gensalt(4)).decode()}}}"
    )
    async with running() as world:
        web, reloaded = WebConfigWatcher(path), []

        async def reload():
            reloaded.append(True)
            return ()

        both = with_web(reload, web, world.app)
        users = path.read_text()
        path.write_text("")
        (problem,) = await both()
        assert "basic_auth_users: passwords are turned off only by a restart" in problem
        assert f"keeping the old web configuration: {problem}" in caplog.messages
        assert "pearl_exporter_config_last_reload_successful 0.0" in scraped(world)
        assert reloaded == []
        path.write_text(users)
        assert await both() == ()
        assert reloaded == [True]


# --- the state


async def test_a_start_says_what_the_state_has_no_record_of(caplog):
    """It may be the wrong state, or an older one."""

    class Older(MemoryStore):
        def __init__(self, *ids: str) -> None:
            self.ids = frozenset(ids)

        async def known(self):
            return self.ids

    first, *_ = many_campaigns(3, DAWN_MS, calls_a_day=100_000, history_ms=3_600_000)
    said = "the state has no record of some outbounds"
    for known, unknown in (
        ((first.outbound_id,), "load-002, load-003"),
        (("another",), "load-001, load-002, load-003"),
        ((), None),
    ):
        caplog.clear()
        async with running(store=Older(*known)):
            records = [each for each in caplog.records if each.getMessage().startswith(said)]
            assert [each.outbounds for each in records] == ([unknown] if unknown else [])


async def test_a_token_that_goes_over_plain_http_is_warned_of_once(caplog):
    def warnings():
        return [each for each in caplog.messages if "http://" in each]

    async with running(api={"url": "http://gateway"}) as world:
        assert len(warnings()) == 1
        await world.app.reconfigure(with_outbounds(world, *world.settings.outbounds[:1]))
        assert len(warnings()) == 1
        for url in ("https://gateway", "http://127.0.0.1:1", "http://other"):
            api = world.app.settings.api.model_copy(update={"url": url})
            await world.app.reconfigure(world.settings.model_copy(update={"api": api}))
            assert len(warnings()) == (2 if url == "http://other" else 1)
