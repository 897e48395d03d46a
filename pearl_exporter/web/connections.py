"""Connections: a limited number at a time, and each for a limited time.

uvicorn waits without end for a client that sends nothing, sends a request byte by byte, or does not
read its answer. Here such a connection is closed after a while. Where there are too many
connections, the one that has been waited for the longest is closed to make room.

A connection is in one of three phases, each with its own time limit::

    accepted ──► REQUEST ──whole request──► ANSWER ──whole answer taken──► IDLE
                    ▲                                                       │
                    └───────────────── first bytes of the next request ─────┘

A connection in `ConnectionPhase.ANSWER` is never closed to make room: that client is being served.
But where answers that nobody reads take too much memory, the slowest reader is closed before the
next answer is made.
"""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, cast

import h11
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from pearl_exporter.config.web.fields import alternative_name
from pearl_exporter.config.web.load import WebConfig
from pearl_exporter.polling.heap import trim_heap
from pearl_exporter.web.access import PROBE_PATHS

_PAUSE_SECONDS = 0.1
"""Pause after a connection that could not be accepted."""

_LOG_INTERVAL_SECONDS = 60.0
"""How long the same warning is not logged again."""

_CHUNK_BYTES = 1024
"""How many bytes h11 gets at a time.

h11 compares a header with its limit only while the header's end has not come. A long header that
came whole, in one piece, would pass.
"""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """How many connections there may be, and how long each may take.

    Attributes:
        connections: Connections that are served.
        spare: Connections beyond these that are accepted and get only health answered, so that
            probes get through.
        handshake: Seconds for a TLS handshake.
        request: Seconds until a request is whole.
        answer: Seconds until an answer is made and taken by the client.
        idle: Seconds between an answer and the next request.
        check_interval: Seconds between two checks of all connections.
        unread_bytes: Bytes of answers that clients have not taken yet, all clients together.
    """

    connections: int = 200
    spare: int = 20
    handshake: float = 10.0
    request: float = 10.0
    answer: float = 60.0
    idle: float = 90.0
    check_interval: float = 1.0
    unread_bytes: int = 64 * 1024 * 1024


class ConnectionPhase(Enum):
    """What a connection waits for. The value is the name of its limit in `ConnectionLimits`."""

    REQUEST = "request"
    ANSWER = "answer"
    IDLE = "idle"


class Connection(H11Protocol):
    """One connection, which knows what it waits for and for how long already.

    Attributes:
        allowed_names: The client's certificate must have one of these names; empty: any will do.
    """

    allowed_names: tuple[str, ...] = ()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._waits_for: tuple[ConnectionPhase, object] = (ConnectionPhase.REQUEST, None)
        self._since = self.loop.time()
        if not self._is_allowed():
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """Pass data to h11 in pieces: see `_CHUNK_BYTES`."""
        for start in range(0, len(data), _CHUNK_BYTES):
            if self.transport.is_closing():
                return
            super().data_received(data[start : start + _CHUNK_BYTES])

    def current_phase(self) -> tuple[ConnectionPhase, float]:
        """Return the phase, and for how many seconds a check has found the same one.

        The phase of another request counts as another one, though it has the same name.
        """
        now = self.loop.time()
        waits_for = (self._phase(), self.cycle)
        if waits_for != self._waits_for:
            self._waits_for, self._since = waits_for, now
        return waits_for[0], now - self._since

    def _phase(self) -> ConnectionPhase:
        cycle = cast("RequestResponseCycle | None", self.cycle)  # None before the first request
        if self.conn.their_state is h11.SEND_BODY:
            return ConnectionPhase.REQUEST
        if cycle is not None and not cycle.response_complete:
            return ConnectionPhase.ANSWER
        if self.transport.get_write_buffer_size():  # made, but not yet taken by the client
            return ConnectionPhase.ANSWER
        if cycle is None or self.conn.trailing_data[0]:  # a part of the next request is here
            return ConnectionPhase.REQUEST
        return ConnectionPhase.IDLE

    def _is_allowed(self) -> bool:
        if not self.allowed_names:
            return True
        certificate: dict[str, Any] = self.transport.get_extra_info("peercert") or {}
        names = {alternative_name(value) for _, value in certificate.get("subjectAltName", ())}
        return not names.isdisjoint(self.allowed_names)


