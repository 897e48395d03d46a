"""Asking one thing at intervals: when, what a failure does, how long an answer counts."""

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager

import pytest

from pearl_exporter.discovery.periodic_request import PeriodicRequest
from pearl_exporter.errors import AuthError, PollError, ServerError, StateError

pytestmark = pytest.mark.virtual_time


class Scene:
    """A watch, when it asked (in seconds since it began), and what it is answered."""

    def __init__(self) -> None:
        self.answer: Callable[[], str] = lambda: "well"
        self.asked: list[float] = []
        self.taken: list[str] = []
        self._began = asyncio.get_running_loop().time()
        self.watch = PeriodicRequest[str](
            "the thing", self._ask, self._take, lambda: 1000 * int(self.now)
        )

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time() - self._began

    async def _ask(self, retries: bool) -> str:
        self.asked.append(round(self.now))
        return self.answer()

    async def _take(self, answer: str) -> None:
        self.taken.append(answer)

    def fail(self, error: Exception) -> None:
        def failing() -> str:
            raise error

        self.answer = failing


@asynccontextmanager
async def watching(seconds: float | None = 100.0):
    scene = Scene()
    scene.watch.set_interval(seconds)
    task = asyncio.create_task(scene.watch.run())
    try:
        yield scene
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_it_asks_at_once_and_at_its_interval():
    async with watching() as scene:
        assert not scene.watch.was_tried
        await asyncio.sleep(250)
        assert scene.asked == [0, 100, 200]
        assert scene.taken == ["well"] * 3
        assert scene.watch.is_up
        assert (scene.watch.answer, scene.watch.last_success) == ("well", 200_000)


@pytest.mark.parametrize(
    ("interval", "error", "asked"),
    [
        (300.0, ServerError("down"), [0, 30, 90, 210, 450, 750]),
        (40.0, ServerError("down"), [0, 30, 70, 110, 150]),
        (300.0, AuthError("refused"), [0, 30, 90, 210, 450, 750]),
        (40.0, AuthError("refused"), [0, 30, 90, 210, 450, 750]),
    ],
)
async def test_a_failure_is_retried_soon_and_a_refusal_backed_off(interval, error, asked):
    async with watching(interval) as scene:
        scene.fail(error)
        await asyncio.sleep(asked[-1] + 1)
        assert scene.asked == asked
        assert not scene.watch.is_up
        assert scene.watch.was_tried


async def test_an_answer_outlasts_failures_until_it_is_too_old(caplog):
    with caplog.at_level("INFO"):
        async with watching() as scene:
            await asyncio.sleep(1)
            scene.fail(ServerError("down"))
            await asyncio.sleep(298)
            assert (scene.watch.answer, scene.watch.is_up) == ("well", False)
            await asyncio.sleep(2)
            assert scene.watch.answer is None
            assert scene.watch.last_success == 0
            scene.answer = lambda: "again"
            await asyncio.sleep(100)
            assert (scene.watch.answer, scene.watch.is_up) == ("again", True)
    failed, again = [each for each in caplog.records if each.levelname != "DEBUG"]
    assert failed.getMessage() == "platform request failed"
    assert (failed.subject, failed.reason, failed.error) == ("the thing", "server_error", "down")
    assert again.getMessage() == "platform request succeeds again"


@pytest.mark.parametrize("error", [StateError("the disk is full"), ValueError("a bug")])
async def test_a_failure_in_taking_an_answer_ends_nothing(error, caplog):
    async with watching() as scene:
        scene.fail(error)
        await asyncio.sleep(10)
        assert not scene.watch.is_up
        scene.answer = lambda: "well"
        await asyncio.sleep(100)
        assert scene.watch.is_up


async def test_nothing_is_sent_while_it_is_off():
    """Turning it off forgets the answer."""
    async with watching(None) as scene:
        await asyncio.sleep(1000)
        assert (scene.asked, scene.watch.is_on) == ([], False)
        scene.watch.set_interval(100.0)
        await asyncio.sleep(1)
        assert scene.asked == [1000]
        scene.watch.set_interval(None)
        await asyncio.sleep(1000)
        assert scene.asked == [1000]
        assert scene.watch.answer is None
        assert not scene.watch.was_tried


async def test_another_interval_counts_from_the_last_question():
    async with watching(100.0) as scene:
        await asyncio.sleep(50)
        scene.watch.set_interval(60.0)
        await asyncio.sleep(100)
        assert scene.asked == [0, 60, 120]
        scene.watch.set_interval(10.0)
        await asyncio.sleep(1)
        assert scene.asked[-1] == 150


async def test_it_can_be_sent_at_once():
    async with watching() as scene:
        await asyncio.sleep(50)
        scene.watch.run_now()
        await asyncio.sleep(60)
        assert scene.asked == [0, 50]


async def test_sending_it_once_returns_the_error():
    scene = Scene()
    scene.watch.set_interval(60.0)
    assert await scene.watch.once() is None
    assert scene.watch.answer == "well"
    refusal: PollError = AuthError("refused")
    scene.fail(refusal)
    assert await scene.watch.once() is refusal
