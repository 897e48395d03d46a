"""How the exporter treats the API: the whole of it, scheduler included, in made-up time."""

import asyncio
import logging
import os
from collections import Counter
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from pearl_exporter.api.token_breaker import MAX_BACKOFF_SECONDS
from pearl_exporter.config import TokenSource
from pearl_exporter.exposition.render import Format
from pearl_exporter.polling.schedule import LOOK_AGAIN_SECONDS
from pearl_exporter.simulator import Campaign, Profile, many_campaigns
from tests.support.world import DAWN_MS, World

pytestmark = [pytest.mark.slow, pytest.mark.virtual_time]

INTERVAL = 30.0


class Scene:
    """A world that runs, and everything that it asks the API: seconds, outbound, status."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.app = world.app
        self.asked: list[tuple[float, str, int]] = []
        count = world.simulator.traffic.count

        def recorded(outbound, status, size):
            self.asked.append((self.now, outbound, status))
            count(outbound, status, size)

        world.simulator.traffic.count = recorded

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time() - 1000

    def faults(self, *faults) -> None:
        self.world.simulator.faults.set(faults, self.world.now_ms)

    def since(self, seconds: float) -> list[tuple[float, str, int]]:
        return [each for each in self.asked if each[0] >= seconds]

    def healths(self):
        return [poller.snapshot.health for poller in self.app.pollers]

    def ids(self) -> list[str]:
        return [poller.outbound.id for poller in self.app.pollers]

    def metric(self, name: str) -> list[float]:
        lines = self.app.exposition.render(Format.TEXT).decode().splitlines()
        found = [line for line in lines if line.startswith((f"{name}{{", f"{name} "))]
        return [float(line.rpartition(" ")[2]) for line in found]


@asynccontextmanager
async def running(count: int, *, calls_a_day: int = 1000, **more):
    campaigns = many_campaigns(count, DAWN_MS, calls_a_day=calls_a_day, history_ms=3_600_000)
    scene = Scene(World(campaigns, **more))
    await scene.app.start()
    try:
        yield scene
    finally:
        await scene.app.stop()


# --- a refused token


@pytest.mark.parametrize("fault", ["unauthorized", "forbidden"])
async def test_one_outbound_at_a_time_probes_a_refused_token(fault, caplog):
    """At growing intervals."""
    with caplog.at_level(logging.WARNING, "pearl_exporter"):
        async with running(20) as scene:
            await asyncio.sleep(100)
            assert all(health.up for health in scene.healths())
            scene.faults(fault)
            await asyncio.sleep(3600)
            asked = scene.since(100)
            times = [when for when, _, _ in asked]
            assert times[1] - times[0] < INTERVAL  # a second one confirms it
            gaps = [later - earlier for earlier, later in pairwise(times[1:])]
            wanted = [60, 120, 240, *[MAX_BACKOFF_SECONDS] * (len(gaps) - 3)]
            assert gaps == pytest.approx(wanted, abs=INTERVAL / 2 + 2)
            assert len(gaps) >= 12
            tried = [outbound for _, outbound, _ in asked]
            assert len(set(tried)) == len(tried)  # each time another one
            failures = [health.failures.get("auth", 0) for health in scene.healths()]
            assert sum(failures) == len(asked)  # of those alone that asked
            assert max(failures) == 1
    (record,) = [each for each in caplog.records if each.getMessage().startswith("token refused")]
    assert record.outbounds == 20


async def test_while_a_token_is_refused_all_its_outbounds_show_it():
    async with running(5) as scene:
        await asyncio.sleep(100)
        scene.faults("unauthorized")
        await asyncio.sleep(300)
        assert scene.metric("pearl_outbound_up") == [0] * 5
        assert scene.metric("pearl_outbound_token_refused") == [1] * 5
        assert scene.metric("pearl_exporter_api_tokens_refused") == [1]
        assert scene.metric("pearl_outbound_catching_up") == [1] * 5
        assert scene.metric("pearl_outbound_poll_interval_seconds")[0] > INTERVAL
        waiting = [each for each in scene.healths() if "not asked" in each.last_message]
        assert len(waiting) >= 4
        for health in waiting:
            assert "the API refuses the token" in health.last_message
            assert "one of its 5 outbounds at a time tries it again" in health.last_message
            assert "in the form accountId:secretKey?" in health.last_message
        assert scene.app.is_ready


async def test_with_a_token_that_was_never_good_all_are_ready():
    """Hardly any request is sent."""
    async with running(20, faults=["unauthorized"]) as scene:
        await asyncio.sleep(INTERVAL + 1)
        assert scene.app.is_ready
        assert len(scene.asked) == 2


async def test_an_accepted_token_brings_all_outbounds_back():
    """Within an interval, and without a burst."""
    async with running(30) as scene:
        await asyncio.sleep(100)
        scene.faults("unauthorized")
        await asyncio.sleep(2000)
        scene.world.simulator.faults.clear()
        since = scene.now
        while not scene.since(since):  # noqa: ASYNC110 - what the API was asked is not announced
            await asyncio.sleep(1)
        began = scene.now
        assert began - since <= MAX_BACKOFF_SECONDS + INTERVAL
        await asyncio.sleep(INTERVAL + 1)
        assert all(health.up for health in scene.healths())
        assert scene.metric("pearl_outbound_token_refused") == [0] * 30
        starts = {}
        for when, outbound, _ in scene.since(began - 2):
            starts.setdefault(outbound, when)
        busiest = Counter(int(when) for when in starts.values())
        assert max(busiest.values()) <= 3  # 30 outbounds, 30 seconds
        assert {each.interval_seconds for each in scene.healths()} == {INTERVAL}
        assert not any(each.catching_up for each in scene.healths())


async def test_a_good_token_is_used_soon_by_hourly_polls_too():
    """An outbound that is polled each hour does not wait for an hour."""
    async with running(5) as scene:
        often, *others = scene.app.settings.outbounds
        rare = [
            each.model_copy(update={"interval": 3600.0, "stale_after": 10_800.0}) for each in others
        ]
        settings = scene.app.settings.model_copy(update={"outbounds": (often, *rare)})
        await scene.app.reconfigure(settings)
        await asyncio.sleep(4000)
        scene.faults("unauthorized")
        await asyncio.sleep(4000)  # all have fallen due, and were passed over
        assert not any(health.up for health in scene.healths())
        scene.world.simulator.faults.clear()
        since = scene.now
        await asyncio.sleep(MAX_BACKOFF_SECONDS + 4 * LOOK_AGAIN_SECONDS)
        assert all(health.up for health in scene.healths())
        first = {outbound: when for when, outbound, _ in reversed(scene.since(since))}
        assert len({int(when) for when in first.values()}) == 5, "not all at once"
        await asyncio.sleep(3600)
        polls = Counter(outbound for _, outbound, _ in scene.since(since))
        asked_rarely = [polls[each.id] for each in rare]
        assert max(asked_rarely) < 15, "one made up for, then each hour again"
        assert scene.metric("pearl_exporter_polls_skipped_total") == [0] * 5


async def test_a_waiting_request_is_not_sent_with_a_refused_token():
    async with running(40, api={"rate_limit": 1.0, "concurrency": 1}) as scene:
        await asyncio.sleep(200)
        assert scene.metric("pearl_exporter_api_requests_waiting") > [5]
        scene.faults("unauthorized")
        await asyncio.sleep(50)
        refused = [each for each in scene.since(200) if each[2] == 401]
        assert len(refused) <= 3
        assert scene.metric("pearl_exporter_api_requests_waiting") == [0]
        assert sum(each.failures.get("auth", 0) for each in scene.healths()) == len(refused)


# --- one outbound is refused


async def test_a_single_refused_outbound_blocks_no_other():
    async with running(6) as scene:
        bad, *others = scene.ids()
        await asyncio.sleep(100)
        polls = [health.polls for health in scene.healths()]
        scene.faults({"fault": "forbidden", "outbound": bad})
        await asyncio.sleep(1200)
        first, *rest = (
            health.polls - was for health, was in zip(scene.healths(), polls, strict=True)
        )
        assert rest == [40] * 5  # as if nothing were wrong
        assert first == 6  # after 0, 60, 180, 420, 720 and 1020 s
        assert scene.metric("pearl_exporter_api_tokens_refused") == [0]
        assert Counter(scene.metric("pearl_outbound_token_refused")) == {1: 1, 0: 5}
        assert {outbound for _, outbound, status in scene.asked if status == 403} == {bad}
        assert len(others) == 5


async def test_two_refused_outbounds_block_the_others_at_most_once():
    async with running(6, faults=[]) as scene:
        bad = scene.ids()[:2]
        await asyncio.sleep(100)
        scene.faults(*({"fault": "forbidden", "outbound": each} for each in bad))
        await asyncio.sleep(150)
        polls = [health.polls for health in scene.healths()[2:]]
        await asyncio.sleep(1200)
        after = [health.polls for health in scene.healths()[2:]]
        assert [b - a for a, b in zip(polls, after, strict=True)] == [40] * 4
        assert all(health.up for health in scene.healths()[2:])
        assert all(not health.up for health in scene.healths()[:2])


# --- another token


async def test_a_changed_token_file_is_tried_at_once(tmp_path):
    file = tmp_path / "token"
    file.write_text("account:old")

    async with running(4, outbound={"token": TokenSource(file=file)}) as scene:
        await asyncio.sleep(100)
        scene.faults("unauthorized")
        await asyncio.sleep(2000)
        file.write_text("account:new-one")
        scene.world.simulator.faults.clear()
        await asyncio.sleep(INTERVAL + 1)
        assert all(health.up for health in scene.healths())


async def test_a_refused_token_is_read_again_from_its_file(tmp_path):
    """Also if the file looks unchanged."""
    file = tmp_path / "token"
    file.write_text("account:one")

    async with running(2, outbound={"token": TokenSource(file=file)}) as scene:
        stat = file.stat()
        file.write_text("account:two")
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        (client,) = scene.app.clients.values()
        assert client.token.current() == "account:one"
        scene.faults("unauthorized:requests=1")
        await asyncio.sleep(1)
        assert client.token.current() == "account:two"
        assert scene.healths()[0].failures == {"auth": 1}
        await asyncio.sleep(INTERVAL + 1)  # and it is not held back for the old one
        assert all(health.up for health in scene.healths())


async def test_a_token_changed_during_a_refusal_is_not_blocked(tmp_path):
    file = tmp_path / "token"
    file.write_text("account:old")

    async with running(1, outbound={"token": TokenSource(file=file)}) as scene:
        await asyncio.sleep(100)
        poller = scene.app.pollers[0]
        scene.faults("unauthorized", "slow:seconds=10")
        await asyncio.sleep(25)  # a poll began at 120 s, and waits for its answer
        file.write_text("account:new-one")
        await asyncio.sleep(10)
        assert poller.snapshot.health.last_reason == "auth"
        assert poller.snapshot.health.interval_seconds == INTERVAL
        assert poller.may_poll()


# --- idle outbounds


IDLE = 120.0
NOON = 3200.0
"""Seconds from the dawn, 11:06:40, to 12 o'clock."""


