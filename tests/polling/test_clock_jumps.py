"""Clocks that jump, here or at the API, change no figure: T goes on, and nothing counts twice."""

import pytest

from pearl_exporter.polling.poller import Poller
from pearl_exporter.simulator import default_campaigns
from tests.support.world import DAWN_MS, HOUR_MS, Dated, World

pytestmark = pytest.mark.virtual_time

HOUR, DAY = 3600.0, 86_400.0
TO_1970, TO_2100 = -DAWN_MS / 1000, 2_307_000_000.0


def a_world(**more) -> tuple[World, Poller]:
    campaigns = default_campaigns(3, DAWN_MS, 1, history_ms=HOUR_MS // 2)
    world = World(
        campaigns, frozen=True, poll={"window": 1200.0}, outbound={"window": 1200.0}, **more
    )
    return world, world.app.pollers[0]


async def assert_right(world: World, poller: Poller) -> None:
    assert await poller.poll() is None
    calls = poller.snapshot.calls
    assert calls.polled_at is not None
    # by the header T is a second's half off at most
    assert abs(calls.polled_at - world.now_ms) <= 500
    wanted = world.served(poller.outbound.id, calls.polled_at - 1_200_000, calls.polled_at)
    assert calls.window.calls == len(wanted) > 100


@pytest.mark.parametrize("jumps", [(HOUR, -HOUR), (-DAY, DAY), (TO_1970, 0.0), (TO_2100, TO_1970)])
async def test_this_machine_s_clock_may_jump_if_answers_have_dates(jumps, caplog):
    ahead = 0.0
    world, poller = a_world(wall_ahead=lambda: ahead)
    await world.app.start(polling=False)
    await assert_right(world, poller)
    since = poller.snapshot.calls.tracking_since
    for ahead in (*jumps, 0.0):  # noqa: B007 - the clock looks at it
        for _ in range(2):
            await world.wait(30)
            await assert_right(world, poller)
    assert poller.snapshot.calls.tracking_since == since
    assert poller.snapshot.calls.ledger.settled < 100  # no history was counted
    await world.app.stop()
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize(
    "date",
    [
        None,
        "",
        "soon",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Mon, 01 Jan 0001 00:00:00 GMT",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Sun, 06 Nov 1994 08:49:37 +2400",
        "Sat, 30 Feb 2026 00:00:00 GMT",
    ],
)
async def test_an_absurd_date_is_not_believed(date, caplog):
    """By one of 1970, gone by at the first poll, all history would be counted as new."""
    worn: list[Dated] = []
    world, poller = a_world(transport=lambda it: worn.append(Dated(it, date)) or worn[0])
    (dated,) = worn
    await world.app.start(polling=False)
    for _ in range(3):
        await assert_right(world, poller)
        await world.wait(30)
    dated.is_on = False
    await assert_right(world, poller)
    assert poller.snapshot.calls.tracking_since == DAWN_MS
    assert poller.snapshot.calls.ledger.settled < 100
    await world.app.stop()
    assert not [record for record in caplog.records if record.exc_info]
