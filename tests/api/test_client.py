"""The client of the NLPearl API: the real one over respx, on a loop whose time is made up."""

import asyncio
import gzip
import json
import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from email.utils import formatdate
from itertools import pairwise
from pathlib import Path

import certifi
import httpx
import pytest
import respx
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import JSONResponse

from pearl_exporter.api import client as api_module
from pearl_exporter.api.body import MAX_BODY_BYTES
from pearl_exporter.api.client import PearlClient
from pearl_exporter.api.clock import ApiClock, Clock
from pearl_exporter.api.deadline import Deadline
from pearl_exporter.api.decode_calls import decode_page
from pearl_exporter.api.token_file import Token
from pearl_exporter.config import ApiSettings, TokenSource
from pearl_exporter.errors import (
    ApiError,
    AuthError,
    BadRequestError,
    BadResponseError,
    ConnectionFailedError,
    NotFoundError,
    RateLimitedError,
    Reason,
    RequestTimeoutError,
    ServerError,
)
from pearl_exporter.reading.search import Page, Search
from tests.support.real_client import a_real_client
from tests.support.serving import serving
from tests.support.virtual_time import EPOCH_SECONDS, in_passing_time, run_virtually, virtual_clock

URL = "https://api.nlpearl.test"
TOKEN = "acc0unt:s3cret"
PHONE = "4915112345678"
SEARCH = Search(1_795_000_000_000, 1_795_003_600_123, 0, 100)
EMPTY = {"count": 0, "results": []}
WELL = httpx.Response(200, json=EMPTY)
FOREVER = 1e9


