"""Limits, basic auth and configured headers, in front of the endpoints.

A request is checked for its size, then for a user and password, then by the rate limit. The first
check that fails answers it. Every answer, a refusal too, has the configured headers.

The rate limit comes last, so that who guesses passwords uses up none of the requests of users:
`passwords` has limits of its own.
"""

import time
from collections.abc import Callable
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pearl_exporter.web.config_watcher import ActiveWebConfig
from pearl_exporter.web.passwords import TooManyChecksError

PROBE_PATHS = frozenset({"/-/healthy", "/-/ready"})
"""The paths of probes, which need no password and are not rate limited.

With a query a probe is a request like any other: ``?verbose`` asks for more than yes or no.
"""

MAX_BODY_BYTES = 4096
"""No endpoint reads a body. A small one, sent out of habit, is accepted and ignored."""

_MAX_BYTES_READ = 65_536
"""How much of a larger body is read before it is refused.

A client that is still sending when the connection is closed never sees the answer.
"""

_TOO_LARGE = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
_EXTRA_HEADERS: dict[HTTPStatus, dict[str, str]] = {
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": 'Basic realm="pearl-exporter", charset="UTF-8"'},
    HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": "1"},
    _TOO_LARGE: {"Connection": "close"},
}


class Access:
    """An ASGI application that passes requests on to another one if they are allowed.

    ``active`` returns the web configuration in force; each request is checked by one of them.
    """

    def __init__(
        self,
        app: ASGIApp,
        active: Callable[[], ActiveWebConfig],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._active = active
        self._monotonic = monotonic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, or refuse it."""
        active = self._active()

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in active.config.headers.items():
                    headers.setdefault(name, value)
            await send(message)

        body = await _read_body(scope, receive)
        refusal = _TOO_LARGE if body is None else await self._refusal(active, scope)
        if refusal is not None:
            await _refuse(refusal)(scope, receive, send_with_headers)
        else:
            await self._app(scope, _replay(body or b"", receive), send_with_headers)

    async def _refusal(self, active: ActiveWebConfig, scope: Scope) -> HTTPStatus | None:
        """Return the status to refuse a request with; None if the request is allowed."""
        if scope["path"] in PROBE_PATHS and not scope["query_string"]:
            return None
        if active.config.users:
            try:
                if not await self._is_user(active, scope):
                    return HTTPStatus.UNAUTHORIZED
            except TooManyChecksError:
                return HTTPStatus.SERVICE_UNAVAILABLE
        if not active.bucket.take(self._monotonic()):
            return HTTPStatus.TOO_MANY_REQUESTS
        return None

    async def _is_user(self, active: ActiveWebConfig, scope: Scope) -> bool:
        """Return whether a request has the password of a user; raise `TooManyChecksError`."""
        given = Headers(scope=scope).getlist("authorization")
        address = scope["client"][0] if scope.get("client") else ""
        return len(given) == 1 and await active.passwords.admit(given[0], address)


def _refuse(status: HTTPStatus) -> Response:
    headers = {"Cache-Control": "no-store", **_EXTRA_HEADERS.get(status, {})}
    return PlainTextResponse(f"{status.phrase}\n", status_code=status, headers=headers)


async def _read_body(scope: Scope, receive: Receive) -> bytes | None:
    """Return the body; None if it is too large, by its ``Content-Length`` or as it comes."""
    length = int(Headers(scope=scope).get("content-length", "0"))  # h11 has checked the number
    body = bytearray()
    more = length <= _MAX_BYTES_READ
    while more and len(body) <= _MAX_BYTES_READ:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return None if max(length, len(body)) > MAX_BODY_BYTES else bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `Receive` that yields the body that was read already, then whatever follows."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return messages.pop() if messages else await receive()

    return replayed
