"""What is sent again, how often, and until when."""

import asyncio
import logging
from itertools import pairwise

import httpx
import pytest

from pearl_exporter.api.deadline import Deadline
from pearl_exporter.errors import (
    ApiError,
)
from pearl_exporter.reading.search import Page
from tests.support.client_scene import (
    FOREVER,
    SEARCH,
    WELL,
    Stream,
    a_scene,
    after,
    dripping,
    problem,
)

pytestmark = pytest.mark.virtual_time


async def test_a_passing_failure_is_not_seen_by_the_caller():
    async with a_scene() as scene:
        scene.answer(problem(503), httpx.ReadError(""), problem(429), WELL)
        assert await scene.search() == Page(0, [])
        assert len(scene.times) == 4


async def test_retries_are_logged_once_a_minute(caplog):
    caplog.set_level(logging.INFO, "pearl_exporter.api.client")
    async with a_scene() as scene:
        scene.answer(*[problem(503), WELL] * 10)
        for outbound in ("first", "second") * 5:
            await scene.search(outbound)
            await asyncio.sleep(20)
    logged = [each for each in caplog.records if "retrying" in each.getMessage()]
    assert 3 <= len(logged) <= 5
    assert {each.asked for each in logged} <= {"first", "second"}
    assert logged[0].asked == "first"


async def test_the_backoff_doubles_to_a_limit_and_has_jitter():
    gaps: list[list[float]] = []
    for _ in range(6):
        async with a_scene() as scene:
            scene.answer(problem(500))
            await scene.failure(give_up=100.0)
            gaps.append([b - a for a, b in pairwise(scene.times)])
    for waits in gaps:
        for wait, least in zip(waits, [1, 2, 4, 8, 16, 16, 16], strict=False):
            assert least - 0.001 <= wait <= min(least + 1, 16) + 0.05
        assert len(waits) >= 7
    assert len({waits[0] for waits in gaps}) > 1
    assert len({waits[2] for waits in gaps}) > 1


ENDLESS = {
    "500": lambda: problem(500),
    "429": lambda: problem(429),
    "429 with an endless Retry-After": lambda: problem(429, **{"retry-after": "9" * 40}),
    "429 with a short Retry-After": lambda: problem(429, **{"retry-after": "2"}),
    "503 with a long Retry-After": lambda: problem(503, **{"retry-after": "200"}),
    "no connection": lambda: httpx.ConnectError("refused"),
    "silence": lambda: after(FOREVER),
    "silence, then a failure": lambda: after(29.0, problem(500)),
    "a drip for ever": dripping,
    "a drip after an error": lambda: dripping(503),
    "slow pieces": lambda: httpx.Response(200, stream=Stream(b" ", pause=29.0, forever=True)),
}


@pytest.mark.parametrize("name", ENDLESS)
@pytest.mark.parametrize("give_up", [1.0, 47.0, 300.0])
async def test_nothing_outlives_the_deadline(name, give_up):
    async with a_scene() as scene:
        scene.answer(lambda _: ENDLESS[name]())
        error = await scene.failure(give_up=give_up)
        assert error.retry
        assert scene.now <= give_up + 0.001
        assert scene.times[-1] < give_up
        longest = max(seconds for _, seconds in scene.observer.requests)
        assert longest <= 30.001


async def test_a_request_takes_no_longer_than_the_timeout():
    async with a_scene(timeout=30.0) as scene:
        scene.answer(after(31.0), WELL)
        await scene.search(give_up=60.0)
        assert 31.0 <= scene.times[1] <= 32.1


async def test_a_slow_api_that_answers_within_the_timeout_is_well():
    async with a_scene(timeout=60.0) as scene:
        scene.answer(after(45.0))
        await scene.search(give_up=120.0)
        assert scene.now == 45.0
        assert scene.observer.retries == 0


async def test_an_answer_after_the_deadline_is_a_timeout():
    async with a_scene(timeout=60.0) as scene:
        scene.answer(after(20.0))
        assert (await scene.failure(give_up=15.0)).reason == "timeout"
        assert scene.now == 15.0
        assert len(scene.times) == 1


async def test_a_cancelled_search_leaves_nothing_behind():
    async with a_scene(concurrency=1) as scene:
        stream = Stream(b" ", pause=5.0, forever=True)
        scene.answer(httpx.Response(200, stream=stream), WELL)
        task = asyncio.ensure_future(scene.search())
        await asyncio.sleep(7)
        waiter = asyncio.ensure_future(scene.search("other"))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert stream.is_closed
        await waiter
        assert scene.now == 7.0


async def test_a_search_cancelled_between_attempts_sends_no_more():
    async with a_scene() as scene:
        scene.answer(problem(500))
        task = asyncio.ensure_future(scene.search())
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(100)
        assert len(scene.times) == 1


# --- the deadline


async def test_a_deadline_passes_is_reset_and_is_extended():
    deadline = Deadline(60.0)
    assert deadline.remaining == 60.0
    await asyncio.sleep(50)
    assert deadline.remaining == 10.0
    deadline.extend(5.0)
    assert deadline.remaining == 15.0
    await asyncio.sleep(100)
    assert deadline.remaining == 0.0
    deadline.reset()
    assert deadline.remaining == 60.0


async def test_a_poll_that_goes_on_getting_pages_may_take_long():
    async with a_scene() as scene:
        scene.answer(after(25.0))
        deadline = Deadline(40.0)
        for _ in range(10):
            await scene.client.search("out", SEARCH, deadline)
        assert scene.now == pytest.approx(250.0, abs=0.1)


async def test_a_failed_attempt_does_not_reset_the_deadline():
    async with a_scene() as scene:
        scene.answer(after(10.0, problem(500)))
        deadline = Deadline(40.0)
        with pytest.raises(ApiError):
            await scene.client.search("out", SEARCH, deadline)
        assert 30.0 < scene.now <= 40.0
        scene.answer(after(FOREVER))
        with pytest.raises(ApiError):
            await scene.client.search("out", SEARCH, deadline)
        assert scene.now <= 40.0
