"""Discovery and account in the running exporter, over the simulated API, in virtual time."""

import asyncio
import re
import threading
from collections.abc import Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from msgspec.structs import replace
from pydantic import SecretStr

from pearl_exporter.api.decode_platform import decode_listing
from pearl_exporter.config import DiscoverySettings
from pearl_exporter.discovery import platform
from pearl_exporter.discovery.platform import EMPTY_LIST_SECONDS
from pearl_exporter.discovery.selection import select
from pearl_exporter.errors import StateError
from pearl_exporter.exposition.render import Format
from pearl_exporter.patterns import Pattern
from pearl_exporter.simulator import CallPage, CallQuery, many_campaigns
from pearl_exporter.simulator.simulated_platform import LIST_PATH
from pearl_exporter.state.records import DiscoveredOutbound
from pearl_exporter.state.store import MemoryStore
from tests.support.patience import until
from tests.support.saving import copied, merged
from tests.support.world import DAWN_MS, World

pytestmark = pytest.mark.virtual_time

INTERVAL = 60.0
"""Of polls; the platform is asked five times as rarely."""
ROUND = 300.0
PHONE = "+49 151 23456789"
EVERYTHING = CallQuery(from_ms=0, to_ms=DAWN_MS * 2, limit=10**6)


@asynccontextmanager
async def running(count: int = 3, *, configured: int = 0, on: bool = True, **more):
    campaigns = many_campaigns(count, DAWN_MS, calls_a_day=4_000, history_ms=1_800_000)
    world = World(
        campaigns,
        configured=configured,
        api={"token": SecretStr("account:secret")},
        poll={"interval": INTERVAL, "window": 600.0, "settle": 10.0},
        discovery={"enabled": on, "interval": ROUND, **more.pop("discovery", {})},
        **more,
    )
    await world.app.start()
    try:
        await asyncio.sleep(1)
        yield world
    finally:
        await world.app.stop()


def samples(world: World) -> dict[str, float]:
    lines = world.app.exposition.render(Format.TEXT).decode().splitlines()
    pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {series: float(value) for series, _, value in pairs}


def named(world: World, metric: str) -> dict[str, float]:
    """Values of a metric by its one label."""
    pattern = re.compile(rf'{metric}{{\w+="(.*)"}}')
    found = {pattern.fullmatch(series): value for series, value in samples(world).items()}
    return {match[1]: value for match, value in found.items() if match}


def polled(world: World) -> set[str]:
    return set(named(world, "pearl_outbound_up"))


def change(world: World, known_as: str, /, **changes: object) -> str:
    """Changes what the platform lists of a campaign; gives its id."""
    campaigns = world.simulator.campaigns.values()
    (outbound_id,) = [each.outbound_id for each in campaigns if each.profile.name == known_as]
    world.simulator.platform.change_outbound(outbound_id, changes)
    return outbound_id


def fail(world: World, *faults: object) -> None:
    world.simulator.faults.set(faults, world.now_ms)


ALL = {"load-001", "load-002", "load-003"}


async def test_all_that_is_listed_is_polled_by_the_defaults():
    async with running() as world:
        assert polled(world) == ALL
        (interval,) = {*named(world, "pearl_outbound_poll_interval_seconds").values()}
        assert interval == INTERVAL
        await asyncio.sleep(60)
        assert set(named(world, "pearl_outbound_up").values()) == {1.0}
        assert named(world, "pearl_outbound_running") == dict.fromkeys(ALL, 1.0)
        assert named(world, "pearl_discovery_outbounds") == {
            "polled": 3.0,
            "configured": 0.0,
            "excluded": 0.0,
            "paused": 0.0,
            "over_limit": 0.0,
            "not_listed": 0.0,
            "vanished": 0.0,
        }
        assert samples(world)["pearl_discovery_up"] == 1.0
        assert samples(world)["pearl_discovery_last_success_timestamp_seconds"] == (
            pytest.approx(DAWN_MS / 1000, abs=2)
        )