class Observer:
    """Hears what is asked of the API."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, float]] = []
        self.retries = 0

    def requested(self, code: str, seconds: float) -> None:
        self.requests.append((code, seconds))

    def retried(self) -> None:
        self.retries += 1

    @property
    def codes(self) -> list[str]:
        return [code for code, _ in self.requests]


class Scene:
    """A client, what answers it, and when it asked; seconds since the scene began."""

    def __init__(self, api: respx.MockRouter, client: PearlClient, observer: Observer) -> None:
        self.api = api
        self.client = client
        self.observer = observer
        self.times: list[float] = []
        self._began = _loop_time()
        self._answer: Callable[[httpx.Request], object] = lambda _: WELL
        api.route().mock(side_effect=self._respond)

    @property
    def now(self) -> float:
        return round(_loop_time() - self._began, 6)

    @property
    def last_request(self) -> httpx.Request:
        return self.api.calls.last.request

    def answer(self, *answers: object) -> None:
        """Gives these answers one after the other, the last one for good.

        One may be a response, an exception, or a function of the request that gives a response,
        at once or later.
        """
        left = list(answers)
        self._answer = lambda _: left.pop(0) if len(left) > 1 else left[0]

    async def _respond(self, request: httpx.Request) -> httpx.Response:
        self.times.append(self.now)
        answer = self._answer(request)
        while callable(answer):
            answer = answer(request)
        if asyncio.iscoroutine(answer):
            answer = await answer
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def search(
        self, outbound: str = "out", search: Search = SEARCH, give_up: float = 60.0
    ) -> Page:
        return await self.client.search(outbound, search, Deadline(give_up))

    async def failure(self, outbound: str = "out", give_up: float = 60.0) -> ApiError:
        """The error of a search that must fail."""
        with pytest.raises(ApiError) as caught:
            await self.search(outbound, give_up=give_up)
        return caught.value


@asynccontextmanager
async def a_scene(
    *, source: TokenSource | None = None, clock: Clock | None = None, **api_settings: object
) -> AsyncIterator[Scene]:
    observer = Observer()
    clock = clock or virtual_clock()
    client = PearlClient(
        ApiSettings(**({"url": URL, "rate_limit": 1000.0} | api_settings)),
        Token(source or TokenSource(literal=SecretStr(TOKEN))),
        observer=observer,
        api_clock=ApiClock(clock),
        clock=clock,
    )
    with respx.mock(assert_all_called=False) as api:
        scene = Scene(api, client, observer)
        try:
            yield scene
        finally:
            await client.aclose()


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


def after(seconds: float, answer: object = WELL) -> Callable[[httpx.Request], object]:
    """An answer whose head comes so much later."""

    async def respond(_: httpx.Request) -> object:
        await asyncio.sleep(seconds)
        return answer

    return respond


class Stream(httpx.AsyncByteStream):
    """A body that comes in pieces, perhaps with time between, and perhaps for ever."""

    def __init__(self, *pieces: bytes, pause: float = 0.0, forever: bool = False) -> None:
        self.pieces = pieces
        self.pause = pause
        self.forever = forever
        self.is_closed = False
        self.sent = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            for piece in self.pieces:
                if self.pause:
                    await asyncio.sleep(self.pause)
                self.sent += len(piece)
                yield piece
            if not self.forever:
                return

    async def aclose(self) -> None:
        self.is_closed = True


def dripping(status: int = 200) -> httpx.Response:
    return httpx.Response(status, stream=Stream(b" ", pause=5.0, forever=True))


# --- what is asked


@pytest.mark.virtual_time
async def test_a_search_is_the_one_request_that_the_facts_describe():
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


@pytest.mark.virtual_time
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
@pytest.mark.virtual_time
async def test_an_id_is_quoted_in_the_path(outbound, path):
    async with a_scene() as scene:
        await scene.search(outbound)
        assert scene.last_request.url.raw_path.decode() == path


@pytest.mark.parametrize("url", [f"{URL}/gateway", f"{URL}/gateway/"])
@pytest.mark.virtual_time
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
@pytest.mark.virtual_time
async def test_an_answer_is_read_whatever_its_content_type_says(content_type):
    headers = {} if content_type is None else {"content-type": content_type}
    async with a_scene() as scene:
        scene.answer(httpx.Response(200, headers=headers, content=json.dumps(ROWS).encode()))
        page = await scene.search()
        assert (page.count, [call.id for call in page.calls], page.rejected) == (7, ["c1"], 1)


@pytest.mark.virtual_time
async def test_a_large_answer_is_decoded_beside_the_event_loop(monkeypatch):
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


@pytest.mark.virtual_time
async def test_a_compressed_answer_in_many_pieces_is_read():
    body = gzip.compress(json.dumps(ROWS).encode())
    stream = Stream(*(body[place : place + 7] for place in range(0, len(body), 7)), pause=0.1)
    async with a_scene() as scene:
        scene.answer(httpx.Response(200, headers={"content-encoding": "gzip"}, stream=stream))
        assert (await scene.search()).count == 7
        assert stream.is_closed


@pytest.mark.virtual_time
async def test_cookies_that_an_answer_sets_do_no_harm():
    async with a_scene() as scene:
        scene.answer(httpx.Response(200, json=EMPTY, headers={"set-cookie": "a=b\x00; c"}))
        await scene.search()
        await scene.search()


# --- failures, one for each reason

HTML = b"<html><body>Please sign in, or call +" + PHONE.encode() + b"</body></html>"
BOMB = gzip.compress(b" " * (MAX_BODY_BYTES + 1))
GZIP = {"content-encoding": "gzip"}


def problem(status: int, **headers: str) -> httpx.Response:
    """What ASP.NET says, and what it should not."""
    body = {"title": "One or more errors", "status": status, "detail": f"to +{PHONE} by {TOKEN}"}
    return httpx.Response(
        status, json=body, headers=headers, extensions={"reason_phrase": f"No {PHONE}".encode()}
    )


FAILURES = {
    "401": (lambda: problem(401), AuthError, "auth", False),
    "403": (lambda: problem(403), AuthError, "auth", False),
    "404": (lambda: problem(404), NotFoundError, "not_found", False),
    "400": (lambda: problem(400), BadRequestError, "bad_request", False),
    "405": (lambda: problem(405), BadRequestError, "bad_request", False),
    "422": (lambda: problem(422), BadRequestError, "bad_request", False),
    "429": (lambda: problem(429), RateLimitedError, "rate_limited", True),
    "500": (lambda: problem(500), ServerError, "server_error", True),
    "502": (lambda: httpx.Response(502, content=HTML), ServerError, "server_error", True),
    "503": (lambda: problem(503), ServerError, "server_error", True),
    "504": (lambda: problem(504), ServerError, "server_error", True),
    "599": (lambda: problem(599), ServerError, "server_error", True),
    "timeout": (
        lambda: httpx.ReadTimeout(f"read {PHONE}"), RequestTimeoutError, "timeout", True
    ),
    "timeout connecting": (
        lambda: httpx.ConnectTimeout(""), RequestTimeoutError, "timeout", True
    ),
    "no connection": (
        lambda: httpx.ConnectError("[Errno -2] Name or service not known"),
        ConnectionFailedError, "connection", True
    ),
    "connection broken": (
        lambda: httpx.ReadError(""), ConnectionFailedError, "connection", True
    ),
    "a proxy refuses": (
        lambda: httpx.ProxyError("407 Proxy Authentication Required"),
        ConnectionFailedError, "connection", True
    ),
    "no HTTP": (
        lambda: httpx.RemoteProtocolError(f"illegal status line: bytearray(b'+{PHONE}')"),
        ConnectionFailedError, "connection", True
    ),
    "a header that h11 refuses": (
        lambda: httpx.LocalProtocolError(f"Illegal header value b'Bearer {TOKEN}'"),
        ConnectionFailedError, "connection", True
    ),
    "a broken pipe": (
        lambda: BrokenPipeError(32, "Broken pipe"), ConnectionFailedError, "connection", True
    ),
    "redirect": (
        lambda: httpx.Response(302, headers={"location": f"{URL}/{PHONE}"}),
        BadResponseError, "bad_response", False
    ),
    "permanent redirect": (
        lambda: httpx.Response(308, headers={"location": "https://elsewhere.test/"}),
        BadResponseError, "bad_response", False
    ),
    "no content": (lambda: httpx.Response(204), BadResponseError, "bad_response", False),
    "HTML": (lambda: httpx.Response(200, content=HTML), BadResponseError, "bad_response", False),
    "empty": (lambda: httpx.Response(200), BadResponseError, "bad_response", False),
    "cut JSON": (
        lambda: httpx.Response(200, content=b'{"count": 1, "results": [{"to": "+' + PHONE.encode()),
        BadResponseError, "bad_response", False
    ),
    "an error object": (
        lambda: httpx.Response(200, json={"error": PHONE}), BadResponseError, "bad_response", False
    ),
    "too large": (
        lambda: httpx.Response(200, stream=Stream(b" " * 1_000_000, forever=True)),
        BadResponseError, "bad_response", False
    ),
    "too large, unpacked": (
        lambda: httpx.Response(200, headers=GZIP, content=BOMB),
        BadResponseError, "bad_response", False
    ),
    "broken gzip": (
        lambda: httpx.Response(200, headers=GZIP, stream=Stream(b"no gzip " + PHONE.encode())),
        BadResponseError, "bad_response", False
    ),
    "cut gzip": (
        lambda: httpx.Response(200, headers=GZIP, stream=Stream(gzip.compress(HTML)[:-20])),
        BadResponseError, "bad_response", False
    ),
    "an encoding nobody knows": (
        lambda: httpx.Response(200, headers={"content-encoding": "rot13"}, content=b"\x01\x02"),
        BadResponseError, "bad_response", False
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAILURES)
@pytest.mark.virtual_time
async def test_every_failure_becomes_its_reason_and_only_what_may_pass_is_tried_again(name):
    make, kind, reason, retried = FAILURES[name]

    async with a_scene() as scene:
        scene.answer(lambda _: make())
        error = await scene.failure(give_up=10.0)
        assert type(error) is kind
        assert error.reason == reason
        assert error.reason in Reason
        assert error.retry is retried
        assert (len(scene.times) > 2) is retried
        assert len(scene.times) == scene.observer.retries + 1 == len(scene.observer.requests)
        assert scene.now < 10.0
        scene.answer(WELL)  # nothing of it is left: no place, no connection
        await asyncio.gather(*(scene.search() for _ in range(4)))


@pytest.mark.parametrize("name", FAILURES)
@pytest.mark.virtual_time
async def test_no_error_tells_what_the_answer_said_nor_the_token(name, caplog):
    caplog.set_level(logging.DEBUG, "pearl_exporter")

    async with a_scene() as scene:
        scene.answer(lambda _: FAILURES[name][0]())
        error = await scene.failure(give_up=10.0)
        for text in (str(error), repr(error), caplog.text):
            assert PHONE not in text
            assert TOKEN not in text
        assert "\n" not in str(error)
        assert str(error)


@pytest.mark.virtual_time
async def test_the_status_is_told_in_the_standards_words():
    async with a_scene() as scene:
        scene.answer(problem(404))
        assert str(await scene.failure()).startswith("the API answered 404 Not Found")


@pytest.mark.virtual_time
async def test_a_redirect_is_not_followed_so_that_nobody_else_sees_the_token():
    async with a_scene() as scene:
        scene.answer(httpx.Response(307, headers={"location": "https://elsewhere.test/v1"}))
        await scene.failure()
        assert [call.request.url.host for call in scene.api.calls] == ["api.nlpearl.test"]


@pytest.mark.virtual_time
async def test_a_redirect_to_nowhere_is_an_error_of_ours():
    async with a_scene() as scene:
        scene.answer(httpx.Response(302, headers={"location": f"https://[{PHONE}:x/"}))
        assert PHONE not in str(await scene.failure(give_up=5.0))


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, AuthError), (404, NotFoundError), (400, BadRequestError), (503, ServerError)],
)
@pytest.mark.parametrize(
    "stream",
    [
        lambda: Stream(b" " * 1_000_000, forever=True),
        lambda: Stream(b" ", pause=0.3, forever=True),
        lambda: Stream(b" ", pause=1000.0),
    ],
    ids=["endless", "dripping", "hanging"],
)
@pytest.mark.virtual_time
async def test_the_status_of_an_error_counts_whatever_its_body_does(status, kind, stream):
    async with a_scene() as scene:
        body = stream()
        scene.answer(httpx.Response(status, headers=GZIP, stream=body))
        assert type(await scene.failure(give_up=2.0)) is kind
        assert scene.now <= 2.0
        assert body.is_closed
        assert body.sent <= 2_000_000


@settings(max_examples=40, deadline=None)
@given(
    st.integers(200, 999),
    st.binary(max_size=50),
    st.dictionaries(
        st.sampled_from(["retry-after", "date", "content-encoding", "location", "set-cookie"]),
        st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30)
        | st.sampled_from(["gzip", "deflate", "9" * 30, "Mon, 23 Nov 2026 99999999999:00:00 GMT"]),
    ),
)
def test_any_answer_is_a_page_or_an_api_error(status, body, headers):
    async def main() -> None:
        async with a_scene() as scene:
            scene.answer(lambda _: httpx.Response(status, headers=headers, stream=Stream(body)))
            with suppress(ApiError):
                assert isinstance(await scene.search(give_up=5.0), Page)
            assert scene.now <= 5.0

    run_virtually(main())


# --- trying again


@pytest.mark.virtual_time
async def test_a_passing_failure_is_not_seen_by_who_asks():
    async with a_scene() as scene:
        scene.answer(problem(503), httpx.ReadError(""), problem(429), WELL)
        assert await scene.search() == Page(0, [])
        assert len(scene.times) == 4


@pytest.mark.virtual_time
async def test_the_log_says_once_a_minute_whose_request_is_asked_again(caplog):
    caplog.set_level(logging.INFO, "pearl_exporter.api.client")
    async with a_scene() as scene:
        scene.answer(*[problem(503), WELL] * 10)
        for outbound in ("first", "second") * 5:
            await scene.search(outbound)
            await asyncio.sleep(20)
    told = [each for each in caplog.records if "retrying" in each.getMessage()]
    assert 3 <= len(told) <= 5
    assert {each.asked for each in told} <= {"first", "second"}
    assert told[0].asked == "first"


@pytest.mark.virtual_time
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
@pytest.mark.virtual_time
async def test_nothing_outlives_the_patience_of_a_poll(name, give_up):
    async with a_scene() as scene:
        scene.answer(lambda _: ENDLESS[name]())
        error = await scene.failure(give_up=give_up)
        assert error.retry
        assert scene.now <= give_up + 0.001
        assert scene.times[-1] < give_up
        longest = max(seconds for _, seconds in scene.observer.requests)
        assert longest <= 30.001


@pytest.mark.virtual_time
async def test_a_request_takes_no_longer_than_the_timeout():
    async with a_scene(timeout=30.0) as scene:
        scene.answer(after(31.0), WELL)
        await scene.search(give_up=60.0)
        assert 31.0 <= scene.times[1] <= 32.1


@pytest.mark.virtual_time
async def test_a_slow_api_that_answers_within_the_timeout_is_well():
    async with a_scene(timeout=60.0) as scene:
        scene.answer(after(45.0))
        await scene.search(give_up=120.0)
        assert scene.now == 45.0
        assert scene.observer.retries == 0


@pytest.mark.virtual_time
async def test_an_answer_that_comes_after_the_polls_patience_is_a_timeout():
    async with a_scene(timeout=60.0) as scene:
        scene.answer(after(20.0))
        assert (await scene.failure(give_up=15.0)).reason == "timeout"
        assert scene.now == 15.0
        assert len(scene.times) == 1


@pytest.mark.virtual_time
async def test_who_cancels_a_search_is_obeyed_and_leaves_nothing_behind():
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


@pytest.mark.virtual_time
async def test_a_search_cancelled_between_two_tries_asks_no_more():
    async with a_scene() as scene:
        scene.answer(problem(500))
        task = asyncio.ensure_future(scene.search())
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(100)
        assert len(scene.times) == 1


# --- slowing down


@pytest.mark.virtual_time
async def test_a_429_slows_all_outbounds_down_and_successes_speed_up_again():
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
@pytest.mark.virtual_time
async def test_other_failures_do_not_slow_down(answer):
    async with a_scene(rate_limit=2.0) as scene:
        scene.answer(answer)
        await scene.failure(give_up=5.0)
        assert scene.client.limiter.rate == 2.0


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.virtual_time
async def test_retry_after_in_seconds_pauses_all_outbounds(status):
    async with a_scene(rate_limit=2.0) as scene:
        scene.answer(problem(status, **{"retry-after": "20"}), WELL)
        first = asyncio.ensure_future(scene.search("a"))
        await asyncio.sleep(1)
        assert scene.client.limiter.paused_for == 19.0
        await asyncio.gather(first, scene.search("b"), scene.search("c"))
        assert scene.times[0] == 0.0
        assert min(scene.times[1:]) == 20.0


@pytest.mark.virtual_time
async def test_a_503_with_retry_after_pauses_and_does_not_slow_down():
    async with a_scene(rate_limit=2.0) as scene:
        scene.answer(problem(503, **{"retry-after": "20"}))
        await scene.failure(give_up=10.0)
        assert scene.client.limiter.rate == 0.0  # for the time of the pause
        await asyncio.sleep(15)
        assert scene.client.limiter.rate == 2.0


@pytest.mark.parametrize(("status", "reason"), [(429, "rate_limited"), (503, "server_error")])
@pytest.mark.virtual_time
async def test_who_has_no_turn_for_a_pause_fails_for_what_the_pause_was_asked_for(status, reason):
    async with a_scene() as scene:
        scene.answer(problem(status, **{"retry-after": "200"}))
        assert (await scene.failure("a", give_up=30.0)).reason == reason
        error = await scene.failure("b", give_up=30.0)
        assert error.reason == reason
        assert "the API asked to pause, 140 s are left" in str(error)


@pytest.mark.virtual_time
async def test_a_pause_is_the_reason_even_where_an_older_request_was_answered_since():
    async with a_scene() as scene:
        scene.answer(after(5.0), problem(429, **{"retry-after": "200"}))
        older = asyncio.ensure_future(scene.search("older"))
        await asyncio.sleep(1)
        newer = asyncio.ensure_future(scene.failure("newer", give_up=10.0))
        await older
        assert (await newer).reason == "rate_limited"


@pytest.mark.virtual_time
async def test_a_pause_holds_beyond_the_end_of_the_poll_and_is_capped():
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
@pytest.mark.virtual_time
async def test_retry_after_as_a_date_is_judged_by_the_answers_own_clock(api_ahead, status):
    there = EPOCH_SECONDS + api_ahead
    headers = {
        "date": formatdate(there, usegmt=True),
        "retry-after": formatdate(there + 25, usegmt=True),
    }
    async with a_scene() as scene:
        scene.answer(problem(status, **headers), WELL)
        await scene.search()
        assert scene.times == [0.0, 25.0]


@pytest.mark.virtual_time
async def test_retry_after_as_a_date_in_an_answer_without_one_is_judged_by_what_is_known():
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
@pytest.mark.virtual_time
async def test_a_retry_after_that_says_nothing_leaves_the_backoff_alone(value):
    headers = [(b"date", formatdate(EPOCH_SECONDS, usegmt=True).encode())]
    headers.append((b"retry-after", value.encode()))
    async with a_scene() as scene:
        scene.answer(httpx.Response(429, headers=headers), WELL)
        await scene.search()
        assert 1.0 <= scene.times[1] <= 2.1


# --- turns


@pytest.mark.virtual_time
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


@pytest.mark.virtual_time
async def test_a_wait_in_a_queue_that_moves_costs_no_patience():
    async with a_scene(concurrency=1) as scene:
        scene.answer(after(10.0), after(10.0), after(10.0), after(14.0))
        others = [asyncio.ensure_future(scene.search(f"o{each}")) for each in range(3)]
        await asyncio.sleep(0)
        await scene.search("last", give_up=15.0)
        assert scene.now == pytest.approx(44.0, abs=0.1)
        await asyncio.gather(*others)


@pytest.mark.virtual_time
async def test_only_the_part_of_a_wait_in_which_the_queue_moved_is_excused():
    async with a_scene(concurrency=1, timeout=600.0) as scene:
        scene.answer(after(10.0), after(45.0), after(FOREVER))
        others = [asyncio.ensure_future(scene.search(f"o{each}")) for each in range(2)]
        await asyncio.sleep(0)
        last = asyncio.ensure_future(scene.failure("last", give_up=60.0))
        await asyncio.sleep(20)
        others[1].cancel()  # 10 s after the queue moved for the last time
        assert (await last).reason == "timeout"
        assert scene.now == pytest.approx(10.0 + 60.0, abs=0.1)


@pytest.mark.virtual_time
async def test_where_others_are_refused_one_by_one_everybody_gets_a_turn():
    async with a_scene(rate_limit=2.0) as scene:
        scene.answer(lambda request: WELL if "good" in str(request.url) else problem(404))
        bad = [asyncio.ensure_future(scene.failure(f"bad{each}")) for each in range(200)]
        await asyncio.sleep(0)
        await scene.search("good", give_up=60.0)
        assert {error.reason for error in await asyncio.gather(*bad)} == {"not_found"}


@pytest.mark.virtual_time
async def test_without_a_turn_what_fails_for_all_is_the_reason():
    async with a_scene(concurrency=1, timeout=100.0) as scene:
        scene.answer(problem(500), after(FOREVER))
        first = asyncio.ensure_future(scene.failure("a", give_up=200.0))
        await asyncio.sleep(50)
        error = await scene.failure("b", give_up=20.0)
        assert type(error) is ServerError
        assert scene.now == 70.0
        first.cancel()


@pytest.mark.virtual_time
async def test_what_failed_for_all_before_a_success_is_no_reason_any_more():
    async with a_scene(concurrency=1, timeout=100.0) as scene:
        scene.answer(problem(500), WELL, after(FOREVER))
        await scene.search()
        hung = asyncio.ensure_future(scene.failure("hung", give_up=200.0))
        await asyncio.sleep(0)
        assert type(await scene.failure("b", give_up=20.0)) is RequestTimeoutError
        hung.cancel()


@pytest.mark.virtual_time
async def test_what_fails_for_one_outbound_alone_is_no_others_reason():
    async with a_scene(concurrency=1, timeout=100.0) as scene:
        scene.answer(problem(404), after(FOREVER))
        await scene.failure("a")
        hung = asyncio.ensure_future(scene.failure("hung", give_up=200.0))
        await asyncio.sleep(0)
        error = await scene.failure("b", give_up=20.0)
        assert error.reason == "timeout"
        assert "pause" not in str(error)
        hung.cancel()


@pytest.mark.virtual_time
async def test_a_bug_in_a_request_gives_its_turn_back():
    async with a_scene(concurrency=1) as scene:
        scene.answer(ZeroDivisionError(), WELL)
        with pytest.raises(ZeroDivisionError):
            await scene.search()
        await scene.search(give_up=1.0)


@pytest.mark.virtual_time
async def test_the_time_until_the_first_turn_is_told():
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


# --- patience


@pytest.mark.virtual_time
async def test_patience_runs_out_a_good_page_renews_it_and_an_excuse_stretches_it():
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


@pytest.mark.virtual_time
async def test_a_poll_that_goes_on_getting_pages_may_take_long():
    async with a_scene() as scene:
        scene.answer(after(25.0))
        deadline = Deadline(40.0)
        for _ in range(10):
            await scene.client.search("out", SEARCH, deadline)
        assert scene.now == pytest.approx(250.0, abs=0.1)


@pytest.mark.virtual_time
async def test_a_failed_try_does_not_renew_patience():
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


# --- who listens


@pytest.mark.virtual_time
async def test_every_request_is_told_with_its_status_and_its_time():
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


@pytest.mark.virtual_time
async def test_the_last_failure_is_not_told_as_a_retry():
    async with a_scene() as scene:
        scene.answer(problem(404))
        await scene.failure()
        assert scene.observer.retries == 0
        assert scene.observer.codes == ["404"]


@pytest.mark.virtual_time
async def test_waits_for_turns_are_told():
    waits: list[float] = []
    async with a_scene() as scene:
        client = PearlClient(
            ApiSettings(url=URL, rate_limit=0.5),
            scene.client.token,
            observer=scene.observer,
            api_clock=ApiClock(virtual_clock()),
            clock=virtual_clock(),
            on_wait=waits.append,
        )
        for _ in range(3):
            await client.search("out", SEARCH, Deadline(60.0))
        assert waits == pytest.approx([0, 2, 2], abs=0.03)
        await client.aclose()


@pytest.mark.parametrize("status", [200, 404, 503])
@pytest.mark.virtual_time
async def test_every_answer_tells_the_apis_time_by_its_head(status):
    """The head's time, not the middle of the request: a search may take tens of seconds."""
    clock = virtual_clock()
    api_clock = ApiClock(clock)
    async with a_scene(timeout=60.0) as scene:

        async def respond(_: httpx.Request) -> httpx.Response:
            await asyncio.sleep(40)
            body = json.dumps(EMPTY).encode()
            date = formatdate(clock.wall() + 100, usegmt=True)
            return httpx.Response(status, headers={"date": date}, stream=Stream(body, pause=0.9))

        scene.answer(respond)
        scene.client._wire._api_clock = api_clock
        with suppress(ApiError):
            await scene.search(give_up=41.0)
        assert api_clock.skew_seconds == pytest.approx(-100.0, abs=0.501)


