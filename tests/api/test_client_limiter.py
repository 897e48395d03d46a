"""How the client and its limiter work together: pauses, slots, and why there is none."""

import asyncio
from email.utils import formatdate

import httpx
import pytest

from pearl_exporter.api.deadline import Deadline
from pearl_exporter.errors import (
    RequestTimeoutError,
    ServerError,
)
from tests.support.client_scene import (
    EMPTY,
    FOREVER,
    SEARCH,
    WELL,
    a_scene,
    after,
    problem,
)
from tests.support.virtual_time import EPOCH_SECONDS

pytestmark = pytest.mark.virtual_time

# --- slowing down


async def test_a_429_slows_all_outbounds_down():
    """Successes bring the rate back."""
    async with a_scene(rate_limit=2.0) as scene:
        scene.answer(problem(429), WELL)
        await scene.search()
        assert scene.client.limiter.rate == pytest.approx(1.1)
        for _ in range(20):
            await scene.search("other")
        assert scene.client.limiter.rate == 2.0


@pytest.mark.parametrize(
    "answer", [problem(500), problem(404), problem(401), httpx.ReadError("")], ids=str
)
async def test_other_failures_do_not_slow_down(answer):
    async with a_scene(rate_limit=2.0) as scene:
        scene.answer(answer)
        await scene.failure(give_up=5.0)
        assert scene.client.limiter.rate == 2.0


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_in_seconds_pauses_all_outbounds(status):
    async with a_scene(rate_limit=2.0) as scene:
        scene.answer(problem(status, **{"retry-after": "20"}), WELL)
        first = asyncio.ensure_future(scene.search("a"))
        await asyncio.sleep(1)
        assert scene.client.limiter.paused_for == 19.0
        await asyncio.gather(first, scene.search("b"), scene.search("c"))
        assert scene.times[0] == 0.0
        assert min(scene.times[1:]) == 20.0


async def test_a_503_with_retry_after_only_pauses():
    async with a_scene(rate_limit=2.0) as scene:
        scene.answer(problem(503, **{"retry-after": "20"}))
        await scene.failure(give_up=10.0)
        assert scene.client.limiter.rate == 0.0  # for the time of the pause
        await asyncio.sleep(15)
        assert scene.client.limiter.rate == 2.0


@pytest.mark.parametrize(("status", "reason"), [(429, "rate_limited"), (503, "server_error")])
async def test_without_a_slot_in_a_pause_its_cause_is_the_reason(status, reason):
    async with a_scene() as scene:
        scene.answer(problem(status, **{"retry-after": "200"}))
        assert (await scene.failure("a", give_up=30.0)).reason == reason
        error = await scene.failure("b", give_up=30.0)
        assert error.reason == reason
        assert "the API asked to pause, 140 s are left" in str(error)


async def test_a_pause_is_the_reason_after_an_older_answer_too():
    async with a_scene() as scene:
        scene.answer(after(5.0), problem(429, **{"retry-after": "200"}))
        older = asyncio.ensure_future(scene.search("older"))
        await asyncio.sleep(1)
        newer = asyncio.ensure_future(scene.failure("newer", give_up=10.0))
        await older
        assert (await newer).reason == "rate_limited"


async def test_a_pause_outlasts_its_poll_and_is_capped():
    async with a_scene() as scene:
        scene.answer(problem(429, **{"retry-after": "86400"}), WELL)
        error = await scene.failure("a", give_up=30.0)
        assert error.reason == "rate_limited"
        error = await scene.failure("b", give_up=30.0)
        assert (error.reason, scene.now) == ("rate_limited", 60.0)
        assert len(scene.times) == 1
        await scene.search("c", give_up=1000.0)
        assert scene.times == [0.0, 300.0]


@pytest.mark.parametrize("api_ahead", [0.0, 3600.0, -86_400.0])
@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_as_a_date_goes_by_the_answers_date(api_ahead, status):
    there = EPOCH_SECONDS + api_ahead
    headers = {
        "date": formatdate(there, usegmt=True),
        "retry-after": formatdate(there + 25, usegmt=True),
    }
    async with a_scene() as scene:
        scene.answer(problem(status, **headers), WELL)
        await scene.search()
        assert scene.times == [0.0, 25.0]


async def test_retry_after_as_a_date_goes_by_the_known_clock():
    """The answer itself has no date."""
    there = EPOCH_SECONDS + 3600
    async with a_scene() as scene:
        scene.answer(
            httpx.Response(200, json=EMPTY, headers={"date": formatdate(there, usegmt=True)}),
            problem(429, **{"retry-after": formatdate(there + 25, usegmt=True)}),
            WELL,
        )
        await scene.search()
        await scene.search()
        assert scene.times[2] == pytest.approx(25.0, abs=1.0)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "soon",
        "-20",
        "1.5",
        "٣٠",
        "20 seconds",
        "Mon, 99 Nov 2026 18:00:00 GMT",
        "Mon, 23 Nov 2026 99999999999999:00:00 GMT",
        formatdate(EPOCH_SECONDS - 1000, usegmt=True),
        "0",
    ],
)
async def test_an_unusable_retry_after_leaves_the_backoff(value):
    headers = [(b"date", formatdate(EPOCH_SECONDS, usegmt=True).encode())]
    headers.append((b"retry-after", value.encode()))
    async with a_scene() as scene:
        scene.answer(httpx.Response(429, headers=headers), WELL)
        await scene.search()
        assert 1.0 <= scene.times[1] <= 2.1