async def test_configured_outbounds_keep_their_names_and_settings():
    """They are never removed."""
    async with running(configured=1, outbound={"interval": 60.0}) as world:
        (mine,) = world.settings.outbounds
        assert polled(world) == ALL
        assert named(world, "pearl_outbound_poll_interval_seconds")["load-001"] == 60.0
        assert named(world, "pearl_discovery_outbounds")["configured"] == 1.0
        change(world, "load-001", name="renamed", gone=True)
        change(world, "load-002", gone=True)
        await asyncio.sleep(4 * ROUND)
        assert polled(world) == {mine.name, "load-003"}


async def test_include_and_exclude_choose():
    patterns = {"include": "load-00[12]", "exclude": ".*2"}
    async with running(discovery=patterns) as world:
        assert polled(world) == {"load-001"}
        assert named(world, "pearl_discovery_outbounds")["excluded"] == 2.0


async def test_the_start_of_many_is_no_burst():
    async with running(30) as world:
        next_poll = world.app.schedule.seconds_to_regular_poll
        waits = sorted(next_poll(poller.outbound.id) for poller in world.app.pollers)
        assert len(waits) == 30
        # 30 outbounds over an interval of 60 seconds
        assert min(later - sooner for sooner, later in pairwise(waits)) > 1.9


async def test_a_new_name_is_followed_with_the_counters_kept():
    async with running() as world:
        await asyncio.sleep(600)
        before = named(world, "pearl_calls_started_total")["load-001"]
        due = world.app.schedule.seconds_to_regular_poll(change(world, "load-001", name="new"))
        await asyncio.sleep(ROUND)
        assert due is not None
        assert polled(world) == {"new", "load-002", "load-003"}
        assert named(world, "pearl_calls_started_total")["new"] >= before > 0
        assert named(world, "pearl_outbound_running")["new"] == 1.0
        # the same one as before: it went on, and was not polled for the first time
        assert named(world, "pearl_outbound_tracking_since_timestamp_seconds")["new"] < (
            DAWN_MS / 1000 + 60
        )


async def test_a_name_that_is_a_phone_number_is_seen_nowhere(caplog):
    store = _Disk()

    with caplog.at_level("DEBUG"):
        async with running(store=store) as world:
            outbound_id = change(world, "load-001", name=f"call {PHONE}")
            change(world, "load-002", name="max@example.org")
            await asyncio.sleep(ROUND)
            assert outbound_id in polled(world)
            text = world.app.exposition.render(Format.TEXT).decode()
            for secret in ("23456789", "max@example"):
                assert secret not in text
                assert secret not in caplog.text
                assert secret not in repr(store.discovered)


async def test_an_outbound_missing_from_three_lists_is_removed():
    async with running() as world:
        change(world, "load-002", gone=True)
        await asyncio.sleep(2 * ROUND)
        assert polled(world) == ALL
        assert named(world, "pearl_discovery_outbounds")["vanished"] == 1.0
        await asyncio.sleep(ROUND)
        assert polled(world) == {"load-001", "load-003"}
        change(world, "load-002", gone=False)
        await asyncio.sleep(ROUND)
        assert polled(world) == ALL


async def test_a_list_that_is_empty_all_at_once_is_not_believed(caplog):
    """For an hour; then it counts as any other, and three more lists end the outbounds."""
    async with running() as world:
        await asyncio.sleep(60)
        for name in ALL:
            change(world, name, gone=True)
        await asyncio.sleep(EMPTY_LIST_SECONDS)
        assert polled(world) == ALL
        assert samples(world)["pearl_discovery_up"] == 0.0
        errors = [getattr(record, "error", "") for record in caplog.records]
        assert any("the list is empty, and had 3 outbounds before" in error for error in errors)
        await asyncio.sleep(2 * ROUND)
        assert named(world, "pearl_discovery_outbounds")["vanished"] == 3.0
        assert polled(world) == ALL
        await asyncio.sleep(3 * ROUND)
        assert polled(world) == set()
        assert samples(world)["pearl_discovery_up"] == 1.0


