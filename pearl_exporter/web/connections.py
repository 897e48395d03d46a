"""Connections: few at a time, and none for long.

uvicorn waits for ever for a client that sends nothing, sends a request byte by byte, or does not
read its answer. Here such a connection is closed, and where there are too many, the one that has
kept us waiting the longest makes room.
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
from pearl_exporter.web.access import OPEN_PATHS

_PAUSE_SECONDS = 0.1
"""After a connection that could not be accepted."""

_SILENCE_SECONDS = 60.0
"""How long the log says nothing more of the same."""

_PIECE = 1024
"""So many bytes are taken in at once: h11 measures a header only while its end has not come."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """How many connections, and how many seconds for what.

    ``spare`` ones are open beyond ``connections``, for probes of health alone.
    """

    connections: int = 200
    spare: int = 20
    handshake: float = 10.0
    request: float = 10.0
    answer: float = 60.0
    idle: float = 90.0
    look: float = 1.0


class Phase(Enum):
    """What a connection waits for. The value is the name of its limit."""

    REQUEST = "request"
    ANSWER = "answer"
    IDLE = "idle"


class Connection(H11Protocol):
    """One connection, which knows what it waits for and since when.

    ``allowed_names`` are those of which a client's certificate needs one; none where any will do.
    """

    allowed_names: tuple[str, ...] = ()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins to wait for a request."""
        super().connection_made(transport)
        self._waits: tuple[Phase, object] = (Phase.REQUEST, None)
        self._since = self.loop.time()
        if not self._is_allowed():
            transport.abort()

    def data_received(self, data: bytes) -> None:
        """Takes it in pieces, so that a header is too long however much of it comes at once."""
        for start in range(0, len(data), _PIECE):
            if self.transport.is_closing():
                return
            super().data_received(data[start : start + _PIECE])

    def look(self) -> tuple[Phase, float]:
        """What it waits for, and for how many seconds already. Each request begins anew."""
        now = self.loop.time()
        waits = (self._phase(), self.cycle)
        if waits != self._waits:
            self._waits, self._since = waits, now
        return waits[0], now - self._since

    def _phase(self) -> Phase:
        cycle = cast("RequestResponseCycle | None", self.cycle)  # None before the first request
        if self.conn.their_state is h11.SEND_BODY:
            return Phase.REQUEST
        if cycle is not None and not cycle.response_complete:
            return Phase.ANSWER
        if self.transport.get_write_buffer_size():
            return Phase.ANSWER
        if cycle is None or self.conn.trailing_data[0]:
            return Phase.REQUEST
        return Phase.IDLE

    def _is_allowed(self) -> bool:
        if not self.allowed_names:
            return True
        certificate: dict[str, Any] = self.transport.get_extra_info("peercert") or {}
        names = {alternative_name(value) for _, value in certificate.get("subjectAltName", ())}
        return not names.isdisjoint(self.allowed_names)


class Door:
    """Accepts the connections of one listener.

    Stands in for an `asyncio.Server` where uvicorn wants to close one.
    """

    def __init__(
        self,
        listener: socket.socket,
        new_connection: Callable[[], Connection],
        connections: set[Connection],
        config: Callable[[], WebConfig],
        limits: Limits,
    ) -> None:
        self._listener = listener
        self._new_connection = new_connection
        self._connections = connections
        self._config = config
        self._limits = limits
        self._handshakes: dict[asyncio.Task[None], float] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._silent_until = 0.0

    def open(self) -> None:
        """Begins to accept."""
        self._tasks = [asyncio.create_task(self._accept()), asyncio.create_task(self._look())]
        for task in self._tasks:
            task.add_done_callback(_tell_of_a_bug)

    def close(self) -> None:
        """Accepts no more, and gives up handshakes."""
        for task in (*self._tasks, *self._handshakes):
            task.cancel()

    async def wait_closed(self) -> None:
        """Waits for the end of what `close` has given up."""
        await asyncio.gather(*self._tasks, *self._handshakes, return_exceptions=True)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, _ = await loop.sock_accept(self._listener)
            except OSError as error:
                await self._after(error)
                continue
            self._admit(sock, loop.time())
            await asyncio.sleep(0)  # so that every connection is begun before the next is weighed

    async def _after(self, error: OSError) -> None:
        """Waits a little: no file descriptor, or one who went before we came, and both pass."""
        _log.debug("a connection could not be accepted", extra={"error": str(error)})
        if error.errno not in (errno.EMFILE, errno.ENFILE):
            await asyncio.sleep(_PAUSE_SECONDS)
            return
        now = asyncio.get_running_loop().time()
        if now >= self._silent_until:
            self._silent_until = now + _SILENCE_SECONDS
            _log.warning("no file descriptor is left: idle connections are closed to make room")
        room = self._make_room(now)
        await asyncio.sleep(_PAUSE_SECONDS / 10 if room else _PAUSE_SECONDS)

    def _admit(self, sock: socket.socket, now: float) -> None:
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
        """Closes who has kept us waiting the longest; gives how many that were, 1 or 0."""
        waiting: dict[Callable[[], object], float] = {
            connection.transport.abort: seconds
            for connection in self._connections
            for phase, seconds in [connection.look()]
            if phase is not Phase.ANSWER
        }
        waiting |= {task.cancel: now - since for task, since in self._handshakes.items()}
        if not waiting:
            return 0
        max(waiting, key=lambda close: waiting[close])()
        return 1

    async def _connect(self, sock: socket.socket, *, is_spare: bool) -> None:
        config = self._config()

        def new_connection() -> Connection:
            connection = self._new_connection()
            if config.tls is not None:
                connection.allowed_names = config.tls.client_allowed_sans
            if is_spare:
                connection.app = cast("Any", _health_alone(connection.app))
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
        except OSError as error:  # as TLS' errors are
            _log.debug("a handshake failed", extra={"error": str(error)})

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(self._limits.look)
            for connection in tuple(self._connections):
                phase, seconds = connection.look()
                if seconds > getattr(self._limits, phase.value):
                    connection.transport.abort()


def _tell_of_a_bug(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("connections are no longer watched", exc_info=error)


def _health_alone(app: Any) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in OPEN_PATHS:
            await app(scope, receive, send)
        else:
            headers = {"Connection": "close", "Retry-After": "1"}
            refusal = PlainTextResponse("too many connections\n", status_code=503, headers=headers)
            await refusal(scope, receive, send)

    return answer
