"""The counting oracle: every published figure, recounted from the list of all polls and their rows.

The contract's sentences written a second time, one call at a time and without any of the exporter's
own counting code. It is slow on purpose. Tests and benchmarks compare the exporter with it.

What the API holds at one moment is the simulator's to say (`pearl_exporter.simulator.truth`). This
is about a history: what must have been counted after a sequence of polls.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pearl_exporter.counting.calls import Call
from pearl_exporter.counting.settlement import CountingRules
from pearl_exporter.simulator.call_life import CallLife

NAMES = {
    1: "new", 10: "need_retry", 20: "in_call_queue", 30: "wrong_country_code", 40: "on_call",
    70: "voice_mail_left", 100: "success", 110: "not_successful", 130: "complete",
    150: "unreachable", 220: "blacklisted", 300: "queue_abandon", 500: "error",
}  # fmt: skip
CALL_NAMES = {
    3: "in_progress",
    4: "completed",
    5: "busy",
    6: "failed",
    7: "no_answer",
    8: "canceled",
}
LIVE_STATUSES = (1, 20, 40)


@dataclass(frozen=True)
class Poll:
    """A good poll and what it read. All moments are in milliseconds.

    Attributes:
        now: Its T, the moment as of which it reads.
        ranges: The ranges ``[start, end)`` that it read whole.
        rows: Every row that it read, by id.
        unread: Where the calls begin that an outage has left unread, if there are any.
        unreadable_ids: Ids of rows that were there but could not be decoded.
        window_ms: The window in force at this poll, if it differs from that of the rules.
        is_contradicted: Whether other answers had calls that it has missed, so that none is gone.
    """

    now: int
    ranges: Sequence[tuple[int, int]]
    rows: dict[str, Call]
    unread: int | None = None
    unreadable_ids: frozenset[str] = frozenset()
    window_ms: int | None = None
    is_contradicted: bool = False

    def covers(self, start: int) -> bool:
        return any(first <= start < end for first, end in self.ranges)


@dataclass(frozen=True)
class SettledCall:
    """A call that was counted.

    Attributes:
        counted_at: T of the poll that counted it.
        settled_at: When it settled: its end plus the time to settle, at most ``counted_at``.
        row: Its row as it was counted.
    """

    counted_at: int
    settled_at: int
    row: Call


def live(call: Call) -> bool:
    if call.status in LIVE_STATUSES or call.call_status == 3:
        return True
    return call.status not in NAMES and call.call_status not in (4, 5, 6, 7)


def name(code: int | None, *tables: dict[int, str]) -> str:
    if code is None:
        return "unknown"
    for table in tables:
        if code in table:
            return table[code]
    return f"unknown_{code}"


class Recount:
    """Every published figure of one outbound, recounted over ``polls``."""

    def __init__(self, polls: list[Poll], rules: CountingRules) -> None:
        self.started_at: list[int] = []
        """For each call that started, T of the poll that saw it first."""
        self.settled: list[SettledCall] = []
        self.unsettled: dict[str, Call] = {}
        """The rows of live and pending calls as the last poll left them, by id."""
        self.live = self.pending = 0
        self.revisions: Counter[str] = Counter()
        self.uncounted: Counter[str] = Counter()
        self.uncounted_ms = 0
        self.low_watermark: int
        """What starts before it is forgotten, or never counted if it was not read yet."""
        self.window: list[Call] = []
        """What the window holds, as far as the polls could see; missing calls are in it."""
        self.missing: set[str] = set()
        """The calls that are missing: those of the window, and those that are unsettled."""
        self._rules = rules
        self._polls = polls
        self._watermarks = list(self._watermarks_of(polls))
        self.low_watermark = self._watermarks[-1][1]
        for before, poll in pairwise(polls):
            reached = poll.now - max(rules.catch_up_ms, self._window_ms(poll))
            self.uncounted_ms += max(0, reached - before.now)
        for key in {key for poll in polls for key in poll.rows}:
            self._recount(key)
        self.started = len(self.started_at)
        rows = [each.row for each in self.settled]
        self.by_status = Counter(name(row.status, NAMES) for row in rows)
        self.by_call_status = Counter(name(row.call_status, CALL_NAMES, NAMES) for row in rows)
        self.by_tag = Counter(tag for row in rows for tag in row.tags)
        self.untagged = sum(row.duration > 0 and not row.tags for row in rows)
        self.durations: dict[str, list[float]] = {}
        """The durations of answered calls that were counted, by outcome."""
        for row in rows:
            if row.duration > 0:
                self.durations.setdefault(name(row.status, NAMES), []).append(row.duration)

    def _window_ms(self, poll: Poll) -> int:
        return self._rules.window_ms if poll.window_ms is None else poll.window_ms

    def _watermarks_of(self, polls: list[Poll]) -> Iterator[tuple[int | None, int]]:
        """Yield the low watermark as each poll finds it, and as it leaves it.

        Calls before it are forgotten. Where T steps back, nothing that starts after the newest row
        of all has been counted yet.
        """
        rules, low_watermark, newest = self._rules, None, 0
        for before, poll in zip([None, *polls], polls, strict=False):
            start = poll.now - self._window_ms(poll)
            until = start if poll.unread is None else poll.unread
            if before is not None and poll.now < before.now:
                low_watermark = min(low_watermark, max(newest + 1, poll.now - rules.catch_up_ms))
                until = min(until, low_watermark) if low_watermark < start else until
            newest = max([newest, *(row.start for row in poll.rows.values())])
            yield (
                low_watermark,
                (low_watermark := until if low_watermark is None else max(low_watermark, until)),
            )

    def _recount(self, key: str) -> None:
        rules, tracking_since = self._rules, self._polls[0].now
        gone_after = max(rules.settle_ms, rules.interval_ms)
        # of one call: its phase, its last row, the last poll that saw it live, whether it is there,
        # and the first of the reads that have missed it in a row
        phase, last, seen_live, there, missing_since = None, None, None, False, None
        for poll, (low_watermark, watermark_after) in zip(
            self._polls, self._watermarks, strict=True
        ):
            window_start = poll.now - self._window_ms(poll)
            # a clock that was ahead has said something about moments that are yet to come
            tracking_since = min(tracking_since, poll.now)
            seen_live = seen_live and min(seen_live, poll.now)
            missing_since = missing_since and min(missing_since, poll.now)
            row = poll.rows.get(key)
            if row is not None or key in poll.unreadable_ids:
                missing_since = None
            elif there and last is not None and poll.covers(last.start):
                if missing_since is None:
                    missing_since = poll.now
                elif poll.now - missing_since >= gone_after and not poll.is_contradicted:
                    there, missing_since = False, None
                    if phase in ("live", "pending"):
                        self.uncounted["deleted"] += 1
                        phase = "lost"
            if row is not None and (
                last is not None
                or low_watermark is None
                or row.start >= min(low_watermark, window_start)
            ):
                if last is None:
                    known_before = not live(row) and self._settles(row, None) <= tracking_since
                    old = low_watermark is not None and row.start < low_watermark
                    phase = "history" if known_before or old else "pending"
                    if phase == "pending":
                        self.started_at.append(poll.now)
                elif phase == "settled":
                    for field in ("status", "call_status", "duration", "tags"):
                        self.revisions[field] += getattr(last, field) != getattr(row, field)
                last, there = row, True
                if phase in ("live", "pending"):
                    if live(row):
                        phase, seen_live = "live", poll.now
                    elif poll.now >= (settled_at := self._settles(row, seen_live)):
                        phase = "settled"
                        self.settled.append(SettledCall(poll.now, settled_at, row))
                    else:
                        phase = "pending"
            if last is not None and last.start < window_start:
                if phase in ("live", "pending") and last.start < poll.now - rules.follow_ms:
                    self.uncounted["follow_expired"] += 1
                    phase, there, missing_since = "lost", missing_since is None, None
                if phase not in ("live", "pending") and last.start < watermark_after:
                    last = seen_live = phase = missing_since = None
        if last is not None:
            self._sum_up(last, phase, there=there, is_missing=missing_since is not None)

    def _sum_up(self, last: Call, phase: str, *, there: bool, is_missing: bool) -> None:
        """Add a call that is tracked in the end to what the polls left."""
        now, window_ms = self._polls[-1].now, self._window_ms(self._polls[-1])
        in_window = there and now - window_ms <= last.start <= now
        if in_window:
            self.window.append(last)
        if phase in ("live", "pending"):
            self.unsettled[last.id] = last
        if is_missing and (in_window or phase in ("live", "pending")):
            self.missing.add(last.id)
        self.live += phase == "live"
        self.pending += phase == "pending"

    def _settles(self, call: Call, seen_live: int | None) -> int:
        rules = self._rules
        ended = max(call.start + round(call.duration * 1000), seen_live or 0)
        return ended + (rules.settle_ms if call.duration > 0 else rules.settle_unanswered_ms)


def passed_over(
    polls: Sequence[Poll], rules: CountingRules, low_watermark: int
) -> tuple[int, int] | None:
    """Return a time before ``low_watermark`` that no poll has read, though catch-up reached it.

    None means that every such time was read.
    """
    longest = max(rules.catch_up_ms, rules.window_ms)
    too_far = [
        (before.now, poll.now - longest)
        for before, poll in pairwise(polls)
        if before.now < poll.now - longest
    ]
    accounted = polls[0].now - rules.window_ms
    for start, end in sorted([*too_far, *(each for poll in polls for each in poll.ranges)]):
        if start > accounted:
            break
        accounted = max(accounted, end)
    return (accounted, low_watermark) if accounted < low_watermark else None


@dataclass(frozen=True)
class WindowRecount:
    """The window's figures, from its calls."""

    by_status: Counter[str]
    by_call_status: Counter[str]
    by_tag: Counter[str]
    untagged: int
    durations: list[float]