async def test_a_list_that_was_empty_for_a_while_has_ended_nothing():
    async with running() as world:
        ids = [change(world, name, gone=True) for name in sorted(ALL)]
        await asyncio.sleep(5 * ROUND)
        for name in ALL:
            change(world, name, gone=False)
        await asyncio.sleep(ROUND)
        assert len(ids) == len(polled(world)) == 3
        assert samples(world)["pearl_discovery_up"] == 1.0
        assert named(world, "pearl_discovery_outbounds")["vanished"] == 0.0


async def test_outbounds_that_are_counted_and_not_listed_are_reported(caplog, monkeypatch):
    whole = decode_listing
    monkeypatch.setattr(
        "pearl_exporter.api.client.decode_listing",
        lambda body: replace(whole(body), not_listed=70),
    )
    async with running() as world:
        assert polled(world) == ALL
        assert named(world, "pearl_discovery_outbounds")["not_listed"] == 70.0
        await asyncio.sleep(2 * ROUND)
    said = [
        each for each in caplog.records if "the list of outbounds is incomplete" in each.message
    ]
    assert [(each.listed, each.not_listed) for each in said] == [(3, 70)]


async def test_one_that_vanished_is_kept_if_wanted():
    async with running(discovery={"vanished": "keep"}) as world:
        change(world, "load-002", gone=True)
        await asyncio.sleep(5 * ROUND)
        assert polled(world) == ALL
        assert "load-002" not in named(world, "pearl_outbound_running")


@pytest.mark.parametrize("fault", ["server_error", "unauthorized", "html", "empty", "error_object"])
async def test_a_failed_discovery_removes_nothing(fault):
    """Polling goes on."""
    async with running() as world:
        await asyncio.sleep(60)
        fail(world, {"fault": fault, "outbound": LIST_PATH})
        await asyncio.sleep(5 * ROUND)
        assert polled(world) == ALL
        assert set(named(world, "pearl_outbound_up").values()) == {1.0}
        assert samples(world)["pearl_discovery_up"] == 0.0
        # too old to be true
        assert named(world, "pearl_outbound_running") == {}
        assert named(world, "pearl_discovery_outbounds") == {}
        fail(world)
        await asyncio.sleep(ROUND)
        assert samples(world)["pearl_discovery_up"] == 1.0
        assert named(world, "pearl_outbound_running") == dict.fromkeys(ALL, 1.0)


@pytest.mark.parametrize("fault", ["odd_outbounds", "wrapped_outbounds"])
async def test_odd_lists_are_understood(fault):
    async with running(faults=[fault]) as world:
        assert polled(world) == ALL


async def test_paused_ones_are_told_from_silent_ones():
    async with running(4) as world:
        for name, status in (("load-001", 2), ("load-002", 10), ("load-003", 77)):
            change(world, name, status=status)
        await asyncio.sleep(ROUND)
        running_ = {"load-001": 0.0, "load-002": 0.0, "load-004": 1.0}
        assert named(world, "pearl_outbound_running") == running_
        assert len(polled(world)) == 4


async def test_a_paused_outbound_is_skipped_once_its_calls_settled():
    store = _Disk()

    async with running(1, discovery={"paused": "skip"}, store=store) as world:
        await asyncio.sleep(200)
        outbound_id = change(world, "load-001", status=2)
        await asyncio.sleep(ROUND)
        # its calls go on here, so it has some that have not settled
        assert polled(world) == {"load-001"}
        campaign = world.simulator.campaigns[outbound_id]
        for call in list(campaign.page(EVERYTHING, world.now_ms).calls):
            campaign.remove(call, world.now_ms)
        campaign.page = lambda *_: CallPage(0, ())
        await asyncio.sleep(6 * ROUND)
        assert polled(world) == set()
        assert store.discovered == ()
        started = store.saved[outbound_id].progress.ledger.started
        del campaign.page
        change(world, "load-001", status=1)
        await asyncio.sleep(ROUND)
        assert polled(world) == {"load-001"}
        assert named(world, "pearl_calls_started_total")["load-001"] >= started > 0


