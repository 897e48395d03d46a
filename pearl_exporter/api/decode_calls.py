"""Decodes a page of calls from the body of an answer, whatever its content type says. Pure.

A page is decoded at once into `_Row` structs, which costs a third of a microsecond a row. If that
fails (a wrong type somewhere, half a surrogate pair, bytes that are not UTF-8), the page is decoded
again leniently and row by row, so that one bad row costs one row. A bad field counts as null; a row
without a usable ``id`` or ``startTime`` is rejected. Each of these fields is noted (`UnusableRow`).
A number in quotes is read as the number it is.
"""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

import msgspec

from pearl_exporter.api.loose_json import number, read_json, whole_number
from pearl_exporter.counting.calls import ALIASES, CALL_STATUS_LABELS, STATUS_LABELS, Call, Instant
from pearl_exporter.counting.labels import MAX_TAGS_OF_A_CALL, OTHER, looks_personal
from pearl_exporter.errors import BadResponseError
from pearl_exporter.reading.search import Page, UnusableRow
from pearl_exporter.text import is_unicode

MAX_ID_LENGTH = 256
MAX_CALL_CODE = 999_999
MAX_DURATION_SECONDS = 31 * 86_400.0
"""Beyond these limits a field is a mistake and counts as null. A longer code never becomes a label:
it might be a phone number."""

_WRONG_CODE = MAX_CALL_CODE + 1
_WRONG_DURATION = -1.0
"""What a value of a wrong type is read as: beyond the limits, so that it counts as unusable."""

_QUOTED_NUMBER = re.compile(r"-?[0-9]{1,9}(?:\.[0-9]{1,9})?")

_USUAL_ID_LENGTH = 24
_HEX_ID = re.compile(r"#?(?=.*[a-fA-F])[0-9a-fA-F-]{16,}")

_USUAL = frozenset({None, *STATUS_LABELS, *CALL_STATUS_LABELS} - ALIASES.keys())
"""Codes that stay as they are."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_WITHOUT_ZONE = _EPOCH.replace(tzinfo=None)
_moment = datetime.fromisoformat
_MILLISECOND = timedelta(milliseconds=1)

_SingleTags = dict[str | None, tuple[str, ...]]
"""The tags of rows that have one, by that one; for one page only, since it may be any text."""


class _Row(msgspec.Struct, gc=False):
    id: str | None = None
    startTime: str | None = None  # noqa: N815 - the API's name
    conversationStatus: int | None = None  # noqa: N815
    status: int | None = None
    duration: float | None = None
    tags: list[str | None] | None = None


class _Answer(msgspec.Struct, gc=False):
    count: int
    results: list[_Row] | None


_decode_answer = msgspec.json.Decoder(_Answer).decode


def decode_page(body: bytes) -> Page:
    """Return the page that a body holds; raise `BadResponseError` if it holds none."""
    bad_tags: Collection[int] = ()
    try:
        answer = _decode_answer(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        answer, bad_tags = _decode_leniently(body)
    if answer.count < 0:
        raise BadResponseError("the answer's count is negative")
    return _page(answer.count, answer.results or (), bad_tags)


def storable_id(call_id: str) -> str:
    """Return a call's id as it is saved and shown: unchanged, unless it looks personal.

    The platform's ids are 24 hex digits, and any word of that length passes. An id that looks like
    a phone number or an e-mail address is replaced by its hash, so that the call still counts once.
    """
    if len(call_id) == _USUAL_ID_LENGTH and call_id.encode().isalnum():
        return call_id
    if _HEX_ID.fullmatch(call_id) or not looks_personal(call_id):
        return call_id
    return f"#{blake2b(call_id.encode(), digest_size=16).hexdigest()}"


def parse_instant(text: str) -> Instant | None:
    """Return the instant of an ISO 8601 date; None if it is not one.

    A fraction and an offset may be missing; without an offset it is UTC. Digits beyond the
    millisecond are cut off, never rounded up: a call must not seem to start after a bound that the
    API puts it before.
    """
    try:
        moment = _moment(text)
        since = moment - (_EPOCH if moment.tzinfo is not None else _EPOCH_WITHOUT_ZONE)
    except (ValueError, OverflowError):
        return None
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000


def format_instant(instant: Instant) -> str:
    """Return the date form that the vendor's own client sends: ``2026-11-23T09:40:00.000Z``."""
    moment = _EPOCH + instant * _MILLISECOND
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _page(count: int, rows: Sequence[_Row], bad_tags: Collection[int]) -> Page:
    """Return the page of some rows.

    Args:
        count: How many calls the whole range holds.
        rows: The rows; a value of a wrong type is null or beyond the limits in them.
        bad_tags: The positions of the rows whose tags were of a wrong type.
    """
    calls: list[Call] = []
    rejected_ids = []
    rejected = 0
    call: Call | None = None
    tags: _SingleTags = {}
    unusable: list[UnusableRow] = []
    fields: list[str] = []
    nameless: Counter[str] = Counter()
    for position, row in enumerate(rows):
        call = _call(row, tags, fields)
        if call is not None:
            calls.append(call)
        else:
            rejected += 1
            if row.id and len(row.id) <= MAX_ID_LENGTH:  # a longer id is never tracked
                rejected_ids.append(storable_id(row.id))
        if position in bad_tags:
            fields.append("tags")
        if fields:
            name: str | tuple[str, int] | None = row.id or row.startTime
            if not name:
                # only its place tells such a row: after which call it came, as which one
                neighbour = calls[-1].id if calls else next((r.id for r in rows if r.id), "")
                nameless[neighbour] += 1
                name = (neighbour, nameless[neighbour])
            unusable.append(UnusableRow(hash(name), tuple(fields)))
            fields.clear()
    ends_usably = call is not None or not rejected
    return Page(count, calls, rejected, frozenset(rejected_ids), ends_usably, tuple(unusable))


