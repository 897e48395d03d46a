"""How many requests does a poll take, against the size of the window?

    .venv/bin/python bench/requests_per_poll.py [--polls 300] [--windows 1000 10000 100000]

Exporter and simulated API in one process, over ASGI, in virtual time: 10 new calls a minute, polls
30 s apart, pages of 100, the simulator's usual share of late, changed and deleted rows. The naive
peer would read the whole window each time.
"""

import argparse
import sys
import time
from pathlib import Path
from statistics import fmean, quantiles

sys.path.insert(0, str(Path(__file__).parent.parent))

from pearl_exporter.simulator import Campaign, Profile
from tests.virtual_time import run_virtually
from tests.world import DAWN_MS, World

CALLS_A_DAY = 14_400
INTERVAL = 30.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--polls", type=int, default=300)
    parser.add_argument("--windows", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    given = parser.parse_args()
    print("window   first   mean   p95   p99   worst  CPU a poll  naive peer")
    for calls in given.windows:
        first, requests, seconds = run_virtually(measured(calls, given.polls))
        cuts = quantiles(requests, n=100)
        print(
            f"{calls:>7,}  {first:>6,}  {fmean(requests):>5.2f}  {cuts[94]:>4.0f}  {cuts[98]:>4.0f}"
            f"  {max(requests):>6}  {seconds * 1000:>7.1f} ms  {calls // 100 + 1:>10,}"
        )


async def measured(calls: int, polls: int) -> tuple[int, list[int], float]:
    """Requests of the first poll, requests of each one after it, CPU seconds of a poll."""
    window = calls / CALLS_A_DAY * 86_400
    profile = Profile(
        outbound_id="65f1c0000000000000000001", name="steady", calls_a_day=CALLS_A_DAY
    )
    begin = DAWN_MS - round((window + 86_400) * 1000)
    world = World(
        [Campaign(profile, start_ms=begin)],
        frozen=True,
        poll={"window": window},
        outbound={"window": window, "interval": INTERVAL},
    )
    poller = world.app.pollers[0]
    await world.app.start(polling=False)
    assert await poller.poll() is None
    first = answered(world)
    requests, spent = [], 0.0
    for _ in range(polls):
        await world.wait(INTERVAL)
        before, began = answered(world), time.process_time()
        assert await poller.poll() is None
        spent += time.process_time() - began
        requests.append(answered(world) - before)
    await world.app.stop()
    return first, requests, spent / polls


def answered(world: World) -> int:
    registry = world.app.exporter.registry
    name = "pearl_exporter_api_requests_total"
    return int(registry.get_sample_value(name, {"code": "200"}) or 0)


if __name__ == "__main__":
    main()
