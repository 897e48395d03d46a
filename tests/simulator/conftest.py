"""A simulator whose clock stands, and a client in the same process."""

from collections.abc import AsyncIterator

import httpx
import pytest

from pearl_exporter.simulator import SimulatedClock, Simulator, build_simulator
from tests.simulator.worlds import NOW, ODD, a_campaign


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(start_ms=NOW, paused=True)


@pytest.fixture
def slept() -> list[float]:
    """How long the simulator's slow faults would have waited, one number a wait."""
    return []


@pytest.fixture
def simulator(clock: SimulatedClock, slept: list[float]) -> Simulator:
    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    campaigns = [a_campaign(**ODD), a_campaign(place=2, success_definition=False)]
    return build_simulator(campaigns, clock=clock, sleep=sleep)


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(simulator),
        base_url="http://simulator",
        headers={"Authorization": "Bearer account:secret"},
    ) as client:
        yield client
