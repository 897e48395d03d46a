"""Judges what the API answers: what contradicts the question, itself, or what was known before.

Small contradictions have harmless causes: a row that nobody can use, a row that is deleted between
two answers, an end of a range that is cut to seconds. They are tolerated within the bounds below,
and counted. Beyond the bounds an answer is no basis for any number, and the poll fails. Pure.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from pearl_exporter.counting.calls import Call, Instant, is_live, planned_end, says_live
from pearl_exporter.counting.rows import Rows
from pearl_exporter.errors import BadResponseError, Inconsistent
from pearl_exporter.reading.search import UNUSABLE_FIELDS, Page, Search

FUZZ_MS = 1_000
"""How far outside a range a row may start: servers are known to cut the ends to seconds."""

LATE_MS = 1_200_000
"""How long after the poll's present a row may start: calls begin while a request waits for its
turn. No time zone is so near to UTC."""

ZONE_STEP_MS = 900_000
"""The offsets of all time zones are multiples of this."""

MIN_INSIDE = 0.1
"""A page with a smaller share of its rows inside the range asked contradicts the question."""

MAX_UNUSABLE = 0.5
"""Rows of which a larger share is unusable are no rows of calls."""

NOTED_UNUSABLE = 0.01
"""A larger share of unusable rows is worth a warning."""

MIN_JUDGED_ROWS = 10
"""Of fewer rows half may be unusable by chance."""

MIN_JUDGED_PAGE = 50
"""A page of fewer rows is not judged by itself: a few bad rows may be neighbours."""

MIN_TOLERATED = 2
"""This many rows may always be counted and not given: rows come and go between two answers."""

MAX_UNREADABLE = 0.01
"""The default of ``poll.max_unreadable``."""

WIDER_MS = 14 * 3_600_000
"""How much wider a range is asked for as a probe: no time zone is further from UTC."""

MAX_RANGE_MS = 31 * 86_400_000
"""The longest range asked for: longer ones may be refused."""

LAG_MS = 60_000
"""A call that began less than this before the poll may have been listed only just now."""

MAX_COUNT = 10_000_000
"""No outbound has more calls than this in any range."""

MAX_PAGE_TIMES = 10
"""A page may have this many times the rows that were asked for, but not more: a server that ignores
the limit would fill the memory."""

FULL_PAGE = 100
"""The most rows that the platform is known to send in one page."""

MIN_EVIDENCE = 3
"""This many calls that contradict an answer, or what was known before it, are no chance."""

_API_NAMES = {"start_time": "startTime", "conversation_status": "conversationStatus"}

_SAMPLE = 10
"""How many rows of a page are compared with what is known of their calls."""

_LASTING_VALUES: Mapping[str, Callable[[Call], bool]] = {
    "conversationStatus": lambda call: call.status is not None,
    "status": lambda call: call.call_status is not None,
    "duration": lambda call: call.duration > 0,
}
"""What a call that is over keeps, and whether a row has it. Tags are no such thing: people remove
them from past calls."""


def check_page(search: Search, page: Page, now: Instant) -> None:
    """Raise if a page is no answer to its search.

    Args:
        search: What was asked.
        page: What was answered.
        now: The poll's present; no call starts after it.

    Raises:
        BadResponseError: Over half of the rows are unusable, the page is far longer than was asked
            for, or the count is beyond belief.
        Inconsistent: Under a tenth of the rows are inside the range, or most calls that are over
            end after the present.
    """
    if page.count > MAX_COUNT:
        raise BadResponseError(f"the API counts {page.count:,} calls, more than any outbound has")
    if page.received > MAX_PAGE_TIMES * max(search.limit, FULL_PAGE):
        raise BadResponseError(
            f"the API gives {page.received:,} rows in a page of {search.limit:,}: does it ignore "
            "limit?"
        )
    if page.received >= MIN_JUDGED_PAGE:
        check_usable(RowSums().plus(page))
    # rows after the asked end, but not after the present, are left to those who asked: a server
    # that ignores the end can still be read
    misplaced = outside(page.calls, search.start, max(search.end, now + LATE_MS))
    if page.calls and len(page.calls) - len(misplaced) < MIN_INSIDE * len(page.calls):
        raise Inconsistent(offset_text(search, misplaced))
    check_ends(page.calls, now)


def check_ends(calls: Sequence[Call], now: Instant) -> None:
    """Raise `Inconsistent` if most calls that are over end after the present."""
    longest = max([call.duration for call in calls], default=0.0)
    if 1000 * longest <= LATE_MS:
        return  # as on nearly all pages, of which a first read has many
    latest = now + LATE_MS
    # where calls even start after it, that is what the other checks report
    timed = [call for call in calls if call.duration and call.start <= latest]
    over = [
        call
        for call in timed
        if planned_end(call.start, call.duration) > latest and not is_live(call)
    ]
    if len(over) >= MIN_EVIDENCE and len(over) > len(timed) / 2:
        raise Inconsistent(
            f"{len(over)} calls are over and would end after the present, with a duration of up to "
            f"{longest:,.0f} s: is duration in seconds?"
        )


class RowSums(NamedTuple):
    """How usable the rows of some pages are.

    Attributes:
        received: How many rows came.
        rejected: How many of them have no usable id or start.
        unusable: How many have any field that cannot be used, rejected ones included.
        fields: The fields that could not be used, of `UNUSABLE_FIELDS`.
        outside: How many start outside the range that was asked for.
    """

    received: int = 0
    rejected: int = 0
    unusable: int = 0
    fields: frozenset[str] = frozenset()
    outside: int = 0

    def plus(self, page: Page, outside: int = 0) -> "RowSums":
        """Return the sums with one more page, of which some rows start outside the range."""
        met = {field for row in page.unusable for field in row.fields}
        return RowSums(
            self.received + page.received,
            self.rejected + page.rejected,
            self.unusable + page.unusable_count,
            self.fields | met if met else self.fields,
            self.outside + outside,
        )

    @property
    def is_notable(self) -> bool:
        """Whether more rows are unusable than may be by chance."""
        return self.unusable > NOTED_UNUSABLE * self.received


def check_usable(rows: RowSums) -> None:
    """Raise `BadResponseError` if rows are no rows of calls.

    That is if over half of many are unusable, or if no row of more than a few can be read.
    """
    is_over = rows.received >= MIN_JUDGED_ROWS and rows.unusable > MAX_UNUSABLE * rows.received
    if is_over or MIN_TOLERATED < rows.received == rows.rejected:
        raise BadResponseError(f"{unusable_text(rows)}: has the API changed?")


def unusable_text(rows: RowSums) -> str:
    """Return in words how many rows are unusable, and by which fields."""
    if rows.received == rows.rejected:
        return f"{rows.received} rows, none with a usable id and startTime"
    names = [_API_NAMES.get(field, field) for field in UNUSABLE_FIELDS if field in rows.fields]
    fields = ", ".join(names) or "id, startTime"
    return f"{rows.received} rows, {rows.unusable} without a usable {fields}"


def outside(calls: Sequence[Call], start: Instant, end: Instant) -> list[Call]:
    """Return the rows that start further outside ``[start, end)`` than its ends are fuzzy."""
    low, high = start - FUZZ_MS, end + FUZZ_MS
    return [call for call in calls if not low <= call.start <= high]


def offset_text(search: Search, misplaced: Sequence[Call]) -> str:
    """Return in words by how much rows start outside the range asked."""
    # the end of the page at which the search begins is nearest to the bound that it belongs to
    if search.ascending:
        offset = min(call.start for call in misplaced) - search.start
    else:
        offset = max(call.start for call in misplaced) - search.end
    if offset > 0:
        return f"the rows start {_span(offset)} after the end asked for: is startTime UTC?"
    return f"the rows start {_span(-offset)} before the range asked for: is startTime UTC?"


def wider(start: Instant, now: Instant, limit: int) -> Search:
    """Return the search for the newest page of a range that is wider by any offset of a time zone.

    Args:
        start: Where the range begins that is to be checked; it ends at ``now``.
        now: The poll's present.
        limit: Rows to ask for in one page.
    """
    end = now + WIDER_MS
    return Search(max(start - WIDER_MS, end - MAX_RANGE_MS), end, 0, limit)


def check_probe(page: Page, unread: Sequence[Call], *, read: Rows, now: Instant) -> None:
    """Raise `Inconsistent` if a probe has calls that the range asked should have brought.

    Args:
        page: The probe's page.
        unread: Its calls that start in the range, and that the read of the range did not bring.
        read: The calls that the read of the range brought.
        now: The poll's present; no call starts after it.
    """
    if not page.received:
        check_shortfall(page.count, page.count, MIN_TOLERATED)
    # calls that are planned may be listed already; those that are over cannot lie in the future
    over = [call for call in page.calls if not is_live(call)]
    future = [call for call in over if call.start > now + LATE_MS]
    if len(future) > MIN_TOLERATED or 0 < len(future) == len(over):
        raise Inconsistent(offset_text(Search(now, now + 1, 0, 1), future))
    lagging = sum(call.start > now - LAG_MS for call in unread)
    if len(unread) > MIN_TOLERATED or (not read and len(unread) > lagging):
        if len(unread) > MIN_TOLERATED and read.have_starts(call.start for call in unread):
            raise Inconsistent(
                f"{len(unread):,} calls came again with the same startTime and another id: do ids "
                "change with each answer?"
            )
        raise Inconsistent(
            f"the range asked for has {len(read):,} calls, and another one {len(unread):,} more "
            "that start in it: are fromDate and toDate taken for UTC, or long ranges cut short?"
        )


def check_known(page: Page, known_call: Callable[[str], Call | None]) -> None:
    """Raise `Inconsistent` if the calls of a page contradict what was read of them before.

    Calls do not change their starts, and a call that is over does not lose its outcome or duration.
    That a few do has harmless causes. If nearly all calls do, the API has changed.

    Args:
        page: A page of calls.
        known_call: Returns a call as it was read before, None if it was not.
    """
    step = max(1, len(page.calls) // _SAMPLE)
    pairs = [
        (known, call) for call in page.calls[::step] if (known := known_call(call.id)) is not None
    ]
    for text in (_moved_text(pairs), _lost_text(pairs)):
        if text is not None:
            raise Inconsistent(text)


def _moved_text(pairs: Sequence[tuple[Call, Call]]) -> str | None:
    offsets = [call.start - known.start for known, call in pairs]
    moved = [offset for offset in offsets if abs(offset) > FUZZ_MS]
    if not _are_most(len(moved), len(offsets)) or max(moved) - min(moved) > 2 * FUZZ_MS:
        return None
    direction = "later" if moved[0] > 0 else "earlier"
    return f"calls start {_span(abs(moved[0]))} {direction} than they did before: is startTime UTC?"


def _lost_text(pairs: Sequence[tuple[Call, Call]]) -> str | None:
    # a call that is dialled again goes on with other values
    finished = [
        (known, call) for known, call in pairs if not is_live(known) and not says_live(call)
    ]
    for field, has_value in _LASTING_VALUES.items():
        had = [call for known, call in finished if has_value(known)]
        lost = [call for call in had if not has_value(call)]
        if _are_most(len(lost), len(had)):
            return (
                f"{len(lost)} of {len(had)} calls had a {field} before and have none now: has the "
                "API changed?"
            )
    return None


def _are_most(changed: int, compared: int) -> bool:
    return changed >= MIN_EVIDENCE and changed > (1 - MIN_INSIDE) * compared


def tolerated(counted: int, max_unreadable: float) -> int:
    """Return how many rows may be counted and not given, beside those that came unusable.

    Args:
        counted: How many rows the API counts.
        max_unreadable: The share of ``poll.max_unreadable``.
    """
    return max(MIN_TOLERATED, int(counted * max_unreadable))


def check_shortfall(counted: int, missing: int, allowed: int) -> None:
    """Raise `Inconsistent` if more rows are counted and not given than is tolerated.

    Args:
        counted: How many rows the API counts.
        missing: How many of them did not come, or came from outside the range.
        allowed: How many may be missing; see `tolerated`.
    """
    if missing > allowed:
        raise Inconsistent(
            f"the API counts {counted:,} calls and does not give {missing:,} of them, more than "
            f"the {allowed:,} that poll.max_unreadable allows: does it list all that it counts?"
        )


def max_rows(counted: int) -> int:
    """Return how many rows a read may bring, by what the API counted when it began."""
    return min(10 * counted + 1_000, counted + 1_000_000)


def _span(milliseconds: int) -> str:
    """Return a span in words, to the quarter of an hour if it is about as long."""
    quarters = round(milliseconds / ZONE_STEP_MS)
    if not quarters:
        return f"{milliseconds / 1000:.0f} s"
    hours, rest = divmod(quarters, 4)
    texts = [f"{hours} h"] if hours else []
    return " ".join([*texts, f"{rest * 15} min"] if rest else texts)