# --- the account


async def test_the_account_is_published_where_wanted():
    async with running(on=False, configured=3, account={"enabled": True}) as world:
        assert samples(world)["pearl_account_up"] == 1.0
        assert samples(world)["pearl_account_credit_balance"] == 1000.0
        assert samples(world)["pearl_account_agents"] == 60.0
        world.simulator.platform.account |= {"creditBalance": -2.5, "status": 9}
        await asyncio.sleep(ROUND)
        assert samples(world)["pearl_account_credit_balance"] == -2.5
        states = named(world, "pearl_account_status")
        assert [state for state, is_it in states.items() if is_it] == ["unknown_9"]
        assert "Simulated" not in world.app.exposition.render(Format.TEXT).decode()
        # so is, where discovery is off, whether the configured ones run
        assert named(world, "pearl_outbound_running") == dict.fromkeys(ALL, 1.0)
        assert named(world, "pearl_discovery_outbounds") == {}


async def test_an_old_balance_is_absent():
    async with running(account={"enabled": True}) as world:
        fail(world, {"fault": "server_error", "outbound": "/v1/Account"})
        await asyncio.sleep(3 * ROUND + 10)
        found = samples(world)
        assert found["pearl_account_up"] == 0.0
        assert "pearl_account_last_success_timestamp_seconds" in found
        assert not any(
            series.startswith(f"pearl_account_{name}")
            for series in found
            for name in ("credit", "status", "agents")
        )
        assert found["pearl_discovery_up"] == 1.0


async def test_nothing_is_asked_and_published_by_default():
    async with running(on=False, configured=3) as world:
        await asyncio.sleep(1000)
        assert {method for method, _ in world.requests} == {"POST"}
        assert not any(
            re.match("pearl_(account|discovery|outbound_running)", series)
            for series in samples(world)
        )


async def test_nothing_that_writes_is_ever_called():
    async with running(configured=1, account={"enabled": True}) as world:
        change(world, "load-002", status=2)
        change(world, "load-003", gone=True)
        fail(world, "server_error:0.2", "rate_limit:0.1", "html:0.1")
        await asyncio.sleep(5 * ROUND)
        search = re.compile(r"/v1/Outbound/[0-9a-f]{24}/Calls")
        asked = {
            (method, "search" if search.fullmatch(path) else path)
            for method, path in world.requests
        }
        assert asked == {
            ("GET", "/v1/Outbound"),
            ("GET", "/v1/Account"),
            ("POST", "search"),
        }


# --- start, readiness, reload


class _Disk(MemoryStore):
    """A store that keeps what it is given, and can be full."""

    def __init__(self) -> None:
        self.saved: dict[str, object] = {}
        self.discovered: tuple[DiscoveredOutbound, ...] = ()
        self.is_full = False

    async def load(self, outbound_id):
        return copied(self.saved.get(outbound_id))

    async def load_progress(self, outbound_id):
        saved = await self.load(outbound_id)
        return saved and saved.progress

    async def commit(self, outbound_id, delta):
        self.saved[outbound_id] = merged(self.saved.get(outbound_id), delta)

    async def load_discovered(self):
        return self.discovered

    async def save_discovered(self, outbounds: Sequence[DiscoveredOutbound]):
        if self.is_full:
            raise StateError("no space left on device")
        self.discovered = tuple(outbounds)


