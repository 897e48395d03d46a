"""A simulator whose clock stands, and a client in the same process."""

from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from pearl_exporter.simulator import SimulatedClock, Simulator, build_simulator
from pearl_exporter.simulator.row_writer import CallRow
from tests.simulator.worlds import HOUR, NOW, ODD, a_campaign


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


@pytest.fixture
def on(simulator: Simulator) -> Callable[..., None]:
    """Switch faults on, and all others off."""

    def switch(*faults: str) -> None:
        simulator.faults.set(faults, NOW)

    return switch


@pytest.fixture
def rows(simulator: Simulator) -> list[CallRow]:
    """All rows of the first outbound, newest first."""
    campaign = next(iter(simulator.campaigns.values()))
    return campaign.rows(NOW - 8 * HOUR, NOW, NOW)[::-1]
