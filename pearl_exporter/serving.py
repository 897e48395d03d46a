"""Runs the exporter behind a real socket until it is told to stop."""

import asyncio
import gc
import logging
import signal
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, cast

import uvicorn
from starlette.types import ASGIApp

from pearl_exporter.app import App
from pearl_exporter.config import ListenAddress
from pearl_exporter.web.access import Access
from pearl_exporter.web.connections import Connection, Door, Limits
from pearl_exporter.web.endpoints import build_endpoints
from pearl_exporter.web.live_config import LiveWebConfig, described
from pearl_exporter.web.view import Reload, View

STOP_SECONDS = 4.0
"""How long stopping may take; a service manager is promised an end within 5 s."""

_GRACE_SECONDS = 1.0
_LONGEST_GRACE_SECONDS = 2
"""How long an answer under way may take while stopping, and until uvicorn cancels it itself."""

_log = logging.getLogger(__name__)


class Server(uvicorn.Server):
    """uvicorn, but for the signals, which are the exporter's to handle, and for slow readers."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves the signal handlers alone."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends by itself the answers that nobody reads, which uvicorn would call its errors."""
        cut = asyncio.get_running_loop().call_later(_GRACE_SECONDS, self._cut_off)
        try:
            await super().shutdown(sockets)
        finally:
            cut.cancel()

    def _cut_off(self) -> None:
        for connection in tuple(self.server_state.connections):
            connection.transport.abort()


class GuardedServer(Server):
    """A server that lets in by a web configuration, and keeps nobody for long: see `Door`."""

    def __init__(self, config: uvicorn.Config, web: LiveWebConfig, limits: Limits) -> None:
        super().__init__(config)
        self._web = web
        self._limits = limits
        self._doors: list[Door] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accepts connections by itself, where uvicorn would leave that to asyncio."""
        connections = cast("set[Connection]", self.server_state.connections)

        def new_connection() -> Connection:
            return Connection(self.config, self.server_state, app_state={})

        for sock in sockets or ():
            door = Door(
                sock, new_connection, connections, lambda: self._web.rules.config, self._limits
            )
            door.open()
            self._doors.append(door)
        self.servers = cast("list[asyncio.Server]", self._doors)
        self.started = True


def guarded_server(asgi: ASGIApp, web: LiveWebConfig, limits: Limits | None = None) -> Server:
    """A server that answers whom the web configuration lets in."""
    access = Access(asgi, lambda: web.rules)
    return GuardedServer(_config(access, http=Connection), web, limits or Limits())


def new_server(asgi: ASGIApp, *, date_header: bool = True) -> Server:
    """A server for an ASGI application, without logs and headers of its own."""
    return Server(_config(asgi, date_header=date_header))


def _config(
    asgi: ASGIApp, *, date_header: bool = True, http: type[Connection] | Literal["auto"] = "auto"
) -> uvicorn.Config:
    return uvicorn.Config(
        asgi,
        http=http,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=date_header,
        proxy_headers=False,
        ws="none",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_LONGEST_GRACE_SECONDS,
        h11_max_incomplete_event_size=16 * 1024,
    )


def listen_on(address: ListenAddress) -> socket.socket:
    """A listening socket; raises OSError if the address is taken or not ours."""
    family, type_, protocol, _, target = socket.getaddrinfo(
        address.host or None,
        address.port,
        type=socket.SOCK_STREAM,
        # asyncio turns off Nagle's delay, 40 ms an answer, only for what is openly TCP
        proto=socket.IPPROTO_TCP,
        flags=socket.AI_PASSIVE,
    )[0]
    listener = socket.socket(family, type_, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(target)
        listener.listen(512)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


async def run(
    app: App,
    listener: socket.socket,
    others: Sequence[tuple[Server, socket.socket]] = (),
    *,
    announce: Callable[[], None],
    reload: Reload | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT, then stops within `STOP_SECONDS`; SIGHUP calls ``reload``.

    Whoever has heard from ``announce`` that it runs may already tell it to stop. Raises ConfigError
    if the web configuration is bad, which `load_settings` has checked before.
    """
    asyncio.get_running_loop().set_exception_handler(_tell_of_any_bug)
    web = LiveWebConfig(app.settings.web.config_file)
    stop = stop_event()
    hangups = None if reload is None else _Hangups(reload, stop)
    if app.settings.web.config_file is not None:
        _log.info("web configuration read", extra=described(web.rules.config))
    gc.freeze()  # what was imported stays: each look at it for garbage costs tens of milliseconds
    announce()
    over_http = reload if app.settings.web.enable_reload else None
    endpoints = build_endpoints(view_of(app, over_http))
    own = guarded_server(endpoints, web)
    servers = [(own, listener), *others]
    serving: list[asyncio.Task[None]] = []
    following = asyncio.create_task(web.follow())
    try:
        # first of all: no scrape must miss the counters that were saved
        await _start(app, stop)
        if not stop.is_set():
            if hangups is not None:
                hangups.begin()
            serving += [asyncio.create_task(server.serve([sock])) for server, sock in servers]
            await _first_of(stop, serving)
    finally:
        following.cancel()
        own.should_exit = True
        await _end(app, [server for server, _ in others], serving)