def recount_window(window: Iterable[Call]) -> WindowRecount:
    calls = list(window)
    talked = [call for call in calls if call.duration > 0 and not live(call)]
    return WindowRecount(
        Counter(name(call.status, NAMES) for call in calls),
        Counter(name(call.call_status, CALL_NAMES, NAMES) for call in calls),
        Counter(tag for call in calls for tag in call.tags),
        sum(not call.tags for call in talked),
        sorted(call.duration for call in talked),
    )


def bucketed(durations: list[float], bounds: tuple[float, ...]) -> tuple[int, ...]:
    counts = [0] * (len(bounds) + 1)
    for duration in durations:
        counts[bisect_left(bounds, duration)] += 1
    return tuple(counts)


def positive(counts: dict[str, int]) -> dict[str, int]:
    return {key: count for key, count in counts.items() if count}


def simulated_polls(
    calls: Sequence[CallLife], moments: Sequence[int], rules: CountingRules
) -> Iterator[Poll]:
    """Yield polls of simulated calls: each reads all that the exporter reads, in no time.

    That is the window, and behind it the calls that are followed. The first poll follows none yet;
    it finds older calls by their live status alone.

    Args:
        calls: The whole lives of the calls.
        moments: T of each poll, in milliseconds.
        rules: How the calls are counted.
    """
    is_first = True
    for now in moments:
        window_start = now - rules.window_ms
        followed = now - max(rules.window_ms, rules.follow_ms)
        rows = {
            str(call.number): row_of(call, now)
            for call in calls
            if followed <= call.start <= now
            and call.visible_at(now)
            and (not is_first or call.start >= window_start or call.status_at(now) in LIVE_STATUSES)
        }
        yield Poll(now, [(window_start if is_first else followed, now + 1)], rows)
        is_first = False


def row_of(call: CallLife, at_ms: int) -> Call:
    """Return the row that the API shows of a simulated call at a moment, visible or not."""
    tags = dict.fromkeys(tag.strip() for tag in call.tags_at(at_ms) or () if tag.strip())
    return Call(
        id=str(call.number),
        start=call.start,
        status=call.status_at(at_ms),
        call_status=call.call_status_at(at_ms),
        duration=float(call.duration_at(at_ms)),
        tags=tuple(tags),
    )
