"""HTTP responses of the simulated API: ASP.NET's errors, gzip, slow and dropped responses."""

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, cast

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

CONNECTION = "pearl.connection"
"""The key of the ASGI scope under which a request finds `connection`'s result."""

HTML = (
    b"<!DOCTYPE html><html><head><title>Just a moment</title></head><body>Checking.</body></html>"
)
CANARY_NUMBER = "+15125550142"
"""A fictional customer's number in the text of errors: a log that has it has quoted an error."""

EMPTY_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 25\r\n\r\n"
    b'{"count":0,"results":[]}\n'
)
"""A whole HTTP answer of a search that finds nothing."""

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
    is_encoded = "content-encoding" in response.headers
    if is_encoded or "gzip" not in accept_encoding or len(response.body) < _MIN_GZIP_BYTES:
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
        await _send_in_pieces(self, send, self._step, lambda: self._sleep(self._pause))


class ChunkedResponse(Response):
    """A response whose body is sent in chunks of ``size`` bytes, without a pause."""

    def __init__(self, whole: Response, size: int) -> None:
        super().__init__(whole.body, whole.status_code)
        # without a length, the server sends each piece as a chunk
        self.raw_headers = [pair for pair in whole.raw_headers if pair[0] != b"content-length"]
        self._size = size

    async def __call__(
        self,
        scope: Scope,  # noqa: ARG002 - ASGI's signature
        receive: Receive,  # noqa: ARG002
        send: Send,
    ) -> None:
        """Send the headers, then the body chunk by chunk."""
        await _send_in_pieces(self, send, self._size)


class SurroundedResponse(Response):
    """A response with bytes before and behind it on the connection, which ASGI knows nothing of.

    Without a connection, as in a test's transport, it is the response alone.
    """

    def __init__(self, whole: Response, *, before: bytes = b"", behind: bytes = b"") -> None:
        super().__init__(whole.body, whole.status_code)
        self.raw_headers = whole.raw_headers
        self._whole = whole
        self._before = before
        self._behind = behind

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what is before the response, the response, and what is behind it."""
        connection = scope.get(CONNECTION)
        if connection is not None and self._before:
            connection.write(self._before)
        await self._whole(scope, receive, send)
        if connection is not None and self._behind:
            connection.write(self._behind)


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
        connection = scope.get(CONNECTION)
        if connection is None:
            raise DroppedConnectionError("the simulator dropped the connection")
        connection.close()
        # The server must notice before this returns, or it would send a 500 in place of the
        # response that never came.
        while (await receive())["type"] != "http.disconnect":
            continue


def connection(send: Send) -> asyncio.WriteTransport | None:
    """Return the connection behind ``send``, None if there is none.

    ASGI cannot express what some faults do: if an application raises, uvicorn answers with a 500,
    and no message means bytes that belong to no response. So this takes the transport of uvicorn's
    request cycle, whose method ``send`` is.
    """
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    return cast("asyncio.WriteTransport | None", transport)


async def _send_in_pieces(
    response: Response, send: Send, size: int, pause: Callable[[], Awaitable[None]] | None = None
) -> None:
    """Send a response piece by piece.

    Args:
        response: The response.
        send: The ASGI connection.
        size: How many bytes a piece has.
        pause: Awaited before each piece; None for no pause.
    """
    await send(_start(response))
    for place in range(0, len(response.body), size):
        if pause is not None:
            await pause()
        piece = response.body[place : place + size]
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _start(response: Response) -> dict[str, Any]:
    return {
        "type": "http.response.start",
        "status": response.status_code,
        "headers": response.raw_headers,
    }
