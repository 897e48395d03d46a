"""Faults of the count: it contradicts the rows, or pages have no end."""

import math
from dataclasses import replace
from datetime import UTC, datetime

from pearl_exporter.simulator.fault_kind import Answer, AskedSearch, Fault, FaultKind, FaultKinds
from pearl_exporter.simulator.row_writer import CallRow, call_number

_LARGE = 1e12


def _off(fault: Fault, answer: Answer, _asked: AskedSearch) -> Answer:
    return replace(answer, count=max(0, answer.count + fault.whole("by")))


def _capped(fault: Fault, answer: Answer, _asked: AskedSearch) -> Answer:
    return replace(answer, count=min(answer.count, fault.whole("limit")))


def _of_page(_fault: Fault, answer: Answer, _asked: AskedSearch) -> Answer:
    return replace(answer, count=len(answer.results or ()))


def _page_size(_fault: Fault, answer: Answer, asked: AskedSearch) -> Answer:
    return replace(answer, count=asked.limit)


def _fixed(fault: Fault, answer: Answer, _asked: AskedSearch) -> Answer:
    return replace(answer, count=fault.whole("count"))


def _jumping(fault: Fault, answer: Answer, asked: AskedSearch) -> Answer:
    by = fault.whole("by")
    return replace(answer, count=max(0, answer.count + asked.random.randint(-by, by)))


def _endless(_fault: Fault, answer: Answer, asked: AskedSearch) -> Answer:
    """Fill the page with made-up rows of new ids, and count one more page than was asked for."""
    query, real = asked.query, list(answer.results or ())
    made_up = [_made_up_row(asked) for _ in range(query.limit - len(real))]
    return Answer(query.skip + 2 * query.limit, [*real, *made_up])


def _made_up_row(asked: AskedSearch) -> CallRow:
    # inside the range, near the end at which its last page ends
    from_ms, to_ms = asked.query.from_ms, min(asked.query.to_ms, asked.now_ms)
    near_ms = max(from_ms, to_ms - 10) if asked.query.ascending else min(to_ms, from_ms + 10)
    start = datetime.fromtimestamp(near_ms / 1000, UTC)
    return {
        "id": f"{asked.random.getrandbits(96):024x}",
        "startTime": start.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "conversationStatus": 150,
        "status": 7,
        "from": None,
        "to": None,
        "duration": 0,
        "tags": [],
    }


def _results_null(_fault: Fault, answer: Answer, _asked: AskedSearch) -> Answer:
    return replace(answer, results=None)


def _empty_results_null(_fault: Fault, answer: Answer, _asked: AskedSearch) -> Answer:
    return answer if answer.results else replace(answer, results=None)


def _missing(fault: Fault, answer: Answer, _asked: AskedSearch) -> Answer:
    every, rows = fault.whole("every"), answer.results or ()
    if fault.word("which") == "place":
        return replace(answer, results=[row for at, row in enumerate(rows, 1) if at % every])
    return replace(answer, results=[row for row in rows if call_number(row) % every])


COUNT_FAULTS: FaultKinds = {
    "endless": FaultKind(
        help="pages have no end: made-up rows fill each page, and the count is always more",
        on_answer=_endless,
    ),
    "rows_missing": FaultKind(
        help="one row of this many is counted, but not in the results: by its place on the page, "
        "or always the same rows",
        settings={"every": 2, "which": "same"},
        words={"which": ("same", "place")},
        bounds={"every": (1, math.inf)},
        on_answer=_missing,
    ),
    "count_off": FaultKind(
        help="the count is this many too high, or too low if negative",
        settings={"by": 1},
        on_answer=_off,
    ),
    "count_capped": FaultKind(
        help="the count is at most this",
        settings={"limit": 100},
        bounds={"limit": (0, math.inf)},
        on_answer=_capped,
    ),
    "count_of_page": FaultKind(
        help="the count is the number of rows on the page", on_answer=_of_page
    ),
    "count_page_size": FaultKind(
        help="the count is the limit that was asked for", on_answer=_page_size
    ),
    "count_fixed": FaultKind(
        help="the count is always this",
        settings={"count": int(_LARGE)},
        bounds={"count": (0, math.inf)},
        on_answer=_fixed,
    ),
    "count_jumping": FaultKind(
        help="the count is too high or too low by up to this many, another number each time",
        settings={"by": 10},
        bounds={"by": (0, math.inf)},
        on_answer=_jumping,
    ),
    "results_null": FaultKind(
        help="the results are null, whatever the count", on_answer=_results_null
    ),
    "null_results": FaultKind(
        help="an empty page has null for its results", on_answer=_empty_results_null
    ),
}
