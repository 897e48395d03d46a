"""The client over real sockets: TLS, proxies, and peers that break off or say nothing."""

import asyncio
import json
import socket
import ssl
import struct
from collections.abc import Awaitable
from pathlib import Path
from types import SimpleNamespace

import certifi
import pytest
import trustme
from starlette.requests import Request
from starlette.responses import JSONResponse

from pearl_exporter.api.body import MAX_BODY_BYTES
from pearl_exporter.api.client import PearlClient
from pearl_exporter.api.deadline import Deadline
from pearl_exporter.errors import ApiError, ConnectionFailedError, RequestTimeoutError
from pearl_exporter.reading.search import Page, Search
from tests.support.client_scene import EMPTY, PHONE, SEARCH
from tests.support.real_client import a_real_client
from tests.support.serving import serving
from tests.support.stream_servers import Raw, listening, raw, read_request
from tests.support.virtual_time import in_passing_time

pytestmark = pytest.mark.still_time

GOOD = raw("200 OK", json.dumps(EMPTY).encode())


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers each search with an empty page."""
    while True:
        await read_request(reader)
        writer.write(GOOD)


def search(client: PearlClient, give_up: float = 0.5) -> Awaitable[Page]:
    """One try, as less time than the shortest backoff allows no second one."""
    return client.search("out", Search(0, 1000, 0, 100), Deadline(give_up))


# --- peers that break off or say nothing


def reset(writer: asyncio.StreamWriter) -> None:
    """Closes the connection with a RST, as a peer that has crashed does."""
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


@pytest.mark.parametrize(
    "said", [b"", b"HTTP/1.1 200 OK\r\n", GOOD[:-5]], ids=["nothing", "head", "body"]
)
async def test_a_reset_is_a_failed_connection(said):
    async def say_and_reset(reader, writer):
        await read_request(reader)
        writer.write(said)
        await writer.drain()
        reset(writer)

    async with (
        listening(say_and_reset) as port,
        a_real_client(f"http://127.0.0.1:{port}") as client,
    ):
        with pytest.raises(ConnectionFailedError):
            await search(client)


async def test_a_reset_during_the_handshake_is_a_failed_connection():
    async def reset_at_once(reader, writer):
        await reader.read(10)
        reset(writer)

    async with (
        listening(reset_at_once) as port,
        a_real_client(f"https://127.0.0.1:{port}") as client,
    ):
        with pytest.raises(ConnectionFailedError):
            await search(client)


async def test_an_idle_connection_that_the_peer_closed_is_replaced():
    connections = 0
    closed: asyncio.Queue[None] = asyncio.Queue()

    async def answer_once(reader, writer):
        nonlocal connections
        connections += 1
        await read_request(reader)
        writer.write(GOOD)
        writer.write_eof()
        closed.put_nowait(None)

    async with listening(answer_once) as port, a_real_client(f"http://127.0.0.1:{port}") as client:
        for _ in range(3):
            assert await search(client) == Page(0, [])
            await closed.get()
    assert connections == 3


async def test_a_silent_peer_is_a_timeout_that_frees_its_slot():
    is_silent = True

    async def wait_or_answer(reader, writer):
        if is_silent:
            await reader.read(-1)
        await answer(reader, writer)

    async with (
        listening(wait_or_answer) as port,
        a_real_client(f"http://127.0.0.1:{port}", timeout=2.0) as client,
    ):
        with pytest.raises(RequestTimeoutError):
            await in_passing_time(search(client, give_up=2.5))
        is_silent = False
        assert await search(client) == Page(0, [])


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_peer_that_accepts_nothing_is_a_timeout(scheme):
    """A full backlog: the kernel leaves a SYN unanswered, as a firewall that drops packets does."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        try:
            for each in fillers:
                each.setblocking(False)
                each.connect_ex(("127.0.0.1", port))
            async with a_real_client(f"{scheme}://127.0.0.1:{port}", timeout=2.0) as client:
                with pytest.raises(RequestTimeoutError):
                    await in_passing_time(search(client, give_up=2.5))
        finally:
            for each in fillers:
                each.close()


async def test_a_peer_that_answers_no_handshake_is_a_timeout():
    async def wait(reader, _writer):
        await reader.read()

    async with (
        listening(wait) as port,
        a_real_client(f"https://127.0.0.1:{port}", timeout=2.0) as client,
    ):
        with pytest.raises(RequestTimeoutError):
            await in_passing_time(search(client, give_up=2.5))


async def test_a_large_body_is_received_as_fast_as_it_is_read():
    """What is too large is not received whole before it is refused: the sender has to wait."""
    sent = 0

    async def send_without_end(reader, writer):
        nonlocal sent
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % 10**9)
        while True:
            writer.write(b" " * 65_536)
            await writer.drain()
            sent += 65_536

    async with (
        listening(send_without_end) as port,
        a_real_client(f"http://127.0.0.1:{port}") as client,
    ):
        with pytest.raises(ApiError, match="larger than 16 MiB"):
            await search(client, give_up=30.0)
    assert sent < 32 << 20


