"""Where the pages for people are, and how they are sent."""

import asyncio
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pearl_exporter.web.compression import compressed
from pearl_exporter.web.pages.layout import CONTENT_SECURITY_POLICY
from pearl_exporter.web.pages.outbound_page import render_outbound, render_unknown
from pearl_exporter.web.pages.overview_page import render_page
from pearl_exporter.web.view import View

_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

_FRESH_MS = 1000
"""The page of all outbounds is drawn so often at most, however many look at it."""


def page_routes(view: View) -> list[Route]:
    """The routes of the page of all outbounds and of the page of each."""
    drawn = {refreshes: _Drawn(view, refreshes=refreshes) for refreshes in (True, False)}

    async def page(request: Request) -> Response:
        body = await drawn[_refreshes(request)].current()
        return await compressed(request, body, _HEADERS)

    async def outbound_page(request: Request) -> Response:
        name = request.path_params["name"] or request.query_params.get("name", "")
        found = next((each for each in view.exposition.outbounds if each.name == name), None)
        if found is None:
            body = render_unknown(view.now()).encode()
            return await compressed(request, body, _HEADERS, 404)
        text = render_outbound(
            found,
            view.seconds_to_next_poll(found.outbound_id),
            view.now(),
            budget=view.budget_of(found.outbound_id),
            refreshes=_refreshes(request),
        )
        return await compressed(request, text.encode(), _HEADERS)

    return [Route("/", page), Route("/outbounds/{name:path}", outbound_page)]


class _Drawn:
    """The page of all outbounds as it was drawn last.

    With 300 outbounds that takes tens of milliseconds, so it is done in a thread: neither polls nor
    scrapes wait for it.
    """

    def __init__(self, view: View, *, refreshes: bool) -> None:
        self._view = view
        self._refreshes = refreshes
        self._at: int | None = None
        self._body = b""
        self._one_at_a_time = asyncio.Lock()

    async def current(self) -> bytes:
        """The page, at most a second old."""
        async with self._one_at_a_time:
            now = self._view.now()
            if self._at is None or not 0 <= now - self._at < _FRESH_MS:
                self._body = await asyncio.to_thread(self._drawing())
                self._at = now
            return self._body

    def _drawing(self) -> Callable[[], bytes]:
        """What draws the page of this moment; it looks at nothing that changes."""
        view = self._view
        outbounds, now = view.exposition.outbounds, view.now()
        polls = {
            each.outbound_id: view.seconds_to_next_poll(each.outbound_id) for each in outbounds
        }
        waits = view.is_discovering()
        return lambda: render_page(
            outbounds, polls, now, is_discovering=waits, refreshes=self._refreshes
        ).encode()


def _refreshes(request: Request) -> bool:
    return request.query_params.get("refresh") != "0"
