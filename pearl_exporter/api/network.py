"""The connections to the API: what arrives on them is measured before an answer is made of it.

httpcore keeps the bytes that follow an answer on its connection, and takes them for the next
answer. It reads any number of interim answers (1xx) and chunks of one byte, and does not let other
tasks run meanwhile. Both are prevented one level below, by its own hook for streams: `_Stream`
looks for the end of each answer with the parser that httpcore has, h11.

::

    httpcore's pool ── asks before each use: is the connection readable, that is, spoilt?
        │  write, read
    _Stream ────────── passes on what belongs to the answer, and no byte more
        │
    httpcore's stream  TCP or TLS

One read is always pending on an idle connection. What it brings was not asked for, be it bytes or
the end, and closes the connection. So bytes can hide neither in TLS nor in a buffer of asyncio's.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from ssl import SSLContext
from typing import Any

import h11
import httpcore
import httpx

from pearl_exporter.api.body import MAX_BODY_BYTES
from pearl_exporter.errors import BadResponseError

MAX_INTERIM_ANSWERS = 20
"""The most answers of 1xx before the answer itself (RFC 9110, section 15.2)."""

MAX_CHUNKS = 20_000
"""The most chunks of a body. A server that sends row by row sends a few thousand."""

MAX_ANSWER_BYTES = 2 * MAX_BODY_BYTES
"""The most bytes of an answer as they are received: heads, chunk sizes and trailers included."""

_READ_BYTES = 16 * 1024
"""The most bytes of one read: they are parsed at once, and may be 2,700 chunks of one byte."""

_MAX_HEAD_BYTES = 128 * 1024
"""More than httpcore's own limit for a head, which it reports."""

_LOOK_AHEAD_TURNS = 4
"""Turns of the event loop after which a read has returned what was received before it began."""

_TOO_LATE = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY})
"""Statuses that say that the connection, not the request, is at fault."""


class Network(httpx.AsyncBaseTransport):
    """Carries requests over httpcore's pool of connections, with `_Stream` below it.

    httpx' own transport has no way to set the stream. The client on top of it adds a fifth to the
    time of a request, and nothing that is wanted: cookies, redirects, credentials from ``.netrc``
    and proxies from the environment.
    """

    def __init__(
        self,
        context: SSLContext,
        *,
        proxy: str | None,
        max_connections: int,
        keepalive_seconds: float,
    ) -> None:
        """Build a pool, and connect nothing.

        Args:
            context: Which certificates are trusted.
            proxy: The URL of an HTTP proxy, perhaps with user and password.
            max_connections: The most connections, idle ones included.
            keepalive_seconds: How long an idle connection is kept.
        """
        limits: dict[str, Any] = {
            "ssl_context": context,
            "max_connections": max_connections,
            "max_keepalive_connections": max_connections,
            "keepalive_expiry": keepalive_seconds,
            "network_backend": _Backend(),
        }
        if proxy is None:
            self._pool = httpcore.AsyncConnectionPool(**limits)
        else:
            address = httpx.Proxy(proxy)
            self._pool = httpcore.AsyncHTTPProxy(
                _core_url(address.url), proxy_auth=address.raw_auth, **limits
            )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return the head of its answer; raise `httpx.HTTPError`."""
        assert isinstance(request.stream, httpx.AsyncByteStream)  # noqa: S101 - set by the client
        asked = httpcore.Request(
            method=request.method,
            url=_core_url(request.url),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _as_httpx_errors():
            answer = await self._pool.handle_async_request(asked)
            if answer.status in _TOO_LATE:
                await answer.aclose()  # unread, so that its connection is closed
                await self._close_idle()
                unread = httpx.ByteStream(b"")
                return httpx.Response(answer.status, headers=answer.headers, stream=unread)
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=_AnswerBody(answer),
            extensions=answer.extensions,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._pool.aclose()

    async def _close_idle(self) -> None:
        """Close what has idled as long as the connection on which the request came too late."""
        for connection in self._pool.connections:
            if connection.is_idle():
                await connection.aclose()


class _AnswerBody(httpx.AsyncByteStream):
    """The body of an answer, with httpx' errors."""

    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        assert isinstance(self._answer.stream, AsyncIterable)  # noqa: S101 - of an async pool
        with _as_httpx_errors():
            async for piece in self._answer.stream:
                yield piece

    async def aclose(self) -> None:
        with _as_httpx_errors():
            await self._answer.aclose()


_CORE_ERRORS = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
)


@contextmanager
def _as_httpx_errors() -> Iterator[None]:
    """Turn httpcore's errors within the block into those of the same names that httpx has."""
    try:
        yield
    except _CORE_ERRORS as error:
        raise getattr(httpx, type(error).__name__)(str(error)) from error


def _core_url(url: httpx.URL) -> httpcore.URL:
    return httpcore.URL(
        scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
    )


class _Backend(httpcore.AsyncNetworkBackend):
    """Connects as httpcore does, with a `_Stream` over each connection."""

    def __init__(self) -> None:
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        stream = await self._backend.connect_tcp(host, port, timeout, local_address, socket_options)
        return _Stream(stream)

    async def sleep(self, seconds: float) -> None:
        await self._backend.sleep(seconds)


