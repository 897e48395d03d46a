"""Connections over real sockets: those that take too long are closed, and others get through.

Limits are tenths of seconds here; what is tested is that they are kept, not how long they are.
Time stands still but where a limit is to be reached.
"""

import asyncio
import os
import resource
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from pearl_exporter.config import ListenAddress
from pearl_exporter.serving import guarded_server, listen_on
from pearl_exporter.web.config_watcher import WebConfigWatcher
from pearl_exporter.web.connections import ConnectionLimits
from tests.support.certificates import Certificates, make_certificates
from tests.support.patience import PATIENT
from tests.support.virtual_time import in_passing_time, pass_time

pytestmark = pytest.mark.still_time

SHORT = ConnectionLimits(handshake=0.2, request=0.2, answer=0.2, idle=0.2, check_interval=0.02)
LONG = ConnectionLimits()
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LARGE = 20_000_000


async def _hello(request: Request) -> Response:
    return PlainTextResponse("x" * int(request.query_params.get("size", "5")))


APP = Starlette(routes=[Route("/", _hello), Route("/-/healthy", _hello)])


@asynccontextmanager
async def served(limits: ConnectionLimits, web_config: Path | None = None) -> AsyncIterator[int]:
    """The port of a server of `APP`."""
    listener = listen_on(ListenAddress("127.0.0.1", 0))
    server = guarded_server(APP, WebConfigWatcher(web_config), limits)
    serving = asyncio.create_task(server.serve([listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await in_passing_time(serving)


async def get(port: int, path: str = "/") -> httpx.Response:
    async with httpx.AsyncClient(**PATIENT) as client:
        return await client.get(f"http://127.0.0.1:{port}{path}")


async def opened(port: int, data: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    await writer.drain()
    return reader, writer


async def until_closed(reader: asyncio.StreamReader) -> bytes:
    """What comes before the other side hangs up."""
    data = b""
    with suppress(ConnectionResetError):
        while piece := await reader.read(65_536):
            data += piece
    return data


async def answer_of(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"xxxxx")


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"G",
        GET[:-2],
        GET + GET[:5],
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc",
    ],
    ids=["nothing", "a byte", "half a header", "half a second request", "half a body"],
)
async def test_who_does_not_finish_a_request_is_closed(sent):
    async with served(SHORT) as port:
        reader, writer = await opened(port, sent)
        for _ in range(sent.count(GET)):
            assert b"200 OK" in await answer_of(reader)
        assert await in_passing_time(until_closed(reader)) == b""
        writer.close()


async def test_who_drips_a_header_byte_by_byte_is_closed():
    async with served(SHORT) as port:
        reader, writer = await opened(port, b"GET / HTTP/1.1\r\nHost: ")

        async def drip() -> None:
            while True:
                writer.write(b"x")
                await pass_time(0.05)

        dripping = asyncio.create_task(drip())
        assert await in_passing_time(until_closed(reader)) == b""
        dripping.cancel()
        writer.close()


async def test_who_does_not_read_an_answer_is_closed():
    async with served(SHORT) as port:
        with socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(slow, ("127.0.0.1", port))
            await loop.sock_sendall(slow, GET.replace(b"/ ", b"/?size=%d " % LARGE))
            received = len(await loop.sock_recv(slow, 1))
            for _ in range(10):
                await pass_time(0.05)
            with suppress(ConnectionResetError):  # one of the two ways to be closed
                while size := len(await loop.sock_recv(slow, 65_536)):
                    received += size
            assert 0 < received < LARGE


async def test_answers_that_nobody_reads_take_bounded_memory(caplog):
    """The slowest reader is closed before the next answer is made, and who reads is served."""
    few = ConnectionLimits(unread_bytes=2 * LARGE)
    async with served(few) as port:
        loop = asyncio.get_running_loop()
        slow = [socket.socket() for _ in range(5)]
        for each in slow:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            each.setblocking(False)
            await loop.sock_connect(each, ("127.0.0.1", port))
            await loop.sock_sendall(each, GET.replace(b"/ ", b"/?size=%d " % LARGE))
            await loop.sock_recv(each, 1)
            for _ in range(3):  # checks, which see since when each waits
                await pass_time(1.1)
        assert len((await get(port, f"/?size={LARGE}")).content) == LARGE
        closed = [await is_closed(each) for each in slow]
        for each in slow:
            each.close()
    assert closed == [True, True, True, False, False]
    assert [each.message for each in caplog.records] == [
        "answers wait to be read: closing the connections that read the slowest"
    ]


async def is_closed(sock: socket.socket) -> bool:
    """Whether the other side hung up before its answer was whole."""
    loop, received = asyncio.get_running_loop(), 0
    with suppress(ConnectionResetError):
        while received < LARGE and (size := len(await loop.sock_recv(sock, 1 << 20))):
            received += size
    return received < LARGE


async def test_who_stays_without_asking_is_closed():
    async with served(SHORT) as port:
        reader, writer = await opened(port, GET)
        assert await answer_of(reader)
        assert await in_passing_time(until_closed(reader)) == b""
        writer.close()


async def test_who_asks_now_and_then_keeps_the_connection():
    async with served(SHORT) as port:
        reader, writer = await opened(port)
        for _ in range(6):  # longer than any limit, but for no request
            writer.write(GET)
            assert await answer_of(reader)
            await pass_time(0.1)
        writer.close()


@pytest.mark.parametrize("end", [b"", b"\r\n\r\n"], ids=["without end", "whole, at once"])
async def test_a_header_that_is_too_long_is_refused(end):
    async with served(LONG) as port:
        reader, writer = await opened(port, GET[:-2] + b"X: " + b"x" * 18_000 + end)
        data = await until_closed(reader)
        assert data.startswith(b"HTTP/1.1 400 ")
        assert data.count(b"HTTP/1.1") == 1
        writer.close()


async def test_a_long_header_and_many_requests_at_once_are_answered():
    async with served(LONG) as port:
        long = GET[:-2] + b"X: " + b"x" * 15_000 + b"\r\n\r\n"
        last = GET[:-2] + b"Connection: close\r\n\r\n"
        reader, writer = await opened(port, GET * 200 + long + last)
        assert (await until_closed(reader)).count(b"200 OK") == 202
        writer.close()


async def test_who_keeps_us_waiting_makes_room_for_who_asks():
    few = ConnectionLimits(connections=5, spare=2)
    async with served(few) as port:
        silent = [await opened(port, sent) for sent in [b"", b"G", GET, GET[:-2]] * 10]
        for _ in range(5):
            assert (await get(port)).status_code == 200
        for _, writer in silent:
            writer.close()


async def test_health_is_answered_when_all_connections_are_busy():
    """Other requests get 503 then."""
    few = ConnectionLimits(connections=3, spare=2)
    async with served(few) as port:
        asked = GET.replace(b"/ ", b"/?size=%d " % LARGE)
        busy = [await opened(port, asked) for _ in range(3)]
        for reader, _ in busy:
            await reader.readexactly(1)  # all are in the middle of an answer
        assert (await get(port, "/-/healthy")).status_code == 200
        answer = await get(port)
        assert (answer.status_code, answer.headers["connection"]) == (503, "close")
        for _, writer in busy:
            writer.transport.abort()


async def test_beyond_the_spare_ones_connections_are_closed_at_once():
    few = ConnectionLimits(connections=1, spare=0)
    async with served(few) as port:
        reader, writer = await opened(port, GET.replace(b"/ ", b"/?size=%d " % LARGE))
        await reader.readexactly(1)
        other, other_writer = await opened(port, GET)
        assert await until_closed(other) == b""
        for each in (writer, other_writer):
            each.transport.abort()


@contextmanager
def descriptors_left(count: int) -> Iterator[None]:
    """Let this process open at most ``count`` more files."""
    lowest = os.dup(0)
    os.close(lowest)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + count, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_idle_connections_give_up_their_file_descriptors(caplog):
    """A client that asks is answered although no file descriptor was left."""
    async with served(LONG) as port:
        with ExitStack() as stack:
            clients = [stack.enter_context(socket.socket()) for _ in range(12)]
            for client in clients:
                client.connect(("127.0.0.1", port))  # not accepted before the loop runs again
            clients[-1].send(GET)
            clients[-1].setblocking(False)
            with descriptors_left(3):
                loop = asyncio.get_running_loop()
                answer = await in_passing_time(loop.sock_recv(clients[-1], 100))
        assert answer.startswith(b"HTTP/1.1 200 OK")
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "no file descriptor is left" in caplog.text


# --- TLS


@pytest.fixture
def made(tmp_path: Path) -> Certificates:
    return make_certificates(tmp_path)


@pytest.fixture
def web_config(made: Certificates) -> Path:
    path = made.folder / "web.yml"
    path.write_text(
        "tls_server_config: {cert_file: server.crt, key_file: server.key, client_ca_file: ca.pem,"
        " client_auth_type: RequireAndVerifyClientCert,"
        " client_allowed_sans: ['2001:0db8:0:0::1', prometheus.lan]}\n"
    )
    return path


async def get_by_tls(port: int, made: Certificates, client: Path | None) -> httpx.Response:
    context = ssl.create_default_context(cafile=str(made.ca))
    if client is not None:
        context.load_cert_chain(client)
    async with httpx.AsyncClient(verify=context, **PATIENT) as http:
        return await http.get(f"https://localhost:{port}/")


async def test_a_client_needs_a_certificate_with_one_of_the_names(made, web_config):
    async with served(LONG, web_config) as port:
        assert (await get_by_tls(port, made, made.client)).status_code == 200
        for other in (None, made.other_client, made.strange_client):
            with pytest.raises(httpx.TransportError):
                await get_by_tls(port, made, other)


async def test_who_does_not_shake_hands_is_closed(made, web_config):
    async with served(SHORT, web_config) as port:
        reader, writer = await opened(port)
        assert await in_passing_time(until_closed(reader)) == b""
        writer.close()


async def test_who_does_not_shake_hands_makes_room(made, web_config):
    few = ConnectionLimits(connections=3, spare=1)
    async with served(few, web_config) as port:
        silent = [await opened(port) for _ in range(20)]
        assert (await get_by_tls(port, made, made.client)).status_code == 200
        for _, writer in silent:
            writer.close()


async def test_plain_http_is_not_answered_where_tls_is_asked_for(made, web_config):
    async with served(LONG, web_config) as port:
        with pytest.raises(httpx.TransportError):
            await get(port)
