"""The body of a calls search: from JSON to a `Search`, or what is wrong with it."""

import math
import re
from datetime import UTC, datetime

import msgspec

from pearl_exporter.simulator.campaign import Matches, Search
from pearl_exporter.simulator.life import Row

DEFAULT_LIMIT = 100


class BadBody(Exception):  # noqa: N818 - it names what came, the server says that it is an error
    """The body can't be served. ``field`` is the one at fault ("$" for all of it)."""

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


def search_of(raw: bytes, *, max_limit: int) -> Search:
    """Return what ``raw`` asks for, its limit cut to ``max_limit``. Raises `BadBody`."""
    try:
        body = msgspec.json.decode(raw, type=_Body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        path = re.search(r"\$\.?(\w*)", str(error))
        raise BadBody((path and path[1]) or "$", str(error)) from None
    skip = body.skip or 0
    limit = DEFAULT_LIMIT if body.limit is None else body.limit
    if skip < 0 or limit < 0:
        raise BadBody("skip" if skip < 0 else "limit", "must be greater than or equal to '0'.")
    return Search(
        # A start is cut to milliseconds, so the ends of the range are rounded inwards.
        from_ms=math.ceil(moment_us("fromDate", body.from_date) / 1000),
        to_ms=moment_us("toDate", body.to_date) // 1000,
        skip=skip,
        limit=min(limit, max_limit),
        ascending=bool(body.is_ascending),
        statuses=frozenset(body.statuses) if body.statuses else None,
        matches=_matches(frozenset(body.tags or ()), body.search_input or ""),
    )


def asked_limit(raw: bytes) -> int:
    """Return the limit that ``raw`` asks for, before it is cut, or the default."""
    limit = msgspec.json.decode(raw, type=_Body).limit
    return DEFAULT_LIMIT if limit is None else limit


def moment_us(field: str, text: str) -> int:
    """Return ISO 8601 as epoch microseconds, UTC where it names no zone. Raises `BadBody`."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadBody(field, f"The value '{text[:40]}' is not valid.") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    whole = round((moment.replace(microsecond=0)).timestamp())
    return whole * 1_000_000 + moment.microsecond


def _matches(tags: frozenset[str], text: str) -> Matches | None:
    """Return what a row must meet: any of ``tags``, and ``text`` in one of its numbers."""
    if not tags and not text:
        return None

    def matches(row: Row) -> bool:
        if tags and tags.isdisjoint(row["tags"] or ()):
            return False
        return not text or text in (row["from"] or "") or text in (row["to"] or "")

    return matches
