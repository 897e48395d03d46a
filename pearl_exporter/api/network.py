"""The network as asyncio has it, for httpcore: sockets without a library between.

httpcore's own backend goes through anyio, whose scopes and checkpoints take a third of the CPU of a
request as small as ours. This one keeps httpcore's interface and its exceptions; see
https://www.encode.io/httpcore/network-backends/.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, cast

import httpcore

_HIGH_WATER_BYTES = 256 * 1024
"""What is received but not read yet stays below about this: then the sender has to wait."""


class AsyncioBackend(httpcore.AsyncNetworkBackend):
    """Opens connections in the running event loop."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection; raises httpcore's `ConnectError` or `ConnectTimeout`."""
        local = None if local_address is None else (local_address, 0)
        connecting = asyncio.ensure_future(
            asyncio.get_running_loop().create_connection(
                _Received, host, port, local_addr=local, happy_eyeballs_delay=0.25
            )
        )
        try:
            async with _connecting(timeout):
                transport, protocol = await asyncio.shield(connecting)
        except BaseException:
            # cancelled amid its race of addresses, asyncio forgets to close a socket
            connecting.add_done_callback(_close_late)
            raise
        raw: socket.socket = transport.get_extra_info("socket")
        for option in socket_options or ():
            raw.setsockopt(*option)
        return AsyncioStream(transport, protocol)

    async def sleep(self, seconds: float) -> None:
        """Waits; httpcore does so between two tries to connect."""
        await asyncio.sleep(seconds)


class AsyncioStream(httpcore.AsyncNetworkStream):
    """One connection. What is written goes out once an answer is read: head and body in one."""

    def __init__(self, transport: asyncio.Transport, received: "_Received") -> None:
        self._transport = transport
        self._received = received
        self._unsent: list[bytes] = []

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        """The next bytes, none at the end; raises httpcore's `ReadError` or `ReadTimeout`."""
        self._send()
        return await self._received.take(max_bytes, timeout)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002, ASYNC109
        """Takes bytes to send; that they don't get through shows when the answer is read."""
        if buffer:
            self._unsent.append(buffer)

    async def aclose(self) -> None:
        """Closes the connection, at once."""
        self._transport.abort()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        """The same connection, encrypted; raises httpcore's `ConnectError` or `ConnectTimeout`."""
        self._send()
        try:
            async with _connecting(timeout):
                transport = await asyncio.get_running_loop().start_tls(
                    self._transport, self._received, ssl_context, server_hostname=server_hostname
                )
        except BaseException:
            await self.aclose()
            raise
        if transport is None:  # as typeshed has it; the connection is gone
            raise httpcore.ConnectError("the connection was closed")
        self._received.connection_made(transport)
        return AsyncioStream(transport, self._received)

    def get_extra_info(self, info: str) -> Any:
        """What httpcore asks for: whether there is something to read, and the TLS object."""
        if info == "is_readable":
            return self._received.is_readable
        if info == "server_addr":
            return self._transport.get_extra_info("peername")
        if info == "client_addr":
            return self._transport.get_extra_info("sockname")
        return self._transport.get_extra_info(info)

    def _send(self) -> None:
        if self._unsent:
            self._transport.write(b"".join(self._unsent))
            self._unsent.clear()


class _Received(asyncio.Protocol):
    """What has come in and was not read yet."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._has_ended = False
        self._failure: Exception | None = None
        self._reader: asyncio.Future[None] | None = None
        self._transport: asyncio.Transport | None = None
        self._is_paused = False

    @property
    def is_readable(self) -> bool:
        return bool(self._bytes) or self._has_ended

    async def take(self, max_bytes: int, timeout_seconds: float | None) -> bytes:
        if not self.is_readable:
            await self._wait(timeout_seconds)
        if not self._bytes and self._failure is not None:
            raise httpcore.ReadError(str(self._failure)) from self._failure
        taken = bytes(self._bytes[:max_bytes])
        del self._bytes[:max_bytes]
        if self._is_paused and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()
        return taken

    async def _wait(self, timeout_seconds: float | None) -> None:
        loop = asyncio.get_running_loop()
        reader = self._reader = loop.create_future()
        timer = None if timeout_seconds is None else loop.call_later(timeout_seconds, _end, reader)
        try:
            await reader
        finally:
            self._reader = None
            if timer is not None:
                timer.cancel()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._bytes += data
        if self._reader is not None:
            self._wake()
        elif len(self._bytes) > _HIGH_WATER_BYTES and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        self._has_ended = True
        self._wake()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._has_ended = True
        self._failure = exc
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


def _close_late(connecting: "asyncio.Future[tuple[asyncio.Transport, _Received]]") -> None:
    """Closes a connection that nobody waits for any more."""
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result()[0].abort()


def _end(reader: "asyncio.Future[None]") -> None:
    if not reader.done():
        reader.set_exception(httpcore.ReadTimeout())


@asynccontextmanager
async def _connecting(timeout_seconds: float | None) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(timeout_seconds):
            yield
    except TimeoutError as error:
        raise httpcore.ConnectTimeout(str(error)) from error
    except OSError as error:  # as TLS' errors are
        raise httpcore.ConnectError(str(error)) from error
