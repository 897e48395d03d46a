"""A poll that fails leaves nothing that only the collector would find: no frame, no answer."""

import gc
from types import FrameType, TracebackType

import pytest

from pearl_exporter.simulator import default_campaigns
from tests.support.world import DAWN_MS, HOUR_MS, World

pytestmark = pytest.mark.virtual_time


@pytest.mark.parametrize("fault", ["server_error", "cut", "unauthorized", "not_found", "drop"])
async def test_a_failed_poll_leaves_no_frames_behind(fault):
    campaigns = default_campaigns(7, DAWN_MS, 1, history_ms=HOUR_MS)
    world = World(campaigns, faults=[fault])
    await world.app.start(polling=False)
    (poller,) = world.app.pollers
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        for _ in range(3):
            assert await poller.poll() is not None
            await world.wait(30)
        gc.collect()
        left = [each for each in gc.garbage if isinstance(each, FrameType | TracebackType)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert not left
    await world.app.stop()
