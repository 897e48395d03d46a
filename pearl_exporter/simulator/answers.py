"""What goes over the wire: ASP.NET's errors, and answers that keep breaking off."""

import gzip
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

CUT_OFF = "pearl.cut_off"
"""The key in the scope under which a request finds the way to close its own connection, or None."""

HTML = (
    b"<!DOCTYPE html><html><head><title>Just a moment</title></head><body>Checking.</body></html>"
)
BAIT = "+15125550142"
"""A fictional customer's number that stands in the text of errors, so that logging one shows."""


class DroppedConnectionError(ConnectionResetError):
    """The connection was dropped on purpose, by a server without a socket (a test's transport)."""


def plain_json(value: Any) -> Response:
    """Return a 200 with JSON under the type that the platform documents."""
    return Response(msgspec.json.encode(value), media_type="text/plain; charset=utf-8")


def problem(status: int, detail: str | None = None, **errors: str) -> Response:
    """Return an error as ASP.NET tells it; ``errors`` by field."""
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
    """Return the moment as HTTP's headers write it, to the second."""
    return formatdate(moment_ms // 1000, usegmt=True)


def squeezed(answer: Response, accept_encoding: str) -> Response:
    """Return ``answer`` gzipped if that is accepted and worth it."""
    if "gzip" not in accept_encoding or len(answer.body) < 500:
        return answer
    smaller = Response(gzip.compress(bytes(answer.body), 1), answer.status_code)
    for name, value in answer.headers.items():
        if name != "content-length":
            smaller.headers[name] = value
    smaller.headers["content-encoding"] = "gzip"
    smaller.headers["vary"] = "Accept-Encoding"
    return smaller


class Dripping(Response):
    """An answer that is sent in ``drops`` pieces over ``seconds``."""

    def __init__(
        self, whole: Response, seconds: float, drops: int, sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        super().__init__(whole.body, whole.status_code)
        self.raw_headers = whole.raw_headers
        self._pause = seconds / max(drops, 1)
        self._step = max(1, -(-len(self.body) // max(drops, 1)))
        self._sleep = sleep

    async def __call__(
        self,
        scope: Scope,  # noqa: ARG002 - ASGI's signature
        receive: Receive,  # noqa: ARG002
        send: Send,
    ) -> None:
        """Send the head, then drop by drop."""
        await send(_head(self))
        for place in range(0, len(self.body), self._step):
            await self._sleep(self._pause)
            piece = self.body[place : place + self._step]
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


class Dropping(Response):
    """An answer whose connection closes: before a byte of it, or in the middle."""

    def __init__(self, whole: Response, *, middle: bool) -> None:
        super().__init__(whole.body, whole.status_code)
        self.raw_headers = whole.raw_headers
        self._middle = middle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Close the connection. Raises `DroppedConnectionError` where there is none to close."""
        if self._middle:
            await send(_head(self))
            half = self.body[: len(self.body) // 2]
            await send({"type": "http.response.body", "body": half, "more_body": True})
        cut_off = scope.get(CUT_OFF)
        if cut_off is None:
            raise DroppedConnectionError("the simulator dropped the connection")
        cut_off()
        # Until the server has noticed, or it would send a 500 for an answer that never came.
        while (await receive())["type"] != "http.disconnect":
            continue


def way_to_cut_off(send: Send) -> Callable[[], None] | None:
    """Return what closes the connection behind ``send``, or None if there is none.

    ASGI has no word for it: an application that raises makes uvicorn answer 500. So this takes the
    transport of uvicorn's request cycle, whose method ``send`` is.
    """
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    close = getattr(transport, "close", None)
    return close if callable(close) else None


def _head(answer: Response) -> dict[str, Any]:
    return {
        "type": "http.response.start",
        "status": answer.status_code,
        "headers": answer.raw_headers,
    }