async def test_a_restart_publishes_discovered_counters_at_once():
    """Before the first answer."""
    disk = _Disk()

    async with running(store=disk) as world:
        change(world, "load-003", name=PHONE)
        await asyncio.sleep(2 * ROUND)
        before = named(world, "pearl_calls_started_total")
        assert all(before.values())
    async with running(store=disk, faults=["server_error"]) as world:
        assert named(world, "pearl_calls_started_total") == before
        assert set(named(world, "pearl_outbound_catching_up").values()) == {1.0}
        # one that may no longer be polled is not there, whatever was saved
    patterns = {"exclude": "load-001"}
    async with running(store=disk, faults=["server_error"], discovery=patterns) as world:
        assert polled(world) == set(before) - {"load-001"}


async def test_discovered_outbounds_that_cannot_be_saved_are_polled(caplog):
    disk = _Disk()
    disk.is_full = True

    async with running(store=disk) as world:
        assert polled(world) == ALL
        disk.is_full = False
        await asyncio.sleep(ROUND)
        assert {each.name for each in disk.discovered} == ALL
    (record,) = [each for each in caplog.records if "can't be saved" in each.getMessage()]
    assert record.error.startswith("no space left")


async def test_it_is_ready_once_every_outbound_was_tried():
    """Discovery comes first."""
    async with running(faults=[{"fault": "slow", "seconds": 20, "outbound": LIST_PATH}]) as world:
        assert not world.app.is_ready
        await asyncio.sleep(22)
        assert polled(world) == ALL
        assert not world.app.is_ready
        await asyncio.sleep(INTERVAL)
        assert world.app.is_ready


async def test_it_is_ready_when_discovery_failed():
    async with running(faults=[{"fault": "unauthorized", "outbound": LIST_PATH}]) as world:
        assert world.app.is_ready
        assert polled(world) == set()
        fail(world)
        await asyncio.sleep(31)  # the first try after a failure
        assert polled(world) == ALL


async def reload(world: World, **changes: object):
    discovery = world.settings.discovery.model_copy(update=changes)
    settings = world.settings.model_copy(update={"discovery": discovery})
    await world.app.reconfigure(settings)


async def test_a_reload_of_the_patterns_takes_effect_at_once():
    """No outbound is polled early."""
    async with running() as world:
        await asyncio.sleep(40)
        kept = world.app.pollers[0]
        due = world.app.schedule.seconds_to_regular_poll(kept.outbound.id)
        asked = world.requests.count(("GET", LIST_PATH))
        await reload(world, exclude=Pattern("load-002"))
        assert polled(world) == {"load-001", "load-003"}
        assert world.app.pollers[0] is kept
        assert world.app.schedule.seconds_to_regular_poll(kept.outbound.id) == due
        await reload(world, exclude=Pattern(""))
        assert polled(world) == ALL
        assert world.requests.count(("GET", LIST_PATH)) == asked == 1


async def test_a_discovered_outbound_may_be_configured_later():
    """It keeps its counters and takes its new name."""
    async with running() as world:
        await asyncio.sleep(2 * ROUND)
        before = named(world, "pearl_calls_started_total")["load-001"]
        found = world.app.pollers[0].outbound
        mine = found.model_copy(update={"name": "mine", "window": 1200.0})
        settings = world.settings.model_copy(update={"outbounds": (mine,)})
        changes = await world.app.reconfigure(settings)
        assert (changes.added, changes.removed, changes.changed) == ((), (), ("mine",))
        assert named(world, "pearl_calls_started_total")["mine"] == before > 0
        change(world, "load-001", gone=True)
        await asyncio.sleep(4 * ROUND)
        assert polled(world) == {"mine", "load-002", "load-003"}
        await world.app.reconfigure(world.settings)
        assert polled(world) == {"load-002", "load-003"}


async def test_a_reload_turns_discovery_off_and_on():
    async with running(configured=1) as world:
        await reload(world, enabled=False)
        assert polled(world) == {"load-001"}
        assert not any(series.startswith("pearl_discovery") for series in samples(world))
        await asyncio.sleep(2 * ROUND)
        await reload(world, enabled=True)
        await asyncio.sleep(1)
        assert polled(world) == ALL


