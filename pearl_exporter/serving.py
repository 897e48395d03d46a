"""Serve the exporter on a socket, and handle signals.

SIGTERM and SIGINT stop, SIGHUP reloads. A stop wins over everything: over the start, over a reload
that is under way, and over a SIGHUP that comes with it.
"""

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
from pearl_exporter.config.web.load import EMPTY_WEB_CONFIG
from pearl_exporter.web.access import Access
from pearl_exporter.web.config_watcher import WebConfigWatcher, log_fields
from pearl_exporter.web.connections import Connection, ConnectionGuard, ConnectionLimits
from pearl_exporter.web.endpoints import build_endpoints
from pearl_exporter.web.view import Reload, View

STOP_SECONDS = 4.0
"""How long stopping may take. The promise to a service manager is 5 s."""

_GRACE_SECONDS = 1.0
"""How long an answer under way may take while stopping; then its connection is closed."""

_UVICORN_GRACE_SECONDS = 2
"""After this time uvicorn would cancel the answer itself, and log that as an error."""

_log = logging.getLogger(__name__)


class Server(uvicorn.Server):
    """A uvicorn server that leaves signals to the exporter and cuts off slow readers at the end."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signal handlers alone."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the connections of answers that nobody reads, then shut down.

        uvicorn would wait for them and log them as errors.
        """
        cut = asyncio.get_running_loop().call_later(_GRACE_SECONDS, self._cut_off)
        try:
            await super().shutdown(sockets)
        finally:
            cut.cancel()

    def _cut_off(self) -> None:
        for connection in tuple(self.server_state.connections):
            connection.transport.abort()


class GuardedServer(Server):
    """A server with limits for its connections, and with the TLS of a web configuration.

    See `ConnectionGuard`.
    """

    def __init__(
        self, config: uvicorn.Config, web: WebConfigWatcher, limits: ConnectionLimits
    ) -> None:
        super().__init__(config)
        self._web = web
        self._limits = limits
        self._guards: list[ConnectionGuard] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections by `ConnectionGuard`, where uvicorn would leave that to asyncio."""
        connections = cast("set[Connection]", self.server_state.connections)

        def new_connection() -> Connection:
            return Connection(self.config, self.server_state, app_state={})

        for sock in sockets or ():
            guard = ConnectionGuard(
                sock, new_connection, connections, lambda: self._web.active.config, self._limits
            )
            guard.open()
            self._guards.append(guard)
        self.servers = cast("list[asyncio.Server]", self._guards)
        self.started = True


def guarded_server(
    asgi: ASGIApp, web: WebConfigWatcher, limits: ConnectionLimits | None = None
) -> Server:
    """Return a server that answers the clients which the web configuration allows.

    Args:
        asgi: The endpoints.
        web: The web configuration in force.
        limits: Limits of its connections; None: the defaults.
    """
    access = Access(asgi, lambda: web.active)
    return GuardedServer(_config(access, http=Connection), web, limits or ConnectionLimits())


def new_server(asgi: ASGIApp, *, date_header: bool = True) -> Server:
    """Return a server for an ASGI application, without logs and headers of uvicorn's own."""
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
        timeout_graceful_shutdown=_UVICORN_GRACE_SECONDS,
        h11_max_incomplete_event_size=16 * 1024,
    )


