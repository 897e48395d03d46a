"""What each fault does to a request on its way through the simulated API."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import msgspec
from starlette.responses import Response

from pearl_exporter.simulator import answers
from pearl_exporter.simulator.campaign import Campaign, Page, Search
from pearl_exporter.simulator.faults import Fault
from pearl_exporter.simulator.life import CallLife, spin
from pearl_exporter.simulator.odd import odd_kind, odd_row

Struck = Mapping[str, Fault]

_REFUSALS = {"unauthorized": 401, "forbidden": 403, "not_found": 404}
_EVERYTHING = 1 << 60


def refusal(struck: Struck, now_ms: int) -> Response | None:
    """Return the error that stands in the place of an answer, if a fault wants one."""
    if "rate_limit" in struck:
        return _rate_limited(struck["rate_limit"], now_ms)
    if "server_error" in struck:
        status = int(struck["server_error"].number("status"))
        return Response(answers.HTML, status, media_type="text/html")
    if "bad_request" in struck:
        return answers.problem(400, f"No lead {answers.BAIT}.", fromDate="The range is too long.")
    for name, status in _REFUSALS.items():
        if name in struck:
            return answers.problem(status, f"Not for {answers.BAIT}.")
    return None


def _rate_limited(fault: Fault, now_ms: int) -> Response:
    answer = Response(b"Too many requests", 429, media_type="text/plain")
    seconds = fault.number("retry_after")
    if seconds >= 0:
        date = fault.word("form") == "date"
        after = answers.http_date(now_ms + seconds * 1000) if date else f"{seconds:g}"
        answer.headers["retry-after"] = after
    return answer


def disfigured(answer: Response, struck: Struck) -> Response:
    """Return what becomes of a good answer's body and type; the status stays 200."""
    if answer.status_code != 200:
        return answer
    if "html" in struck:
        answer = Response(answers.HTML, media_type="text/html")
    elif "error_object" in struck:
        error = {"error": {"code": 17, "message": f"Lead {answers.BAIT} is locked"}}
        answer = Response(msgspec.json.encode(error), media_type="application/json")
    elif "empty" in struck:
        answer = Response(b"", media_type="text/plain")
    elif "cut" in struck:
        answer = Response(answer.body[: len(answer.body) * 2 // 3], media_type="application/json")
    if "content_type" in struck:
        answer.headers["content-type"] = struck["content_type"].word("type")
    return answer


def conveyed(
    answer: Response, struck: Struck, sleep: Callable[[float], Awaitable[None]]
) -> Response:
    """Return the answer as the wire bears it: whole, in drops, or not at all."""
    if "drop" in struck:
        return answers.Dropping(answer, middle=struck["drop"].word("when") == "middle")
    if "drip" in struck:
        drip = struck["drip"]
        return answers.Dripping(answer, drip.number("seconds"), int(drip.number("drops")), sleep)
    return answer


def misread(search: Search, struck: Struck) -> Search:
    """Return the search as a server with these faults understands it."""
    if "clamp" in struck:
        search = replace(search, limit=min(search.limit, int(struck["clamp"].number("limit"))))
    if "exclusive_to" in struck:
        search = replace(search, to_ms=search.to_ms - 1)
    if "exclusive_from" in struck:
        search = replace(search, from_ms=search.from_ms + 1)
    if "statuses_ignored" in struck:
        search = replace(search, statuses=None)
    order = struck.get("order_ignored")
    if order is not None and order.word("order") != "scrambled":
        search = replace(search, ascending=order.word("order") == "ascending")
    return search


def page(campaign: Campaign, search: Search, struck: Struck, now_ms: int) -> Page:
    """Return the page, in no order at all if a fault scrambles it, at the cost of the range."""
    order = struck.get("order_ignored")
    if order is None or order.word("order") != "scrambled":
        return campaign.page(search, now_ms)
    whole = campaign.page(replace(search, skip=0, limit=_EVERYTHING), now_ms)
    calls = sorted(whole.calls, key=lambda call: spin(call.number))
    return Page(whole.count, calls[search.skip : search.skip + search.limit])


def told(campaign: Campaign, page: Page, struck: Struck, now_ms: int) -> dict[str, Any]:
    """Return the answer's JSON for ``page``."""
    rows: list[Any] | None = [campaign.row(call, now_ms) for call in page.calls]
    if "odd_rows" in struck:
        share = struck["odd_rows"].number("share")
        kinds = [odd_kind(call, share) for call in page.calls]
        rows = [
            row if kind is None else odd_row(row, kind)
            for row, kind in zip(rows or (), kinds, strict=True)
        ]
    if "null_results" in struck and not rows:
        rows = None
    return {"count": page.count, "results": rows}


class Shifts:
    """The rows that the fault ``shifting`` has taken away, to be brought back in turn.

    They really go and come, at the simulated moment, so the truth knows of them.
    """

    def __init__(self) -> None:
        self._taken: dict[str, list[CallLife]] = {}
        self._turn = 0

    def shift(self, campaign: Campaign, front: Search, now_ms: int) -> None:
        """Take away the first row of the search ``front``, or, every other time, bring one back."""
        taken = self._taken.setdefault(campaign.outbound_id, [])
        self._turn += 1
        if self._turn % 2 == 0 and taken:
            campaign.bring_back(taken.pop(), now_ms)
            return
        for call in campaign.page(front, now_ms).calls:
            campaign.remove(call, now_ms)
            taken.append(call)
