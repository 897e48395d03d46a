"""A brute-force recount: what must be published, from the bare list of all polls and their rows.

The contract's sentences written a second time, one call at a time, without any of the exporter's
own counting. Slow on purpose.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pearl_exporter.counting.calls import Call
from pearl_exporter.counting.settlement import CountingRules

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


@dataclass(frozen=True)
class Poll:
    """A good poll: its T, the ranges that it read whole, and every row that it read.

    ``unread`` is where the calls begin that an outage has left unread, if there are any. Ids in
    ``unreadable_ids`` were there, but their rows could not be read.
    """

    now: int
    ranges: Sequence[tuple[int, int]]
    rows: dict[str, Call]
    unread: int | None = None
    unreadable_ids: frozenset[str] = frozenset()

    def covers(self, start: int) -> bool:
        return any(first <= start < end for first, end in self.ranges)


def live(call: Call) -> bool:
    if call.status in (1, 20, 40) or call.call_status == 3:
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
        self.started = self.live = self.pending = 0
        self.by_status: Counter[str] = Counter()
        self.by_call_status: Counter[str] = Counter()
        self.by_tag: Counter[str] = Counter()
        self.untagged = 0
        self.durations: dict[str, list[float]] = {}
        self.revisions: Counter[str] = Counter()
        self.uncounted: Counter[str] = Counter()
        self.uncounted_ms = 0
        self.low_watermark: int
        """What starts before it is forgotten, or never counted if it was not read yet."""
        self.window: list[Call] = []
        """What the window holds, as far as the polls could see."""
        self._rules = rules
        self._polls = polls
        self._edges = list(self._edges_of(polls))
        self.low_watermark = self._edges[-1][1]
        for before, poll in pairwise(polls):
            reached = poll.now - max(rules.catch_up_ms, rules.window_ms)
            self.uncounted_ms += max(0, reached - before.now)
        for key in {key for poll in polls for key in poll.rows}:
            self._recount(key)

    def _edges_of(self, polls: list[Poll]) -> Iterator[tuple[int | None, int]]:
        """What is forgotten lies below: as each poll finds it, and as it leaves it.

        Where T steps back, nothing that starts after the newest row of all has been counted yet.
        """
        rules, low_watermark, newest = self._rules, None, 0
        for before, poll in zip([None, *polls], polls, strict=False):
            start = poll.now - rules.window_ms
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
        phase, last, seen_live, there = None, None, None, False
        for poll, (low_watermark, edge_after) in zip(self._polls, self._edges, strict=True):
            # a clock that was ahead has told of moments that are yet to come
            tracking_since = min(tracking_since, poll.now)
            seen_live = seen_live and min(seen_live, poll.now)
            row = poll.rows.get(key)
            is_read = (
                last is not None and poll.covers(last.start) and key not in poll.unreadable_ids
            )
            if row is None and is_read:
                there = False
                if phase in ("live", "pending"):
                    self.uncounted["deleted"] += 1
                    phase = "lost"
            if row is not None and (
                last is not None
                or low_watermark is None
                or row.start >= min(low_watermark, poll.now - rules.window_ms)
            ):
                if last is None:
                    known_before = not live(row) and self._settles(row, None) <= tracking_since
                    old = low_watermark is not None and row.start < low_watermark
                    phase = "history" if known_before or old else "pending"
                    self.started += phase == "pending"
                elif phase == "settled":
                    for field in ("status", "call_status", "duration", "tags"):
                        self.revisions[field] += getattr(last, field) != getattr(row, field)
                last, there = row, True
                if phase in ("live", "pending"):
                    if live(row):
                        phase, seen_live = "live", poll.now
                    elif poll.now >= self._settles(row, seen_live):
                        phase = "settled"
                        self._count(row)
                    else:
                        phase = "pending"
            window_start = poll.now - rules.window_ms
            if last is not None and last.start < window_start:
                if phase in ("live", "pending") and last.start < poll.now - rules.follow_ms:
                    self.uncounted["follow_expired"] += 1
                    phase = "lost"
                if phase not in ("live", "pending") and last.start < edge_after:
                    last = seen_live = phase = None
        now = self._polls[-1].now
        if there and last is not None and now - rules.window_ms <= last.start <= now:
            self.window.append(last)
        self.live += phase == "live"
        self.pending += phase == "pending"

    def _settles(self, call: Call, seen_live: int | None) -> int:
        rules = self._rules
        ended = max(call.start + round(call.duration * 1000), seen_live or 0)
        return ended + (rules.settle_ms if call.duration > 0 else rules.settle_unanswered_ms)

    def _count(self, call: Call) -> None:
        self.by_status[name(call.status, NAMES)] += 1
        self.by_call_status[name(call.call_status, CALL_NAMES, NAMES)] += 1
        self.by_tag.update(call.tags)
        if call.duration > 0:
            self.untagged += not call.tags
            self.durations.setdefault(name(call.status, NAMES), []).append(call.duration)


def polls_without_spare(
    polls: Sequence[Poll], rules: CountingRules, low_watermark: int
) -> tuple[int, int] | None:
    """A time before ``low_watermark`` that no poll has read, though it is in reach of catch-up."""
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
