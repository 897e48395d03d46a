"""Faults of rows: fields that are missing, of a wrong type, or in local time."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from pearl_exporter.simulator.call_generator import HOUR_MS
from pearl_exporter.simulator.call_life import CallLife
from pearl_exporter.simulator.fault_kind import Answer, AskedSearch, Fault, FaultKind, FaultKinds
from pearl_exporter.simulator.row_writer import CallRow
from pearl_exporter.simulator.search_body import moment_us
from pearl_exporter.simulator.splitmix import splitmix64

FIELDS: Mapping[str, str] = {
    "id": "id",
    "start_time": "startTime",
    "conversation_status": "conversationStatus",
    "status": "status",
    "duration": "duration",
    "tags": "tags",
}
"""The fields of a row that the exporter reads: the API's name by the setting's word."""

_OTHER_NAMES = {
    "id": "callId",
    "startTime": "startedAt",
    "conversationStatus": "outcome",
    "status": "state",
    "duration": "durationSeconds",
    "tags": "labels",
}
_WORDS = {
    "id": "the first",
    "startTime": "yesterday",
    "conversationStatus": "Complete",
    "status": "Completed",
    "duration": "a minute",
    "tags": "a tag",
}


def malformed_row(row: CallRow, variant: int) -> Any:
    """Return what is served in place of ``row``; ``variant``, any number, chooses how it is wrong.

    The first six variants have no usable id or start, so that nobody can count their calls.
    """
    variants: tuple[Any, ...] = (
        row | {"id": None},
        {name: value for name, value in row.items() if name != "id"},
        {name: value for name, value in row.items() if name != "startTime"},
        row | {"startTime": "yesterday"},
        row | {"startTime": None},
        None,
        row | {"duration": str(row["duration"])},
        row | {"duration": None, "from": 15550100},
        row | {"conversationStatus": "Complete"},
        row | {"status": None, "extra": {"nested": []}},
        row | {"tags": "a tag"},
        row | {"tags": [None, 7, {"name": "x"}]},
    )
    return variants[variant % len(variants)]


def _odd_rows(fault: Fault, call: CallLife, row: Any) -> Any:
    bits = splitmix64(call.number ^ 0x0DD)
    is_hit = (bits & 0xFFFF) / 0x10000 < fault.number("share")
    return malformed_row(row, bits >> 32) if is_hit and isinstance(row, dict) else row


def _odd_field(fault: Fault, call: CallLife, row: Any) -> Any:
    # drawn from the call's number, so that the same rows are hit in every answer
    bits = splitmix64(call.number ^ 0xF1E1D)
    if (bits & 0xFFFFFF) / 0x1000000 >= fault.number("share") or not isinstance(row, dict):
        return row
    name = FIELDS[fault.word("field")]
    changed = {key: value for key, value in row.items() if key != name}
    form = fault.word("form")
    if form == "absent":
        return changed
    if form == "renamed":
        return changed | {_OTHER_NAMES[name]: row.get(name)}
    return changed | {name: _FORMS[form](name, row.get(name), call)}


_FORMS: Mapping[str, Callable[[str, Any, CallLife], Any]] = {
    "null": lambda _name, _value, _call: None,
    "number": lambda name, _value, call: call.start if name == "startTime" else call.number,
    "word": lambda name, _value, _call: _WORDS[name],
    "quoted": lambda _name, value, _call: str(value),
    "thousandfold": lambda _name, value, _call: (
        value * 1000 if type(value) in (int, float) else value
    ),
    "list": lambda _name, value, _call: [value],
    "object": lambda _name, value, _call: {"value": value},
}


def _changing_ids(_fault: Fault, answer: Answer, asked: AskedSearch) -> Answer:
    return Answer(
        answer.count,
        answer.results
        and [
            row | {"id": f"{asked.random.getrandbits(96):024x}"} if isinstance(row, dict) else row
            for row in answer.results
        ],
    )


def _local_time(fault: Fault, call: CallLife, row: Any) -> Any:
    if not isinstance(row, dict):
        return row
    hours = fault.number("hours")
    change = fault.word("change")
    if change and call.start >= moment_us("change", change) // 1000:
        hours = fault.number("then")
    local = datetime.fromtimestamp((call.start + round(hours * HOUR_MS)) / 1000, UTC)
    return row | {"startTime": local.isoformat(timespec="milliseconds").removesuffix("+00:00")}


ROW_FAULTS: FaultKinds = {
    "local_time": FaultKind(
        help="startTime is local time without a zone, this many hours ahead of UTC; for calls that "
        "start from change on it is ahead by then, as when summer time begins",
        settings={"hours": 3.0, "change": "", "then": 0.0},
        bounds={"hours": (-24, 24), "then": (-24, 24)},
        moments=frozenset({"change"}),
        on_row=_local_time,
    ),
    "changing_ids": FaultKind(
        help="each call has another id in each answer", on_answer=_changing_ids
    ),
    "odd_field": FaultKind(
        help="one field has another form, in this share of the rows, always the same ones; number "
        "is a number in place of a text, word a word in place of a number or a time, quoted the "
        "value as a text, and thousandfold a number of milliseconds in place of seconds",
        settings={"share": 1.0, "field": "id", "form": "renamed"},
        words={"field": tuple(FIELDS), "form": ("renamed", "absent", *_FORMS)},
        bounds={"share": (0, 1)},
        on_row=_odd_field,
    ),
    "odd_rows": FaultKind(
        help="rows that are malformed in many ways, always the same ones",
        settings={"share": 0.05},
        bounds={"share": (0, 1)},
        on_row=_odd_rows,
    ),
}
