"""What the client sends, what it reads, and who hears of it."""

import asyncio
import gzip
import json
import threading
from contextlib import suppress
from email.utils import formatdate

import httpx
import pytest

from pearl_exporter.api import client as api_module
from pearl_exporter.api.clock import ApiClock, Clock
from pearl_exporter.api.decode_calls import decode_page
from pearl_exporter.errors import (
    ApiError,
)
from pearl_exporter.reading.search import Page, Search
from tests.support.client_scene import (
    EMPTY,
    SEARCH,
    TOKEN,
    URL,
    Stream,
    a_scene,
    after,
    dripping,
    problem,
)
from tests.support.virtual_time import virtual_clock

pytestmark = pytest.mark.virtual_time

# --- what is asked


async def test_a_search_is_sent_as_documented():
    async with a_scene() as scene:
        await scene.search(
            "65f1c0ffee65f1c0ffee0001", Search(1_795_000_000_000, 1_795_003_600_123, 200, 100)
        )
        request = scene.last_request
        assert request.method == "POST"
        assert str(request.url) == f"{URL}/v1/Outbound/65f1c0ffee65f1c0ffee0001/Calls"
        assert json.loads(request.content) == {
            "fromDate": "2026-11-18T11:06:40.000Z",
            "toDate": "2026-11-18T12:06:40.123Z",
            "skip": 200,
            "limit": 100,
            "sortProp": "startTime",
            "isAscending": False,
        }
        assert request.headers["authorization"] == f"Bearer {TOKEN}"
        assert request.headers["content-type"] == "application/json"
        assert "application/json" in request.headers["accept"]
        assert "gzip" in request.headers["accept-encoding"]
        assert request.headers["user-agent"].startswith("pearl-exporter/")
        assert "cookie" not in request.headers
        assert len(scene.api.calls) == 1


async def test_an_ascending_search_says_so():
    async with a_scene() as scene:
        await scene.search(search=SEARCH._replace(ascending=True))
        assert json.loads(scene.last_request.content)["isAscending"] is True


@pytest.mark.parametrize(
    ("outbound", "path"),
    [
        ("plain", "/v1/Outbound/plain/Calls"),
        ("a/b", "/v1/Outbound/a%2Fb/Calls"),
        ("a?b=c#d", "/v1/Outbound/a%3Fb%3Dc%23d/Calls"),
        ("a b%20", "/v1/Outbound/a%20b%2520/Calls"),
        ("../../v2", "/v1/Outbound/..%2F..%2Fv2/Calls"),
        ("ü", "/v1/Outbound/%C3%BC/Calls"),
        ("~a._-", "/v1/Outbound/~a._-/Calls"),
    ],
)
async def test_an_id_is_quoted_in_the_path(outbound, path):
    async with a_scene() as scene:
        await scene.search(outbound)
        assert scene.last_request.url.raw_path.decode() == path


@pytest.mark.parametrize("url", [f"{URL}/gateway", f"{URL}/gateway/"])
async def test_the_base_url_may_have_a_path_of_its_own(url):
    async with a_scene(url=url) as scene:
        await scene.search("x")
        assert str(scene.last_request.url) == f"{URL}/gateway/v1/Outbound/x/Calls"


# --- what is answered

ROWS = {
    "count": 7,
    "results": [
        {"id": "c1", "startTime": "2026-11-23T09:40:00.123Z", "tags": None},
        {"startTime": None},
    ],
}


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/json", "text/json", "text/html", "image/png", "nonsense", None],
)
async def test_an_answer_is_read_whatever_its_content_type_says(content_type):
    headers = {} if content_type is None else {"content-type": content_type}
    async with a_scene() as scene:
        scene.answer(httpx.Response(200, headers=headers, content=json.dumps(ROWS).encode()))
        page = await scene.search()
        assert (page.count, [call.id for call in page.calls], page.rejected) == (7, ["c1"], 1)


async def test_a_large_answer_is_decoded_in_a_thread(monkeypatch):
    decoded_in = []

    def decode(body: bytes) -> Page:
        decoded_in.append(threading.current_thread())
        return decode_page(body)

    monkeypatch.setattr(api_module, "decode_page", decode)
    async with a_scene(clock=Clock()) as scene:
        for size in (100, 600_000):
            scene.answer(httpx.Response(200, json={**EMPTY, "filler": "x" * size}))
            assert (await scene.search()).count == 0
    assert [each is threading.main_thread() for each in decoded_in] == [True, False]


async def test_a_compressed_answer_in_many_pieces_is_read():
    body = gzip.compress(json.dumps(ROWS).encode())
    stream = Stream(*(body[place : place + 7] for place in range(0, len(body), 7)), pause=0.1)
    async with a_scene() as scene:
        scene.answer(httpx.Response(200, headers={"content-encoding": "gzip"}, stream=stream))
        assert (await scene.search()).count == 7
        assert stream.is_closed


async def test_cookies_that_an_answer_sets_do_no_harm():
    async with a_scene() as scene:
        scene.answer(httpx.Response(200, json=EMPTY, headers={"set-cookie": "a=b\x00; c"}))
        await scene.search()
        await scene.search()


# --- who listens


async def test_every_request_is_observed_with_status_and_time():
    async with a_scene(timeout=5.0) as scene:
        scene.answer(
            after(0.5, problem(500)),
            after(2.0, httpx.ReadError("")),
            after(99.0),
            problem(429),
            dripping(),
            after(1.0),
        )
        await scene.search(give_up=600.0)
        assert scene.observer.codes == ["500", "none", "none", "429", "200", "200"]
        assert [seconds for _, seconds in scene.observer.requests] == pytest.approx(
            [0.5, 2.0, 5.0, 0.0, 5.0, 1.0]
        )
        assert scene.observer.retries == 5


async def test_the_last_failure_is_not_observed_as_a_retry():
    async with a_scene() as scene:
        scene.answer(problem(404))
        await scene.failure()
        assert scene.observer.retries == 0
        assert scene.observer.codes == ["404"]


async def test_waits_for_slots_are_observed():
    waits: list[float] = []
    async with a_scene(rate_limit=0.5, on_wait=waits.append) as scene:
        for _ in range(3):
            await scene.search()
        assert waits == pytest.approx([0, 2, 2], abs=0.03)


@pytest.mark.parametrize("status", [200, 404, 503])
async def test_the_api_clock_learns_from_every_answers_head(status):
    """The head's time, not the middle of the request: a search may take tens of seconds."""
    clock = virtual_clock()
    api_clock = ApiClock(clock)
    async with a_scene(timeout=60.0, clock=clock, api_clock=api_clock) as scene:

        async def respond(_: httpx.Request) -> httpx.Response:
            await asyncio.sleep(40)
            body = json.dumps(EMPTY).encode()
            date = formatdate(clock.wall() + 100, usegmt=True)
            return httpx.Response(status, headers={"date": date}, stream=Stream(body, pause=0.9))

        scene.answer(respond)
        with suppress(ApiError):
            await scene.search(give_up=41.0)
        assert api_clock.skew_seconds == pytest.approx(-100.0, abs=0.501)