# --- slots


async def test_two_requests_are_in_flight_and_the_rest_waits():
    most = now = 0

    async def slowly(_: httpx.Request) -> httpx.Response:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await asyncio.sleep(10)
        now -= 1
        return WELL

    async with a_scene(concurrency=2) as scene:
        scene.answer(slowly)
        await asyncio.gather(*(scene.search(f"o{each}", give_up=15.0) for each in range(9)))
        assert most == 2
        assert scene.now == pytest.approx(50.0, abs=0.1)


async def test_waiting_in_a_moving_queue_extends_the_deadline():
    async with a_scene(concurrency=1) as scene:
        scene.answer(after(10.0), after(10.0), after(10.0), after(14.0))
        others = [asyncio.ensure_future(scene.search(f"o{each}")) for each in range(3)]
        await asyncio.sleep(0)
        await scene.search("last", give_up=15.0)
        assert scene.now == pytest.approx(44.0, abs=0.1)
        await asyncio.gather(*others)


async def test_only_waiting_in_a_moving_queue_extends_the_deadline():
    async with a_scene(concurrency=1, timeout=600.0) as scene:
        scene.answer(after(10.0), after(45.0), after(FOREVER))
        others = [asyncio.ensure_future(scene.search(f"o{each}")) for each in range(2)]
        await asyncio.sleep(0)
        last = asyncio.ensure_future(scene.failure("last", give_up=60.0))
        await asyncio.sleep(20)
        others[1].cancel()  # 10 s after the queue moved for the last time
        assert (await last).reason == "timeout"
        assert scene.now == pytest.approx(10.0 + 60.0, abs=0.1)


async def test_while_others_are_refused_everybody_gets_a_slot():
    async with a_scene(rate_limit=2.0) as scene:
        scene.answer(lambda request: WELL if "good" in str(request.url) else problem(404))
        bad = [asyncio.ensure_future(scene.failure(f"bad{each}")) for each in range(200)]
        await asyncio.sleep(0)
        await scene.search("good", give_up=60.0)
        assert {error.reason for error in await asyncio.gather(*bad)} == {"not_found"}


async def test_without_a_slot_what_fails_for_all_is_the_reason():
    async with a_scene(concurrency=1, timeout=100.0) as scene:
        scene.answer(problem(500), after(FOREVER))
        first = asyncio.ensure_future(scene.failure("a", give_up=200.0))
        await asyncio.sleep(50)
        error = await scene.failure("b", give_up=20.0)
        assert type(error) is ServerError
        assert scene.now == 70.0
        first.cancel()


async def test_a_failure_before_a_success_is_no_reason_any_more():
    async with a_scene(concurrency=1, timeout=100.0) as scene:
        scene.answer(problem(500), WELL, after(FOREVER))
        await scene.search()
        hung = asyncio.ensure_future(scene.failure("hung", give_up=200.0))
        await asyncio.sleep(0)
        assert type(await scene.failure("b", give_up=20.0)) is RequestTimeoutError
        hung.cancel()


async def test_what_fails_for_one_outbound_is_no_others_reason():
    async with a_scene(concurrency=1, timeout=100.0) as scene:
        scene.answer(problem(404), after(FOREVER))
        await scene.failure("a")
        hung = asyncio.ensure_future(scene.failure("hung", give_up=200.0))
        await asyncio.sleep(0)
        error = await scene.failure("b", give_up=20.0)
        assert error.reason == "timeout"
        assert "pause" not in str(error)
        hung.cancel()


async def test_a_bug_in_a_request_gives_its_slot_back():
    async with a_scene(concurrency=1) as scene:
        scene.answer(ZeroDivisionError(), WELL)
        with pytest.raises(ZeroDivisionError):
            await scene.search()
        await scene.search(give_up=1.0)


async def test_a_session_knows_when_its_first_request_was_sent():
    async with a_scene(concurrency=1) as scene:
        scene.answer(after(10.0))
        async with scene.client.session("out", Deadline(60.0)) as session:
            assert session.first_sent_at is None
            other = asyncio.ensure_future(scene.search("other"))
            await asyncio.sleep(0)
            for _ in range(2):
                await session.search(SEARCH)
            assert session.first_sent_at - 1000.0 == pytest.approx(10.0, abs=0.1)
        await other
