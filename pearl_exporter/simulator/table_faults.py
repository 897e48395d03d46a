"""Faults of the table of calls: rows are deleted, vanish for a while, or are out of date.

Rows that a fault deletes are deleted for good, also from the truth. Rows that only vanish from
answers are still in the truth.
"""

import math
from dataclasses import replace

from pearl_exporter.simulator.campaign import CallQuery
from pearl_exporter.simulator.fault_kind import Answer, AskedSearch, Fault, FaultKind, FaultKinds
from pearl_exporter.simulator.row_writer import CallRow, call_number
from pearl_exporter.simulator.splitmix import splitmix64

_EVERYTHING = 1 << 60


def _no_rows(_fault: Fault, _answer: Answer, _asked: AskedSearch) -> Answer:
    return Answer(0, [])


def _vanishing(fault: Fault, query: CallQuery, _now_ms: int) -> CallQuery:
    share, also = fault.number("share"), query.matches

    def is_there(row: CallRow) -> bool:
        drawn = (splitmix64(call_number(row)) & 0xFFFFFF) / 0x1000000
        return drawn >= share and (also is None or also(row))

    return replace(query, matches=is_there)


def _behind(fault: Fault, now_ms: int) -> int:
    return now_ms - fault.milliseconds("seconds")


def _retention(fault: Fault, asked: AskedSearch) -> None:
    asked.campaign.delete_before(asked.now_ms - fault.milliseconds("seconds"), asked.now_ms)


def _bulk_deletion(fault: Fault, asked: AskedSearch) -> None:
    """Delete a share of the range's rows."""
    whole = replace(asked.query, skip=0, limit=_EVERYTHING, ascending=True)
    calls = asked.campaign.page(whole, asked.now_ms).calls
    number = round(len(calls) * fault.number("share"))
    match fault.word("which"):
        case "oldest":
            deleted = calls[:number]
        case "newest":
            deleted = calls[len(calls) - number :]
        case _:
            deleted = asked.random.sample(calls, number)
    for call in deleted:
        asked.campaign.remove(call, asked.now_ms)


def _shifting(_fault: Fault, asked: AskedSearch) -> None:
    """Delete the range's first row, or bring back the row that was deleted last."""
    if not asked.query.skip:
        return
    if asked.shifted:
        asked.campaign.bring_back(asked.shifted.pop(), asked.now_ms)
        return
    for call in asked.campaign.page(replace(asked.query, skip=0, limit=1), asked.now_ms).calls:
        asked.campaign.remove(call, asked.now_ms)
        asked.shifted.append(call)


TABLE_FAULTS: FaultKinds = {
    "no_rows": FaultKind(help="a count of 0 and no results", on_answer=_no_rows),
    "vanishing": FaultKind(
        help="this share of the rows is in no answer and no count, always the same ones; they are "
        "back when the fault ends",
        settings={"share": 0.1},
        bounds={"share": (0, 1)},
        on_query=_vanishing,
    ),
    "replica_behind": FaultKind(
        help="the answer is this many seconds old, as from a replica that is behind; with a "
        "probability below 1, it is one of several replicas behind a load balancer",
        settings={"seconds": 30.0},
        bounds={"seconds": (0, math.inf)},
        as_of=_behind,
    ),
    "retention": FaultKind(
        help="calls are deleted this many seconds after their start",
        settings={"seconds": 3600.0},
        bounds={"seconds": (0, math.inf)},
        on_table=_retention,
    ),
    "bulk_deletion": FaultKind(
        help="deletes this share of the rows that are asked for, before each answer",
        settings={"share": 0.5, "which": "oldest"},
        words={"which": ("oldest", "newest", "any")},
        bounds={"share": (0, 1)},
        on_table=_bulk_deletion,
    ),
    "shifting": FaultKind(
        help="deletes the first row, or brings one back, before a page with skip above 0",
        on_table=_shifting,
    ),
}
