"""The body of a calls search: from JSON to a `CallQuery`, or what is wrong with it."""

import math
import re
from datetime import UTC, datetime

import msgspec

from pearl_exporter.simulator.campaign import CallQuery, RowFilter
from pearl_exporter.simulator.row_writer import CallRow

DEFAULT_LIMIT = 100


class SearchBodyError(ValueError):
    """The body can't be served. ``field`` is the field at fault, ``$`` for the whole body."""

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        super().__init__(message)


class _Body(msgspec.Struct, rename="camel"):
    from_date: str
    to_date: str
    skip: int | None = None
    limit: int | None = None
    sort_prop: str | None = None
    is_ascending: bool | None = None
    tags: list[str] | None = None
    statuses: list[int] | None = None
    search_input: str | None = None


def parse_search(body: bytes, *, max_limit: int) -> CallQuery:
    """Return the query that the body of a request has, its limit cut to ``max_limit``.

    Raises:
        SearchBodyError: The body is no JSON of a search, or a value is out of its range.
    """
    try:
        search = msgspec.json.decode(body, type=_Body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        path = re.search(r"\$\.?(\w*)", str(error))
        raise SearchBodyError((path and path[1]) or "$", str(error)) from None
    skip = search.skip or 0
    limit = DEFAULT_LIMIT if search.limit is None else search.limit
    if skip < 0 or limit < 0:
        field = "skip" if skip < 0 else "limit"
        raise SearchBodyError(field, "must be greater than or equal to '0'.")
    return CallQuery(
        # A start is cut to milliseconds, so the ends of the range are rounded inwards.
        from_ms=math.ceil(moment_us("fromDate", search.from_date) / 1000),
        to_ms=moment_us("toDate", search.to_date) // 1000,
        skip=skip,
        limit=min(limit, max_limit),
        ascending=bool(search.is_ascending),
        statuses=frozenset(search.statuses) if search.statuses else None,
        matches=_filter(frozenset(search.tags or ()), search.search_input or ""),
    )


def asked_limit(body: bytes) -> int:
    """Return the limit that a good body asks for, before it is cut, or the default."""
    limit = msgspec.json.decode(body, type=_Body).limit
    return DEFAULT_LIMIT if limit is None else limit


def moment_us(field: str, text: str) -> int:
    """Return an ISO 8601 time as epoch microseconds, UTC if it names no zone.

    Args:
        field: The field that has the text, for the error.
        text: The time.

    Raises:
        SearchBodyError: The text is no time.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise SearchBodyError(field, f"The value '{text[:40]}' is not valid.") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    # A float of seconds has no room for the microseconds of today, so they are added as an int.
    whole = round((moment.replace(microsecond=0)).timestamp())
    return whole * 1_000_000 + moment.microsecond


def _filter(tags: frozenset[str], text: str) -> RowFilter | None:
    """Return a filter of rows with any of ``tags`` and with ``text`` in a number; None for all."""
    if not tags and not text:
        return None

    def matches(row: CallRow) -> bool:
        if tags and tags.isdisjoint(row["tags"] or ()):
            return False
        return not text or text in (row["from"] or "") or text in (row["to"] or "")

    return matches
