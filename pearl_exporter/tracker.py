"""The tracked calls of one outbound: what is known of each, and that each is counted once. Pure.

A call is *tracked* from its first sighting until it is both out of the window and done. Its phase
says what the counters owe it::

    HISTORY   settled before tracking began, or came back after it was forgotten: never counted
    LIVE      going on
    PENDING   finished, its outcome may still change
    SETTLED   counted; later changes are revisions
    LOST      deleted before it settled, or followed in vain: counted as uncounted

    (new) ──> LIVE <──> PENDING ──> SETTLED
                └─────────┴──> LOST

A deleted call stays tracked, out of the window, until the window's edge has passed it: it may come
back, and must not count twice. Rows behind the edge that are not tracked are HISTORY for the same
reason. Invariant, at every snapshot: started = settled + live + pending + uncounted.
"""

from collections.abc import Iterable
from copy import copy
from enum import IntEnum
from typing import NamedTuple

import msgspec

from pearl_exporter.calls import (
    CALL_STATUS_LABELS,
    STATUS_LABELS,
    Call,
    Instant,
    ended_at,
    is_answered,
    is_live,
)
from pearl_exporter.index import StartIndex
from pearl_exporter.labels import TagLabels, TagRules, call_status_labels, status_labels
from pearl_exporter.ledger import Ledger, LedgerSnapshot
from pearl_exporter.window import Window, WindowSnapshot


class Rules(msgspec.Struct, frozen=True):
    """How the calls of one outbound are counted; spans are in milliseconds, buckets in seconds."""

    window_ms: int
    settle_ms: int
    settle_unanswered_ms: int
    follow_ms: int
    catch_up_ms: int
    scan_every_ms: int
    buckets: tuple[float, ...]
    tags: TagRules = TagRules()


class Phase(IntEnum):
    """What the counters owe a tracked call; see the module's text."""

    HISTORY = 0
    LIVE = 1
    PENDING = 2
    SETTLED = 3
    LOST = 4


CODE_FIELDS = ("status", "call_status")
"""The fields that bear codes, in the order of `Tracker.unknown_codes`."""

_FAR: Instant = 1 << 62
"""Later than any call."""

_UNSETTLED = (Phase.LIVE, Phase.PENDING)


class Tracked(msgspec.Struct, gc=False):
    """One tracked call.

    Attributes:
        call: As it was last read, its tags replaced by their labels.
        phase: What the counters owe it.
        seen_live_at: The last poll that saw it live.
        in_window: Whether the window counts it.
        is_absent: Whether it was not in the API's table when it was last looked for.
        odd_codes: Which fields have borne a code of no table (1: status, 2: call_status).
    """

    call: Call
    phase: Phase
    seen_live_at: Instant | None = None
    in_window: bool = False
    is_absent: bool = False
    odd_codes: int = 0


class Progress(msgspec.Struct, frozen=True):
    """How far one outbound was polled, and what it has counted.

    Attributes:
        tracking_since: T0, when the first good poll began.
        polled_at: T of the last good poll.
        edge: Where forgetting began, and where catching up stands.
        ledger: The counters.
        statuses: Unknown codes with a label of their own; likewise ``call_statuses``, ``tags``.
        tracked: How many calls are tracked.
        live: Calls that were going on, and where the oldest of them began.
        unread_to: Up to here, from the edge on, an outage has left calls unread, if it has.
        newest: Where the newest call ever read began; 0 before any.
        tag_rules: The rules by which the tags of the tracked calls got their labels.
    """

    tracking_since: Instant
    polled_at: Instant
    edge: Instant
    ledger: LedgerSnapshot
    statuses: tuple[int, ...]
    call_statuses: tuple[int, ...]
    tags: tuple[str, ...]
    tracked: int = 0
    live: int = 0
    oldest_live_start: Instant | None = None
    unread_to: Instant | None = None
    newest: Instant = 0
    tag_rules: str = ""


class Saved(NamedTuple):
    """All that a tracker needs to go on where another one stopped; it takes the calls over."""

    progress: Progress
    tracked: tuple[Tracked, ...]


class Delta(NamedTuple):
    """What changed since it was last saved: the progress, calls, and the ids of forgotten ones."""

    progress: Progress
    tracked: tuple[Tracked, ...]
    forgotten: tuple[str, ...]


class TrackerSnapshot(NamedTuple):
    """What one outbound's calls amount to, as of one good poll; ``window`` is None before any."""

    ledger: LedgerSnapshot
    window: WindowSnapshot | None
    live: int
    pending: int
    oldest_live_start: Instant | None
    tracked: int
    tracking_since: Instant | None
    polled_at: Instant | None
    folded_tags: int


