"""How long a test waits for something to happen: as long as a busy machine may take."""

import asyncio
from collections.abc import Callable
from typing import Any

HANGING_SECONDS = 300.0
"""What takes longer hangs. No test measures anything by it."""

PATIENT: dict[str, Any] = {"trust_env": False, "timeout": HANGING_SECONDS}
"""What every request over a real socket is given: httpx itself gives up after 5 s."""


async def until(condition: Callable[[], object], *, within: float = HANGING_SECONDS) -> None:
    """Wait until a condition is true."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - what is awaited is published, not announced
            await asyncio.sleep(0.01)