# --- the token


@pytest.mark.parametrize(
    "pasted", [TOKEN, f" {TOKEN}\n", f"Bearer {TOKEN}", f"bearer  {TOKEN}\r\n", f'"{TOKEN}"']
)
@pytest.mark.virtual_time
async def test_a_pasted_token_is_sent_bare(pasted, tmp_path):
    file = tmp_path / "token"
    file.write_text(pasted)

    for source in (TokenSource(literal=SecretStr(pasted)), TokenSource(file=file)):
        async with a_scene(source=source) as scene:
            await scene.search()
            assert scene.last_request.headers["authorization"] == f"Bearer {TOKEN}"


def replace_file(file: Path, text: str) -> None:
    """As Kubernetes and careful people do: by rename."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


@pytest.mark.parametrize("write", [replace_file, Path.write_text], ids=["rename", "in place"])
@pytest.mark.virtual_time
async def test_a_token_file_is_read_again_when_it_changes(write, tmp_path):
    file = tmp_path / "token"
    file.write_text("a:first")

    async with a_scene(source=TokenSource(file=file)) as scene:
        await scene.search()
        assert scene.last_request.headers["authorization"] == "Bearer a:first"
        write(file, "Bearer a:second-one")
        await scene.search()
        assert scene.last_request.headers["authorization"] == "Bearer a:second-one"


@pytest.mark.virtual_time
async def test_a_try_after_the_first_bears_the_new_token(tmp_path):
    file = tmp_path / "token"
    file.write_text("a:first")

    async with a_scene(source=TokenSource(file=file)) as scene:

        def rotate(_: httpx.Request) -> httpx.Response:
            replace_file(file, "a:second-one")
            return problem(503)

        scene.answer(rotate, WELL)
        await scene.search()
        assert scene.last_request.headers["authorization"] == "Bearer a:second-one"


def spoil(file: Path) -> None:
    file.write_bytes(b"\xff\xfe")


def empty(file: Path) -> None:
    file.write_text("")


def make_a_directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize("break_it", [Path.unlink, spoil, empty, make_a_directory])
def test_a_token_file_that_breaks_is_told_once_and_the_last_good_token_is_kept(
    break_it, tmp_path, caplog
):
    file = tmp_path / "token"
    file.write_text(TOKEN)
    token = Token(TokenSource(file=file))
    break_it(file)
    assert [token.current() for _ in range(5)] == [TOKEN] * 5
    assert len(caplog.records) == 1
    assert TOKEN not in caplog.text
    assert str(file) == caplog.records[0].token_file
    if file.is_dir():
        file.rmdir()
    replace_file(file, "a:second-one")
    assert token.current() == "a:second-one"
    file.unlink()
    assert token.current() == "a:second-one"
    assert len(caplog.records) == 2


def test_a_token_that_can_not_be_read_at_first_is_refused(tmp_path):
    with pytest.raises(ValueError, match="there is no such file"):
        Token(TokenSource(file=tmp_path / "none"))


def test_no_repr_tells_a_token():
    token = Token(TokenSource(literal=SecretStr(TOKEN)))
    assert token.current() == TOKEN
    assert TOKEN not in repr(token) + repr(token._source)


# --- a real socket


class Raw:
    """A server that says exactly these bytes to each request, then goes on or hangs up."""

    def __init__(self, *answers: bytes, hang_up: bool = False) -> None:
        self.answers = list(answers)
        self.hang_up = hang_up
        self.connections = 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line.split(b":")[1])
                    for line in head.lower().split(b"\r\n")
                    if line.startswith(b"content-length")
                )
                await reader.readexactly(length)
                writer.write(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])
                await writer.drain()
                if self.hang_up:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()


def raw(status: str, body: bytes = b"", length: int | None = None) -> bytes:
    length = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n".encode() + body


GOOD = raw("200 OK", json.dumps(EMPTY).encode())


@pytest.mark.parametrize(
    ("answer", "hang_up", "reason"),
    [
        (f"+{PHONE} is no HTTP\r\n\r\n".encode(), True, "connection"),
        (f"HTTP/1.1 200 OK\r\n+{PHONE} is no header\r\n\r\n".encode(), True, "connection"),
        (raw("200 OK", b'{"count": 0, ', length=100), True, "connection"),
        (b"", True, "connection"),
        (raw("200 OK", b'{"count": 0, ', length=100), False, "timeout"),
        (raw(f"404 No {PHONE}"), False, "not_found"),
        (raw(f"500 No {PHONE}", b"x" * 200_000), False, "server_error"),
        (raw("200 OK", b" " * (MAX_BODY_BYTES + 1)), False, "bad_response"),
    ],
)
@pytest.mark.still_time
async def test_over_a_real_socket_a_failure_tells_nothing_and_leaves_no_connection_behind(
    answer, hang_up, reason
):
    server = Raw(answer, hang_up=hang_up)
    timeout = 0.5 if reason == "timeout" else 30.0
    # less than the shortest backoff where there would be a second try
    give_up = 30.0 if reason in ("not_found", "bad_response") else 0.9
    async with server() as url, a_real_client(url, timeout=timeout) as client:
        search = client.search("out", SEARCH, Deadline(give_up))
        with pytest.raises(ApiError) as caught:
            await (in_passing_time(search) if reason == "timeout" else search)
        assert caught.value.reason == reason
        assert PHONE not in str(caught.value)
        server.answers, server.hang_up = [GOOD], False
        assert await client.search("out", SEARCH, Deadline(5.0)) == Page(0, [])


@pytest.mark.still_time
async def test_a_short_error_body_does_not_cost_the_connection():
    server = Raw(raw("404 Not Found", b"x" * 2000), raw("400 Bad Request"), GOOD)
    async with server() as url, a_real_client(url) as client:
        for _ in range(2):
            with pytest.raises(ApiError):
                await client.search("out", SEARCH, Deadline(5.0))
        await client.search("out", SEARCH, Deadline(5.0))
        assert server.connections == 1


@pytest.mark.still_time
async def test_a_search_cut_short_over_a_real_socket_frees_its_connection():
    server = Raw(raw("200 OK", b'{"count": 0, ', length=100), GOOD)

    async def cut_short(client: PearlClient) -> None:
        async with asyncio.timeout(0.5):
            await client.search("out", SEARCH, Deadline(60.0))

    async with server() as url, a_real_client(url) as client:
        with pytest.raises(TimeoutError):
            await in_passing_time(cut_short(client))
        assert await client.search("out", SEARCH, Deadline(5.0)) == Page(0, [])
        assert server.connections == 2


@pytest.mark.still_time
async def test_where_nobody_listens_the_reason_is_the_connection():
    async with Raw(GOOD)() as url:
        pass
    async with a_real_client(url) as client:
        with pytest.raises(ConnectionFailedError, match="refused, nobody listens there"):
            await client.search("out", SEARCH, Deadline(0.5))


async def app_that_answers(scope, receive, send):
    request = Request(scope, receive)
    assert (await request.json())["limit"] == 100
    await JSONResponse(EMPTY)(scope, receive, send)


@pytest.mark.still_time
async def test_no_proxy_is_taken_from_the_environment(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
        monkeypatch.setenv(name.upper(), "http://127.0.0.1:1")
    with serving(app_that_answers) as url:
        async with a_real_client(url) as client:
            assert await client.search("out", SEARCH, Deadline(5.0)) == Page(0, [])


async def test_an_extra_trust_root_is_loaded():
    async with a_real_client("https://nowhere.test", ca_file=Path(certifi.where())) as client:
        assert client.limiter.rate == 1000.0


@pytest.mark.still_time
async def test_the_configured_proxy_is_used():
    server = Raw(GOOD)
    async with server() as url, a_real_client("http://nowhere.test", proxy=url) as client:
        assert await client.search("out", SEARCH, Deadline(5.0)) == Page(0, [])
        assert server.connections == 1