def listen_on(address: ListenAddress) -> socket.socket:
    """Return a listening socket.

    For every address it is one of IPv6 that takes IPv4 too, where this machine has both, as Go's
    servers have it.

    Raises:
        OSError: The address is taken, or is not one of this machine.
    """
    is_dual = not address.host and socket.has_dualstack_ipv6()
    every = "::" if is_dual else "0.0.0.0"  # noqa: S104 - what is configured
    family, type_, protocol, _, target = socket.getaddrinfo(
        address.host or every,
        address.port,
        type=socket.SOCK_STREAM,
        # asyncio turns off Nagle's delay, 40 ms an answer, only for what is openly TCP
        proto=socket.IPPROTO_TCP,
        flags=socket.AI_PASSIVE,
    )[0]
    listener = socket.socket(family, type_, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_dual:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
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
    """Serve until SIGTERM or SIGINT, then stop within `STOP_SECONDS`.

    Args:
        app: The exporter; it is started and stopped here.
        listener: Where its endpoints are served.
        others: More servers, with their sockets, that run as long.
        announce: Called once signals are handled, before the start.
        reload: Called for each SIGHUP, and for ``/-/reload`` if the settings allow that.

    Raises:
        ConfigError: The web configuration is bad; `load_settings` has checked it before.
        StateError: The state can't be read.
    """
    asyncio.get_running_loop().set_exception_handler(log_unhandled)
    web = WebConfigWatcher(app.settings.web.config_file)
    stop = stop_event()
    if reload is not None:
        reload = with_web(reload, web, app)
    hangups = None if reload is None else _Hangups(reload, stop)
    if app.settings.web.config_file is not None:
        _log.info("web configuration read", extra=log_fields(web.active.config))
        if web.active.config.asks_for_nothing:
            _log.warning(EMPTY_WEB_CONFIG, extra={"file": str(app.settings.web.config_file)})
    over_http = reload if app.settings.web.enable_reload else None
    endpoints = build_endpoints(view_of(app, over_http))
    gc.freeze()  # modules are never garbage, and each search among them takes tens of milliseconds
    announce()
    own = guarded_server(endpoints, web)
    servers = [(own, listener), *others]
    serving: list[asyncio.Task[None]] = []
    watching = asyncio.create_task(web.watch())
    try:
        # before serving: no scrape must miss the counters that were saved
        await _start(app, stop)
        if not stop.is_set():
            if hangups is not None:
                hangups.begin()
            serving += [asyncio.create_task(server.serve([sock])) for server, sock in servers]
            await _first_of(stop, serving)
    finally:
        watching.cancel()
        own.should_exit = True
        await _end(app, [server for server, _ in others], serving)
        for _, sock in servers:
            sock.close()  # a server closes its own, but for one that was never started


def with_web(reload: Reload, web: WebConfigWatcher, app: App) -> Reload:
    """Return a reload that reads the web configuration first; if that is refused, nothing else."""

    async def reload_both() -> tuple[str, ...]:
        problems = await web.reload()
        if problems:
            app.exporter.configured(successfully=False, at_seconds=0.0)
            return problems
        return await reload()

    return reload_both


def hold_hangups() -> None:
    """Hold back SIGHUP until it has a handler; by default it ends the process."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})


def view_of(app: App, reload: Reload | None = None) -> View:
    """Return what the endpoints see of an exporter."""
    return View(
        exposition=app.exposition,
        is_alive=lambda: app.schedule.is_alive,
        is_ready=lambda: app.is_ready,
        seconds_to_next_poll=app.schedule.seconds_to_next_poll,
        now=app.api_clock.now,
        reload=reload,
        beat_age=lambda: app.schedule.beat_age,
        is_discovering=lambda: not app.platform.is_ready,
        budget_of=app.budget_of,
    )


def stop_event() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set; from now on SIGHUP is logged and ignored."""
    stop = asyncio.Event()

    def on_stop_signal(name: str) -> None:
        _log.info("already stopping" if stop.is_set() else "stopping", extra={"signal": name})
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_stop_signal, number.name)
    loop.add_signal_handler(signal.SIGHUP, _log.info, "SIGHUP: there is no configuration to read")
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
    return stop


class _Hangups:
    """Answers each SIGHUP with a reload, from `begin` until ``stop`` is set.

    For SIGHUPs that came before `begin` there is one reload then.
    """

    def __init__(self, reload: Reload, stop: asyncio.Event) -> None:
        self._reload = reload
        self._stop = stop
        self._came_early = False
        self._has_begun = False
        self._reloads: set[asyncio.Future[tuple[str, ...]]] = set()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._hang_up)

    def begin(self) -> None:
        """Reload from now on: the exporter has started."""
        self._has_begun = True
        if self._came_early:
            self._hang_up()

    def _hang_up(self) -> None:
        if self._stop.is_set():
            _log.info("SIGHUP: already stopping")
            return
        if not self._has_begun:
            _log.info("SIGHUP: reloading once the start is complete")
            self._came_early = True
            return
        task = asyncio.ensure_future(self._reload())
        self._reloads.add(task)  # the loop holds only a weak reference
        task.add_done_callback(self._reloads.discard)
        task.add_done_callback(_log_failed_reload)


def log_unhandled(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log an exception that no code handled, as the event loop's exception handler.

    The loop's default handler would quote the exception, which may quote an API's answer.
    """
    _log.error(str(context["message"]), exc_info=context.get("exception"))


def _log_failed_reload(task: asyncio.Future[tuple[str, ...]]) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        _log.error("reload failed: internal error", exc_info=error)


async def _start(app: App, stop: asyncio.Event) -> None:
    """Start the exporter; give the start up when ``stop`` is set.

    Raises:
        StateError: The state can't be read.
    """
    starting = asyncio.create_task(app.start())
    await _first_of(stop, [starting])
    if stop.is_set():
        starting.cancel()
    await asyncio.wait([starting])
    if not starting.cancelled():
        starting.result()


async def _first_of(stop: asyncio.Event, tasks: list[asyncio.Task[None]]) -> None:
    """Wait until ``stop`` is set or one of the tasks ends."""
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
