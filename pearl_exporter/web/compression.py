"""Gzip responses for clients that accept it."""

import asyncio
import gzip
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from pearl_exporter.web.negotiation import accepts_gzip

_MIN_COMPRESSED_BYTES = 1024
_GZIP_LEVEL = 1
"""A response is read once, from nearby: a higher level costs more time than it saves."""


async def compressed_response(
    request: Request, body: bytes, headers: Mapping[str, str], status_code: int = 200
) -> Response:
    """Return a response with this body, compressed in a thread if the client accepts gzip.

    Args:
        request: The request that is answered.
        body: The body, not compressed.
        headers: More headers. If the body depends on other request headers than
            ``Accept-Encoding``, their ``Vary`` names them.
        status_code: The status.
    """
    vary = ", ".join(filter(None, (headers.get("Vary"), "Accept-Encoding")))
    headers = {**headers, "Vary": vary}
    wants_gzip = accepts_gzip(", ".join(request.headers.getlist("accept-encoding")))
    if wants_gzip and len(body) >= _MIN_COMPRESSED_BYTES:
        headers["Content-Encoding"] = "gzip"
        body = await asyncio.to_thread(gzip.compress, body, _GZIP_LEVEL, mtime=0)
    return Response(body, status_code, headers=headers)
