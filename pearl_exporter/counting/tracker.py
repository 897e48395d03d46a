"""The tracked calls of one outbound: what is known of each, and that each is counted once. Pure.

A call is *tracked* from its first sighting until it is both out of the window and done; `tracked`
tells its phases. A deleted call stays tracked, out of the window, until the window's edge has
passed it: it may come back, and must not count twice. Rows behind the edge that are not tracked are
HISTORY for the same reason. Invariant, at every snapshot: started = settled + live + pending +
uncounted.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from pearl_exporter.counting.call_table import MAX_INSTANT, MIN_INSTANT, CallTable
from pearl_exporter.counting.calls import Call, Instant
from pearl_exporter.counting.columns import Rows, RowsByStart
from pearl_exporter.counting.compact_ids import compact_ids, full_id
from pearl_exporter.counting.journal import Journal
from pearl_exporter.counting.labels import TagLabels, call_status_labels, status_labels
from pearl_exporter.counting.ledger import Ledger, LedgerSnapshot
from pearl_exporter.counting.outcome_history import OutcomeHistory
from pearl_exporter.counting.packing import (
    IN_WINDOW,
    IS_IN_WINDOW,
    CallKind,
    CallValues,
    are_alike,
    can_be_packed,
    pack,
    pack_alike,
)
from pearl_exporter.counting.saved import Delta, Progress, SavedOutbound
from pearl_exporter.counting.settlement import CountingRules
from pearl_exporter.counting.tracked_call import CallPhase, PackedOrTracked, TrackedCall, entry_of
from pearl_exporter.counting.transitions import Books, Transitions
from pearl_exporter.counting.window import Window, WindowSnapshot

_SEVERAL = "several"
"""No rules' text: some calls' tags got their labels by other rules than some others'."""

CODE_FIELDS = ("status", "call_status")
"""The fields that bear codes, in the order of `Tracker.unknown_code_counts`."""


class Seen(NamedTuple):
    """Calls that one read brought first: all, and those that lie where was read before."""

    new: int
    late: int


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
    outcomes: OutcomeHistory = OutcomeHistory()