def snapshot_of(progress: Progress, rules: Rules) -> TrackerSnapshot:
    """What was counted, before the calls themselves are loaded: all but the window."""
    counted = Tracker(rules, Saved(progress, ())).snapshot()
    ledger = counted.ledger
    done = ledger.settled + sum(ledger.uncounted.values())
    return counted._replace(
        window=None,
        live=progress.live,
        pending=ledger.started - done - progress.live,
        oldest_live_start=progress.oldest_live_start,
        tracked=progress.tracked,
    )


class Tracker:
    """Takes whole reads of an outbound's calls, keeps its window and its ledger in step."""

    def __init__(self, rules: Rules, saved: Saved | None = None) -> None:
        self.rules = rules
        progress, tracked = saved or (None, ())
        self._statuses = status_labels(progress.statuses if progress else ())
        self._call_statuses = call_status_labels(progress.call_statuses if progress else ())
        self._tags = TagLabels(rules.tags, progress.tags if progress else ())
        codes = (self._statuses, self._call_statuses)
        self._window = Window(rules.buckets, *codes, tags=self._tags.admitted)
        self._ledger = Ledger(rules.buckets, *codes, progress.ledger if progress else None)
        self._tracked: StartIndex[Tracked] = StartIndex()
        self._tracked.fill((each.call.id, each.call.start, each) for each in tracked)
        self._unsettled: dict[str, Tracked] = {}
        self._touched: set[str] = set()
        self._forgotten: set[str] = set()
        self._unknown_codes = [0, 0]
        self.tracking_since = progress.tracking_since if progress else None
        """T0: when the first good poll without saved state began."""
        self.polled_at = progress.polled_at if progress else None
        """T of the last good poll."""
        self.edge = progress.edge if progress else None
        """Where forgetting began: an untracked row that started before it is HISTORY."""
        self.unread_to = progress.unread_to if progress else None
        """Up to here, from the edge on, an outage has left calls unread; None if it has not."""
        self._newest: Instant = progress.newest if progress else 0
        self._window_start: Instant = 0
        self._tag_rules = rules.tags.text
        self._other_tag_rules = progress.tag_rules if progress else self._tag_rules
        self._by_other_tag_rules: set[str] = set()
        if self._other_tag_rules not in ("", self._tag_rules):
            self._by_other_tag_rules.update(each.call.id for each in self._tracked)
        for each in self._tracked:
            if each.in_window:
                self._window.add(each.call)
            if each.is_absent:
                self._tracked.vanish(each.call.id, each.call.start)
            if each.phase in _UNSETTLED:
                self._unsettled[each.call.id] = each

    @property
    def unknown_codes(self) -> tuple[int, int]:
        """Calls met that bear a code of no table, by `CODE_FIELDS`, since this tracker began."""
        return (self._unknown_codes[0], self._unknown_codes[1])

    def oldest_unsettled(self, since: Instant) -> Instant | None:
        """The start of the oldest call from ``since`` on that is live or pending."""
        starts = (each.call.start for each in self._unsettled.values())
        return min((start for start in starts if start >= since), default=None)

    def unsettled(self) -> list[Tracked]:
        """The calls that are live or pending, newest first."""
        return sorted(self._unsettled.values(), key=lambda each: -each.call.start)

    def is_due(self, each: Tracked, now: Instant) -> bool:
        """Whether a pending call's next good read would settle it, if it is as it was."""
        return now >= self._settles_at(each.call, each.seen_live_at)

    def present(self, start: Instant, end: Instant) -> int:
        """How many tracked calls the API holds in ``[start, end)``, as far as is known."""
        return self._tracked.present(start, end)

    def in_window(self, codes: frozenset[int]) -> int:
        """How many calls of the window, as of the last poll, bear one of these outcomes."""
        return self._window.count(codes)

    def get(self, call_id: str) -> Tracked | None:
        """What is tracked of a call."""
        return self._tracked.get(call_id)

    def between(self, start: Instant, end: Instant) -> list[Tracked]:
        """The tracked calls that start in ``[start, end)``, in that order, absent ones included."""
        return self._tracked.between(start, end)

    def halfway(self, start: Instant, end: Instant) -> Instant:
        """Where to cut ``[start, end)`` so that either half has as many tracked calls."""
        return self._tracked.halfway(start, end)

    def apply(
        self,
        calls: Iterable[Call],
        *,
        ranges: Iterable[tuple[Instant, Instant]],
        now: Instant,
        spared: frozenset[str] = frozenset(),
        unread: tuple[Instant, Instant] | None = None,
    ) -> None:
        """Takes the rows that a poll has read, as of ``now``.

        One that starts after it, as where the clock has stepped back, is not in the window.

        Each of ``ranges`` (from its start to before its end) was read whole: a tracked call of it
        that is not among the rows was deleted, unless its id is among ``spared``: rows that were
        there but could not be read. What lies ``unread`` behind the window, as an outage has left
        it, is still to be counted: nothing from its start on is forgotten.
        """
        if self.tracking_since is None:
            self.tracking_since = now
        window_start = now - self.rules.window_ms
        self._account_for_gap(now)
        if self.polled_at is not None and now < self.polled_at:
            unread = self._turn_back(now, window_start) or unread
        read = set(spared)
        for call in sorted(calls, key=_start_of):
            read.add(call.id)
            self._newest = max(self._newest, call.start)
            if call.id in self._tracked or not self._is_forgotten(call, window_start):
                self._observe(call, now, window_start)
        for start, end in ranges:
            for each in self._tracked.between(start, end):
                if each.call.id not in read:
                    self._delete(each)
        for each in self._tracked.between(self._window_start, window_start):
            self._unplace(each)
        self._expire(min(window_start, now - self.rules.follow_ms))
        edge, self.unread_to = unread or (window_start, None)
        self.edge = edge if self.edge is None else max(self.edge, edge)
        self._forget(min(self.edge, window_start))
        self._window_start = window_start
        self.polled_at = now

    def saved(self) -> Saved | None:
        """All that another tracker needs to go on from here; None before the first read."""
        progress = self._progress()
        if progress is None:
            return None
        return Saved(progress, tuple(map(copy, self._tracked)))

    def take_delta(self) -> Delta | None:
        """What changed since this was last asked; None before the first read."""
        progress = self._progress()
        if progress is None:
            return None
        delta = Delta(
            progress,
            tuple(copy(each) for key in self._touched if (each := self._tracked.get(key))),
            tuple(self._forgotten),
        )
        self._touched.clear()
        self._forgotten.clear()
        return delta

    def _progress(self) -> Progress | None:
        if self.tracking_since is None or self.polled_at is None or self.edge is None:
            return None
        return Progress(
            tracking_since=self.tracking_since,
            polled_at=self.polled_at,
            edge=self.edge,
            ledger=self._ledger.snapshot(),
            statuses=self._statuses.admitted,
            call_statuses=self._call_statuses.admitted,
            tags=self._tags.admitted,
            tracked=len(self._tracked),
            live=len(starts := self._live_starts()),
            oldest_live_start=min(starts, default=None),
            unread_to=self.unread_to,
            newest=self._newest,
            # told anew to the next tracker as long as there is a call left that was not read since
            tag_rules=self._other_tag_rules if self._by_other_tag_rules else self._tag_rules,
        )

    def snapshot(self) -> TrackerSnapshot:
        """What the tracked calls amount to, as of the last good poll."""
        starts = self._live_starts()
        return TrackerSnapshot(
            ledger=self._ledger.snapshot(),
            window=self._window.snapshot() if self.polled_at is not None else None,
            live=len(starts),
            pending=len(self._unsettled) - len(starts),
            oldest_live_start=min(starts, default=None),
            tracked=len(self._tracked),
            tracking_since=self.tracking_since,
            polled_at=self.polled_at,
            folded_tags=self._tags.folded,
        )

    def _live_starts(self) -> list[Instant]:
        return [each.call.start for each in self._unsettled.values() if each.phase is Phase.LIVE]

    def _account_for_gap(self, now: Instant) -> None:
        reached = now - max(self.rules.catch_up_ms, self.rules.window_ms)
        if self.polled_at is not None and self.polled_at < reached:
            self._ledger.lose((reached - self.polled_at) / 1000)

    def _turn_back(self, now: Instant, window_start: Instant) -> tuple[Instant, Instant] | None:
        """Takes back what a clock that was ahead has said of moments that are yet to come.

        What starts after the newest call ever read has not been counted, however far the edge has
        come. Gives what of it lies behind the window: it is to be read as after an outage.
        """
        for each in self._tracked.between(now + 1, _FAR):
            self._unplace(each)
        for each in self._unsettled.values():
            if each.seen_live_at is not None and each.seen_live_at > now:
                each.seen_live_at = now
                self._touched.add(each.call.id)
        if self.tracking_since is None or self.edge is None:
            return None
        self.tracking_since = min(self.tracking_since, now)
        self.edge = min(self.edge, max(self._newest + 1, now - self.rules.catch_up_ms))
        return (self.edge, window_start) if self.edge < window_start else None

    def _is_forgotten(self, call: Call, window_start: Instant) -> bool:
        return self.edge is not None and call.start < min(self.edge, window_start)

    def _observe(self, row: Call, now: Instant, window_start: Instant) -> None:
        call = self._labelled(row)
        each = self._tracked.get(call.id)
        if each is None:
            each = self._begin(call, now)
        elif each.call != call:
            self._change(each, call)
        if self._by_other_tag_rules:
            self._by_other_tag_rules.discard(call.id)
        if each.is_absent:
            each.is_absent = False
            self._tracked.appear(call.id)
            self._touched.add(call.id)
        if each.phase in _UNSETTLED:
            self._advance(each, now)
        if not each.in_window and window_start <= call.start <= now:
            self._window.add(call)
            each.in_window = True
            self._touched.add(call.id)

    def _labelled(self, row: Call) -> Call:
        tags = self._tags.of(row.tags) if row.tags else ()
        if tags == row.tags:
            return row
        return Call(row.id, row.start, row.status, row.call_status, row.duration, tags)

    def _begin(self, call: Call, now: Instant) -> Tracked:
        each = Tracked(call, Phase.HISTORY)
        self._tracked.add(call.id, call.start, each)
        self._touched.add(call.id)
        self._forgotten.discard(call.id)
        self._look_at(each)
        if not self._is_history(call, now):
            self._ledger.start()
            each.phase = Phase.LIVE if is_live(call) else Phase.PENDING
            self._unsettled[call.id] = each
        return each

    def _is_history(self, call: Call, now: Instant) -> bool:
        if self.edge is not None and call.start < self.edge:
            return True
        tracking_since = now if self.tracking_since is None else self.tracking_since
        return not is_live(call) and self._settles_at(call, None) <= tracking_since

    def _settles_at(self, call: Call, seen_live_at: Instant | None) -> Instant:
        rules = self.rules
        wait = rules.settle_ms if is_answered(call) else rules.settle_unanswered_ms
        return ended_at(call, seen_live_at) + wait

    def _change(self, each: Tracked, call: Call) -> None:
        if each.phase is Phase.SETTLED:
            is_same = call.id not in self._by_other_tag_rules
            self._ledger.revise(each.call if is_same else _retagged(each.call, call), call)
        self._unplace(each)
        self._touched.add(call.id)
        self._tracked.move(call.id, each.call.start, call.start)
        each.call = call
        self._look_at(each)

    def _advance(self, each: Tracked, now: Instant) -> None:
        call = each.call
        if is_live(call):
            each.phase = Phase.LIVE
            each.seen_live_at = now
            self._touched.add(call.id)
        elif now < self._settles_at(call, each.seen_live_at):
            if each.phase is not Phase.PENDING:
                each.phase = Phase.PENDING
                self._touched.add(call.id)
        else:
            self._touched.add(call.id)
            each.phase = Phase.SETTLED
            del self._unsettled[call.id]
            self._ledger.settle(call)

    def _delete(self, each: Tracked) -> None:
        self._unplace(each)
        if not each.is_absent:
            each.is_absent = True
            self._tracked.vanish(each.call.id, each.call.start)
            self._touched.add(each.call.id)
        if each.phase in _UNSETTLED:
            each.phase = Phase.LOST
            del self._unsettled[each.call.id]
            self._ledger.give_up("deleted")

    def _expire(self, before: Instant) -> None:
        """Gives up the unsettled calls that started too long ago."""
        for each in list(self._unsettled.values()):
            if each.call.start < before:
                each.phase = Phase.LOST
                del self._unsettled[each.call.id]
                self._touched.add(each.call.id)
                self._ledger.give_up("follow_expired")

    def _forget(self, before: Instant) -> None:
        """Forgets the calls behind the edge that are done."""
        for each in self._tracked.between(0, before):
            if each.phase not in _UNSETTLED:
                self._tracked.remove(each.call.id, each.call.start)
                self._touched.discard(each.call.id)
                self._by_other_tag_rules.discard(each.call.id)
                self._forgotten.add(each.call.id)

    def _unplace(self, each: Tracked) -> None:
        if each.in_window:
            self._window.remove(each.call)
            each.in_window = False
            self._touched.add(each.call.id)

    def _look_at(self, each: Tracked) -> None:
        """Gives a new or changed row's labels their series, and counts codes of no table once."""
        call = each.call
        self._ledger.see(call)
        if call.status is not None and call.status not in STATUS_LABELS:
            self._count_odd_code(each, 0)
        if call.call_status is not None and not (
            call.call_status in CALL_STATUS_LABELS or call.call_status in STATUS_LABELS
        ):
            self._count_odd_code(each, 1)

    def _count_odd_code(self, each: Tracked, field: int) -> None:
        if not each.odd_codes & (1 << field):
            each.odd_codes |= 1 << field
            self._unknown_codes[field] += 1


def _retagged(call: Call, other: Call) -> Call:
    """A call with another one's tags."""
    return Call(call.id, call.start, call.status, call.call_status, call.duration, other.tags)


def _start_of(call: Call) -> Instant:
    return call.start
