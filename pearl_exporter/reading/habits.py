"""Tries what an API makes of its own promises, with a few searches of one outbound.

The documentation leaves much open, and an API may do other things than it says: sort by another
field, ignore an end of the range, give starts in local time, count rows that it does not list.
Polls read right in spite of some of these *habits*, and fail because of others. `try_habits` finds
out which of them an API has, before anybody relies on its numbers.

The searches, for a window ``[a, T]`` with many calls::

    newest     [a, T], newest first        order, zone, cap of the page, unusable rows
    oldest     [a, T], oldest first        order, start of the range, count
    next       [a, T], after the newest    skip, count
    upper      [m, T]                      start of the range, count against rows
    lower      [a, m]                      end of the range, count against rows
    outcome    [m, T], two outcomes        filter by outcome
    nothing    where no page has a call    range cut short, count against rows

``m`` is the start of the row in the middle of ``newest``. `_range_without_calls` chooses the last
range. The rows that two pages have in common tell whether ids and the order of equal starts last.
A habit fails here if polls fail because
of it, or if what they publish is wrong.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

from pearl_exporter.counting.calls import Call, Instant
from pearl_exporter.errors import BadResponseError, Inconsistent
from pearl_exporter.reading.contradictions import (
    FUZZ_MS,
    LAG_MS,
    MAX_UNREADABLE,
    MIN_EVIDENCE,
    MIN_INSIDE,
    MIN_TOLERATED,
    RowSums,
    check_ends,
    check_usable,
    tolerated,
    unusable_text,
)
from pearl_exporter.reading.search import Page, Search, Searches

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

MAX_WITHOUT_OUTCOME = 0.1
"""A larger share of calls without an outcome is worth a warning."""

MIN_QUIET_MS = 300_000
"""An end of the window that has no calls for longer than this is asked for by itself."""

MAX_EQUAL = 0.5
"""Where a larger share of a page's rows has one start, some minute may fill a page."""

MIN_EQUAL = 0.1
"""Where a smaller share has, the order of equal starts does not matter."""

LONG_AGO: Instant = 946_684_800_000
"""2000-01-01T00:00:00Z, before the platform had any calls."""


class Verdict(StrEnum):
    """What a habit means for the numbers that are published."""

    OK = "ok"
    WARNING = "WARNING"
    FAIL = "FAIL"


class Judgement(NamedTuple):
    """What was found out about one habit, in words for people.

    Attributes:
        subject: What it is about, such as ``order``.
        verdict: `Verdict.FAIL` where numbers would be wrong or polls would fail.
        text: What the API does.
    """

    subject: str
    verdict: Verdict
    text: str


class Answers(NamedTuple):
    """The pages of one trial; see the module's text."""

    start: Instant
    now: Instant
    middle: Instant
    limit: int
    newest: Page
    oldest: Page
    next: Page
    upper: Page
    lower: Page
    outcome: Page
    statuses: tuple[int, ...]
    quiet: tuple[Instant, Instant]
    nothing: Page

    @property
    def page_rows(self) -> int:
        """How many rows a page has, as far as the answers say."""
        return self.newest.received if self.next.received else self.limit

    def is_whole(self, page: Page) -> bool:
        """Return whether a page has all rows of its range: the API sends longer ones."""
        return page.received < min(self.limit, self.newest.received)