def snapshot_of(progress: Progress, rules: CountingRules) -> TrackerSnapshot:
    """What was counted, before the calls themselves are loaded: all but the window."""
    counted = Tracker(rules, SavedOutbound(progress, {})).snapshot()
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
    """Takes whole reads of an outbound's calls, keeps its window and its ledger in step.

    Raises ValueError if what was ``saved`` is damaged.
    """

    def __init__(self, rules: CountingRules, saved: SavedOutbound | None = None) -> None:
        self.rules = rules
        progress, blocks = saved or (None, {})
        self._statuses = status_labels(progress.statuses if progress else ())
        self._call_statuses = call_status_labels(progress.call_statuses if progress else ())
        self._tags = TagLabels(rules.tags, progress.tags if progress else ())
        codes = (self._statuses, self._call_statuses)
        self._window = Window(rules.buckets, *codes, tags=self._tags.admitted)
        self._ledger = Ledger(rules.buckets, *codes, progress.ledger if progress else None)
        self._journal = Journal()
        self.calls = CallTable()
        """What is tracked; who reads it changes nothing."""
        books = Books(self._window, self._ledger, self._journal)
        self._transitions = Transitions(rules, self.calls, books)
        self.tracking_since = progress.tracking_since if progress else None
        """T0: when the first good poll without saved state began."""
        self.polled_at = progress.polled_at if progress else None
        """T of the last good poll."""
        self.low_watermark = progress.low_watermark if progress else None
        """Where forgetting began: an untracked row that started before it is HISTORY."""
        self.unread_until = progress.unread_until if progress else None
        """Up to here, from the edge on, an outage has left calls unread; None if it has not."""
        self.outcomes = progress.outcomes if progress else OutcomeHistory()
        """The calls settled in the last hours, by outcome."""
        self.max_gap_ms = 0
        """How far apart two good polls may be with none missed between them, as outcomes go."""
        self.seen = Seen(0, 0)
        """What the last read brought that was not known."""
        self._newest: Instant = progress.newest if progress else 0
        self._window_start: Instant = 0
        self._tag_rules = rules.tags.text
        in_window = self.calls.load(blocks)
        self._place(in_window.kinds)
        for each in in_window.objects:
            self._window.add(each.call)
        for kind in self.calls.kinds:
            self._ledger.see(kind)
        for each in self.calls.unsettled.values():
            self._ledger.see(each.call)
        if progress is not None and progress.tag_rules not in ("", self._tag_rules):
            self._transitions.relabel_pending.update(
                self.calls.ids_between(MIN_INSTANT, MAX_INSTANT)
            )

    @property
    def unknown_code_counts(self) -> tuple[int, int]:
        """Calls met that bear a code of no table, by `CODE_FIELDS`, since this tracker began."""
        outcomes, telephony_states = self._transitions.unknown_code_counts
        return (outcomes, telephony_states)

    def oldest_unsettled(self, since: Instant) -> Instant | None:
        """The start of the oldest call from ``since`` on that is live or pending."""
        starts = (each.call.start for each in self.calls.unsettled.values())
        return min((start for start in starts if start >= since), default=None)

    def unsettled(self) -> list[TrackedCall]:
        """The calls that are live or pending, newest first."""
        return sorted(self.calls.unsettled.values(), key=lambda each: -each.call.start)

    def is_due(self, each: TrackedCall, now: Instant) -> bool:
        """Whether a pending call's next good read would settle it, if it is as it was."""
        return now >= self.rules.settles_at(each.call, each.seen_live_at)

    def in_window(self, codes: frozenset[int]) -> int:
        """How many calls of the window, as of the last poll, bear one of these outcomes."""
        return self._window.count(codes)

    def apply(
        self,
        calls: Iterable[Call],
        *,
        ranges: Sequence[tuple[Instant, Instant]],
        now: Instant,
        unreadable_ids: frozenset[str] = frozenset(),
        unread: tuple[Instant, Instant] | None = None,
    ) -> None:
        """Takes the rows that a poll has read, each once, as of ``now``.

        One that starts after it, as where the clock has stepped back, is not in the window.

        Each of ``ranges`` (from its start to before its end) was read whole: a tracked call of it
        that is not among the rows was deleted, unless its id is among ``unreadable_ids``: rows that
        were there but could not be read. What an outage has left ``unread`` behind the window is
        still to be counted: nothing from its start on is forgotten.
        """
        counted, polled_at = self._ledger.by_status, self.polled_at
        if self.tracking_since is None:
            self.tracking_since = now
        window_start = now - self.rules.window_ms
        self._account_for_gap(now)
        if self.polled_at is not None and now < self.polled_at:
            unread = self._turn_back(now, window_start) or unread
        rows = (calls if isinstance(calls, Rows) else Rows(calls)).by_start()
        if rows.ids:
            self._newest = max(self._newest, rows.starts[-1])
        if len(self.calls):
            read = {*rows.ids, *compact_ids(unreadable_ids)}
            for start, end in ranges:
                for each in self.calls.missing(start, end, read):
                    self._transitions.delete(each)
        new, known = self._split_known(rows, window_start)
        self.seen = Seen(len(new.ids), self._late(new.starts))
        if self.polled_at is not None:  # what was there at T0 needs no entry
            self._journal.see(new.ids)
        self._begin_all(new, now, window_start)
        self._observe_all(known, now, window_start)
        self._transitions.keep_unreadable(unreadable_ids, now, window_start)
        for each in self.calls.between(self._window_start, window_start):
            self._transitions.leave_window(each)
        self._transitions.expire(min(window_start, now - self.rules.follow_ms))
        low_watermark, self.unread_until = unread or (window_start, None)
        self.low_watermark = (
            low_watermark if self.low_watermark is None else max(self.low_watermark, low_watermark)
        )
        self._transitions.forget(min(self.low_watermark, window_start))
        self._window_start = window_start
        self.polled_at = now
        self.outcomes = self.outcomes.counted(
            self._ledger.by_status - counted,
            now,
            is_contiguous=polled_at is not None and now - polled_at <= self.max_gap_ms,
        )

    def saved(self) -> SavedOutbound | None:
        """All that another tracker needs to go on from here; None before the first read."""
        progress = self._progress()
        if progress is None:
            return None
        return SavedOutbound(progress, self.calls.saved())

    def take_delta(self) -> Delta | None:
        """What changed since this was last asked; None before the first read."""
        progress = self._progress()
        if progress is None:
            return None
        return Delta(
            progress, self.calls.take_changes(), self._journal.take(), self._journal_from(progress)
        )

    def _journal_from(self, progress: Progress) -> Instant:
        """What a poll before this has told, it has told of calls that are forgotten."""
        starts = (each.call.start for each in self.calls.unsettled.values())
        return min(self._window_start, progress.low_watermark, *starts)

    def _progress(self) -> Progress | None:
        if self.tracking_since is None or self.polled_at is None or self.low_watermark is None:
            return None
        return Progress(
            tracking_since=self.tracking_since,
            polled_at=self.polled_at,
            low_watermark=self.low_watermark,
            ledger=self._ledger.snapshot(),
            statuses=self._statuses.admitted,
            call_statuses=self._call_statuses.admitted,
            tags=self._tags.admitted,
            tracked=len(self.calls),
            live=len(starts := self._live_starts()),
            oldest_live_start=min(starts, default=None),
            unread_until=self.unread_until,
            newest=self._newest,
            # while there is a call that was not read since, the labels are by rules of either kind
            tag_rules=_SEVERAL if self._transitions.relabel_pending else self._tag_rules,
            outcomes=self.outcomes,
        )

    def snapshot(self) -> TrackerSnapshot:
        """What the tracked calls amount to, as of the last good poll."""
        starts = self._live_starts()
        return TrackerSnapshot(
            ledger=self._ledger.snapshot(),
            window=self._window.snapshot() if self.polled_at is not None else None,
            live=len(starts),
            pending=len(self.calls.unsettled) - len(starts),
            oldest_live_start=min(starts, default=None),
            tracked=len(self.calls),
            tracking_since=self.tracking_since,
            polled_at=self.polled_at,
            folded_tags=self._tags.folded,
            outcomes=self.outcomes,
        )

    def _live_starts(self) -> list[Instant]:
        return [
            each.call.start
            for each in self.calls.unsettled.values()
            if each.phase is CallPhase.LIVE
        ]

    def _late(self, starts: Sequence[Instant]) -> int:
        """How many of these, in order, lie where the last good poll has read."""
        read_from = self.low_watermark if self.unread_until is None else self.unread_until
        if self.polled_at is None or read_from is None:
            return 0
        return max(0, bisect_right(starts, self.polled_at) - bisect_left(starts, read_from))

    def _account_for_gap(self, now: Instant) -> None:
        reached = now - max(self.rules.catch_up_ms, self.rules.window_ms)
        if self.polled_at is not None and self.polled_at < reached:
            self._ledger.lose((reached - self.polled_at) / 1000)

    def _turn_back(self, now: Instant, window_start: Instant) -> tuple[Instant, Instant] | None:
        """Takes back what a clock that was ahead has said of moments that are yet to come.

        What starts after the newest call ever read has not been counted, however far the edge has
        come. Gives what of it lies behind the window: it is to be read as after an outage.
        """
        for each in self.calls.between(now + 1, MAX_INSTANT):
            self._transitions.leave_window(each)
        for each in self.calls.unsettled.values():
            if each.seen_live_at is not None and each.seen_live_at > now:
                each.seen_live_at = now
                self.calls.keep(each)
        if self.tracking_since is None or self.low_watermark is None:
            return None
        self.tracking_since = min(self.tracking_since, now)
        self.low_watermark = min(
            self.low_watermark, max(self._newest + 1, now - self.rules.catch_up_ms)
        )
        return (self.low_watermark, window_start) if self.low_watermark < window_start else None

    def _split_known(
        self, rows: RowsByStart, window_start: Instant
    ) -> tuple[RowsByStart, RowsByStart]:
        """The rows that are new, and those of calls that are tracked.

        Those from behind the edge that are neither were tracked once, or never will be.
        """
        if self.low_watermark is None and not len(self.calls):
            return rows, rows.at([])
        before = (
            MIN_INSTANT if self.low_watermark is None else min(self.low_watermark, window_start)
        )
        entry = self.calls.entry
        new: list[int] = []
        known: list[int] = []
        for place, (compact, start) in enumerate(zip(rows.ids, rows.starts, strict=True)):
            if entry(compact) is not None:
                known.append(place)
            elif start >= before:
                new.append(place)
        return rows.at(new), rows.at(known)

    def _begin_all(self, rows: RowsByStart, now: Instant, window_start: Instant) -> None:
        """Begins to track rows that are not; history costs least."""
        ids, starts, numbers, _ = rows
        if not ids:
            return
        kinds = self._kinds_of(rows)
        bases = {number: kind.base for number, kind in kinds.items()}
        bases_in = {number: base | IS_IN_WINDOW for number, base in bases.items()}
        first, last = bisect_left(starts, window_start), bisect_right(starts, now)
        entries: list[PackedOrTracked] = [
            *pack_alike(bases, numbers[:first], starts[:first]),
            *pack_alike(bases_in, numbers[first:last], starts[first:last]),
            *pack_alike(bases, numbers[last:], starts[last:]),
        ]
        in_window: Counter[int] = Counter()
        for number, calls in Counter(numbers[first:last]).items():
            in_window[kinds[number].number] += calls
        history_to = {number: self._history_to(kind) for number, kind in kinds.items()}
        packed_to = {
            number: MIN_INSTANT if kind.unknown_codes else history_to[number]
            for number, kind in kinds.items()
        }
        can_pack = can_be_packed(starts[0]) and can_be_packed(starts[-1])
        all_packed = bisect_right(starts, min(packed_to.values())) if can_pack else 0
        for place in range(all_packed, len(ids)):
            number, start = numbers[place], starts[place]
            if can_pack and start <= packed_to[number]:
                continue
            kind = kinds[number]
            call, is_history = kind.call(full_id(ids[place]), start), start <= history_to[number]
            each = self._transitions.begin(call, kind, now, is_history=is_history)
            each.in_window = first <= place < last
            entries[place] = entry_of(each, self.calls.kinds)
        self._place(in_window)
        self.calls.add(ids, starts, entries)

    def _observe_all(self, rows: RowsByStart, now: Instant, window_start: Instant) -> None:
        """Brings tracked calls in step with their rows; those done and as they were cost least."""
        kinds = self._kinds_of(rows)
        for compact, start, number in zip(rows.ids, rows.starts, rows.numbers, strict=True):
            entry, kind = self.calls.entry(compact), kinds[number]
            flag = IN_WINDOW if window_start <= start <= now else 0
            if isinstance(entry, int) and are_alike(entry, pack(kind, start, flag)):
                continue
            call_id = full_id(compact)
            each = self.calls.get(call_id)
            if each is not None:
                labelled = kind.call(call_id, start)
                self._transitions.observe(
                    each, labelled, kind=kind, now=now, window_start=window_start
                )
        if self._transitions.relabel_pending:
            self._transitions.relabel_pending -= set(rows.ids)

    def _kinds_of(self, rows: RowsByStart) -> dict[int, CallKind]:
        """The kinds of rows by the numbers of their values, found in the order of the rows."""
        find = self.calls.kinds.find
        return {
            number: find(rows.values[number]) or self._kind(rows.values[number])
            for number in dict.fromkeys(rows.numbers)
        }

    def _kind(self, values: CallValues) -> CallKind:
        """The kind of a row; a new kind's labels get their series, so that a first count shows."""
        status, call_status, duration, tags = values
        known = len(self.calls.kinds)
        kind = self.calls.kinds.of((status, call_status, duration, self._tags.of(tags)))
        if kind.number == known:
            self._ledger.see(kind)
        return kind

    def _place(self, kinds: Mapping[int, int]) -> None:
        """Puts so many calls of each kind into the window."""
        for number, calls in kinds.items():
            self._window.add(self.calls.kinds[number], calls)

    def _history_to(self, kind: CallKind) -> Instant:
        """Up to this start, a call that was not tracked was settled at T0, or forgotten since."""
        forgotten = MIN_INSTANT if self.low_watermark is None else self.low_watermark - 1
        if kind.is_live or self.tracking_since is None:
            return forgotten
        return max(forgotten, self.rules.settled_before(kind, self.tracking_since))
