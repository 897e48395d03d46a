"""The endpoints: ``/metrics``, the pages for people, health and readiness.

Everything is answered from memory: a scrape never waits for a poll.
"""

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from pearl_exporter.web.checks import list_checks
from pearl_exporter.web.compression import compressed
from pearl_exporter.web.negotiation import choose_format
from pearl_exporter.web.pages.routes import page_routes
from pearl_exporter.web.view import Reload, View

_RELOAD_IS_OFF = (
    "reloading over HTTP is off: set web.enable_reload: true (or PEARL_WEB__ENABLE_RELOAD=true) "
    "and start anew; a SIGHUP to the process reloads without it\n"
)


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
