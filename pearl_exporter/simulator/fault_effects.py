"""What the faults that hit one request do to it, stage by stage (see `fault_kind`)."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

from starlette.responses import Response

from pearl_exporter.simulator.fault_catalogue import FAULTS
from pearl_exporter.simulator.fault_kind import (
    Answer,
    AskedSearch,
    Fault,
    FaultKind,
    RequestFaults,
    Sleep,
)

Effect = TypeVar("Effect", bound=Callable[..., Any])


def error_response(faults: RequestFaults, now_ms: int) -> Response | None:
    """Return the error that takes the place of an answer, None if no fault wants one."""
    for fault, instead in _effects(faults, lambda kind: kind.instead):
        return instead(fault, now_ms)
    return None


def search_answer(faults: RequestFaults, asked: AskedSearch) -> Answer | Response:
    """Return the answer of a calls search, or the error that it gets for what it asks."""
    for fault, refuse in _effects(faults, lambda kind: kind.refuse):
        refusal = refuse(fault, asked)
        if refusal is not None:
            return refusal
    campaign, query, at_ms = asked.campaign, asked.query, asked.now_ms
    for fault, on_query in _effects(faults, lambda kind: kind.on_query):
        query = on_query(fault, query, asked.now_ms)
    asked = replace(asked, query=query)
    for fault, on_table in _effects(faults, lambda kind: kind.on_table):
        on_table(fault, asked)
    for fault, as_of in _effects(faults, lambda kind: kind.as_of):
        at_ms = as_of(fault, at_ms)
    page = None
    for fault, on_page in _effects(faults, lambda kind: kind.on_page):
        page = on_page(fault, asked, at_ms)
    if page is None:
        page = campaign.page(query, at_ms)
    rows: list[Any] = [campaign.row(call, at_ms) for call in page.calls]
    for fault, on_row in _effects(faults, lambda kind: kind.on_row):
        rows = [on_row(fault, call, row) for call, row in zip(page.calls, rows, strict=True)]
    answer = Answer(page.count, rows)
    for fault, on_answer in _effects(faults, lambda kind: kind.on_answer):
        answer = on_answer(fault, answer, asked)
    return answer


def outbound_list(faults: RequestFaults, rows: list[Any]) -> Any:
    """Return the list of outbounds as it is answered."""
    listed: Any = rows
    for fault, on_list in _effects(faults, lambda kind: kind.on_list):
        listed = on_list(fault, listed)
    return listed


def with_body_faults(response: Response, faults: RequestFaults) -> Response:
    """Return the response; one with status 200 has the faults of bodies."""
    if response.status_code != 200:
        return response
    for fault, on_body in _effects(faults, lambda kind: kind.on_body):
        response = on_body(fault, response)
    return response


def change_headers(response: Response, faults: RequestFaults, now_ms: int) -> None:
    """Change the headers of a response that has its ``Date``."""
    for fault, on_headers in _effects(faults, lambda kind: kind.on_headers):
        on_headers(fault, response, now_ms)


def delivered(response: Response, faults: RequestFaults, sleep: Sleep) -> Response:
    """Return the response as it goes over the connection."""
    for fault, on_wire in _effects(faults, lambda kind: kind.on_wire):
        response = on_wire(fault, response, sleep)
    return response


def _effects(
    faults: RequestFaults, stage: Callable[[FaultKind], Effect | None]
) -> Iterator[tuple[Fault, Effect]]:
    """Yield the faults that do something at a stage, in order, with what they do."""
    for name, fault in faults.items():
        effect = stage(FAULTS[name])
        if effect is not None:
            yield fault, effect
