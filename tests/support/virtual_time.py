"""An event loop whose time is made up: nobody sleeps, every timer fires in its order, at once.

``loop.time()``, ``asyncio.sleep``, ``asyncio.timeout`` and ``call_at`` all go by it, so code that
waits for minutes is tested in milliseconds, and to the millisecond. Only for tests without sockets.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

from pearl_exporter.api.clock import Clock

Result = TypeVar("Result")

EPOCH_SECONDS = 1_795_000_000.0
"""The wall's time when a virtual loop begins: 2026-11-18T11:06:40Z."""


class _Selector(selectors.SelectSelector):
    """Instead of waiting for the next timer, moves the loop's time to it."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            events = super().select(0.05)
            if not events and not self.loop.awaits_threads():
                raise RuntimeError("the test waits for something that will never happen")
            return events
        events = super().select(0)
        if not events and timeout > 0:
            self.loop.now += timeout
        return events


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        selector = _Selector()
        selector.loop = self
        self.now = 1000.0
        self._in_threads: set[asyncio.Future[Any]] = set()
        super().__init__(selector)

    def time(self) -> float:
        return self.now

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> "asyncio.Future[Any]":
        future = super().run_in_executor(executor, func, *args)
        self._in_threads.add(future)
        future.add_done_callback(self._in_threads.discard)
        return future

    def awaits_threads(self) -> bool:
        return bool(self._in_threads) or getattr(self, "_default_executor", None) is not None


def run_virtually(main: Coroutine[Any, Any, Result]) -> Result:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def virtual_clock() -> Clock:
    """The running virtual loop's time as a `Clock`: wall and monotonic go alike."""
    loop = asyncio.get_running_loop()
    return Clock(wall=lambda: EPOCH_SECONDS + loop.time() - 1000.0, monotonic=loop.time)
