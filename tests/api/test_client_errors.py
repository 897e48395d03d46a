"""Every failure of a request becomes an error of its reason, and quotes nothing."""

import asyncio
import gzip
import logging
from contextlib import suppress

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pearl_exporter.api.body import MAX_BODY_BYTES
from pearl_exporter.api.deadline import Deadline
from pearl_exporter.errors import (
    ApiError,
    AuthError,
    BadRequestError,
    BadResponseError,
    ConnectionFailedError,
    InterceptedError,
    NotFoundError,
    RateLimitedError,
    Reason,
    RequestTimeoutError,
    ServerError,
)
from pearl_exporter.reading.search import Page
from tests.support.client_scene import (
    PHONE,
    SEARCH,
    TOKEN,
    URL,
    WELL,
    Stream,
    a_scene,
    problem,
)
from tests.support.virtual_time import run_virtually

pytestmark = pytest.mark.virtual_time

HTML = b"<html><body>Please sign in, or call +" + PHONE.encode() + b"</body></html>"
BOMB = gzip.compress(b" " * (MAX_BODY_BYTES + 1))
GZIP = {"content-encoding": "gzip"}


def challenge(status: int = 403, **headers: str) -> httpx.Response:
    """What a firewall answers in the place of the API."""
    return httpx.Response(
        status,
        content=b"<!DOCTYPE html><title>Just a moment, +" + PHONE.encode() + b"</title>",
        headers={"content-type": "text/html; charset=UTF-8"} | headers,
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
    "no content": (lambda: httpx.Response(204), InterceptedError, "bad_response", True),
    "accepted": (lambda: httpx.Response(202, json={}), InterceptedError, "bad_response", True),
    "a firewall's page": (challenge, InterceptedError, "bad_response", True),
    "408": (lambda: problem(408), RequestTimeoutError, "timeout", True),
    "425": (lambda: problem(425), RequestTimeoutError, "timeout", True),
    "407": (lambda: problem(407), ConnectionFailedError, "connection", True),
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
async def test_every_failure_becomes_an_error_of_its_reason(name):
    """Only what may pass is retried."""
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
async def test_no_error_quotes_the_answer_or_the_token(name, caplog):
    caplog.set_level(logging.DEBUG, "pearl_exporter")

    async with a_scene() as scene:
        scene.answer(lambda _: FAILURES[name][0]())
        error = await scene.failure(give_up=10.0)
        for text in (str(error), repr(error), caplog.text):
            assert PHONE not in text
            assert TOKEN not in text
        assert "\n" not in str(error)
        assert str(error)


async def test_the_status_is_told_in_the_standards_words():
    async with a_scene() as scene:
        scene.answer(problem(404))
        assert str(await scene.failure()).startswith("the API answered 404 Not Found")


JSON, TEXT = "application/problem+json", "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("status", "content_type", "content", "more", "said"),
    [
        (403, "text/html", HTML, {}, "a page of HTML (text/html): a firewall or proxy"),
        (403, "Text/HTML; charset=x", b"", {}, "a page of HTML (text/html): a firewall or proxy"),
        (403, "application/xhtml+xml", b"", {}, "a page of HTML (application/xhtml+xml)"),
        (403, TEXT, b"\xef\xbb\xbf \n" + HTML, {}, "a page of HTML (text/plain)"),
        (403, "", HTML, {}, "a page of HTML (no content type)"),
        (403, JSON, b"{}", {"CF-Mitigated": "challenge"}, "a challenge (cf-mitigated)"),
        (401, "text/html", HTML, {"cf-mitigated": "challenge"}, "a challenge (cf-mitigated)"),
        (403, JSON, HTML, {}, None),
        (403, TEXT, b"Forbidden", {}, None),
        (403, TEXT, b"", {}, None),
        (401, "text/html", HTML, {}, None),
        (401, "", b"", {}, None),
    ],
)
async def test_a_firewalls_refusal_is_not_the_tokens(status, content_type, content, more, said):
    headers = ({"content-type": content_type} if content_type else {}) | more
    async with a_scene() as scene:
        scene.answer(lambda _: httpx.Response(status, headers=headers, stream=Stream(content)))
        error = await scene.failure(give_up=10.0)
        assert isinstance(error, AuthError if said is None else InterceptedError)
        if said is not None:
            assert str(error).startswith(f"{status}, {said}")
            assert str(error).endswith(" before the API?")


@pytest.mark.parametrize("make", [challenge, lambda **more: httpx.Response(204, headers=more)])
async def test_a_firewall_is_waited_for_as_a_failing_server_is(make):
    async with a_scene() as scene:
        scene.answer(make(**{"retry-after": "7"}), make(), WELL)
        assert await scene.search() == Page(0, [])
        assert scene.times[1] == pytest.approx(7.0, abs=0.001)
        assert scene.times[2] - scene.times[1] >= 2.0


async def test_a_firewall_holds_no_other_outbound_back():
    async with a_scene() as scene:
        scene.client.share_among({"one": 30.0, "two": 30.0})
        scene.answer(lambda _: challenge())
        for outbound in ("one", "two"):
            async with scene.client.session(outbound, Deadline(5.0)) as session:
                with pytest.raises(InterceptedError):
                    await session.search(SEARCH)
            assert scene.client.next_allowed_at(outbound) == 0.0
        assert not scene.client.budget.is_refused


async def test_a_redirect_is_not_followed():
    """Another host would see the token."""
    async with a_scene() as scene:
        scene.answer(httpx.Response(307, headers={"location": "https://elsewhere.test/v1"}))
        await scene.failure()
        assert [call.request.url.host for call in scene.api.calls] == ["api.nlpearl.test"]


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
async def test_an_errors_status_counts_whatever_its_body_does(status, kind, stream):
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
