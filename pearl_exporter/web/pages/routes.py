"""The routes of the pages, and how a page is sent."""

import asyncio
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pearl_exporter.web.compression import compressed_response
from pearl_exporter.web.pages.layout import PageRequest, overview_path
from pearl_exporter.web.pages.outbound_page import render_outbound, render_unknown_outbound
from pearl_exporter.web.pages.overview_page import render_overview
from pearl_exporter.web.pages.rendering import CONTENT_SECURITY_POLICY, load_templates
from pearl_exporter.web.view import View

_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

_MAX_AGE_MS = 1000
"""The overview is rendered at most once in this time, however many clients ask for it."""


def page_routes(view: View) -> list[Route]:
    """Return the routes of the overview and of the outbounds' pages."""
    load_templates()
    overviews = {reloads: _Overview(view, reloads=reloads) for reloads in (True, False)}

    async def overview(request: Request) -> Response:
        body = await overviews[_reloads(request)].current()
        return await compressed_response(request, body, _HEADERS)

    async def outbound(request: Request) -> Response:
        name = request.path_params["name"] or request.query_params.get("name", "")
        above = overview_path(request.scope["raw_path"].decode("latin-1"))
        found = next((each for each in view.exposition.outbounds if each.name == name), None)
        if found is None:
            text = render_unknown_outbound(view.now(), above)
            return await compressed_response(request, text.encode(), _HEADERS, 404)
        text = render_outbound(
            found,
            view.seconds_to_next_poll(found.outbound_id),
            view.now(),
            budget=view.budget_of(found.outbound_id),
            asked=PageRequest(_reloads(request), above),
        )
        return await compressed_response(request, text.encode(), _HEADERS)

    return [Route("/", overview), Route("/outbounds/{name:path}", outbound)]


class _Overview:
    """The overview as it was rendered last.

    With 300 outbounds rendering takes about a tenth of a second, so it is done in a thread: neither
    polls nor scrapes wait for it.
    """

    def __init__(self, view: View, *, reloads: bool) -> None:
        self._view = view
        self._reloads = reloads
        self._rendered_at: int | None = None
        self._body = b""
        self._lock = asyncio.Lock()

    async def current(self) -> bytes:
        """Return the page, at most a second old."""
        async with self._lock:
            now = self._view.now()
            # a negative age: the clock went back
            if self._rendered_at is None or not 0 <= now - self._rendered_at < _MAX_AGE_MS:
                self._body = await asyncio.to_thread(self._renderer())
                self._rendered_at = now
            return self._body

    def _renderer(self) -> Callable[[], bytes]:
        """Return what renders the page of this moment.

        Everything that changes is read here, on the event loop; the thread sees copies.
        """
        view = self._view
        outbounds, now = view.exposition.outbounds, view.now()
        next_polls = {
            each.outbound_id: view.seconds_to_next_poll(each.outbound_id) for each in outbounds
        }
        is_discovering = view.is_discovering()
        return lambda: render_overview(
            outbounds, next_polls, now, is_discovering=is_discovering, reloads=self._reloads
        ).encode()


def _reloads(request: Request) -> bool:
    """Return whether the page that is asked for reloads itself: unless ``?refresh=0``."""
    return request.query_params.get("refresh") != "0"
