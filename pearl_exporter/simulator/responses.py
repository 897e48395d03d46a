"""HTTP responses of the simulated API: ASP.NET's errors, gzip, slow and dropped responses."""

import gzip
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

CLOSE_CONNECTION = "pearl.close_connection"
"""The key of the ASGI scope under which a request finds `connection_closer`'s result."""

HTML = (
    b"<!DOCTYPE html><html><head><title>Just a moment</title></head><body>Checking.</body></html>"
)
CANARY_NUMBER = "+15125550142"
"""A fictional customer's number in the text of errors: a log that has it has quoted an error."""

_MIN_GZIP_BYTES = 500


class DroppedConnectionError(ConnectionResetError):
    """The connection was dropped on purpose, by a server without a socket (a test's transport)."""


def text_json(value: Any) -> Response:
    """Return a 200 with JSON under the content type that the platform documents, text/plain."""
    return Response(msgspec.json.encode(value), media_type="text/plain; charset=utf-8")


def problem_details(status: int, detail: str | None = None, **errors: str) -> Response:
    """Return an error in ASP.NET's form, which is RFC 9457's with ``errors`` by field."""
    body: dict[str, Any] = {
        "type": "https://tools.ietf.org/html/rfc9110#section-15",
        "title": "One or more validation errors occurred." if errors else HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": None,
        "errors": {name: [text] for name, text in errors.items()},
    }
    return Response(msgspec.json.encode(body), status, media_type="application/problem+json")


def http_date(moment_ms: float) -> str:
    """Return epoch milliseconds as an HTTP date (RFC 9110, section 5.6.7), to the second."""
    return formatdate(moment_ms // 1000, usegmt=True)


def gzipped(response: Response, accept_encoding: str) -> Response:
    """Return the response, compressed if the client accepts gzip and the body is not tiny."""
    if "gzip" not in accept_encoding or len(response.body) < _MIN_GZIP_BYTES:
        return response
    smaller = Response(gzip.compress(bytes(response.body), 1), response.status_code)
    for name, value in response.headers.items():
        if name != "content-length":
            smaller.headers[name] = value
    smaller.headers["content-encoding"] = "gzip"
    smaller.headers["vary"] = "Accept-Encoding"
    return smaller


class SlowResponse(Response):
    """A response whose body is sent in ``pieces`` pieces over ``seconds``."""

    def __init__(
        self,
        whole: Response,
        seconds: float,
        pieces: int,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        super().__init__(whole.body, whole.status_code)
        self.raw_headers = whole.raw_headers
        self._pause = seconds / max(pieces, 1)
        self._step = max(1, -(-len(self.body) // max(pieces, 1)))  # rounded up
        self._sleep = sleep

    async def __call__(
        self,
        scope: Scope,  # noqa: ARG002 - ASGI's signature
        receive: Receive,  # noqa: ARG002
        send: Send,
    ) -> None:
        """Send the headers, then the body piece by piece, with a pause before each."""
        await send(_start(self))
        for place in range(0, len(self.body), self._step):
            await self._sleep(self._pause)
            piece = self.body[place : place + self._step]
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


class DroppedResponse(Response):
    """A response whose connection closes before its first byte, or in the middle of its body."""

    def __init__(self, whole: Response, *, middle: bool) -> None:
        super().__init__(whole.body, whole.status_code)
        self.raw_headers = whole.raw_headers
        self._middle = middle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Close the connection.

        Raises:
            DroppedConnectionError: There is no connection that could be closed.
        """
        if self._middle:
            await send(_start(self))
            half = self.body[: len(self.body) // 2]
            await send({"type": "http.response.body", "body": half, "more_body": True})
        close = scope.get(CLOSE_CONNECTION)
        if close is None:
            raise DroppedConnectionError("the simulator dropped the connection")
        close()
        # The server must notice before this returns, or it would send a 500 in place of the
        # response that never came.
        while (await receive())["type"] != "http.disconnect":
            continue


def connection_closer(send: Send) -> Callable[[], None] | None:
    """Return the function that closes the connection behind ``send``, None if there is none.

    ASGI cannot express it: if an application raises, uvicorn answers with a 500. So this takes the
    transport of uvicorn's request cycle, whose method ``send`` is.
    """
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    close = getattr(transport, "close", None)
    return close if callable(close) else None


def _start(response: Response) -> dict[str, Any]:
    return {
        "type": "http.response.start",
        "status": response.status_code,
        "headers": response.raw_headers,
    }