class _Stream(httpcore.AsyncNetworkStream):
    """A connection that returns what belongs to the answer, and is spoilt by anything else.

    Invariants: from the first write of a request to the end of its answer, ``_exchange`` is that
    request's; it is None while the connection is idle. While it is idle, ``_ahead`` is a pending
    read, unless the connection is spoilt.
    """

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._exchange: _Exchange | None = None
        self._ahead: asyncio.Task[bytes] | None = None
        self._is_spoilt = False

    async def write(
        self,
        buffer: bytes,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
    ) -> None:
        if self._exchange is None and buffer:
            if self._has_unasked:
                # the pool takes another connection for the request, of which nothing was sent
                raise httpcore.ConnectionNotAvailable
            self._exchange = _Exchange(buffer.split(b" ", 1)[0])
        await self._stream.write(buffer, timeout)

    async def read(
        self,
        max_bytes: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
    ) -> bytes:
        piece = await self._next_piece(min(max_bytes, _READ_BYTES), timeout)
        # TLS may have many pieces at hand, and would give way to no other task
        await asyncio.sleep(0)
        if self._exchange is None:
            return piece
        size = self._exchange.take(piece)
        # where the answer ends is not known, so the next one could begin anywhere
        self._is_spoilt = not self._exchange.is_parsed
        if self._exchange.is_complete:
            self._exchange = None
            self._is_spoilt = size < len(piece)
            if not self._is_spoilt:
                await self._look_ahead()
        return piece[:size]

    async def _next_piece(self, max_bytes: int, seconds: float | None) -> bytes:
        if self._ahead is None:
            return await self._stream.read(max_bytes, seconds)
        # not cancelled with this task: `aclose` does it, which follows
        done, _ = await asyncio.wait({self._ahead}, timeout=seconds)
        if not done:
            raise httpcore.ReadTimeout
        ahead, self._ahead = self._ahead, None
        return ahead.result()

    async def _look_ahead(self) -> None:
        """Begin the read of what comes unasked, and wait until it has what is here already."""
        self._ahead = asyncio.create_task(self._stream.read(_READ_BYTES))
        self._ahead.add_done_callback(_retrieve_error)
        for _ in range(_LOOK_AHEAD_TURNS):
            await asyncio.sleep(0)

    @property
    def _has_unasked(self) -> bool:
        return self._is_spoilt or (self._ahead is not None and self._ahead.done())

    async def aclose(self) -> None:
        if self._ahead is not None:
            self._ahead.cancel()
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable" and self._has_unasked:
            return True
        return self._stream.get_extra_info(info)


def _retrieve_error(ahead: "asyncio.Task[bytes]") -> None:
    """Look at a task's error, or asyncio would log it: the connection is closed for it."""
    if not ahead.cancelled():
        ahead.exception()


class _Exchange:
    """One request, and how far its answer has come.

    Attributes:
        is_complete: Whether the answer has ended and its connection may be used again.
        is_parsed: Whether what came so far is HTTP.
    """

    def __init__(self, method: bytes) -> None:
        self.is_complete = False
        self.is_parsed = True
        self._bytes = self._chunks = self._interim_answers = 0
        self._parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD_BYTES)
        # of the request only the method matters to where its answer ends
        self._parser.send(h11.Request(method=method, target="/", headers=[("Host", "api")]))
        self._parser.send(h11.EndOfMessage())

    def take(self, piece: bytes) -> int:
        """Take what was read; return how much of it belongs to the answer.

        Raises:
            BadResponseError: There is more than an answer has.
        """
        self._bytes += len(piece)
        if self._bytes > MAX_ANSWER_BYTES:
            raise BadResponseError(
                f"the answer is larger than {MAX_ANSWER_BYTES >> 20} MiB as it is received"
            )
        if not self.is_parsed:
            return len(piece)
        try:
            self._parser.receive_data(piece)
            self._parse()
        except h11.RemoteProtocolError:
            self.is_parsed = False  # httpcore meets the same, and reports it
        if not self.is_complete:
            return len(piece)
        left_over, _ = self._parser.trailing_data
        return len(piece) - len(left_over)

    def _parse(self) -> None:
        while True:
            event = self._parser.next_event()
            if isinstance(event, h11.InformationalResponse):
                self._interim_answers += 1
                if self._interim_answers > MAX_INTERIM_ANSWERS:
                    raise BadResponseError(f"more than {MAX_INTERIM_ANSWERS} interim answers")
            elif isinstance(event, h11.Data):
                self._chunks += 1
                if self._chunks > MAX_CHUNKS:
                    raise BadResponseError(f"the answer comes in more than {MAX_CHUNKS} pieces")
            elif isinstance(event, h11.EndOfMessage):
                self.is_complete = self._parser.their_state is h11.DONE
                return
            elif event in (h11.NEED_DATA, h11.PAUSED) or isinstance(event, h11.ConnectionClosed):
                return
