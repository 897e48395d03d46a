"""The endpoints: ``/metrics``, the pages for people, health and readiness.

Everything is answered from memory: a scrape never waits for a poll.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from pearl_exporter.budget import Budget
from pearl_exporter.calls import Instant
from pearl_exporter.metrics import Exposition
from pearl_exporter.web.checks import list_checks
from pearl_exporter.web.compression import compressed
from pearl_exporter.web.negotiation import choose_format
from pearl_exporter.web.pages import page_routes

_RELOAD_IS_OFF = (
    "reloading over HTTP is off: set web.enable_reload: true (or PEARL_WEB__ENABLE_RELOAD=true) "
    "and start anew; a SIGHUP to the process reloads without it\n"
)

Reload = Callable[[], Awaitable[tuple[str, ...]]]
"""Reads the configuration anew; gives what is wrong with it, nothing if well."""


@dataclass(frozen=True)
class View:
    """What the endpoints look at.

    Attributes:
        exposition: What a scrape sees.
        is_alive: Whether the scheduler's heart beats.
        is_ready: Whether every outbound has had its first page or first failure.
        seconds_to_next_poll: Until an outbound, by its id, is polled next.
        now: The present, as the API would say.
        reload: Reads the configuration anew; None where that is not allowed over HTTP.
        beat_age: Seconds since the scheduler's last heartbeat; None before any.
        is_discovering: Whether discovery is on and has had no answer yet.
        budget_of: What the token of an outbound, by its id, allows right now; None if unknown.
    """

    exposition: Exposition
    is_alive: Callable[[], bool]
    is_ready: Callable[[], bool]
    seconds_to_next_poll: Callable[[str], float | None]
    now: Callable[[], Instant]
    reload: Reload | None = None
    beat_age: Callable[[], float | None] = lambda: None
    is_discovering: Callable[[], bool] = lambda: False
    budget_of: Callable[[str], Budget | None] = lambda _: None


def build_endpoints(view: View) -> Starlette:
    """The ASGI application of the contract's endpoints."""

    async def metrics(request: Request) -> Response:
        format_ = choose_format(", ".join(request.headers.getlist("accept")))
        body = view.exposition.render(format_)
        return await compressed(request, body, {"Content-Type": format_.value, "Vary": "Accept"})

    async def healthy(request: Request) -> Response:
        if "verbose" in request.query_params:
            is_alive = view.is_alive()
            text = list_checks(
                view.exposition.outbounds, is_alive=is_alive, beat_age=view.beat_age()
            )
            return PlainTextResponse(text, status_code=200 if is_alive else 503)
        if view.is_alive():
            return PlainTextResponse("healthy\n")
        return PlainTextResponse("the scheduler's heart does not beat\n", status_code=503)

    async def ready(_: Request) -> Response:
        if view.is_ready():
            return PlainTextResponse("ready\n")
        message = "waiting for the first page or the first failure of every outbound\n"
        return PlainTextResponse(message, status_code=503)

    routes = [
        *page_routes(view),
        Route("/metrics", metrics),
        Route("/-/healthy", healthy),
        Route("/-/ready", ready),
    ]
    if view.reload is not None:
        routes.append(Route("/-/reload", _reload_by(view.reload), methods=["POST"]))
    else:  # not there, whatever the method
        routes.append(Route("/-/reload", PlainTextResponse(_RELOAD_IS_OFF, status_code=404)))
    app = Starlette(routes=routes)
    app.router.redirect_slashes = False  # what is not an endpoint is 404
    return app


def _reload_by(reload: Reload) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(_: Request) -> Response:
        faults = await reload()
        if not faults:
            return PlainTextResponse("reloaded\n")
        text = "".join(f"{fault}\n" for fault in ("keeping the old configuration:", *faults))
        return PlainTextResponse(text, status_code=500)

    return endpoint