class ConnectionGuard:
    """Accepts the connections of one listener, and closes those that take too long.

    For uvicorn it stands in for an `asyncio.Server`, which has `close` and `wait_closed`.
    """

    def __init__(
        self,
        listener: socket.socket,
        new_connection: Callable[[], Connection],
        connections: set[Connection],
        config: Callable[[], WebConfig],
        limits: ConnectionLimits,
    ) -> None:
        self._listener = listener
        self._new_connection = new_connection
        self._connections = connections
        self._config = config
        self._limits = limits
        self._handshakes: dict[asyncio.Task[None], float] = {}
        self._tasks: list[asyncio.Task[None]] = []
        # from which second on a warning may be logged again
        self._may_warn_at: dict[str, float] = {}
        self._has_closed_slow_readers = False

    def open(self) -> None:
        """Begin to accept connections."""
        loops = (self._accept_all(), self._close_overdue())
        self._tasks = [asyncio.create_task(each) for each in loops]
        for task in self._tasks:
            task.add_done_callback(_log_crash)

    def close(self) -> None:
        """Accept no more connections, and cancel handshakes."""
        for task in (*self._tasks, *self._handshakes):
            task.cancel()

    async def wait_closed(self) -> None:
        """Wait until everything that `close` cancelled has ended."""
        await asyncio.gather(*self._tasks, *self._handshakes, return_exceptions=True)

    async def _accept_all(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, _ = await loop.sock_accept(self._listener)
            except OSError as error:
                await self._pause_after(error)
                continue
            self._admit(sock, loop.time())
            # Let this connection's task begin before the next connection is counted: making room
            # for that one may cancel it.
            await asyncio.sleep(0)

    async def _pause_after(self, error: OSError) -> None:
        """Pause after a failed accept.

        Either the client went before it was accepted, or no file descriptor is left. Both pass; of
        the second the exporter's own idle connections may be the cause.
        """
        _log.debug("a connection could not be accepted", extra={"error": str(error)})
        if error.errno not in (errno.EMFILE, errno.ENFILE):
            await asyncio.sleep(_PAUSE_SECONDS)
            return
        self._warn("no file descriptor is left: closing idle connections to make room")
        room = self._make_room(asyncio.get_running_loop().time())
        await asyncio.sleep(_PAUSE_SECONDS / 10 if room else _PAUSE_SECONDS)

    def _admit(self, sock: socket.socket, now: float) -> None:
        """Serve a connection, serve it for probes alone, or close it at once."""
        count = len(self._connections) + len(self._handshakes)
        if count >= self._limits.connections:
            count -= self._make_room(now)
        if count >= self._limits.connections + self._limits.spare:
            sock.close()
            return
        is_spare = count >= self._limits.connections
        task = asyncio.create_task(self._connect(sock, is_spare=is_spare))
        self._handshakes[task] = now
        task.add_done_callback(self._handshakes.pop)

    def _make_room(self, now: float) -> int:
        """Close the connection that was waited for the longest; return how many that were, 0 or 1.

        A handshake is such a connection too; one that waits for its answer is not.
        """
        waiting: dict[Callable[[], object], float] = {
            connection.transport.abort: seconds
            for connection in self._connections
            for phase, seconds in [connection.current_phase()]
            if phase is not ConnectionPhase.ANSWER
        }
        waiting |= {task.cancel: now - since for task, since in self._handshakes.items()}
        if not waiting:
            return 0
        close_longest = max(waiting, key=lambda close: waiting[close])
        close_longest()
        return 1

    async def _connect(self, sock: socket.socket, *, is_spare: bool) -> None:
        """Shake hands, if there is TLS, and hand the socket to a `Connection`."""
        config = self._config()  # one for the whole handshake: it may be replaced meanwhile

        def new_connection() -> Connection:
            connection = self._new_connection()
            if config.tls is not None:
                connection.allowed_names = config.tls.client_allowed_sans
            app = _probes_only(connection.app) if is_spare else self._within_memory(connection.app)
            connection.app = cast("Any", app)
            return connection

        seconds = None if config.context is None else self._limits.handshake
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                new_connection,
                sock,
                ssl=config.context,
                ssl_handshake_timeout=seconds,
                ssl_shutdown_timeout=seconds,
            )
        except OSError as error:  # ssl.SSLError is one
            _log.debug("a TLS handshake failed", extra={"error": str(error)})

    def _within_memory(self, app: Any) -> ASGIApp:
        """Return an application that lets no answer be made while too many bytes are unread."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            self._close_slow_readers()
            await app(scope, receive, send)

        return answer

    def _close_slow_readers(self) -> None:
        """Close those who take the longest to read, until few enough bytes are unread."""
        unread = {each: each.transport.get_write_buffer_size() for each in self._connections}
        excess = sum(unread.values()) - self._limits.unread_bytes
        if excess <= 0:
            return
        self._warn("answers wait to be read: closing the connections that read the slowest")
        slowest_first = sorted(unread, key=lambda each: -each.current_phase()[1])
        for connection in slowest_first:
            if excess > 0 and unread[connection]:
                connection.transport.abort()
                excess -= unread[connection]
        self._has_closed_slow_readers = True

    def _warn(self, text: str) -> None:
        """Log a warning, unless the same one was logged lately."""
        now = asyncio.get_running_loop().time()
        if now >= self._may_warn_at.get(text, 0.0):
            self._may_warn_at[text] = now + _LOG_INTERVAL_SECONDS
            _log.warning(text)

    async def _close_overdue(self) -> None:
        while True:
            await asyncio.sleep(self._limits.check_interval)
            if self._has_closed_slow_readers:
                self._has_closed_slow_readers = False
                trim_heap()  # the C library keeps freed memory of this size
            for connection in tuple(self._connections):  # an abort may change the set
                phase, seconds = connection.current_phase()
                if seconds > getattr(self._limits, phase.value):
                    connection.transport.abort()


def _log_crash(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("connections are no longer watched", exc_info=error)


def _probes_only(app: Any) -> ASGIApp:
    """Return an application that passes probes on to ``app`` and refuses all else with 503."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in PROBE_PATHS:
            await app(scope, receive, send)
        else:
            headers = {"Connection": "close", "Retry-After": "1"}
            refusal = PlainTextResponse("too many connections\n", status_code=503, headers=headers)
            await refusal(scope, receive, send)

    return answer
