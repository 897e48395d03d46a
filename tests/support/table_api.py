"""A table of calls behind the API: the real client's searches, answered by a `Table`."""

import json
from collections.abc import Callable

import httpx
import msgspec

from pearl_exporter.api.decode_calls import format_instant, parse_instant
from pearl_exporter.counting.calls import Call
from pearl_exporter.reading.search import Search
from tests.support.table import Table


class TableApi(httpx.AsyncBaseTransport):
    """Answers every search from the table that ``table`` returns, without a ``Date``."""

    def __init__(self, table: Callable[[], Table]) -> None:
        self._table = table

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(await request.aread())
        search = Search(
            start=parse_instant(body["fromDate"]),
            end=parse_instant(body["toDate"]),
            skip=body["skip"],
            limit=body["limit"],
            ascending=body["isAscending"],
            statuses=tuple(body.get("statuses", ())),
        )
        page = self._table().answer(search)
        answer = {"count": page.count, "results": [_row(call) for call in page.calls]}
        return httpx.Response(200, stream=httpx.ByteStream(msgspec.json.encode(answer)))


def _row(call: Call) -> dict[str, object]:
    return {
        "id": call.id,
        "startTime": format_instant(call.start),
        "conversationStatus": call.status,
        "status": call.call_status,
        "duration": call.duration,
        "tags": list(call.tags),
    }
