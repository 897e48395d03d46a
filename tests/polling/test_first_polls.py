"""Whoever starts the exporter sees in the log that it works: once an outbound, or once of many."""

import asyncio
import logging

import pytest

from pearl_exporter.polling.first_polls import MAX_LOGGED
from pearl_exporter.simulator import many_campaigns
from tests.support.world import DAWN_MS, World

pytestmark = pytest.mark.virtual_time


@pytest.fixture
def log_lines(caplog):
    """Lines of first polls, at info: message, and outbound or how many there were."""
    caplog.set_level(logging.INFO, "pearl_exporter.polling.first_polls")

    def lines() -> list[tuple[object, ...]]:
        ours = [
            each for each in caplog.records if each.name == "pearl_exporter.polling.first_polls"
        ]
        keys = ("outbound", "outbounds", "succeeded")
        return [
            (each.msg, *(vars(each)[key] for key in keys if key in vars(each))) for each in ours
        ]

    return lines


def a_world(count: int, **more: object) -> World:
    campaigns = many_campaigns(count, DAWN_MS, calls_a_day=1000, history_ms=1_800_000)
    return World(campaigns, poll={"window": 600.0}, **more)


async def test_a_few_have_a_line_each_and_only_one(log_lines, caplog):
    world = a_world(3)
    await world.app.start()
    await asyncio.sleep(95)
    await world.app.stop()
    names = [each.outbound.name for each in world.app.pollers]
    assert log_lines() == [("the first poll succeeded", name) for name in names]
    assert all(each.calls_in_window > 0 for each in caplog.records if hasattr(each, "outbound"))


async def test_of_many_the_first_has_a_line_and_all_together_one(log_lines):
    world = a_world(MAX_LOGGED + 2)
    gone = world.app.pollers[-1].outbound.id
    world.simulator.campaigns.pop(gone)
    await world.app.start()
    await asyncio.sleep(95)
    await world.app.stop()
    first, summed = log_lines()
    assert first[0] == "the first poll succeeded"
    assert summed == ("every outbound had its first poll", MAX_LOGGED + 2, MAX_LOGGED + 1)


async def test_an_outbound_that_comes_later_has_its_own(log_lines):
    world = a_world(2)
    one, other = world.settings.outbounds
    await world.app.start()
    await asyncio.sleep(35)
    await world.app.reconfigure(world.settings.model_copy(update={"outbounds": (one,)}))
    await world.app.reconfigure(world.settings)
    await asyncio.sleep(35)
    await world.app.stop()
    name = other.name
    assert [each[1] for each in log_lines()].count(name) == 2
    assert len(log_lines()) == 3


async def test_an_outbound_removed_before_its_poll_is_not_awaited(log_lines):
    world = a_world(MAX_LOGGED + 1)
    await world.app.start()
    await asyncio.sleep(1)
    kept = world.settings.outbounds[:1]
    await world.app.reconfigure(world.settings.model_copy(update={"outbounds": kept}))
    await world.app.reconfigure(world.settings)
    await asyncio.sleep(35)
    await world.app.stop()
    assert [each[0] for each in log_lines()] == ["the first poll succeeded"] * (MAX_LOGGED + 1)