def _call(row: _Row, tags: _SingleTags, unusable: list[str]) -> Call | None:
    """Return the row as a call, None if it has no usable id or start.

    Every row passes here, so usual values are recognised without a function call.

    Args:
        row: The row.
        tags: The tags that rows of the page had.
        unusable: Takes the names of the row's fields that cannot be used.
    """
    call_id, started = row.id, row.startTime
    if not call_id or len(call_id) > MAX_ID_LENGTH:
        call_id = None
        unusable.append("id")
    start = parse_instant(started) if started else None
    if start is None:
        unusable.append("start_time")
    status, call_status, duration = row.conversationStatus, row.status, row.duration
    if status not in _USUAL:
        status = _code(status, "conversation_status", unusable)
    if call_status not in _USUAL:
        call_status = _code(call_status, "status", unusable)
    if duration is None:
        duration = 0.0
    elif not 0 <= duration <= MAX_DURATION_SECONDS:
        duration = 0.0
        unusable.append("duration")
    if call_id is None or start is None:
        return None
    if len(call_id) != _USUAL_ID_LENGTH or not call_id.encode().isalnum():
        call_id = storable_id(call_id)
    return Call(
        call_id, start, status, call_status, duration, _tags(row.tags, tags) if row.tags else ()
    )


def _code(value: int | None, field: str, unusable: list[str]) -> int | None:
    if value is None:
        return None
    if not -MAX_CALL_CODE <= value <= MAX_CALL_CODE:
        unusable.append(field)
        return None
    return ALIASES.get(value, value)


def _tags(values: Sequence[str | None], known: _SingleTags) -> tuple[str, ...]:
    if len(values) == 1:  # most rows have one tag, of a few
        found = known.get(values[0])
        if found is None:
            tag = (values[0] or "").strip()
            found = known[values[0]] = (tag,) if tag else ()
        return found
    tags: dict[str, None] = {}
    for value in values:
        tag = "" if value is None else value.strip()
        if tag and tag not in tags:
            if len(tags) == MAX_TAGS_OF_A_CALL:
                return (*tags, OTHER)
            tags[tag] = None
    return tuple(tags)


def _decode_leniently(body: bytes) -> tuple[_Answer, frozenset[int]]:
    """Return an answer row by row, and the positions of the rows whose tags are of a wrong type."""
    try:
        answer = read_json(body)
    except ValueError:
        # the cause is left out: it holds the body
        raise BadResponseError(f"the answer is not JSON ({_kind_of(body)})") from None
    if not isinstance(answer, dict):
        raise BadResponseError("the answer is JSON, but not an object with count and results")
    count, results = answer.get("count"), answer.get("results", ...)
    if type(count) is not int or not (results is None or isinstance(results, list)):
        raise BadResponseError("the answer is a JSON object without a usable count and results")
    rows = results or ()
    bad_tags = (place for place, row in enumerate(rows) if not _has_usable_tags(row))
    return _Answer(count, [_lenient_row(row) for row in rows]), frozenset(bad_tags)


def _lenient_row(row: Any) -> _Row:
    if not isinstance(row, dict):
        return _Row()
    return _Row(
        _text(row.get("id")),
        _text(row.get("startTime")),
        _lenient_code(row.get("conversationStatus")),
        _lenient_code(row.get("status")),
        _lenient_duration(row.get("duration")),
        _texts(row.get("tags")),
    )


def _lenient_code(value: Any) -> int | None:
    if value is None:
        return None
    code = whole_number(_unquoted(value))
    return _WRONG_CODE if code is None else code


def _lenient_duration(value: Any) -> float | None:
    if value is None:
        return None
    seconds = number(_unquoted(value))
    return _WRONG_DURATION if seconds is None else seconds


def _unquoted(value: Any) -> Any:
    """Return the number that a text of digits stands for; any other value as it is."""
    if not isinstance(value, str) or not _QUOTED_NUMBER.fullmatch(value):
        return value
    return float(value) if "." in value else int(value)


def _has_usable_tags(row: Any) -> bool:
    tags = row.get("tags") if isinstance(row, dict) else None
    if tags is None:
        return True
    return isinstance(tags, list) and all(tag is None or isinstance(tag, str) for tag in tags)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and is_unicode(value) else None


def _texts(value: Any) -> list[str | None] | None:
    # a tag that is not valid Unicode stays: it counts as _other, not as no tag
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else None


def _kind_of(body: bytes) -> str:
    """Return what a body that is not JSON seems to be; no part of it, which may be personal."""
    start = body[:200].lstrip().lower()
    if not start:
        return "it is empty"
    if start.startswith(b"<"):
        return "it looks like HTML or XML, perhaps from a proxy"
    if start[:1] in b"{[":
        return "it looks like JSON that was cut off"
    return f"{len(body)} bytes"