@asynccontextmanager
async def with_a_break(**more):
    """Two outbounds; nobody is called for the first one between 11 and 12 o'clock."""
    hours = [1.0] * 24
    breaks = [*hours[:11], 0.0, *hours[12:]]
    campaigns = [
        Campaign(
            Profile(
                outbound_id=name,
                name=name,
                hours=tuple(hours),
                calls_a_day=5000,
                longest_seconds=300.0,
                revised_share=0.0,
                deleted_share=0.0,
                late_row_share=0.0,
            ),
            start_ms=DAWN_MS - 1_800_000,
        )
        for name, hours in (("breaks", breaks), ("never", hours))
    ]
    outbound = {"idle_interval": IDLE, "settle": 30.0, **more}
    scene = Scene(World(campaigns, outbound=outbound))
    await scene.app.start()
    try:
        yield scene
    finally:
        await scene.app.stop()


async def test_an_idle_outbound_is_polled_less_until_the_first_sign():
    async with with_a_break() as scene:
        poller, other = scene.app.pollers
        await asyncio.sleep(300)
        begun, intervals = poller.snapshot.health.caught_up_at, []
        while scene.now < NOON:
            await asyncio.sleep(INTERVAL)
            health = poller.snapshot.health
            intervals.append(health.interval_seconds)
            age = scene.world.now_ms - poller.snapshot.calls.polled_at
            assert age <= (health.interval_seconds + INTERVAL) * 1000
            assert scene.app.exposition.render(Format.TEXT).count(b"pearl_live_calls{") == 2
            assert not health.catching_up
        assert intervals == sorted(intervals)
        assert (intervals[0], intervals[-1]) == (INTERVAL, IDLE)
        polls = poller.snapshot.health.polls
        asked = [when for when, outbound, _ in scene.since(NOON - 600) if outbound == "breaks"]
        assert len(asked) == 600 / IDLE
        await asyncio.sleep(IDLE + 2 * INTERVAL)
        assert poller.snapshot.calls.live > 0
        assert poller.snapshot.health.interval_seconds == INTERVAL
        assert poller.snapshot.health.polls - polls > 2
        assert poller.snapshot.health.caught_up_at == begun  # no gap, so no outage
        assert other.snapshot.health.interval_seconds == INTERVAL
        assert other.snapshot.health.polls == pytest.approx(scene.now / INTERVAL, abs=1)


