"""The endpoints: ``/metrics``, the page for people at ``/``, health and readiness.

Everything is answered from memory: a scrape never waits for a poll.
"""

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from pearl_exporter.calls import Instant
from pearl_exporter.metrics import Exposition
from pearl_exporter.web.checks import list_checks
from pearl_exporter.web.negotiation import accepts_gzip, choose_format
from pearl_exporter.web.page import CONTENT_SECURITY_POLICY, render_page

_LEAST_COMPRESSED_BYTES = 1024
_GZIP_LEVEL = 1
"""A scrape is read once, nearby: a higher level costs more time than it saves."""

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
    """

    exposition: Exposition
    is_alive: Callable[[], bool]
    is_ready: Callable[[], bool]
    seconds_to_next_poll: Callable[[str], float | None]
    now: Callable[[], Instant]
    reload: Reload | None = None
    beat_age: Callable[[], float | None] = lambda: None


def build_endpoints(view: View) -> Starlette:
    """The ASGI application of the contract's endpoints."""

    async def metrics(request: Request) -> Response:
        format_ = choose_format(", ".join(request.headers.getlist("accept")))
        body = view.exposition.render(format_)
        headers = {"Vary": "Accept, Accept-Encoding"}
        wants_gzip = accepts_gzip(", ".join(request.headers.getlist("accept-encoding")))
        if wants_gzip and len(body) >= _LEAST_COMPRESSED_BYTES:
            headers["Content-Encoding"] = "gzip"
            body = await asyncio.to_thread(gzip.compress, body, _GZIP_LEVEL, mtime=0)
        return Response(body, headers={**headers, "Content-Type": format_.value})

    async def page(_: Request) -> Response:
        outbounds = view.exposition.outbounds
        polls = {
            each.outbound_id: view.seconds_to_next_poll(each.outbound_id) for each in outbounds
        }
        return HTMLResponse(
            render_page(outbounds, polls, view.now()),
            headers={
                "Content-Security-Policy": CONTENT_SECURITY_POLICY,
                "X-Content-Type-Options": "nosniff",
                "Referrer-Policy": "no-referrer",
                "Cache-Control": "no-store",
            },
        )

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
        Route("/", page),
        Route("/metrics", metrics),
        Route("/-/healthy", healthy),
        Route("/-/ready", ready),
    ]
    if view.reload is not None:
        routes.append(Route("/-/reload", _reload_by(view.reload), methods=["POST"]))
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
