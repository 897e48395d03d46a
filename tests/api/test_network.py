"""httpcore's network over asyncio: real sockets, real TLS, and what a broken peer comes to."""

import asyncio
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace

import httpcore
import pytest
import trustme

from pearl_exporter.api.client import PearlClient
from pearl_exporter.api.deadline import Deadline
from pearl_exporter.api.network import AsyncioBackend, AsyncioStream
from pearl_exporter.errors import ConnectionFailedError
from pearl_exporter.reading.search import Page, Search
from tests.support.real_client import a_real_client
from tests.support.virtual_time import in_passing_time

pytestmark = pytest.mark.still_time

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server that leaves no socket behind, whatever became of its connections."""
    writers: list[asyncio.StreamWriter] = []
    tasks: list[asyncio.Task[None]] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        tasks.append(asyncio.current_task())
        try:
            await handler(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            with suppress(AttributeError):  # one that has just closed has no loop any more
                writer.transport.abort()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await rounds()  # what was aborted is closed in the loop's next rounds


async def rounds() -> None:
    """Lets the loop do what it can at once."""
    for _ in range(100):
        await asyncio.sleep(0)


@asynccontextmanager
async def connected(handler: Handler) -> AsyncIterator[AsyncioStream]:
    async with listening(handler) as port:
        stream = await AsyncioBackend().connect_tcp(
            "127.0.0.1", port, 5.0, "127.0.0.1", [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
        )
        try:
            yield stream
        finally:
            await stream.aclose()


async def test_head_and_body_go_out_together_once_an_answer_is_waited_for():
    packets = []

    async def echo(reader, writer):
        packets.append(await reader.read(1000))
        writer.write(packets[0])
        await reader.read()

    async with connected(echo) as stream:
        await stream.write(b"head,")
        await stream.write(b"")
        await stream.write(b"body")
        assert await stream.read(4, 5.0) == b"head"
        assert await stream.read(100, 5.0) == b",body"
    assert packets == [b"head,body"]


async def test_a_slow_reader_gets_every_byte_and_holds_the_sender_up():
    data = bytes(range(256)) * 64 * 1024
    sent = asyncio.Event()

    async def send(reader, writer):
        await reader.read(2)
        writer.write(data)
        await writer.drain()
        sent.set()

    async with connected(send) as stream:
        await stream.write(b"go")
        received = await stream.read(1, 5.0)
        await rounds()
        assert len(stream._received._bytes) < 4 * 256 * 1024
        assert not sent.is_set()
        while len(received) < len(data):
            received += await stream.read(65_536, 5.0)
    assert received == data


async def test_the_end_of_a_connection_is_an_empty_read():
    async def say(reader, writer):
        await reader.read(2)
        writer.write(b"bye")

    async with connected(say) as stream:
        assert not stream.get_extra_info("is_readable")
        await stream.write(b"go")
        assert await stream.read(100, 5.0) == b"bye"
        assert await stream.read(100, 5.0) == b""
        assert stream.get_extra_info("is_readable")
        assert await stream.read(100, 5.0) == b""


async def test_a_reset_connection_is_a_read_error():
    async def reset(reader, writer):
        await reader.read(2)
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()

    async with connected(reset) as stream:
        await stream.write(b"go")
        with pytest.raises(httpcore.ReadError):
            await stream.read(100, 5.0)


async def test_a_peer_that_says_nothing_is_a_timeout_and_can_be_read_afterwards():
    more = asyncio.Event()

    async def wait(_reader, writer):
        await more.wait()
        writer.write(b"late")

    async with connected(wait) as stream:
        with pytest.raises(httpcore.ReadTimeout):
            await in_passing_time(stream.read(100, 0.01))
        assert not stream.get_extra_info("is_readable")
        more.set()
        assert await stream.read(100, 5.0) == b"late"


async def test_a_stream_tells_of_its_two_ends():
    async def wait(reader, _writer):
        await reader.read()

    async with connected(wait) as stream:
        raw = stream.get_extra_info("socket")
        assert stream.get_extra_info("client_addr") == raw.getsockname()
        assert stream.get_extra_info("server_addr") == raw.getpeername()
        assert stream.get_extra_info("ssl_object") is None
        assert raw.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


async def test_who_does_not_listen_is_a_connect_error():
    async def nothing(_reader, _writer):
        pass

    async with listening(nothing) as port:
        pass
    with pytest.raises(httpcore.ConnectError):
        await AsyncioBackend().connect_tcp("127.0.0.1", port, 5.0)
    with pytest.raises(httpcore.ConnectError):
        await AsyncioBackend().connect_tcp("nowhere.invalid", 80, 5.0)


async def test_who_does_not_answer_is_a_connect_timeout():
    async def nothing(_reader, _writer):
        pass

    async with listening(nothing) as port:
        with pytest.raises(httpcore.ConnectTimeout):
            await AsyncioBackend().connect_tcp("127.0.0.1", port, 0.0)


# --- TLS, by the client itself


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


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers each search with an empty page."""
    body = json.dumps({"count": 0, "results": []}).encode()
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if b"content-length" in line]
        await reader.readexactly(int(lengths[0].split(b":")[1]))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def search(client: PearlClient) -> Awaitable[Page]:
    return client.search("out", Search(0, 1000, 0, 100), Deadline(0.5))


async def test_the_client_uses_this_network_over_tls_and_keeps_its_connection(tls):
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
        (connection,) = client._wire._transport._pool.connections
        assert isinstance(connection._connection._network_stream, AsyncioStream)
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


async def test_a_tunnel_through_a_proxy_is_encrypted_to_the_api_itself(tls):
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