async def test_a_failure_ends_an_idle_interval():
    async with with_a_break() as scene:
        poller = scene.app.pollers[0]
        await asyncio.sleep(NOON - 600)
        assert poller.snapshot.health.interval_seconds == IDLE
        scene.faults("server_error")
        await asyncio.sleep(IDLE + 70)
        assert poller.snapshot.health.last_reason == "server_error"
        assert poller.snapshot.health.interval_seconds == INTERVAL
        polls = poller.snapshot.health.polls
        scene.world.simulator.faults.clear()
        await asyncio.sleep(100)
        assert poller.snapshot.health.up
        assert poller.snapshot.health.polls > polls


async def test_without_the_key_nothing_is_stretched():
    async with with_a_break(idle_interval=INTERVAL) as scene:
        await asyncio.sleep(NOON - 60)
        polls = [health.polls for health in scene.healths()]
        assert polls == [pytest.approx(scene.now / INTERVAL, abs=1)] * 2


# --- a budget that is too small


async def test_with_too_low_a_rate_all_polls_are_equally_late(caplog):
    """The log names the rate that is needed."""
    with caplog.at_level(logging.WARNING, "pearl_exporter"):
        async with running(8, api={"rate_limit": 0.1}) as scene:
            await asyncio.sleep(1200)
            polls = [health.polls for health in scene.healths()]
            assert max(polls) - min(polls) <= 1
            assert all(health.lateness_seconds > INTERVAL / 2 for health in scene.healths())
            assert all(health.up for health in scene.healths())
            assert scene.metric("pearl_exporter_api_requests_waiting")[0] > 3
            assert scene.metric("pearl_exporter_api_rate_limit_configured") == [0.1]
            assert len(scene.since(200)) == pytest.approx(100, abs=1)  # all of the budget is used
    (record,) = [each for each in caplog.records if "api.rate_limit" in each.getMessage()]
    assert (record.needed_per_second, record.allowed_per_second) == (0.3, 0.1)
    assert record.is_lower_bound


