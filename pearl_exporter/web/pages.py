"""Where the pages for people are, and how they are sent."""

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from pearl_exporter.web.layout import CONTENT_SECURITY_POLICY
from pearl_exporter.web.outbound_page import render_outbound, render_unknown
from pearl_exporter.web.page import render_page

if TYPE_CHECKING:
    from pearl_exporter.web.endpoints import View

_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def page_routes(view: "View") -> list[Route]:
    """The routes of the page of all outbounds and of the page of each."""

    async def page(request: Request) -> Response:
        outbounds = view.exposition.outbounds
        polls = {
            each.outbound_id: view.seconds_to_next_poll(each.outbound_id) for each in outbounds
        }
        waits, refreshes = view.is_discovering(), _refreshes(request)
        text = render_page(outbounds, polls, view.now(), is_discovering=waits, refreshes=refreshes)
        return HTMLResponse(text, headers=_HEADERS)

    async def outbound_page(request: Request) -> Response:
        name = request.path_params["name"] or request.query_params.get("name", "")
        found = next((each for each in view.exposition.outbounds if each.name == name), None)
        if found is None:
            return HTMLResponse(render_unknown(view.now()), 404, headers=_HEADERS)
        seconds = view.seconds_to_next_poll(found.outbound_id)
        text = render_outbound(found, seconds, view.now(), refreshes=_refreshes(request))
        return HTMLResponse(text, headers=_HEADERS)

    return [Route("/", page), Route("/outbounds/{name:path}", outbound_page)]


def _refreshes(request: Request) -> bool:
    return request.query_params.get("refresh") != "0"
