"""The endpoints: ``/metrics``, the pages for people, health and readiness.

Every answer comes from memory: a scrape never waits for a poll.
"""

import asyncio
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from pearl_exporter.web.compression import compressed_response
from pearl_exporter.web.health_report import health_report
from pearl_exporter.web.negotiation import choose_format
from pearl_exporter.web.pages.routes import page_routes
from pearl_exporter.web.view import Reload, View

_MAX_COMPRESSED_AT_ONCE = 4
"""How many scrapes are compressed at once; a large one has tens of megabytes."""

_RELOAD_IS_OFF = (
    "reload over HTTP is off: set web.enable_reload: true (or PEARL_WEB__ENABLE_RELOAD=true) and "
    "restart; SIGHUP to the process reloads without that setting\n"
)


def build_endpoints(view: View) -> Starlette:
    """Return the ASGI application of all endpoints."""
    compressing = asyncio.Semaphore(_MAX_COMPRESSED_AT_ONCE)

    async def metrics(request: Request) -> Response:
        format_ = choose_format(", ".join(request.headers.getlist("accept")))
        headers = {"Content-Type": format_.value, "Vary": "Accept"}
        async with compressing:  # each body that waits for a thread takes its memory
            body = view.exposition.render(format_)
            return await compressed_response(request, body, headers)

    async def healthy(request: Request) -> Response:
        is_alive = view.is_alive()
        if "verbose" in request.query_params:
            text = health_report(
                view.exposition.outbounds, is_alive=is_alive, beat_age=view.beat_age()
            )
        else:
            text = "healthy\n" if is_alive else "scheduler heartbeat is overdue\n"
        return PlainTextResponse(text, status_code=200 if is_alive else 503)

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
        routes.append(Route("/-/reload", _reload_endpoint(view.reload), methods=["POST"]))
    else:  # 404 whatever the method
        routes.append(Route("/-/reload", PlainTextResponse(_RELOAD_IS_OFF, status_code=404)))
    app = Starlette(routes=routes)
    app.router.redirect_slashes = False  # `/metrics/` is 404, and no redirect
    return app


def _reload_endpoint(reload: Reload) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        # a browser sends it with every POST of a page, and may send its user's password too
        if "origin" in request.headers:
            return PlainTextResponse("refused: requests of web pages, with an Origin\n", 403)
        problems = await reload()
        if not problems:
            return PlainTextResponse("reloaded\n")
        text = "".join(f"{problem}\n" for problem in ("keeping the old configuration:", *problems))
        return PlainTextResponse(text, status_code=500)

    return endpoint
