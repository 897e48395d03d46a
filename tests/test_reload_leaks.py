"""Reloads under load, over real sockets, leave nothing behind.

A few reloads here; ``python -m bench.soak.repeat reloads`` makes more.
"""

import asyncio
import gc
import os
import threading
from collections import Counter

import pytest

from pearl_exporter.api.client import PearlClient
from pearl_exporter.api.limiter import Limiter
from pearl_exporter.app import App, build_app
from pearl_exporter.config import ApiSettings, PollSettings, Settings
from pearl_exporter.counting.tracker import Tracker
from pearl_exporter.polling.poller import Poller
from pearl_exporter.reload import Reloader
from pearl_exporter.simulator import build_simulator, many_campaigns
from tests.support.patience import until
from tests.support.serving import serving
from tests.support.world import DAWN_MS, outbound_settings

Held = Counter[str]

IN_FLIGHT = 4

LOOKS = 1500

_KEPT = (App, Limiter, PearlClient, Poller, Tracker)


@pytest.fixture(autouse=True)
def logging_stays_as_it_is(monkeypatch):
    """A reload sets up logging again, for the whole process."""
    monkeypatch.setattr("pearl_exporter.reload.set_up_logging", lambda _: None)


async def held(app: App, before: Held | None) -> Held:
    """What this process holds between two polls, the API's side of the connections included."""
    await until(lambda: all(each.snapshot.health.up for each in app.pollers))
    ids = [each.outbound.id for each in app.pollers]
    await until(lambda: not any(map(app.schedule.is_polling, ids)))
    found = Counter(
        tasks=await fewest_tasks(before and before["tasks"]),
        files=len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - a look at memory, no disk
        threads=threading.active_count(),
    )
    gc.collect()
    return found + Counter(type(each).__name__ for each in gc.get_objects() if type(each) in _KEPT)


async def fewest_tasks(enough: int | None) -> int:
    """How many tasks there are always; at any one moment another poll may be about to begin.

    On a busy machine one is under way most of the time, so it looks longer for a moment when there
    are not more than ``enough``.
    """
    seen = []
    while len(seen) < 10 or (enough is not None and min(seen) > enough and len(seen) < LOOKS):
        seen.append(len(asyncio.all_tasks()))
        await asyncio.sleep(0.02)
    return min(seen)


def configurations(url: str) -> list[Settings]:
    """Outbounds come and go, change, and get new clients."""
    campaigns = many_campaigns(8, DAWN_MS, calls_a_day=20_000, history_ms=1_800_000)
    outbounds = [
        outbound_settings(each, interval=0.2, window=600.0, give_up=5.0) for each in campaigns
    ]
    narrow = [each.model_copy(update={"window": 300.0}) for each in outbounds]
    api = ApiSettings(url=url, rate_limit=1000.0, concurrency=IN_FLIGHT)
    return [
        Settings(api=api, outbounds=tuple(outbounds)),
        Settings(api=api, outbounds=tuple(outbounds[:3])),
        Settings(api=api, outbounds=tuple(narrow), poll=PollSettings(follow=3600.0)),
        Settings(
            api=api.model_copy(update={"timeout": 31.0}),
            outbounds=(*outbounds[4:], *narrow[:2]),
        ),
    ]


async def held_before_and_after(reloads: int, warm_up: int) -> tuple[Held, Held]:
    """Reload again and again, by another configuration each time; return what was held after both.

    The first ones fill pools and caches. No reload waits for a poll: they fall into all of it.
    """
    campaigns = many_campaigns(8, DAWN_MS, calls_a_day=20_000, history_ms=1_800_000)
    simulator = build_simulator(campaigns, clock=lambda: DAWN_MS)
    with serving(simulator) as url:
        variants = configurations(url)
        app = build_app(variants[0])
        await app.start()
        seen: list[Held] = []
        for turn in range(1, warm_up + reloads + 1):
            reloader = Reloader(app, lambda turn=turn: variants[turn % len(variants)])
            assert await reloader.reload() == ()
            await asyncio.sleep(0.01)
            if turn in (warm_up, warm_up + reloads):
                seen.append(await held(app, seen[0] if seen else None))
        await app.stop()
        return seen[0], seen[-1]


async def test_reloads_under_load_leave_nothing_behind():
    reloads = int(os.environ.get("RELOADS", "16"))
    before, after = await held_before_and_after(reloads, warm_up=8)
    print(f"before {reloads} reloads {before}, after {after}")  # noqa: T201 - for bench.soak.repeat
    assert before["Poller"] >= 8  # more, where tests before this one have left some
    # eight new clients; how many of its connections one has open at the moment differs
    assert after.pop("files") - before.pop("files") <= 2 * IN_FLIGHT
    assert after - before == Counter()