async def test_a_reload_that_is_refused_changes_nothing():
    async with running() as world:
        token = world.settings.api.model_copy(
            update={"token": None, "token_file": Path("/nowhere")}
        )
        settings = world.settings.model_copy(
            update={"api": token, "discovery": DiscoverySettings()}
        )
        settings = settings.model_copy(
            update={"account": settings.account.model_copy(update={"enabled": True})}
        )
        with pytest.raises(ValueError, match="no such file"):
            await world.app.reconfigure(settings)
        assert polled(world) == ALL
        await asyncio.sleep(2 * ROUND)
        assert samples(world)["pearl_discovery_up"] == 1.0


async def test_many_changes_leave_no_task_behind():
    async with running(5) as world:
        await asyncio.sleep(60)
        tasks = len(asyncio.all_tasks())
        for turn in range(10):
            change(world, "load-001", name=f"name {turn}", gone=turn % 2 == 0)
            await reload(world, exclude=Pattern(f"load-00{turn % 5}"))
            await asyncio.sleep(ROUND)
        assert len(asyncio.all_tasks()) <= tasks + 3


async def test_a_name_that_holds_the_token_is_not_shown():
    """Somebody has pasted it into the wrong field."""
    async with running() as world:
        renamed = change(world, "load-001", name="load-001 account:secret")
        await asyncio.sleep(ROUND)
        assert polled(world) == ALL
        assert "account:secret" not in str(await world.app.platform.choices(world.settings))
    async with running() as world:
        change(world, "load-002", name="my Secret")
        world.app.platform._known = ()
        await asyncio.sleep(ROUND)
        assert len(polled(world)) == 3
        assert not [name for name in polled(world) if "ecret" in name]
        assert renamed


# --- long lists


async def test_a_long_list_is_worked_on_in_a_thread(monkeypatch):
    """Scrapes need not wait: not for the first list, nor where every name is another one."""
    monkeypatch.setattr("pearl_exporter.discovery.platform.LARGE_LIST", 0)
    threads: dict[str, set[str]] = {}
    for name in ("merge", "select", "discovered_outbound", "shown_name"):
        work = getattr(platform, name)

        def noted(*given, work=work, name=name):
            threads.setdefault(name, set()).add(threading.current_thread().name)
            return work(*given)

        monkeypatch.setattr(platform, name, noted)
    async with running(3) as world:
        for turn in range(2):
            for number in range(1, 4):
                change(world, f"load-{number:03d}", name=f"{number} at turn {turn}")
            await asyncio.sleep(ROUND)
        assert polled(world) == {"1 at turn 1", "2 at turn 1", "3 at turn 1"}
    assert threads.keys() == {"merge", "select", "discovered_outbound", "shown_name"}
    assert not [name for name, used in threads.items() if "MainThread" in used]


async def test_what_was_decided_of_a_list_is_not_decided_again(monkeypatch):
    decided = []

    def noted(*given):
        decided.append(given)
        return select(*given)

    monkeypatch.setattr(platform, "select", noted)
    async with running() as world:
        before = len(decided)
        settings = world.app.platform.settings
        assert await world.app.platform.choices(settings) is await world.app.platform.choices(
            settings
        )
        assert len(await world.app.platform.outbounds(settings)) == 3
        assert len(decided) <= before + 1


async def test_a_new_name_keeps_the_tracker_itself(monkeypatch):
    """To build it again takes a second for a million calls, and all names may change at once."""
    async with running() as world:
        await until(lambda: all(each.saved() for each in world.app.pollers))
        before = {each.outbound.id: each._tracker._tracker for each in world.app.pollers}
        renamed = change(world, "load-001", name="another")
        await asyncio.sleep(ROUND)
        after = {each.outbound.id: each for each in world.app.pollers}
        assert after[renamed].outbound.name == "another"
        assert {key: each._tracker._tracker for key, each in after.items()} == before
