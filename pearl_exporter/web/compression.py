"""Answers that are compressed for whom that is welcome."""

import asyncio
import gzip
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from pearl_exporter.web.negotiation import accepts_gzip

_LEAST_COMPRESSED_BYTES = 1024
_GZIP_LEVEL = 1
"""An answer is read once, nearby: a higher level costs more time than it saves."""


async def compressed(
    request: Request, body: bytes, headers: Mapping[str, str], status_code: int = 200
) -> Response:
    """The answer with this body, compressed in a thread if the client accepts that.

    ``headers`` name what else than ``Accept-Encoding`` the answer varies by, if anything.
    """
    vary = ", ".join(filter(None, (headers.get("Vary"), "Accept-Encoding")))
    headers = {**headers, "Vary": vary}
    wants_gzip = accepts_gzip(", ".join(request.headers.getlist("accept-encoding")))
    if wants_gzip and len(body) >= _LEAST_COMPRESSED_BYTES:
        headers["Content-Encoding"] = "gzip"
        body = await asyncio.to_thread(gzip.compress, body, _GZIP_LEVEL, mtime=0)
    return Response(body, status_code, headers=headers)