def hold_hangups() -> None:
    """Keeps a SIGHUP waiting until there is someone to answer it: unheard, it ends the process."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})


def view_of(app: App, reload: Reload | None = None) -> View:
    """What the endpoints see of an application."""
    return View(
        exposition=app.exposition,
        is_alive=lambda: app.schedule.is_alive,
        is_ready=lambda: app.is_ready,
        seconds_to_next_poll=app.seconds_to_next_poll,
        now=app.api_clock.now,
        reload=reload,
        beat_age=lambda: app.schedule.beat_age,
        is_discovering=lambda: not app.platform.is_ready,
        budget_of=app.budget_of,
    )


def stop_event() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()

    def asked_to_stop(name: str) -> None:
        _log.info("already stopping" if stop.is_set() else "stopping", extra={"signal": name})
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked_to_stop, number.name)
    loop.add_signal_handler(signal.SIGHUP, _log.info, "SIGHUP: there is no configuration to read")
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
    return stop


class _Hangups:
    """Answers each SIGHUP with a reload, from `begin` until ``stop`` is set.

    One that came before `begin` is made up for.
    """

    def __init__(self, reload: Reload, stop: asyncio.Event) -> None:
        self._reload = reload
        self._stop = stop
        self._came_early = False
        self._has_begun = False
        self._going_on: set[asyncio.Future[tuple[str, ...]]] = set()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._hang_up)

    def begin(self) -> None:
        """The exporter runs, and can go over to another configuration."""
        self._has_begun = True
        if self._came_early:
            self._hang_up()

    def _hang_up(self) -> None:
        if self._stop.is_set():
            _log.info("SIGHUP: already stopping")
            return
        if not self._has_begun:
            _log.info("SIGHUP: the configuration is read anew when all have started")
            self._came_early = True
            return
        task = asyncio.ensure_future(self._reload())
        self._going_on.add(task)  # the loop itself holds its tasks weakly
        task.add_done_callback(self._going_on.discard)
        task.add_done_callback(_tell_of_a_bug)


def _tell_of_any_bug(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """The loop's own words alone: what it would add names the error with what that says."""
    _log.error(str(context["message"]), exc_info=context.get("exception"))


def _tell_of_a_bug(task: asyncio.Future[tuple[str, ...]]) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        _log.error("reading the configuration anew met a bug", exc_info=error)


async def _start(app: App, stop: asyncio.Event) -> None:
    """Start the exporter, but give up the start when it is told to stop."""
    starting = asyncio.create_task(app.start())
    await _first_of(stop, [starting])
    if stop.is_set():
        starting.cancel()
    await asyncio.wait([starting])
    if not starting.cancelled():
        starting.result()


async def _first_of(stop: asyncio.Event, tasks: list[asyncio.Task[None]]) -> None:
    """Wait for the wish to stop, or for the end of a task."""
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([stopped, *tasks], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()


async def _end(app: App, others: Iterable[Server], serving: list[asyncio.Task[None]]) -> None:
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await app.stop()
            for server in others:  # after the app, which asks them
                server.should_exit = True
            await asyncio.gather(*serving)
    except TimeoutError:
        _log.warning("stopping took too long: ending without waiting for what is under way")
    _log.info("stopped")
