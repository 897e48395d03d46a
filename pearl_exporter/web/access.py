"""Who is answered: limits, basic auth and headers, in front of the endpoints.

First the size of the request, then the rate limit, then name and password. Every answer, also one
of these, bears the configured headers.
"""

import time
from collections.abc import Callable
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pearl_exporter.web.live_config import Rules
from pearl_exporter.web.passwords import TooManyChecksError

OPEN_PATHS = frozenset({"/-/healthy", "/-/ready"})
"""What probes ask, without credentials and not held by the rate limit. A query may ask for more
than yes or no, so with one they are as all others."""

MOST_BODY_BYTES = 4096
"""No endpoint reads a body; what a client sends out of habit is let pass."""

_MOST_BYTES_READ = 65_536
"""What is read of a larger one before it is refused: an answer to a client that is still sending
is lost with the connection."""


class Access:
    """An ASGI application that lets requests through to another, by the rules of the moment."""

    def __init__(
        self,
        app: ASGIApp,
        rules: Callable[[], Rules],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._rules = rules
        self._monotonic = monotonic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request, or has it answered."""
        rules = self._rules()

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in rules.config.headers.items():
                    headers.setdefault(name, value)
            await send(message)

        body = await _small_body(scope, receive)
        refusal = _TOO_LARGE if body is None else await self._refusal(rules, scope)
        if refusal is not None:
            await _answer(refusal)(scope, receive, send_with_headers)
        else:
            await self._app(scope, _replayed(body or b"", receive), send_with_headers)

    async def _refusal(self, rules: Rules, scope: Scope) -> HTTPStatus | None:
        if scope["path"] in OPEN_PATHS and not scope["query_string"]:
            return None
        if not rules.bucket.take(self._monotonic()):
            return HTTPStatus.TOO_MANY_REQUESTS
        if not rules.config.users:
            return None
        given = Headers(scope=scope).getlist("authorization")
        address = scope["client"][0] if scope.get("client") else ""
        try:
            if len(given) == 1 and await rules.passwords.admit(given[0], address):
                return None
        except TooManyChecksError:
            return HTTPStatus.SERVICE_UNAVAILABLE
        return HTTPStatus.UNAUTHORIZED


_TOO_LARGE = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
_MORE: dict[HTTPStatus, dict[str, str]] = {
    HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": 'Basic realm="pearl-exporter", charset="UTF-8"'},
    HTTPStatus.SERVICE_UNAVAILABLE: {"Retry-After": "1"},
    _TOO_LARGE: {"Connection": "close"},
}


def _answer(status: HTTPStatus) -> Response:
    headers = {"Cache-Control": "no-store", **_MORE.get(status, {})}
    return PlainTextResponse(f"{status.phrase}\n", status_code=status, headers=headers)


async def _small_body(scope: Scope, receive: Receive) -> bytes | None:
    """The body, None where it is too large: by what the client says, or by what comes."""
    length = int(Headers(scope=scope).get("content-length", "0"))  # a number, the server has seen
    body = bytearray()
    more = length <= _MOST_BYTES_READ
    while more and len(body) <= _MOST_BYTES_READ:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return None if max(length, len(body)) > MOST_BODY_BYTES else bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """What the application receives: the body that was read already, then whatever follows."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> Message:
        return messages.pop() if messages else await receive()

    return received
