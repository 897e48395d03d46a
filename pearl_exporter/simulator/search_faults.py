"""Faults of the search: another range, order, filter or page size than was asked for."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response

from pearl_exporter.simulator import responses
from pearl_exporter.simulator.call_generator import HOUR_MS, MINUTE_MS
from pearl_exporter.simulator.call_life import CallLife
from pearl_exporter.simulator.campaign import CallPage, CallQuery
from pearl_exporter.simulator.fault_kind import AskedSearch, Fault, FaultKind, FaultKinds
from pearl_exporter.simulator.splitmix import splitmix64

_EVERYTHING = 1 << 60
_UNITS_MS = {"second": 1000, "minute": MINUTE_MS, "hour": HOUR_MS, "day": 24 * HOUR_MS}
_SORT_KEYS: Mapping[str, Callable[[CallLife, int], int]] = {
    "end": lambda call, _at_ms: call.end,
    "written": lambda call, _at_ms: call.written,
    "duration": lambda call, at_ms: call.duration_at(at_ms),
    "lead": lambda call, _at_ms: call.lead,
    "number": lambda call, _at_ms: call.number,
}


def _clamp(fault: Fault, query: CallQuery, _now_ms: int) -> CallQuery:
    return replace(query, limit=min(query.limit, fault.whole("limit")))


def _limit_refused(fault: Fault, asked: AskedSearch) -> Response | None:
    if asked.limit <= fault.number("limit"):
        return None
    message = f"must be at most {fault.number('limit'):.0f}."
    return responses.problem_details(400, limit=message)


def _range_refused(fault: Fault, asked: AskedSearch) -> Response | None:
    longest_ms = fault.milliseconds("hours", HOUR_MS)
    oldest_ms = asked.now_ms - fault.milliseconds("days", 24 * HOUR_MS)
    query = asked.query
    if query.to_ms - query.from_ms <= longest_ms and query.from_ms >= oldest_ms:
        return None
    return responses.problem_details(400, fromDate="is too early for this toDate, or too long ago.")


def _exclusive_to(_fault: Fault, query: CallQuery, _now_ms: int) -> CallQuery:
    return replace(query, to_ms=query.to_ms - 1)


def _exclusive_from(_fault: Fault, query: CallQuery, _now_ms: int) -> CallQuery:
    return replace(query, from_ms=query.from_ms + 1)


def _ends_ignored(fault: Fault, query: CallQuery, now_ms: int) -> CallQuery:
    which = fault.word("which")
    if which in ("to", "both"):
        query = replace(query, to_ms=now_ms)
    if which in ("from", "both"):
        query = replace(query, from_ms=0)
    return query


def _range_shortened(fault: Fault, query: CallQuery, _now_ms: int) -> CallQuery:
    longest_ms = fault.milliseconds("hours", HOUR_MS)
    if fault.word("kept") == "first":
        return replace(query, to_ms=min(query.to_ms, query.from_ms + longest_ms))
    return replace(query, from_ms=max(query.from_ms, query.to_ms - longest_ms))


def _coarse_ends(fault: Fault, query: CallQuery, _now_ms: int) -> CallQuery:
    unit_ms = _UNITS_MS[fault.word("unit")]
    from_ms, to_ms = (end // unit_ms * unit_ms for end in (query.from_ms, query.to_ms))
    if fault.word("cut") == "outwards":
        to_ms += unit_ms - 1
    return replace(query, from_ms=from_ms, to_ms=to_ms)


def _local_ends(fault: Fault, query: CallQuery, _now_ms: int) -> CallQuery:
    offset_ms = fault.milliseconds("hours", HOUR_MS)
    return replace(query, from_ms=query.from_ms - offset_ms, to_ms=query.to_ms - offset_ms)


def _statuses_cut(fault: Fault, query: CallQuery, _now_ms: int) -> CallQuery:
    if not query.statuses:
        return query
    kept = sorted(query.statuses)[:1] if fault.word("which") == "first" else []
    return replace(query, statuses=frozenset(kept))


def _statuses_ignored(_fault: Fault, query: CallQuery, _now_ms: int) -> CallQuery:
    return replace(query, statuses=None)


def _skip_ignored(_fault: Fault, query: CallQuery, _now_ms: int) -> CallQuery:
    return replace(query, skip=0)


def _direction_ignored(fault: Fault, query: CallQuery, _now_ms: int) -> CallQuery:
    order = fault.word("order")
    return query if order == "scrambled" else replace(query, ascending=order == "ascending")


def _scrambled(fault: Fault, asked: AskedSearch, at_ms: int) -> CallPage:
    if fault.word("order") != "scrambled":
        return asked.campaign.page(asked.query, at_ms)
    return _sorted_page(asked, at_ms, lambda call: splitmix64(call.number))


def _sorted_by(fault: Fault, asked: AskedSearch, at_ms: int) -> CallPage:
    key = _SORT_KEYS[fault.word("field")]
    sign = 1 if asked.query.ascending else -1
    return _sorted_page(asked, at_ms, lambda call: sign * key(call, at_ms))


def _range_in_units(fault: Fault, query: CallQuery, _now_ms: int) -> CallQuery:
    """Return the query for the calls whose cut starts lie in its range."""
    unit_ms = _UNITS_MS[fault.word("unit")]
    from_ms = -(-query.from_ms // unit_ms) * unit_ms
    return replace(query, from_ms=from_ms, to_ms=query.to_ms // unit_ms * unit_ms + unit_ms - 1)


def _shuffled_in_units(fault: Fault, asked: AskedSearch, at_ms: int) -> CallPage:
    unit_ms, sign = _UNITS_MS[fault.word("unit")], 1 if asked.query.ascending else -1
    return _sorted_page(
        asked, at_ms, lambda call: (sign * (call.start // unit_ms), asked.random.random())
    )


def _cut_start(fault: Fault, call: CallLife, row: Any) -> Any:
    unit_ms = _UNITS_MS[fault.word("unit")]
    start = datetime.fromtimestamp(call.start // unit_ms * unit_ms / 1000, UTC)
    return row | {"startTime": f"{start:%Y-%m-%dT%H:%M:%SZ}"}


def _sorted_page(asked: AskedSearch, at_ms: int, key: Callable[[CallLife], Any]) -> CallPage:
    """Return a page of the query's rows in the order of ``key``; it looks at the whole range."""
    query = asked.query
    whole = asked.campaign.page(replace(query, skip=0, limit=_EVERYTHING), at_ms)
    calls = sorted(whole.calls, key=key)
    return CallPage(whole.count, calls[query.skip : query.skip + query.limit])