async def test_a_budget_that_becomes_too_small_is_told_once(caplog):
    with caplog.at_level(logging.WARNING, "pearl_exporter"):
        # two pages a poll, which is known from the polls alone
        async with running(4, calls_a_day=4000, api={"rate_limit": 0.2}) as scene:
            assert not [each for each in caplog.records if "api.rate_limit" in each.getMessage()]
            await asyncio.sleep(240)
            assert all(health.polls for health in scene.healths())
    (record,) = [each for each in caplog.records if "api.rate_limit" in each.getMessage()]
    assert record.allowed_per_second == 0.2


async def test_a_reload_that_lowers_the_rate_knows_what_polls_took(caplog):
    with caplog.at_level(logging.WARNING, "pearl_exporter"):
        async with running(2, calls_a_day=20_000, api={"rate_limit": 10.0}) as scene:
            await asyncio.sleep(600)
            app = scene.app
            api = app.settings.api.model_copy(update={"rate_limit": 0.01})
            (demand,) = [client.demand for client in app.clients.values()]
            needed = demand.needed
            await app.reconfigure(app.settings.model_copy(update={"api": api}))
    assert needed > 1.5 * 2 / INTERVAL  # more than a request a poll
    (record,) = [each for each in caplog.records if "api.rate_limit" in each.getMessage()]
    assert record.needed_per_second == round(needed, 1)
    assert record.allowed_per_second == 0.01
    assert not record.is_lower_bound


async def test_a_429_slows_all_outbounds_equally():
    async with running(10, api={"rate_limit": 1.0}) as scene:
        await asyncio.sleep(60)
        scene.faults("rate_limit:probability=0.3")
        await asyncio.sleep(1200)
        asked = Counter(outbound for _, outbound, _ in scene.since(60))
        assert sum(asked.values()) < 0.3 * 1200  # far less than at the configured rate
        assert len(asked) == 10
        assert min(asked.values()) >= 0.6 * max(asked.values())