def try_habits(
    start: Instant, now: Instant, limit: int, *, max_unreadable: float = MAX_UNREADABLE
) -> Searches[list[Judgement]]:
    """Yield the searches that tell the habits of an API apart, at most seven.

    Args:
        start: The start of the window, in milliseconds.
        now: The present by the API's clock.
        limit: Rows to ask for in one page.
        max_unreadable: The share of the counted rows that may be missing.

    Returns:
        A judgement of each habit, or the one contradiction that leaves nothing else to try.
    """
    newest = yield Search(start, now, 0, limit)
    if not newest.calls:
        if newest.received or newest.count:
            return [_nothing_usable(newest, now)]
        wide = yield Search(min(start, now - DAY_MS), now + DAY_MS, 0, limit)
        return [_judge_empty_window(wide, start, now)]
    zone = _judge_zone(newest, start, now)
    unusable = _judge_unusable([newest], now)
    if Verdict.FAIL in (zone.verdict, unusable.verdict):
        return [zone, unusable]
    starts = sorted((call.start for call in newest.calls), reverse=True)
    middle = starts[len(starts) // 2]
    oldest = yield Search(start - 1, now, 0, limit, ascending=True)
    after = yield Search(start, now, newest.received, limit)
    upper = yield Search(middle - 1, now, 0, limit)
    lower = yield Search(start - 1, middle, 0, limit)
    statuses = _usual_statuses(newest.calls)
    outcome = yield Search(middle - 1, now, 0, limit, statuses=statuses)
    quiet = _range_without_calls(newest, oldest, start, now)
    nothing = yield Search(*quiet, 0, limit)
    answers = Answers(
        start=start,
        now=now,
        middle=middle,
        limit=limit,
        newest=newest,
        oldest=oldest,
        next=after,
        upper=upper,
        lower=lower,
        outcome=outcome,
        statuses=statuses,
        quiet=quiet,
        nothing=nothing,
    )
    if not _are_ids_lasting(answers):
        return [
            zone,
            Judgement(
                "rows",
                Verdict.FAIL,
                "calls have another id in each answer, so no call is known again and polls fail: "
                "ask the API's operator for ids that last",
            ),
        ]
    return [
        zone,
        _judge_order(answers),
        _judge_ends(answers),
        _judge_count(answers, max_unreadable),
        _judge_unusable([newest, oldest, upper, lower], now),
        _judge_page(answers),
        _judge_filter(answers),
    ]


# --- one habit each


def _judge_empty_window(wide: Page, start: Instant, now: Instant) -> Judgement:
    inside = [call for call in wide.calls if start <= call.start <= now]
    if inside:
        return Judgement(
            "zone",
            Verdict.FAIL,
            f"the window has no calls, but a range a day wider has {len(inside)} that start in the "
            "window: are the ends taken for local time, or cut to days?",
        )
    if any(call.start > now + FUZZ_MS for call in wide.calls):
        return _judge_zone(wide, start, now)
    return Judgement(
        "habits", Verdict.OK, "no calls in the window, so the API's habits stay untried"
    )


def _nothing_usable(page: Page, now: Instant) -> Judgement:
    if not page.received:
        return Judgement(
            "count", Verdict.FAIL, f"the API counts {page.count:,} calls and lists none of them"
        )
    return _judge_unusable([page], now)


def _judge_zone(page: Page, start: Instant, now: Instant) -> Judgement:
    late = [call for call in page.calls if call.start > now + FUZZ_MS]
    early = [call for call in page.calls if call.start < start - FUZZ_MS]
    too_few_inside = len(late) + len(early) > (1 - MIN_INSIDE) * len(page.calls)
    if len(late) > tolerated(len(page.calls), MAX_UNREADABLE) or (late and too_few_inside):
        ahead = max(call.start for call in late) - now
        how_many = "" if too_few_inside else f"{len(late)} of {len(page.calls)} "
        return Judgement(
            "zone",
            Verdict.FAIL,
            f"{how_many}rows start {_span(ahead)} after the end asked for: is startTime UTC?",
        )
    if too_few_inside:
        behind = now - max(call.start for call in early)
        return Judgement(
            "zone",
            Verdict.FAIL,
            f"rows start {_span(behind)} before the end asked for, outside the range: is startTime "
            "UTC, and are the ends taken for UTC?",
        )
    return Judgement("zone", Verdict.OK, "rows start within the range asked for, so times are UTC")


def _judge_order(answers: Answers) -> Judgement:
    down = _starts(answers.newest)
    up = _starts(answers.oldest)
    if _is_ordered(answers):
        equal, rows = _most_equal_starts(answers), answers.page_rows
        if equal > MIN_EQUAL * rows and not _is_order_lasting(answers):
            return Judgement(
                "order",
                Verdict.FAIL if equal > MAX_EQUAL * rows else Verdict.WARNING,
                f"up to {equal} calls have the same startTime, and come in another order with each "
                f"answer: polls fail where such calls fill a page, which has {rows} rows; raise "
                "api.page_size if the API allows it",
            )
        return Judgement("order", Verdict.OK, "rows come newest first and oldest first, as asked")
    if down == sorted(down, reverse=True) and up == sorted(up, reverse=True):
        return Judgement(
            "order",
            Verdict.WARNING,
            "rows come newest first, whatever is asked: polls ask for that order, unless they have "
            "to read by offset",
        )
    if down == sorted(down) and up == sorted(up):
        order = "oldest first"
    else:
        order = "in the order of another field"
    return Judgement(
        "order",
        Verdict.WARNING,
        f"rows come {order}, whatever is asked: each poll reads the whole window by offset, which "
        "takes more requests",
    )


def _judge_ends(answers: Answers) -> Judgement:
    left_out = _left_out(answers)
    if left_out > FUZZ_MS:
        return Judgement(
            "ends",
            Verdict.FAIL,
            f"calls of the last {_span(left_out)} before the end asked for are left out: the ends "
            "are cut to coarse steps, or taken for local time",
        )
    hidden = _hidden(answers)
    if hidden > MIN_TOLERATED:
        brought = max(_starts(answers.newest)) - min(_starts(answers.oldest))
        return Judgement(
            "ends",
            Verdict.FAIL,
            f"a range of {_span(answers.now - answers.start)} brings calls of {_span(brought)} "
            f"alone, and a shorter one {hidden} or more that it leaves out: the API cuts long "
            "ranges short; make poll.window at most as long as what it brings",
        )
    oldest = answers.oldest.calls
    early = [call.start for call in oldest if call.start < answers.start - FUZZ_MS]
    reach = answers.start - min(early, default=answers.start)
    beyond = max((call.start for call in answers.lower.calls), default=0) - answers.middle
    is_read_by_offset = beyond > FUZZ_MS or not _is_ordered(answers)
    if is_read_by_offset and len(early) > (1 - MIN_INSIDE) * len(oldest):
        return Judgement(
            "ends",
            Verdict.FAIL,
            f"rows start up to {_span(reach)} before the start asked for, and pages in ascending "
            "order begin there: the start is ignored, or cut to coarse steps",
        )
    if beyond > FUZZ_MS:
        reaches_top = answers.now - answers.middle - beyond < beyond
        what = "ignored" if reaches_top else "cut to coarse steps"
        return Judgement(
            "ends",
            Verdict.WARNING,
            f"rows start up to {_span(beyond)} after the end asked for: the end is {what}, so each "
            "poll reads the whole window by offset",
        )
    if early:
        return Judgement(
            "ends",
            Verdict.WARNING,
            f"rows start up to {_span(reach)} before the start asked for: the start is ignored, or "
            "cut to coarse steps, and such rows are left out",
        )
    return Judgement("ends", Verdict.OK, "rows start between the ends asked for")


def _judge_count(answers: Answers, max_unreadable: float) -> Judgement:
    contradictions = [
        *_counts_of_whole_ranges(answers, max_unreadable),
        *_counts_of_the_window(answers, max_unreadable),
    ]
    if not contradictions:
        return Judgement("count", Verdict.OK, "the count is the number of rows")
    return max(contradictions, key=lambda each: each.verdict is Verdict.FAIL)


def _judge_unusable(pages: Sequence[Page], now: Instant) -> Judgement:
    sums = RowSums()
    for page in pages:
        sums = sums.plus(page)
    calls = {call.id: call for page in pages for call in page.calls}
    try:
        check_usable(sums)
        check_ends([*calls.values()], now)
    except (BadResponseError, Inconsistent) as error:
        return Judgement("rows", Verdict.FAIL, str(error))
    if sums.is_notable:
        return Judgement(
            "rows", Verdict.WARNING, f"{unusable_text(sums)}: such fields count as null"
        )
    without = sum(call.status is None for call in calls.values())
    if without > MAX_WITHOUT_OUTCOME * len(calls):
        return Judgement(
            "rows",
            Verdict.WARNING,
            f"{without} of {len(calls)} calls have no conversationStatus: they count as unknown, "
            "so shares of errors are too low",
        )
    return Judgement("rows", Verdict.OK, "rows have usable fields")


def _judge_page(answers: Answers) -> Judgement:
    page = answers.newest
    ids = {call.id for call in page.calls}
    if answers.next.calls and ids.issuperset(call.id for call in answers.next.calls):
        return Judgement(
            "page", Verdict.WARNING, "skip is ignored: each page of a range is its first page"
        )
    if (
        answers.limit - page.received > tolerated(answers.limit, MAX_UNREADABLE)
        and answers.next.received
    ):
        return Judgement(
            "page",
            Verdict.WARNING,
            f"a page has at most {page.received} rows, though api.page_size is {answers.limit}: "
            "polls take more requests than the budget says",
        )
    return Judgement("page", Verdict.OK, f"a page has up to {answers.limit} rows, as asked")


def _judge_filter(answers: Answers) -> Judgement:
    if not answers.statuses:
        return Judgement("filter", Verdict.OK, "no row has an outcome to search for")
    if any(call.status not in answers.statuses for call in answers.outcome.calls):
        return Judgement(
            "filter",
            Verdict.WARNING,
            "the filter by outcome is ignored: changes of older calls are found by the full scan "
            "alone, and live calls from before the window not at all",
        )
    found = {call.id for call in answers.outcome.calls}
    lowest = min((call.start for call in answers.outcome.calls), default=answers.middle)
    is_whole = answers.is_whole(answers.outcome)
    for status in answers.statuses:
        wanted = [
            call.id
            for call in answers.upper.calls
            if call.status == status and (is_whole or call.start > lowest)
        ]
        if len(wanted) >= MIN_EVIDENCE and found.isdisjoint(wanted):
            return Judgement(
                "filter",
                Verdict.WARNING,
                f"a search for outcomes leaves out calls of outcome {status}: changes of older "
                "calls are found by the full scan alone, and live calls from before the window "
                "may be missing",
            )
    return Judgement("filter", Verdict.OK, "a search for some outcomes brings only these")


# --- counts


def _counts_of_whole_ranges(answers: Answers, max_unreadable: float) -> Iterator[Judgement]:
    """Yield what is wrong where all rows of a range are on one page."""
    for page in (answers.upper, answers.lower, answers.outcome):
        if not answers.is_whole(page):
            continue
        missing = page.count - page.received
        if missing > tolerated(page.count, max_unreadable):
            yield _lists_fewer(page)
        elif missing > 0:
            yield Judgement(
                "count",
                Verdict.WARNING,
                f"the API counts {page.count:,} rows and lists {page.received:,} of them: such a "
                "small difference is allowed for",
            )
        elif missing < 0:
            yield _too_low(page)
    if answers.nothing.count > MIN_TOLERATED and not _lies_elsewhere(answers):
        yield Judgement(
            "count",
            Verdict.FAIL,
            f"the API counts {answers.nothing.count:,} calls in a range that had none",
        )


def _counts_of_the_window(answers: Answers, max_unreadable: float) -> Iterator[Judgement]:
    """Yield what is wrong between the pages of the whole window."""
    newest, after = answers.newest, answers.next
    ids = {call.id for call in newest.calls}
    new = sum(call.id not in ids for call in after.calls)
    if newest.count < newest.received + new:
        yield _too_low(newest)
    missing = newest.count - newest.received
    if not after.received and missing > tolerated(newest.count, max_unreadable):
        yield _lists_fewer(newest)
    least, most = sorted((newest.count, answers.oldest.count))
    if most - least > tolerated(most, MAX_UNREADABLE):
        yield Judgement(
            "count",
            Verdict.WARNING,
            f"the same range is counted as {least:,} and as {most:,} calls: is the answer one of "
            "several copies that differ?",
        )


def _lists_fewer(page: Page) -> Judgement:
    return Judgement(
        "count",
        Verdict.FAIL,
        f"the API counts {page.count:,} rows and lists {page.received:,} of them",
    )


def _too_low(page: Page) -> Judgement:
    return Judgement(
        "count",
        Verdict.WARNING,
        f"the API counts {page.count:,} rows and lists more: each read goes on to its end, which "
        "takes more requests",
    )


def _lies_elsewhere(answers: Answers) -> bool:
    """Return whether the last range's rows are of another one, or were left out of the window."""
    low, high = answers.quiet
    starts = _starts(answers.nothing)
    return _hidden(answers) > 0 or any(not low <= start <= high for start in starts)


# --- rows


def _range_without_calls(
    newest: Page, oldest: Page, start: Instant, now: Instant
) -> tuple[Instant, Instant]:
    """Return the end of the window that has no calls for longer, or else an hour long ago.

    An API that cuts a long range short leaves out the calls at one end of the window.
    """
    down, up = [call.start for call in newest.calls], [call.start for call in oldest.calls]
    ends = [(LONG_AGO, LONG_AGO)]
    if down == sorted(down, reverse=True):
        # calls of the last moments may be listed only now
        ends.append((down[0] + 1, now - LAG_MS))
    if up and up == sorted(up):
        ends.append((start, up[0] - 1))
    low, high = max(ends, key=lambda end: end[1] - end[0])
    return (low, high) if high - low > MIN_QUIET_MS else (LONG_AGO, LONG_AGO + HOUR_MS)


def _hidden(answers: Answers) -> int:
    """Return how many calls of the window a part of it brings, where the whole showed none."""
    low, high = answers.quiet
    if low == LONG_AGO:
        return 0
    return sum(low < call.start < high for call in answers.nothing.calls)


def _is_order_lasting(answers: Answers) -> bool:
    """Return whether the rows that the two pages from the newest on share are in one order."""
    newest = [call.id for call in answers.newest.calls]
    upper = [call.id for call in answers.upper.calls]
    shared = {*newest} & {*upper}
    return [each for each in newest if each in shared] == [each for each in upper if each in shared]


def _most_equal_starts(answers: Answers) -> int:
    """Return how many of the calls that the pages have share one start, at most."""
    pages = (answers.newest, answers.next, answers.oldest, answers.upper, answers.lower)
    starts = {call.id: call.start for page in pages for call in page.calls}
    return max(Counter(starts.values()).values())


def _are_ids_lasting(answers: Answers) -> bool:
    """Return whether calls that two pages show have one id; known by a start that is theirs alone.

    A few calls may be deleted between two answers, and others begin: most must have changed.
    """
    ids = _ids_by_start(answers.newest)
    others = (answers.oldest, answers.next, answers.upper, answers.lower)
    pairs = [
        (ids[start], other)
        for page in others
        for start, other in _ids_by_start(page).items()
        if start in ids
    ]
    changed = sum(one != other for one, other in pairs)
    return changed < MIN_EVIDENCE or changed <= (1 - MIN_INSIDE) * len(pairs)


def _ids_by_start(page: Page) -> dict[Instant, str]:
    """Return the ids of the calls of a page by start, where only one call has it."""
    counts = Counter(_starts(page))
    return {call.start: call.id for call in page.calls if counts[call.start] == 1}


def _is_ordered(answers: Answers) -> bool:
    down, up = _starts(answers.newest), _starts(answers.oldest)
    return down == sorted(down, reverse=True) and up == sorted(up)


def _left_out(answers: Answers) -> Instant:
    """Return how far below the middle ``lower`` lacks rows that ``newest`` has, at least."""
    found = max((call.start for call in answers.lower.calls), default=0)
    lacking = [call.start for call in answers.newest.calls if found < call.start < answers.middle]
    down = _starts(answers.lower)
    is_whole = answers.is_whole(answers.lower)
    if not lacking or (not is_whole and down != sorted(down, reverse=True)):
        return 0  # rows that are lacking may be on a later page
    return answers.middle - min(lacking)


def _usual_statuses(calls: Sequence[Call]) -> tuple[int, ...]:
    """Return the two most frequent outcomes among the calls; polls search for several as well."""
    counts = Counter(call.status for call in calls if call.status is not None)
    return tuple(sorted(status for status, _ in counts.most_common(2)))


def _starts(page: Page) -> list[Instant]:
    return [call.start for call in page.calls]


def _span(milliseconds: Instant) -> str:
    """Return a span of time in words, from an hour on rounded as offsets of time zones are."""
    hours = round(milliseconds / (HOUR_MS / 4)) / 4
    if hours >= 1:
        return f"{hours:g} h"
    minutes = round(milliseconds / 60_000)
    return f"{minutes} min" if minutes > 1 else f"{milliseconds / 1000:.0f} s"