SEARCH_FAULTS: FaultKinds = {
    "clamp": FaultKind(
        help="at most this many rows a page, whatever the limit",
        settings={"limit": 10},
        bounds={"limit": (0, math.inf)},
        on_query=_clamp,
    ),
    "limit_refused": FaultKind(
        help="400 for a limit above this",
        settings={"limit": 100},
        bounds={"limit": (0, math.inf)},
        refuse=_limit_refused,
    ),
    "range_refused": FaultKind(
        help="400 for a range that is longer than this, or begins longer ago",
        settings={"hours": 24.0, "days": 90.0},
        bounds={"hours": (0, math.inf), "days": (0, math.inf)},
        refuse=_range_refused,
    ),
    "skip_ignored": FaultKind(help="skip does nothing", on_query=_skip_ignored),
    "statuses_cut": FaultKind(
        help="a search by statuses finds only the first of them, or nothing",
        settings={"which": "first"},
        words={"which": ("first", "none")},
        on_query=_statuses_cut,
    ),
    "statuses_ignored": FaultKind(
        help="the statuses filter does nothing", on_query=_statuses_ignored
    ),
    "order_ignored": FaultKind(
        help="rows in this order, whatever was asked",
        settings={"order": "ascending"},
        words={"order": ("ascending", "descending", "scrambled")},
        on_query=_direction_ignored,
        on_page=_scrambled,
    ),
    "sorted_by": FaultKind(
        help="rows in the order of another field than the start",
        settings={"field": "end"},
        words={"field": tuple(_SORT_KEYS)},
        on_page=_sorted_by,
    ),
    "exclusive_to": FaultKind(help="toDate is not part of the range", on_query=_exclusive_to),
    "exclusive_from": FaultKind(help="fromDate is not part of the range", on_query=_exclusive_from),
    "ends_ignored": FaultKind(
        help="this end of the range does nothing",
        settings={"which": "to"},
        words={"which": ("to", "from", "both")},
        on_query=_ends_ignored,
    ),
    "coarse_ends": FaultKind(
        help="both ends of the range are cut to this unit: down, or outwards so that nothing is "
        "left out",
        settings={"unit": "day", "cut": "outwards"},
        words={"unit": tuple(_UNITS_MS), "cut": ("outwards", "down")},
        on_query=_coarse_ends,
    ),
    "coarse_starts": FaultKind(
        help="startTime is cut down to this unit, and calls of the same start come in another "
        "order with each answer",
        settings={"unit": "minute"},
        words={"unit": tuple(_UNITS_MS)},
        on_query=_range_in_units,
        on_page=_shuffled_in_units,
        on_row=_cut_start,
    ),
    "range_shortened": FaultKind(
        help="only the first or the last hours of a longer range are looked at",
        settings={"hours": 6.0, "kept": "first"},
        words={"kept": ("first", "last")},
        bounds={"hours": (0, math.inf)},
        on_query=_range_shortened,
    ),
    "local_ends": FaultKind(
        help="both ends of the range are taken for local time, this many hours ahead of UTC",
        settings={"hours": 3.0},
        bounds={"hours": (-24, 24)},
        on_query=_local_ends,
    ),
}