async def test_cancelled_connects_leave_no_socket():
    """A socket that is forgotten warns when it is collected, and a warning fails the test."""

    async def wait(reader, _writer):
        await reader.read()

    async with (
        listening(wait) as port,
        a_real_client(f"http://127.0.0.1:{port}", concurrency=8) as client,
    ):
        for rounds in range(20):
            searches = [asyncio.ensure_future(search(client)) for _ in range(8)]
            for _ in range(rounds):
                await asyncio.sleep(0)
            for each in searches:
                each.cancel()
            await asyncio.gather(*searches, return_exceptions=True)


# --- answers


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
async def test_a_failure_quotes_nothing_and_frees_its_connection(answer, hang_up, reason):
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


async def test_a_short_error_body_does_not_cost_the_connection():
    server = Raw(raw("404 Not Found", b"x" * 2000), raw("400 Bad Request"), GOOD)
    async with server() as url, a_real_client(url) as client:
        for _ in range(2):
            with pytest.raises(ApiError):
                await client.search("out", SEARCH, Deadline(5.0))
        await client.search("out", SEARCH, Deadline(5.0))
        assert server.connections == 1


async def test_a_cancelled_search_frees_its_connection():
    server = Raw(raw("200 OK", b'{"count": 0, ', length=100), GOOD)

    async def cut_short(client: PearlClient) -> None:
        async with asyncio.timeout(0.5):
            await client.search("out", SEARCH, Deadline(60.0))

    async with server() as url, a_real_client(url) as client:
        with pytest.raises(TimeoutError):
            await in_passing_time(cut_short(client))
        assert await client.search("out", SEARCH, Deadline(5.0)) == Page(0, [])
        assert server.connections == 2


async def test_where_nobody_listens_the_reason_is_the_connection():
    async with Raw(GOOD)() as url:
        pass
    async with a_real_client(url) as client:
        with pytest.raises(ConnectionFailedError, match="refused, nobody listens there"):
            await client.search("out", SEARCH, Deadline(0.5))


# --- TLS and proxies


@pytest.fixture(scope="module")
def tls(tmp_path_factory) -> SimpleNamespace:
    root = trustme.CA()
    folder = tmp_path_factory.mktemp("tls")
    root.cert_pem.write_to_path(folder / "root.pem")
    trustme.CA().cert_pem.write_to_path(folder / "other.pem")
    contexts = {}
    for name in ("127.0.0.1", "elsewhere.test"):
        contexts[name] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        root.issue_cert(name).configure_cert(contexts[name])
    return SimpleNamespace(folder=folder, contexts=contexts)


async def test_a_connection_over_tls_is_kept(tls):
    served = []

    async def note_and_answer(reader, writer):
        served.append(writer.get_extra_info("ssl_object").version())
        await answer(reader, writer)

    root = tls.folder / "root.pem"
    async with (
        listening(note_and_answer, tls.contexts["127.0.0.1"]) as port,
        a_real_client(f"https://127.0.0.1:{port}", ca_file=root) as client,
    ):
        for _ in range(3):
            assert await search(client) == Page(0, [])
    assert served == ["TLSv1.3"]


@pytest.mark.parametrize(
    ("certificate_of", "root", "said"),
    [
        ("127.0.0.1", "other.pem", r"not trusted: .*\(check api.ca_file\)"),
        ("elsewhere.test", "root.pem", "IP address mismatch"),
    ],
)
async def test_a_certificate_that_is_not_trusted_is_refused(tls, certificate_of, root, said):
    async with (
        listening(answer, tls.contexts[certificate_of]) as port,
        a_real_client(f"https://127.0.0.1:{port}", ca_file=tls.folder / root) as client,
    ):
        with pytest.raises(ConnectionFailedError, match=said):
            await search(client)


async def test_a_tunnel_through_a_proxy_is_encrypted_to_the_api(tls):
    asked = []

    async def tunnel(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head.split(b"\r\n")[0])
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", api_port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            await asyncio.gather(pump(reader, to_writer), pump(to_reader, writer))
        finally:
            to_writer.transport.abort()

    async def pump(reader, writer):
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()

    async with (
        listening(answer, tls.contexts["elsewhere.test"]) as api_port,
        listening(tunnel) as proxy_port,
        a_real_client(
            "https://elsewhere.test",
            ca_file=tls.folder / "root.pem",
            proxy=f"http://127.0.0.1:{proxy_port}",
        ) as client,
    ):
        assert await search(client) == Page(0, [])
        assert await search(client) == Page(0, [])
    assert asked == [b"CONNECT elsewhere.test:443 HTTP/1.1"]


async def app_that_answers(scope, receive, send):
    request = Request(scope, receive)
    assert (await request.json())["limit"] == 100
    await JSONResponse(EMPTY)(scope, receive, send)


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


async def test_the_configured_proxy_is_used():
    server = Raw(GOOD)
    async with server() as url, a_real_client("http://nowhere.test", proxy=url) as client:
        assert await client.search("out", SEARCH, Deadline(5.0)) == Page(0, [])
        assert server.connections == 1
