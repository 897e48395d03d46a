"""Answers of any size, and an API in memory that gives them."""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any

import httpx

from pearl_exporter.api.decode_calls import format_instant, parse_instant
from pearl_exporter.counting.calls import Instant

NOW_MS: Instant = 1_795_000_000_000
"""The newest start, where a measurement does not go by the clock."""


def row(number: int, newest: Instant, **more: Any) -> dict[str, Any]:
    """Return a row as the API gives it; the higher its number, the older it is."""
    return {
        "id": f"65f1c0ffee65f1{number:010x}",
        "startTime": format_instant(newest - number * 100),
        "conversationStatus": 100,
        "status": 4,
        "duration": 10 + number % 50,
        "tags": ["renewal"],
        **more,
    }


def page(rows: Sequence[dict[str, Any]]) -> bytes:
    """Return the body of an answer with these rows."""
    return json.dumps({"count": len(rows), "results": rows}).encode()


def listing(count: int, name: str) -> bytes:
    """Return the body of a list of outbounds; their names begin with ``name``."""
    outbounds = [
        {"id": f"{number:024x}", "name": f"{name} {number}", "status": 1} for number in range(count)
    ]
    return json.dumps(outbounds).encode()


class ApiInMemory(httpx.AsyncBaseTransport):
    """A calls search over fixed rows, the same for each outbound, and a list of outbounds.

    Everything is encoded before it is asked for, so that the event loop spends no time here.

    Attributes:
        listing: The body of the list of outbounds.
    """

    def __init__(
        self, rows: Sequence[dict[str, Any]] = (), listing: bytes = b"[]", *, has_limit: bool = True
    ) -> None:
        oldest_first = sorted(rows, key=lambda each: str(each["startTime"]))
        self._starts = [parse_instant(each["startTime"]) or 0 for each in oldest_first]
        self._rows = [json.dumps(each).encode() for each in oldest_first]
        self._has_limit = has_limit
        self.listing = listing

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request."""
        if request.method == "GET":
            return httpx.Response(200, stream=httpx.ByteStream(self.listing))
        asked = json.loads(await request.aread())
        start, end = (parse_instant(asked[key]) or 0 for key in ("fromDate", "toDate"))
        first, last = bisect_left(self._starts, start), bisect_right(self._starts, end)
        found = self._rows[first:last]
        if not asked["isAscending"]:
            found.reverse()
        limit = asked["limit"] if self._has_limit else len(found)
        rows = b",".join(found[asked["skip"] :][:limit])
        body = b'{"count": %d, "results": [%s]}' % (len(found), rows)
        return httpx.Response(200, stream=httpx.ByteStream(body))
