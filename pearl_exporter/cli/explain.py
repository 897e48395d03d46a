"""``explain``: what the state tells of one call, for people and for machines."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy.engine import make_url

from pearl_exporter.api.decode_calls import format_instant, storable_id
from pearl_exporter.app import counting_rules
from pearl_exporter.config import Settings
from pearl_exporter.counting.calls import (
    Instant,
    call_status_label,
    ended_at,
    is_answered,
    status_label,
)
from pearl_exporter.counting.journal import values_of
from pearl_exporter.counting.packing import CallValues
from pearl_exporter.counting.settlement import CountingRules
from pearl_exporter.counting.tracked_call import CallPhase, TrackedCall
from pearl_exporter.errors import StateError
from pearl_exporter.state.inspect import CallRecord, find_call
from pearl_exporter.state.store import MEMORY_URL
from pearl_exporter.text import is_unicode

Facts = dict[str, Any]
"""What is said, by its name; moments as text, RFC 3339 in UTC."""


def run_explain(
    settings: Settings, call_id: str, outbound: str | None, *, as_json: bool
) -> tuple[str, bool]:
    """What to print of a call, and whether it is tracked anywhere.

    Raises `StateError` if the state can't be read, LookupError if it has no such ``outbound``.
    """
    if settings.state.url == MEMORY_URL:
        raise StateError("memory: keeps nothing that could be explained")
    call_id = storable_id(call_id) if is_unicode(call_id) else call_id
    known = find_call(make_url(settings.state.url).database or "", call_id)
    configured = {each.id: each for each in settings.outbounds}
    names = {
        each.outbound_id: configured[each.outbound_id].name
        if each.outbound_id in configured
        else each.name or each.outbound_id
        for each in known
    }
    chosen = [
        each for each in known if outbound in {None, each.outbound_id, names[each.outbound_id]}
    ]
    if outbound is not None and not chosen:
        said = ", ".join(_printable(names[each.outbound_id]) for each in known) or "none"
        raise LookupError(f"the state holds no outbound of this name or id; it holds: {said}")
    rules = {each.id: counting_rules(each, settings) for each in settings.outbounds}
    whose = {key: {"outbound": name, "outbound_id": key} for key, name in names.items()}
    found = [
        {**whose[each.outbound_id], **_facts(each, each.call, rules.get(each.outbound_id))}
        for each in chosen
        if each.call is not None
    ]
    tracked = [
        {
            **whose[each.outbound_id],
            "tracked_from": _utc(each.progress.low_watermark),
            "tracked_to": _utc(each.progress.polled_at),
        }
        for each in chosen
    ]
    if as_json:
        return json.dumps({"call": call_id, "found": found, "tracked": tracked}), bool(found)
    return ("\n".join(map(_lines, found)) if found else _unknown(tracked)), bool(found)


def _facts(known: CallRecord, each: TrackedCall, rules: CountingRules | None) -> Facts:
    call, told = each.call, known.history
    facts: Facts = {"started": _utc(call.start), "state": _state(known, each, rules)}
    if told.seen_at is None:
        facts["first_seen"] = _unseen(known)
    else:
        facts["first_seen"] = _utc(told.seen_at)
        facts["first_seen_after_seconds"] = (told.seen_at - call.start) / 1000
    values = values_of(call)
    if each.phase is CallPhase.SETTLED:
        if told.settled_at is not None:
            facts["counted_at"] = _utc(told.settled_at)
        counted = told.revisions[0][1].before if told.revisions else values
        facts["counted_as"] = _values(counted, rules)
    facts["revisions"] = [
        {
            "at": _utc(at),
            "from": _values(each.before, rules),
            "to": _values(each.after, rules),
            "is_counted": each.is_counted,
        }
        for at, each in told.revisions
    ]
    facts["is_now"] = _values(values, rules)
    facts["in_window"] = each.in_window
    if rules is not None and each.in_window:
        facts["in_window_until"] = _utc(call.start + rules.window_ms)
    if rules is not None and each.phase in {CallPhase.LIVE, CallPhase.PENDING}:
        facts["followed_until"] = _utc(call.start + max(rules.follow_ms, rules.window_ms))
    if each.is_absent:
        facts["absent"] = "the API does not list it any more"
    return facts


def _state(known: CallRecord, each: TrackedCall, rules: CountingRules | None) -> str:
    told = known.history
    match each.phase:
        case CallPhase.LIVE:
            seen = "" if each.seen_live_at is None else f", last seen so {_utc(each.seen_live_at)}"
            return f"live{seen}"
        case CallPhase.PENDING:
            return _pending(each, rules)
        case CallPhase.SETTLED:
            return "counted"
        case CallPhase.LOST:
            when = "" if told.lost_at is None else f", {_utc(told.lost_at)}"
            return f"not counted: {told.lost_as or 'deleted or follow_expired'}{when}"
        case CallPhase.HISTORY:
            return _history(known)


def _pending(each: TrackedCall, rules: CountingRules | None) -> str:
    if rules is None:
        return "finished, to be counted"
    wait = rules.settle_ms if is_answered(each.call) else rules.settle_unanswered_ms
    at = ended_at(each.call, each.seen_live_at) + wait
    return f"finished, counts at {_utc(at)} at the earliest"


def _history(known: CallRecord) -> str:
    if known.history.settled_at is not None:
        return f"counted at {_utc(known.history.settled_at)}, forgotten since, and read again"
    began = _utc(known.progress.tracking_since)
    return f"not counted: settled before tracking began ({began}), or read too late to count"


def _unseen(known: CallRecord) -> str:
    return f"was already there when tracking began ({_utc(known.progress.tracking_since)})"


def _values(values: CallValues, rules: CountingRules | None) -> Facts:
    status, call_status, duration, tags = values
    said: Facts = {
        "status": status_label(status),
        "call_status": call_status_label(call_status),
        "duration_seconds": duration,
    }
    if rules is not None and duration > 0:
        bucket = next((bound for bound in rules.buckets if duration <= bound), None)
        said["bucket_le"] = "+Inf" if bucket is None else str(float(bucket))
    return {**said, "tags": list(tags)}


def _lines(facts: Facts) -> str:
    width = max(map(len, facts))
    said = {**facts, "revisions": "none"}
    lines = []
    for key, value in (facts if facts["revisions"] else said).items():
        name = key.replace("_", " ").ljust(width)
        if isinstance(value, list):
            for each in value:
                change = f"{_text(each['from'])} -> {_text(each['to'])}"
                what = "revised" if each["is_counted"] else "tags relabelled"
                lines.append(f"{what.ljust(width)}  {each['at']}: {change}")
        else:
            lines.append(f"{name}  {_text(value)}")
    return "\n".join(lines) + "\n"


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={_text(each)}" for key, each in value.items())
    if isinstance(value, list):
        return "|".join(map(_printable, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _printable(str(value))


def _printable(text: str) -> str:
    """Without what would move a terminal's cursor."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def _unknown(tracked: Sequence[Facts]) -> str:
    lines = [
        "This call is not known: it was never read, or it was forgotten. Ask the API for it.",
        *(
            f"{_printable(each['outbound'])} ({_printable(each['outbound_id'])}): tracked are "
            f"calls that started from {each['tracked_from']} to {each['tracked_to']}"
            for each in tracked
        ),
    ]
    if not tracked:
        lines.append("The state holds no outbound yet.")
    return "\n".join(lines) + "\n"


def _utc(at: Instant) -> str:
    try:
        return format_instant(at)
    except OverflowError:
        return f"{at} ms since the epoch"
