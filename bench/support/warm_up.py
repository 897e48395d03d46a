"""Import what is imported at first use, so that a measurement of CPU does not contain it."""

import importlib

import httpx


async def warm_up(url: str) -> None:
    """Send one request that is not measured, and load the state's driver.

    httpx, anyio and the exporter's state import most of themselves when they are first used.

    Args:
        url: The base URL of the simulated API.
    """
    importlib.import_module("pearl_exporter.state.sqlite")
    async with httpx.AsyncClient(trust_env=False) as client:
        (await client.get(f"{url}/_sim/requests")).raise_for_status()
