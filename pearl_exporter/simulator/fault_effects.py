"""What each fault does to a request: to its search, its answer, or the connection.

In the order in which a request meets them: `error_response` in place of an answer,
`with_search_faults` on the search, `faulty_page` and `answer_json` on the rows, `corrupted` on the
body, `delivered` on the connection.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import msgspec
from starlette.responses import Response

from pearl_exporter.simulator import responses
from pearl_exporter.simulator.call_life import CallLife
from pearl_exporter.simulator.campaign import CallPage, CallQuery, Campaign
from pearl_exporter.simulator.faults import Fault, RequestFaults
from pearl_exporter.simulator.malformed_rows import malformed_row, variant_of
from pearl_exporter.simulator.splitmix import splitmix64

_STATUSES = {"unauthorized": 401, "forbidden": 403, "not_found": 404}
_EVERYTHING = 1 << 60


def error_response(faults: RequestFaults, now_ms: int) -> Response | None:
    """Return the error that takes the place of an answer, None if no fault wants one."""
    if "rate_limit" in faults:
        return _rate_limited(faults["rate_limit"], now_ms)
    if "server_error" in faults:
        status = int(faults["server_error"].number("status"))
        return Response(responses.HTML, status, media_type="text/html")
    if "bad_request" in faults:
        return responses.problem_details(
            400, f"No lead {responses.CANARY_NUMBER}.", fromDate="The range is too long."
        )
    for name, status in _STATUSES.items():
        if name in faults:
            return responses.problem_details(status, f"Not for {responses.CANARY_NUMBER}.")
    return None


def _rate_limited(fault: Fault, now_ms: int) -> Response:
    response = Response(b"Too many requests", 429, media_type="text/plain")
    seconds = fault.number("retry_after")
    if seconds >= 0:
        as_date = fault.word("form") == "date"
        after = responses.http_date(now_ms + seconds * 1000) if as_date else f"{seconds:g}"
        response.headers["retry-after"] = after
    return response


def with_search_faults(query: CallQuery, faults: RequestFaults) -> CallQuery:
    """Return the query as a server with these faults understands it."""
    if "clamp" in faults:
        query = replace(query, limit=min(query.limit, int(faults["clamp"].number("limit"))))
    if "exclusive_to" in faults:
        query = replace(query, to_ms=query.to_ms - 1)
    if "exclusive_from" in faults:
        query = replace(query, from_ms=query.from_ms + 1)
    if "statuses_ignored" in faults:
        query = replace(query, statuses=None)
    order = faults.get("order_ignored")
    if order is not None and order.word("order") != "scrambled":
        query = replace(query, ascending=order.word("order") == "ascending")
    return query


def faulty_page(
    campaign: Campaign, query: CallQuery, faults: RequestFaults, now_ms: int
) -> CallPage:
    """Return the page; in no order if a fault scrambles it, which reads the whole range."""
    order = faults.get("order_ignored")
    if order is None or order.word("order") != "scrambled":
        return campaign.page(query, now_ms)
    whole = campaign.page(replace(query, skip=0, limit=_EVERYTHING), now_ms)
    calls = sorted(whole.calls, key=lambda call: splitmix64(call.number))
    return CallPage(whole.count, calls[query.skip : query.skip + query.limit])


def answer_json(
    campaign: Campaign, page: CallPage, faults: RequestFaults, now_ms: int
) -> dict[str, Any]:
    """Return the answer of the calls search for ``page``."""
    rows: list[Any] | None = [campaign.row(call, now_ms) for call in page.calls]
    if "odd_rows" in faults:
        share = faults["odd_rows"].number("share")
        variants = [variant_of(call, share) for call in page.calls]
        rows = [
            row if variant is None else malformed_row(row, variant)
            for row, variant in zip(rows or (), variants, strict=True)
        ]
    if "null_results" in faults and not rows:
        rows = None
    return {"count": page.count, "results": rows}


def corrupted(response: Response, faults: RequestFaults) -> Response:
    """Return a good response with the faults of its body and content type; it stays a 200."""
    if response.status_code != 200:
        return response
    if "html" in faults:
        response = Response(responses.HTML, media_type="text/html")
    elif "error_object" in faults:
        message = f"Lead {responses.CANARY_NUMBER} is locked"
        error = {"error": {"code": 17, "message": message}}
        response = Response(msgspec.json.encode(error), media_type="application/json")
    elif "empty" in faults:
        response = Response(b"", media_type="text/plain")
    elif "cut" in faults:
        part = response.body[: len(response.body) * 2 // 3]
        response = Response(part, media_type="application/json")
    if "content_type" in faults:
        response.headers["content-type"] = faults["content_type"].word("type")
    return response


def delivered(
    response: Response, faults: RequestFaults, sleep: Callable[[float], Awaitable[None]]
) -> Response:
    """Return the response as it goes over the connection: whole, in pieces, or dropped."""
    if "drop" in faults:
        return responses.DroppedResponse(response, middle=faults["drop"].word("when") == "middle")
    if "drip" in faults:
        drip = faults["drip"]
        seconds, pieces = drip.number("seconds"), int(drip.number("drops"))
        return responses.SlowResponse(response, seconds, pieces, sleep)
    return response


class RowShifter:
    """Deletes rows for the fault ``shifting``, and brings them back in turn.

    The rows really go and come back, at the simulated moment, so the truth knows of it.
    """

    def __init__(self) -> None:
        self._removed: dict[str, list[CallLife]] = {}
        self._is_odd_turn = False

    def shift(self, campaign: Campaign, first_row: CallQuery, now_ms: int) -> None:
        """Delete the row that ``first_row`` finds or, every other time, bring a row back."""
        removed = self._removed.setdefault(campaign.outbound_id, [])
        self._is_odd_turn = not self._is_odd_turn
        if removed and not self._is_odd_turn:
            campaign.bring_back(removed.pop(), now_ms)
            return
        for call in campaign.page(first_row, now_ms).calls:
            campaign.remove(call, now_ms)
            removed.append(call)
