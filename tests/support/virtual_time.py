"""An event loop whose time is made up: nobody sleeps, every timer fires in its order, at once.

``loop.time()``, ``asyncio.sleep``, ``asyncio.timeout`` and ``call_at`` all go by it, so code that
waits for minutes is tested in milliseconds, and to the millisecond. Only for tests without sockets;
`StillLoop` is for those with.

A test of coroutines runs in one of the two by the mark ``virtual_time`` or ``still_time``.
"""

import asyncio
import selectors
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

from pearl_exporter.api.clock import Clock
from tests.support.patience import HANGING_SECONDS

Result = TypeVar("Result")

_LOOK_SECONDS = 0.05
"""How long it really waits at a time for what only a thread or a socket can bring."""

EPOCH_SECONDS = 1_795_000_000.0
"""The wall's time when a virtual loop begins: 2026-11-18T11:06:40Z."""


class _Selector(selectors.DefaultSelector):
    """Instead of waiting for the next timer, moves the loop's time to it."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is not None and timeout <= 0:
            return super().select(0)
        if self.loop.works_in_threads():
            return super().select(_LOOK_SECONDS)  # what a thread does takes no time
        if timeout is None:
            return self._wait()
        events = super().select(0)
        if not events:
            self.loop.now += timeout
        return events

    def _wait(self) -> list[Any]:
        """No timer is set: something else has to happen."""
        events = super().select(_LOOK_SECONDS)
        if not events and not self.loop.ends_threads():
            raise RuntimeError("the test waits for something that will never happen")
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

    def works_in_threads(self) -> bool:
        return bool(self._in_threads)

    def ends_threads(self) -> bool:
        """Whether it may be at its end, where it waits for its threads."""
        return getattr(self, "_default_executor", None) is not None


class _PatientSelector(selectors.DefaultSelector):
    """Waits for events alone, whatever timers are set."""

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is not None and timeout <= 0:
            return super().select(0)
        events = super().select(HANGING_SECONDS)
        if not events:
            raise RuntimeError("the test waits for something that does not happen")
        return events


class StillLoop(asyncio.SelectorEventLoop):
    """A loop whose time stands still until the test moves it, for tests with real sockets.

    However long the machine takes for anything, no limit is reached before the test says so.
    """

    def __init__(self) -> None:
        self.now = 1000.0
        super().__init__(_PatientSelector())

    def time(self) -> float:
        return self.now


async def pass_time(seconds: float) -> None:
    """Moves the time of a `StillLoop`, and lets happen what is due by then."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, StillLoop), "the test has no mark still_time"
    loop.now += seconds
    for _ in range(10):
        await asyncio.sleep(0)


async def in_passing_time(awaited: Awaitable[Result]) -> Result:
    """What comes of it in a `StillLoop`, while time passes."""
    future = asyncio.ensure_future(awaited)
    async with asyncio.timeout(HANGING_SECONDS):
        while not future.done():
            await pass_time(0.05)
    return await future


def run_virtually(main: Coroutine[Any, Any, Result]) -> Result:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def virtual_clock() -> Clock:
    """The running virtual loop's time as a `Clock`: wall and monotonic advance together."""
    loop = asyncio.get_running_loop()
    return Clock(wall=lambda: EPOCH_SECONDS + loop.time() - 1000.0, monotonic=loop.time)
