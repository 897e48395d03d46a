"""What a peer sends beside the answer never becomes an answer, and takes neither time nor room."""

import asyncio
import gzip
import json
import ssl
import time
import zlib
from collections.abc import Awaitable

import pytest
import trustme

from pearl_exporter.api.body import MAX_BODY_BYTES
from pearl_exporter.api.client import PearlClient
from pearl_exporter.api.deadline import Deadline
from pearl_exporter.api.network import MAX_CHUNKS, MAX_INTERIM_ANSWERS
from pearl_exporter.errors import (
    ApiError,
    BadResponseError,
    ConnectionFailedError,
    RequestTimeoutError,
)
from pearl_exporter.reading.search import Page
from tests.support.client_scene import PHONE, SEARCH
from tests.support.real_client import a_real_client
from tests.support.stream_servers import Raw, listening, raw, read_request
from tests.support.virtual_time import in_passing_time

pytestmark = pytest.mark.still_time


def body(count: int, size: int = 0) -> bytes:
    return json.dumps({"count": count, "results": []}).encode().ljust(size)


def page(count: int, size: int = 0) -> bytes:
    return raw("200 OK", body(count, size))


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    sent = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + sent + end


def packed(content: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
    return head % len(content) + content


def search(client: PearlClient, give_up: float = 0.9) -> Awaitable[Page]:
    """One try, as less time than the shortest backoff allows no second one."""
    return client.search("out", SEARCH, Deadline(give_up))


# --- bytes behind an answer

FORGED = page(666)


def body_bytes(answer_bytes: int) -> int:
    """The length of a body by which an answer is so long."""
    return next(
        size
        for size in range(answer_bytes - 100, answer_bytes)
        if len(page(1, size)) == answer_bytes
    )


LEFT_OVER = {
    "an answer": (page(1), FORGED),
    "an answer behind chunks": (chunked(body(1)), FORGED),
    "an answer behind trailers": (chunked(body(1), end=b"0\r\nX-Sum: 1\r\n\r\n"), FORGED),
    "an answer in chunks": (page(1), chunked(body(666))),
    "many answers": (page(1), FORGED * 50),
    "the begin of a head that swallows the next": (page(1), b"HTTP/1.1 200 OK\r\nX-Swallow: "),
    "the begin of a body that swallows the next": (page(1), FORGED[:-5]),
    "a line break": (page(1), b"\r\n"),
    "a zero": (page(1), b"\0"),
    "an interim answer": (page(1), b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "rubbish": (page(1), b"+" + PHONE.encode()),
    # reads end where the answer does, so that what follows is in a buffer below
    **{
        f"an answer behind {size >> 10} KiB": (page(1, body_bytes(size)), FORGED)
        for size in (16_384, 32_768, 65_536, 131_072)
    },
}


@pytest.mark.parametrize("name", LEFT_OVER)
async def test_what_follows_an_answer_closes_its_connection(name):
    first, left_over = LEFT_OVER[name]
    server = Raw(first + left_over, page(2))
    async with server() as url, a_real_client(url) as client:
        assert await search(client) == Page(1, [])
        assert await search(client) == Page(2, [])
        assert await search(client) == Page(2, [])
    assert server.connections == 2


@pytest.mark.parametrize(
    ("status", "content"),
    [("204 No Content", b""), ("404 Not Found", b"x" * 300), ("503 Wait", b""), ("400 No", b"")],
)
async def test_what_follows_an_error_is_no_answer_either(status, content):
    head = raw(status, content) if content or "204" not in status else b"HTTP/1.1 204 No\r\n\r\n"
    server = Raw(head + FORGED, page(2))
    async with server() as url, a_real_client(url) as client:
        with pytest.raises(ApiError):
            await search(client)
        assert await search(client) == Page(2, [])
    assert server.connections == 2


async def test_a_body_of_204_is_no_answer():
    server = Raw(raw("204 No Content", FORGED), page(2))
    async with server() as url, a_real_client(url) as client:
        with pytest.raises(BadResponseError, match="204 No Content, an answer without calls"):
            await search(client)
        assert await search(client) == Page(2, [])
    assert server.connections == 2


async def test_a_length_that_is_too_short_forges_nothing():
    short = raw("200 OK", body(1) + FORGED, length=len(body(1)))
    server = Raw(short, page(2))
    async with server() as url, a_real_client(url) as client:
        assert await search(client) == Page(1, [])
        assert await search(client) == Page(2, [])


async def test_what_comes_while_nothing_is_asked_closes_the_connection():
    answered = 0
    idle: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()

    async def answer(reader, writer):
        nonlocal answered
        while True:
            await read_request(reader)
            answered += 1
            writer.write(page(answered))
            idle.put_nowait(writer)

    async with listening(answer) as port, a_real_client(f"http://127.0.0.1:{port}") as client:
        assert await search(client) == Page(1, [])
        first = await idle.get()
        first.write(FORGED)
        await first.drain()
        for _ in range(20):
            await asyncio.sleep(0)
        assert await search(client) == Page(2, [])
        assert await idle.get() is not first


async def test_an_answer_alone_keeps_its_connection():
    kept = (page(1), chunked(body(2)), chunked(body(3)[:5], body(3)[5:]), raw("404 None"), page(4))
    server = Raw(*kept)
    async with server() as url, a_real_client(url) as client:
        for count in (1, 2, 3):
            assert await search(client) == Page(count, [])
        with pytest.raises(ApiError):
            await search(client)
        for _ in range(3):
            assert await search(client) == Page(4, [])
    assert server.connections == 1


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    root = trustme.CA()
    path = tmp_path_factory.mktemp("tls") / "root.pem"
    root.cert_pem.write_to_path(path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    root.issue_cert("127.0.0.1").configure_cert(context)
    return context, path


@pytest.mark.parametrize("size", [0, body_bytes(16_384), body_bytes(65_536), 200_000])
async def test_over_tls_too(tls, size):
    """There the socket is empty while a record of its own waits in a buffer."""
    connections = asked = 0

    async def answer(reader, writer):
        nonlocal connections, asked
        connections += 1
        while True:
            await read_request(reader)
            asked += 1
            writer.write(page(asked, size))
            if asked == 1:
                writer.write(FORGED)

    context, root = tls
    async with (
        listening(answer, context) as port,
        a_real_client(f"https://127.0.0.1:{port}", ca_file=root) as client,
    ):
        for count in (1, 2, 3):
            assert await search(client) == Page(count, [])
    assert connections == 2


# --- requests that came too late


@pytest.mark.parametrize("status", ["408 Request Timeout", "425 Too Early"])
@pytest.mark.parametrize("content", [b"", b"x" * 100])
async def test_a_request_that_came_too_late_gets_a_new_connection(status, content):
    """Also if another connection idles, which has been idle for as long."""
    served: list[int] = []
    requests = 0

    async def answer(reader, writer):
        nonlocal requests
        number = len(served)
        served.append(0)
        while True:
            await read_request(reader)
            requests += 1
            served[number] += 1
            if requests in (1, 2):  # both at once, so that there are two connections
                both.release()
                await gate.wait()
            writer.write(raw(status, content) if requests == 3 else page(requests))

    both, gate = asyncio.Semaphore(0), asyncio.Event()
    async with (
        listening(answer) as port,
        a_real_client(f"http://127.0.0.1:{port}", concurrency=2) as client,
    ):
        two = [asyncio.create_task(search(client)) for _ in range(2)]
        for _ in two:
            await both.acquire()
        gate.set()
        await asyncio.gather(*two)
        assert await in_passing_time(search(client, give_up=10.0)) == Page(4, [])
    assert len(served) == 3
    assert served[2] == 1


async def test_a_request_that_always_comes_too_late_is_a_timeout():
    server = Raw(raw("408 Request Timeout"))
    async with server() as url, a_real_client(url) as client:
        with pytest.raises(RequestTimeoutError, match="408 Request Timeout: the request came"):
            await search(client)


# --- what has no end


@pytest.mark.parametrize("interim", [100, 102, 103, 199])
async def test_interim_answers_are_limited(interim):
    said = b"HTTP/1.1 %d Wait\r\n\r\n" % interim
    server = Raw(said * MAX_INTERIM_ANSWERS + page(1), said * (MAX_INTERIM_ANSWERS + 1) + page(2))
    async with server() as url, a_real_client(url) as client:
        assert await search(client) == Page(1, [])
        with pytest.raises(BadResponseError, match="more than 20 interim answers"):
            await search(client)


async def longest_wait_of_another(asked: Awaitable[object]) -> float:
    """The longest time in which no other task could run until it ended."""
    task = asyncio.ensure_future(asked)
    longest = 0.0
    while not task.done():
        began = time.perf_counter()
        await asyncio.sleep(0)
        longest = max(longest, time.perf_counter() - began)
    with pytest.raises(BadResponseError):
        await task
    return longest


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        (b"", b"HTTP/1.1 100 Go\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"1;" + b"x" * 9000 + b"\r\n \r\n",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", b" " * 65_536),
        (
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 99999999\r\n\r\n"
            + gzip.compress(b"")[:10],
            b"\0\0\0\xff\xff" * 1000,  # empty blocks of deflate
        ),
    ],
    ids=["interim", "chunks", "chunk extensions", "identity", "empty blocks"],
)
async def test_what_has_no_end_is_given_up_and_lets_others_run(begin, piece):
    sent = 0

    async def go_on(reader, writer):
        nonlocal sent
        await read_request(reader)
        writer.write(begin)
        while True:
            writer.write(piece * (65_536 // len(piece) + 1))
            await writer.drain()
            sent += 65_536

    async with listening(go_on) as port, a_real_client(f"http://127.0.0.1:{port}") as client:
        assert await longest_wait_of_another(search(client, give_up=60.0)) < 1.0
    assert sent < 3 * MAX_BODY_BYTES


async def test_as_many_chunks_as_are_allowed_are_read():
    chunks = (b" ",) * (MAX_CHUNKS - 10)
    server = Raw(chunked(body(1), *chunks), chunked(body(2), *chunks, *chunks))
    async with server() as url, a_real_client(url) as client:
        assert await search(client, give_up=60.0) == Page(1, [])
        with pytest.raises(BadResponseError, match="in more than 20000 pieces"):
            await search(client, give_up=60.0)


# --- compressed bodies


@pytest.mark.parametrize(
    "behind", [b"x", b"\0" * 8, gzip.compress(body(666)), b"\n"], ids=["x", "zeros", "gzip", "line"]
)
async def test_what_follows_a_compressed_body_is_refused_at_once(behind):
    """At once: the rest of the answer never comes."""
    content = gzip.compress(body(1)) + behind
    answer = packed(content).replace(b"Length: %d" % len(content), b"Length: 1000000")
    server = Raw(answer)
    async with server() as url, a_real_client(url) as client:
        with pytest.raises(BadResponseError, match="goes on behind the end"):
            await search(client)


async def test_a_compressed_body_is_not_longer_than_an_unpacked_one():
    blocks = zlib.compressobj(0, wbits=31)
    content = blocks.compress(b" " * (MAX_BODY_BYTES - 1000)) + blocks.flush()
    assert len(content) > MAX_BODY_BYTES
    server = Raw(packed(content))
    async with server() as url, a_real_client(url) as client:
        with pytest.raises(BadResponseError, match="larger than 16 MiB"):
            await search(client, give_up=60.0)


# --- proxies


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_wants_a_password_is_named(scheme):
    async def refuse(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(raw(f"407 {PHONE}", PHONE.encode()))

    async with (
        listening(refuse) as port,
        a_real_client(
            f"{scheme}://api.test", proxy=f"http://user:s3cr3t@127.0.0.1:{port}"
        ) as client,
    ):
        with pytest.raises(ConnectionFailedError) as caught:
            await search(client)
    assert str(caught.value) == (
        "a proxy answered 407 Proxy Authentication Required: "
        "check the user and password of api.proxy"
    )


async def test_a_proxy_that_is_not_configured_is_named_too():
    server = Raw(raw("407 Proxy Authentication Required"))
    async with server() as url, a_real_client(url) as client:
        with pytest.raises(ConnectionFailedError, match=r"a proxy answered 407 .*: set api.proxy"):
            await search(client)


async def test_a_tunnel_that_a_proxy_refuses_is_told_by_its_status():
    async def refuse(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(raw(f"403 {PHONE}"))

    async with (
        listening(refuse) as port,
        a_real_client("https://api.test", proxy=f"http://127.0.0.1:{port}") as client,
    ):
        with pytest.raises(ConnectionFailedError, match=r"api.proxy answered 403 Forbidden in"):
            await search(client)
