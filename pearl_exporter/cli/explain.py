"""``explain``: what the state holds about one call, as text or as JSON."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import click
from sqlalchemy.engine import make_url

from pearl_exporter.api.decode_calls import format_instant, storable_id
from pearl_exporter.cli.exits import (
    FAILED,
    MISUSED,
    exit_with,
    exit_with_state_error,
    load_settings_or_exit,
)
from pearl_exporter.config import Settings
from pearl_exporter.counting.calls import (
    CallValues,
    Instant,
    call_status_label,
    ended_at,
    is_answered,
    status_label,
)
from pearl_exporter.counting.settlement import CountingRules
from pearl_exporter.counting.tracked_call import CallPhase, TrackedCall
from pearl_exporter.errors import StateError
from pearl_exporter.reconfigure import counting_rules
from pearl_exporter.state.inspect import CallRecord, find_call
from pearl_exporter.state.store import MEMORY_URL
from pearl_exporter.text import is_unicode

Facts = dict[str, Any]
"""What is printed, by its name; instants as text, RFC 3339 in UTC."""


def run_explain(
    config: Path | None, call_id: str, outbound: str | None, *, as_json: bool
) -> NoReturn:
    """Print what is known about a call and exit with 0 if it is tracked, else with 1.

    Args:
        config: The configuration file; None for the environment alone.
        call_id: The call's id.
        outbound: The name or id of the only outbound to look at; None for all.
        as_json: Whether to print JSON.
    """
    settings = load_settings_or_exit(config, asks_api=False)
    try:
        text, is_tracked = _explain(settings, call_id, outbound, as_json=as_json)
    except LookupError as error:
        exit_with(f"--outbound: {error}", MISUSED)
    except StateError as error:
        exit_with_state_error(error)
    click.echo(text, nl=as_json)
    sys.exit(0 if is_tracked else FAILED)


def _explain(
    settings: Settings, call_id: str, outbound: str | None, *, as_json: bool
) -> tuple[str, bool]:
    """Return what to print about a call, and whether any outbound tracks it.

    Raises:
        StateError: The state can't be read.
        LookupError: The state has no such ``outbound``.
    """
    if settings.state.url == MEMORY_URL:
        raise StateError("memory: keeps nothing that could be explained")
    call_id = storable_id(call_id) if is_unicode(call_id) else call_id
    records = find_call(make_url(settings.state.url).database or "", call_id)
    names = _names(records, settings)
    chosen = [
        each for each in records if outbound in {None, each.outbound_id, names[each.outbound_id]}
    ]
    if outbound is not None and not chosen:
        held = ", ".join(map(_printable, names.values())) or "none"
        raise LookupError(f"the state holds no outbound of this name or id; it holds: {held}")
    rules = {each.id: counting_rules(each, settings) for each in settings.outbounds}
    labels = {key: {"outbound": name, "outbound_id": key} for key, name in names.items()}
    found = [
        {**labels[each.outbound_id], **_facts(each, each.call, rules.get(each.outbound_id))}
        for each in chosen
        if each.call is not None
    ]
    tracked = [
        {
            **labels[each.outbound_id],
            "tracked_from": _utc(each.progress.low_watermark),
            "tracked_to": _utc(each.progress.polled_at),
        }
        for each in chosen
    ]
    if as_json:
        return json.dumps({"call": call_id, "found": found, "tracked": tracked}), bool(found)
    return ("\n".join(map(_lines, found)) if found else _unknown(tracked)), bool(found)


def _names(records: Sequence[CallRecord], settings: Settings) -> dict[str, str]:
    """Return outbounds' names by id: the configured one, else the platform's, else the id."""
    names = {each.outbound_id: each.name or each.outbound_id for each in records}
    return names | {each.id: each.name for each in settings.outbounds if each.id in names}


def _facts(record: CallRecord, tracked: TrackedCall, rules: CountingRules | None) -> Facts:
    """Return what is known about a call in one outbound.

    Args:
        record: What the state holds about the call.
        tracked: The call as it is tracked.
        rules: The outbound's rules; None if it is not configured.
    """
    call, history = tracked.call, record.history
    facts: Facts = {"started": _utc(call.start), "state": _state(record, tracked, rules)}
    if history.seen_at is None:
        began = _utc(record.progress.tracking_since)
        facts["first_seen"] = f"was already there when tracking began ({began})"
    else:
        facts["first_seen"] = _utc(history.seen_at)
        facts["first_seen_after_seconds"] = (history.seen_at - call.start) / 1000
    values = call.values
    if tracked.phase is CallPhase.SETTLED:
        if history.settled_at is not None:
            facts["counted_at"] = _utc(history.settled_at)
        counted = history.revisions[0][1].before if history.revisions else values
        facts["counted_as"] = _values(counted, rules)
    facts["revisions"] = [
        {
            "at": _utc(at),
            "from": _values(revision.before, rules),
            "to": _values(revision.after, rules),
            "is_counted": revision.is_counted,
        }
        for at, revision in history.revisions
    ]
    facts["is_now"] = _values(values, rules)
    facts["in_window"] = tracked.in_window
    if rules is not None and tracked.in_window:
        facts["in_window_until"] = _utc(call.start + rules.window_ms)
    if rules is not None and tracked.phase in {CallPhase.LIVE, CallPhase.PENDING}:
        facts["followed_until"] = _utc(call.start + max(rules.follow_ms, rules.window_ms))
    if history.absences:
        facts["missing"] = [
            {"from": _utc(each.since), "to": None if each.until is None else _utc(each.until)}
            for each in history.absences
        ]
    if tracked.is_missing:
        facts["absent"] = "the last poll missed it; it is gone if a later one misses it too"
    elif tracked.is_absent:
        facts["absent"] = "the API does not list it any more"
    return facts


def _state(record: CallRecord, tracked: TrackedCall, rules: CountingRules | None) -> str:
    history = record.history
    match tracked.phase:
        case CallPhase.LIVE:
            if tracked.seen_live_at is None:
                return "live"
            return f"live, last seen live at {_utc(tracked.seen_live_at)}"
        case CallPhase.PENDING:
            return _pending(tracked, rules)
        case CallPhase.SETTLED:
            return "counted"
        case CallPhase.LOST:
            when = "" if history.lost_at is None else f", {_utc(history.lost_at)}"
            return f"not counted: {history.lost_as or 'deleted or follow_expired'}{when}"
        case CallPhase.HISTORY:
            return _history(record)


def _pending(tracked: TrackedCall, rules: CountingRules | None) -> str:
    if rules is None:
        return "finished, to be counted"
    wait = rules.settle_ms if is_answered(tracked.call) else rules.settle_unanswered_ms
    at = ended_at(tracked.call, tracked.seen_live_at) + wait
    return f"finished, counts at {_utc(at)} at the earliest"


def _history(record: CallRecord) -> str:
    if record.history.settled_at is not None:
        return f"counted at {_utc(record.history.settled_at)}, forgotten since, and read again"
    began = _utc(record.progress.tracking_since)
    return f"not counted: settled before tracking began ({began}), or read too late to count"


def _values(values: CallValues, rules: CountingRules | None) -> Facts:
    status, call_status, duration, tags = values
    facts: Facts = {
        "status": status_label(status),
        "call_status": call_status_label(call_status),
        "duration_seconds": duration,
    }
    if rules is not None and duration > 0:
        bucket = next((bound for bound in rules.buckets if duration <= bound), None)
        facts["bucket_le"] = "+Inf" if bucket is None else str(float(bucket))
    return {**facts, "tags": list(tags)}


def _lines(facts: Facts) -> str:
    """Return the facts as text: a line for each, and for each revision and each absence."""
    width = max(map(len, facts))
    lines = []
    for key, value in facts.items():
        name = key.replace("_", " ").ljust(width)
        if key == "revisions" and value:
            for each in value:
                change = f"{_text(each['from'])} -> {_text(each['to'])}"
                what = "revised" if each["is_counted"] else "tags relabelled"
                lines.append(f"{what.ljust(width)}  {each['at']}: {change}")
        elif key == "missing":
            for each in value:
                until = "and still" if each["to"] is None else f"to {each['to']}"
                lines.append(f"{name}  from {each['from']} {until}")
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
    """Return the text without what could change the terminal."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def _unknown(tracked: Sequence[Facts]) -> str:
    lines = [
        "This call is not known: it was never read, or it was forgotten. Ask the API for it.",
        *(
            f"{_printable(each['outbound'])} ({_printable(each['outbound_id'])}): calls that "
            f"started from {each['tracked_from']} to {each['tracked_to']} are tracked"
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
