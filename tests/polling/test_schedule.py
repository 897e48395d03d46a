"""Who polls when, in virtual time: nobody sleeps, and nothing is late."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from pearl_exporter.polling.schedule import HEARTBEAT_TIMEOUT_SECONDS, Schedule
from pearl_exporter.simulator import many_campaigns
from tests.support.patience import until
from tests.support.world import DAWN_MS, World

pytestmark = pytest.mark.virtual_time

INTERVAL = 0.2
HOURS = [-24 * 365 * 30, -0.01, 0.01, 24 * 365 * 50]
"""Steps of the wall clock; the longest are a machine that starts without the time, and gets it."""


@pytest.fixture
def wall(monkeypatch):
    """The wall clock as every user of ``datetime.now`` sees it; ``step`` sets it."""

    class Wall(datetime):
        ahead = timedelta()

        @classmethod
        def now(cls, tz=None):
            present = datetime.now(UTC) + cls.ahead
            return tz.fromutc(present.replace(tzinfo=tz))

        @classmethod
        def step(cls, hours: float) -> None:
            cls.ahead += timedelta(hours=hours)

    monkeypatch.setattr("apscheduler.schedulers.base.datetime", Wall)
    monkeypatch.setattr("pearl_exporter.polling.steady_time.datetime", Wall)
    return Wall


@asynccontextmanager
async def running(count: int = 3, interval: float = INTERVAL, **more):
    campaigns = many_campaigns(count, DAWN_MS, calls_a_day=1000, history_ms=3_600_000)
    world = World(campaigns, outbound={"interval": interval, "give_up": 30.0}, **more)
    await world.app.start()
    try:
        yield world
    finally:
        await world.app.stop()


async def test_the_scheduler_sleeps_while_nothing_is_due():
    """APScheduler takes the time at each look at its jobs, and in between not at all."""
    looks = 0

    def monotonic() -> float:
        nonlocal looks
        looks += 1
        return asyncio.get_running_loop().time()

    schedule = Schedule(monotonic)
    schedule.start([])
    schedule.add(SimpleNamespace(outbound=SimpleNamespace(id="a", interval=100.0)), 100.0)
    await asyncio.sleep(0.1)
    assert schedule.is_alive
    looks = 0
    await asyncio.sleep(0.5)
    assert looks == 0
    await asyncio.sleep(2.0)
    assert 0 < looks < 20  # for two heartbeats
    await schedule.stop()


async def test_starts_are_staggered_over_the_interval():
    async with running(4, interval=100.0) as world:
        waits = [
            world.app.schedule.seconds_to_regular_poll(p.outbound.id) for p in world.app.pollers
        ]
        assert [wait - waits[1] + 25 for wait in waits[1:]] == pytest.approx([25, 50, 75], abs=1)
        await until(lambda: world.app.pollers[0].snapshot.health.up)
        assert not any(poller.snapshot.health.polls for poller in world.app.pollers[1:])


async def test_every_outbound_is_polled_again_and_again():
    async with running() as world:
        await until(lambda: all(p.snapshot.health.polls >= 4 for p in world.app.pollers))
        for poller in world.app.pollers:
            health = poller.snapshot.health
            assert health.up
            assert 0 <= health.lateness_seconds < 5


async def test_an_outbound_is_polled_once_at_a_time():
    """Overruns count as skipped."""
    async with running() as world:
        slow, *others = world.app.pollers
        world.simulator.faults.set(
            [{"fault": "slow", "seconds": 2, "outbound": slow.outbound.id}], world.now_ms
        )
        await until(lambda: slow.snapshot.health.skipped >= 5)
        assert slow.snapshot.health.polls <= 2
        assert slow.snapshot.health.catching_up == (slow.snapshot.health.last_success is not None)
        await until(lambda: all(p.snapshot.health.polls >= 8 for p in others))
        assert not any(poller.snapshot.health.skipped for poller in others)


async def test_a_broken_outbound_does_not_delay_the_others():
    async with running() as world:
        broken, *others = world.app.pollers
        world.simulator.faults.set(
            [{"fault": "not_found", "outbound": broken.outbound.id}], world.now_ms
        )
        await until(lambda: broken.snapshot.health.last_reason == "not_found")
        polls = [poller.snapshot.health.polls for poller in others]
        await until(
            lambda: all(
                p.snapshot.health.polls > was + 3 for p, was in zip(others, polls, strict=True)
            )
        )
        assert all(poller.snapshot.health.up for poller in others)
        # its own interval has doubled twice by now, the others' has not
        assert broken.snapshot.health.polls < min(p.snapshot.health.polls for p in others)


async def test_stopping_cancels_polls_and_publishes_none(caplog):
    async with running(faults=["slow:seconds=60"]) as world:
        await asyncio.sleep(3 * INTERVAL)
        async with asyncio.timeout(20):
            await world.app.schedule.stop()
        assert all(poller.snapshot.health.polls == 0 for poller in world.app.pollers)
        assert len(asyncio.all_tasks()) == 1
    assert not caplog.records


async def test_the_heartbeat_runs_from_start_to_stop():
    now = 0.0
    schedule = Schedule(lambda: now)
    assert not schedule.is_alive
    schedule.start([])
    await until(lambda: schedule.is_alive)
    await schedule.stop()
    now += HEARTBEAT_TIMEOUT_SECONDS
    assert not schedule.is_alive


async def test_an_outbound_that_is_not_scheduled_has_no_next_poll():
    assert Schedule(lambda: 0.0).seconds_to_next_poll("nobody") is None


async def test_stopping_before_the_start_is_well():
    await Schedule(lambda: 0.0).stop()


@pytest.mark.parametrize("hours", HOURS)
async def test_a_step_of_the_wall_clock_moves_no_poll(wall, hours):
    async with running() as world:
        await until(lambda: all(p.snapshot.health.polls for p in world.app.pollers))
        wall.step(hours)
        before = [poller.snapshot.health.polls for poller in world.app.pollers]
        waits = [
            world.app.schedule.seconds_to_regular_poll(p.outbound.id) for p in world.app.pollers
        ]
        assert all(-5 < wait <= INTERVAL for wait in waits)
        began = asyncio.get_running_loop().time()
        await until(
            lambda: all(
                poller.snapshot.health.polls >= was + 4
                for poller, was in zip(world.app.pollers, before, strict=True)
            )
        )
        assert asyncio.get_running_loop().time() - began > 2.5 * INTERVAL
        assert world.app.schedule.is_alive
        polls = [poller.snapshot.health for poller in world.app.pollers]
        assert all(0 <= health.lateness_seconds < 5 for health in polls)


async def test_after_a_clock_step_a_new_outbound_begins_on_time(wall):
    async with running(3) as world:
        wall.step(-5)
        first, *others = world.settings.outbounds
        for outbounds in ((first,), (first, *others)):
            settings = world.settings.model_copy(update={"outbounds": outbounds})
            await world.app.reconfigure(settings)
        await until(lambda: all(poller.snapshot.health.up for poller in world.app.pollers))


async def test_an_outbound_may_have_the_name_of_a_job():
    poller = SimpleNamespace(outbound=SimpleNamespace(id="heartbeat", interval=INTERVAL))
    schedule = Schedule(asyncio.get_running_loop().time)
    schedule.add(poller, INTERVAL)
    schedule.start(())
    assert schedule.seconds_to_regular_poll("heartbeat") > 0
    await until(lambda: schedule.is_alive)
    await schedule.stop()


async def test_a_poll_about_to_begin_survives_an_exchange():
    """Its outbound's poller is exchanged in that moment."""
    async with running(1, interval=1000.0) as world:
        schedule, poller = world.app.schedule, world.app.pollers[0]
        await until(lambda: poller.snapshot.health.polls == 1)
        await schedule.remove(poller.outbound.id)
        schedule.add(poller, 1000.0)
        await schedule.poll_due(poller.outbound.id)  # as APScheduler had submitted it before
        assert poller.snapshot.health.polls == 2
