"""The tracker of one outbound: takes what a poll has read, and keeps every count in step. Pure.

For each row the tracker decides which transition the call makes (`transitions` applies it), and it
finds the calls that are missing, that leave the window, that are followed for too long and that can
be forgotten. The text of the package says what these words mean, and why each call counts
exactly once.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from pearl_exporter.counting.bulk import can_pack_new
from pearl_exporter.counting.call_table import CallTable, CallView
from pearl_exporter.counting.calls import MIN_INSTANT, Instant
from pearl_exporter.counting.compact_ids import compact_ids, full_id
from pearl_exporter.counting.journal import Journal
from pearl_exporter.counting.labels import TagLabels, call_status_labels, status_labels
from pearl_exporter.counting.ledger import Ledger, LedgerSnapshot
from pearl_exporter.counting.observation import Observation, disjoint
from pearl_exporter.counting.outcome_history import OutcomeHistory
from pearl_exporter.counting.packing import (
    IN_WINDOW,
    MAX_UNUSED_KINDS,
    CallKind,
    PlainValues,
    is_unchanged,
    pack,
)
from pearl_exporter.counting.row_changes import Changes
from pearl_exporter.counting.rows import RowsByStart
from pearl_exporter.counting.saved import SEVERAL_TAG_RULES, Delta, Progress, SavedOutbound
from pearl_exporter.counting.settlement import CountingRules, Cutoffs
from pearl_exporter.counting.start_index import BLOCK_CALLS
from pearl_exporter.counting.tracked_call import UNSETTLED, CallPhase, TrackedCall
from pearl_exporter.counting.transitions import Transitions
from pearl_exporter.counting.window import Window, WindowSnapshot

MIN_BULK_ROWS = 500
"""From this many new rows on, a poll packs them at once (see `bulk`), not one by one."""


class TrackerSnapshot(NamedTuple):
    """What one outbound's calls amount to, as of its last good poll.

    Attributes:
        ledger: The counters.
        window: The sums of the window; None before a poll.
        live: How many calls are live.
        pending: How many calls are pending.
        oldest_live_start: When the oldest live call began; None if there is none.
        tracked: How many calls are tracked.
        tracking_since: T0, when the first good poll began; None before a poll.
        polled_at: T of the last good poll; None before a poll.
        folded_tags: How many different tags found no room for a label of their own.
        outcomes: The calls that settled in the last hours, by outcome.
        missing: How many calls are missing: those in the window, and unsettled ones.
    """

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
    missing: int = 0


class Applied(NamedTuple):
    """What one poll came to: the result of `Tracker.apply`.

    Attributes:
        delta: What is to be saved.
        snapshot: What is to be published once that is saved.
        new: How many calls were read for the first time.
        late_rows: How many of them start where an earlier poll had read already.
        unknown_code_counts: How many calls were found to have an unknown code, by the code's field,
            ``status`` or ``call_status``; each call counts once for each field.
        changes: The calls that were added and taken away, by start and values.
    """

    delta: Delta
    snapshot: TrackerSnapshot
    new: int
    late_rows: int
    unknown_code_counts: Mapping[str, int]
    changes: Changes = MappingProxyType({})


class _RowsTaken(NamedTuple):
    """What the rows of a poll came to; fields as in `Applied`, and `saved.Progress.newest`."""

    new: int
    late_rows: int
    newest: Instant


def snapshot_of(progress: Progress, rules: CountingRules) -> TrackerSnapshot:
    """Return what can be published before the calls themselves are loaded: all but the window."""
    counted = Tracker(rules, SavedOutbound(progress, {})).snapshot()
    ledger = counted.ledger
    done = ledger.settled + sum(ledger.uncounted.values())
    return counted._replace(
        window=None,
        live=progress.live,
        pending=ledger.started - done - progress.live,
        oldest_live_start=progress.oldest_live_start,
        tracked=progress.tracked,
        missing=progress.missing,
    )


class Tracker:
    """The calls of one outbound, and all that is counted of them.

    Attributes:
        rules: How its calls are counted.
        calls: The calls that are tracked.
    """

    def __init__(
        self,
        rules: CountingRules,
        saved: SavedOutbound | None = None,
        *,
        min_bulk_rows: int = MIN_BULK_ROWS,
        block_calls: int = BLOCK_CALLS,
        max_unused_kinds: int = MAX_UNUSED_KINDS,
    ) -> None:
        """Go on where another tracker stopped, or begin.

        Args:
            rules: How calls are counted.
            saved: What the other tracker saved; its blocks are used up. None begins.
            min_bulk_rows: As in `MIN_BULK_ROWS`.
            block_calls: As in `start_index.BLOCK_CALLS`.
            max_unused_kinds: As in `packing.MAX_UNUSED_KINDS`.

        Raises:
            ValueError: What was saved is damaged.
        """
        progress, blocks, _ = saved or (None, {}, {})
        table = CallTable(block_calls=block_calls, max_unused_kinds=max_unused_kinds)
        self.rules = rules
        self.calls: CallView = table
        self._calls = table  # the same, to be changed
        self._min_bulk_rows = min_bulk_rows
        self._progress = progress
        # Where the window began at the last poll. After a load it is 0, so that the next poll looks
        # at every call: the saved calls may be in a window of another length.
        self._window_start: Instant = 0
        self._statuses = status_labels(progress.statuses if progress else ())
        self._call_statuses = call_status_labels(progress.call_statuses if progress else ())
        self._tags = TagLabels(rules.tags, progress.tags if progress else ())
        codes = (self._statuses, self._call_statuses)
        self._window = Window(rules.buckets, *codes, tags=self._tags.admitted)
        self._ledger = Ledger(rules.buckets, *codes, progress.ledger if progress else None)
        self._journal = Journal()
        self._transitions = Transitions(
            rules, table, window=self._window, ledger=self._ledger, journal=self._journal
        )
        self._load(blocks)
        if progress is not None and progress.tag_rules not in ("", rules.tags.text):
            self._transitions.begin_relabelling()

    def _load(self, blocks: dict[Instant, bytes]) -> None:
        """Load the saved calls, and add to the window those that were in it."""
        in_window = self._calls.load(blocks)
        for number, times in in_window.kinds.items():
            self._window.add(self._calls.kinds[number].values, times)
        for tracked in in_window.objects:
            self._window.add(tracked.call)
        for kind in self._calls.kinds:
            self._ledger.create_series(kind.values)
        for tracked in self._calls.unsettled():
            self._ledger.create_series(tracked.call)

    @property
    def polled_at(self) -> Instant | None:
        """T of the last good poll; None before a poll."""
        return self._progress.polled_at if self._progress else None

    @property
    def low_watermark(self) -> Instant | None:
        """Start before which done calls are forgotten, as `saved.Progress` has it."""
        return self._progress.low_watermark if self._progress else None

    @property
    def unread_until(self) -> Instant | None:
        """Where the calls that an outage left unread end; None if there are none."""
        return self._progress.unread_until if self._progress else None

    def unsettled(self) -> list[TrackedCall]:
        """Return the calls that are live or pending, newest first."""
        return sorted(self._calls.unsettled(), key=lambda tracked: -tracked.call.start)

    def oldest_unsettled(self, since: Instant) -> Instant | None:
        """Return the start of the oldest live or pending call from ``since`` on."""
        starts = (tracked.call.start for tracked in self._calls.unsettled())
        return min((start for start in starts if start >= since), default=None)

    def is_due(self, tracked: TrackedCall, now: Instant) -> bool:
        """Return whether a pending call settles at ``now``, if it is read and has not changed."""
        return now >= self.rules.settles_at(tracked.call, tracked.seen_live_at)

    def missing_due(self, now: Instant) -> list[TrackedCall]:
        """Return the missing calls that are gone at ``now`` if they are missed again.

        Those that were missed by the same poll first are together, newest first; and those that
        have been missing for longest come first.

        Calls that are done and have left the window are left out: nothing depends on them.
        """
        followed_from = now - self.rules.follow_ms
        due = [
            each
            for each in self._calls.missing()
            if each.missing_since is not None
            and now - each.missing_since >= self.rules.gone_after_ms
            and (each.in_window or (each.phase in UNSETTLED and each.call.start >= followed_from))
        ]
        return sorted(due, key=lambda tracked: (tracked.missing_since, -tracked.call.start))

    def in_window(self, codes: frozenset[int]) -> int:
        """Return how many calls of the window had one of these outcomes at the last good poll.

        Missing calls are left out, since the API does not count them.
        """
        missing = sum(
            each.in_window and each.call.status in codes for each in self._calls.missing()
        )
        return self._window.count(codes) - missing

    def apply(self, observation: Observation, *, now: Instant, max_gap_ms: int) -> Applied:
        """Bring every count in step with what one poll has read.

        Args:
            observation: What the poll has read.
            now: T of the poll. Where it is before the last poll's, because the clock has gone back,
                what was concluded about the time after ``now`` is undone.
            max_gap_ms: How far apart two good polls can be with none missed between them.

        Returns:
            What is to be saved, and what is to be published then.
        """
        before, settled_before = self._progress, self._ledger.by_status
        cutoffs = self._cutoffs(now)
        unread = observation.unread
        if before is not None:
            self._count_unreachable_time(now - before.polled_at)
            if now < before.polled_at:
                self._transitions.turn_back(now)
                if cutoffs.low_watermark < cutoffs.window_start:
                    # what the clock has jumped over is to be read, as after an outage
                    unread = (cutoffs.low_watermark, cutoffs.window_start)
        new, late_rows, newest = self._take_rows(observation, cutoffs)
        # calls that started before the last poll's window left it then
        self._transitions.leave_window(self._window_start, cutoffs.window_start)
        self._window_start = cutoffs.window_start
        self._transitions.expire(min(cutoffs.window_start, now - self.rules.follow_ms))
        # Nothing from the first unread call on is forgotten, so that a call which is read twice
        # while catching up counts once. `_cutoffs` may have lowered the watermark; it does not fall
        # further here.
        low_watermark, unread_until = unread or (cutoffs.window_start, None)
        low_watermark = max(low_watermark, cutoffs.low_watermark)
        # last, because all of the above may make calls done
        self._transitions.forget(min(low_watermark, cutoffs.window_start))
        outcomes = (before.outcomes if before else OutcomeHistory()).counted(
            self._ledger.by_status - settled_before,
            now,
            is_contiguous=before is not None and now - before.polled_at <= max_gap_ms,
        )
        self._progress = self._progress_at(
            cutoffs._replace(low_watermark=low_watermark),
            unread_until=unread_until,
            newest=newest,
            outcomes=outcomes,
        )
        return Applied(
            self._delta(self._progress),
            self.snapshot(),
            new,
            late_rows,
            self._transitions.take_unknown_code_counts(),
            self._transitions.take_changes(),
        )

    def saved(self) -> SavedOutbound | None:
        """Return all that another tracker needs to go on from here; None before a poll."""
        if self._progress is None:
            return None
        return SavedOutbound(self._progress, self._calls.saved())

    def snapshot(self) -> TrackerSnapshot:
        """Return what the calls amount to, as of the last good poll."""
        progress, starts = self._progress, self._live_starts()
        return TrackerSnapshot(
            ledger=self._ledger.snapshot(),
            window=self._window.snapshot() if progress else None,
            live=len(starts),
            pending=len(self._calls.unsettled()) - len(starts),
            oldest_live_start=min(starts, default=None),
            tracked=len(self._calls),
            tracking_since=progress.tracking_since if progress else None,
            polled_at=progress.polled_at if progress else None,
            folded_tags=self._tags.folded,
            outcomes=progress.outcomes if progress else OutcomeHistory(),
            missing=self._missing(),
        )

    def _cutoffs(self, now: Instant) -> Cutoffs:
        """Return the instants by which a poll at ``now`` judges calls.

        Where the clock has gone back, tracking did not begin in the future, and a call that starts
        after the newest call ever read cannot have been counted, whatever the low watermark says.
        """
        window_start, progress = now - self.rules.window_ms, self._progress
        if progress is None:
            return Cutoffs(now, window_start, now, MIN_INSTANT)
        low_watermark = progress.low_watermark
        if now < progress.polled_at:
            # no further back than catching up reads: what is older was forgotten long ago
            uncounted_from = max(progress.newest + 1, now - self.rules.catch_up_ms)
            low_watermark = min(low_watermark, uncounted_from)
        return Cutoffs(now, window_start, min(progress.tracking_since, now), low_watermark)

    def _count_unreachable_time(self, since_last_poll_ms: int) -> None:
        """Count the time of an outage that is too long ago for its calls to be read."""
        unreachable = since_last_poll_ms - max(self.rules.catch_up_ms, self.rules.window_ms)
        if unreachable > 0:
            self._ledger.add_uncounted_seconds(unreachable / 1000)

    def _take_rows(self, observation: Observation, cutoffs: Cutoffs) -> _RowsTaken:
        """Bring the calls in step with the rows, and with what is missing among them.

        The columns of the rows, large at a first read, are let go before the delta is made.
        """
        rows, is_first = observation.rows.by_start(), self._progress is None
        # Missed calls first: the table does not hold the new ones yet, and has fewer to check. New
        # calls before known ones: both admit labels, and the order decides which tags find room.
        self._miss(observation, cutoffs)
        new, known = self._split(rows, cutoffs)
        late_rows = self._late(new.starts)
        if not is_first:  # what was there at T0 needs no entry in the journal
            self._journal.add_seen(new.ids)
        self._begin(new, cutoffs)
        self._observe(known, cutoffs)
        self._transitions.keep_unreadable(observation.unreadable_ids, cutoffs)
        newest = max([self._progress.newest if self._progress else 0, *rows.starts[-1:]])
        return _RowsTaken(len(new.ids), late_rows, newest)

    def _miss(self, observation: Observation, cutoffs: Cutoffs) -> None:
        """Note the tracked calls of the ranges read that are not among the rows."""
        if not len(self._calls):
            return
        read = observation.rows.ids
        if observation.unreadable_ids:
            read = {*read, *compact_ids(observation.unreadable_ids)}
        # each call once: a poll is one read, although it may have read a range twice
        for start, end in disjoint(observation.ranges):
            for tracked in self._calls.missed(start, end, read):
                self._transitions.miss(
                    tracked, cutoffs, may_be_gone=not observation.is_contradicted
                )

    def _split(self, rows: RowsByStart, cutoffs: Cutoffs) -> tuple[RowsByStart, RowsByStart]:
        """Return the rows of calls that are to be tracked, and those of calls that are.

        A row that is neither starts before the window and before the low watermark: its call was
        forgotten, or came too late to count. It is left out.
        """
        if self._progress is None:
            return rows, rows.at([])
        tracked_from = min(cutoffs.low_watermark, cutoffs.window_start)
        entry = self._calls.entry
        new: list[int] = []
        known: list[int] = []
        for position, (compact, start) in enumerate(zip(rows.ids, rows.starts, strict=True)):
            if entry(compact) is not None:
                known.append(position)
            elif start >= tracked_from:
                new.append(position)
        return rows.at(new), rows.at(known)

    def _late(self, starts: Sequence[Instant]) -> int:
        """Return how many of these starts, in order, the last good poll had read past."""
        progress = self._progress
        if progress is None:
            return 0
        until = progress.unread_until
        read_from = progress.low_watermark if until is None else until
        return max(0, bisect_right(starts, progress.polled_at) - bisect_left(starts, read_from))

    def _begin(self, rows: RowsByStart, cutoffs: Cutoffs) -> None:
        """Begin to track calls."""
        kinds = self._kinds_of(rows)
        if len(rows.ids) >= self._min_bulk_rows and can_pack_new(rows):
            self._transitions.begin_all(rows, kinds, cutoffs)
            return
        for compact, start, number in zip(rows.ids, rows.starts, rows.numbers, strict=True):
            kind = kinds[number]
            self._transitions.begin(kind.call(full_id(compact), start), kind, cutoffs)

    def _observe(self, rows: RowsByStart, cutoffs: Cutoffs) -> None:
        """Bring tracked calls in step with their rows."""
        kinds = self._kinds_of(rows)
        now, window_start, *_ = cutoffs
        for compact, start, number in zip(rows.ids, rows.starts, rows.numbers, strict=True):
            entry, kind = self._calls.entry(compact), kinds[number]
            # most rows of a poll are of calls that are done and have not changed
            flags = IN_WINDOW if window_start <= start <= now else 0
            if isinstance(entry, int) and is_unchanged(entry, pack(kind, start, flags)):
                continue
            call_id = full_id(compact)
            tracked = self._calls.get(call_id)
            if tracked is not None:
                self._transitions.observe(tracked, kind.call(call_id, start), kind, cutoffs)
        self._transitions.mark_relabelled(rows.ids)

    def _kinds_of(self, rows: RowsByStart) -> dict[int, CallKind]:
        """Return the kinds of rows by the rows' numbers, new ones in the order of the rows."""
        find = self._calls.kinds.find
        return {
            number: find(rows.values[number]) or self._kind(rows.values[number])
            for number in dict.fromkeys(rows.numbers)
        }

    def _kind(self, values: PlainValues) -> CallKind:
        """Return the kind of a row, its tags as labels; create the series of a new kind."""
        # rows with different tags may come to one kind, once their tags are folded
        status, call_status, duration, tags = values
        known = len(self._calls.kinds)
        kind = self._calls.kinds.of((status, call_status, duration, self._tags.of(tags)))
        if kind.number == known:
            self._ledger.create_series(kind.values)
        return kind

    def _progress_at(
        self,
        cutoffs: Cutoffs,
        *,
        unread_until: Instant | None,
        newest: Instant,
        outcomes: OutcomeHistory,
    ) -> Progress:
        starts, is_relabelling = self._live_starts(), self._transitions.is_relabelling
        return Progress(
            tracking_since=cutoffs.tracking_since,
            polled_at=cutoffs.now,
            low_watermark=cutoffs.low_watermark,
            ledger=self._ledger.snapshot(),
            statuses=self._statuses.admitted,
            call_statuses=self._call_statuses.admitted,
            tags=self._tags.admitted,
            tracked=len(self._calls),
            live=len(starts),
            oldest_live_start=min(starts, default=None),
            unread_until=unread_until,
            newest=newest,
            tag_rules=SEVERAL_TAG_RULES if is_relabelling else self.rules.tags.text,
            outcomes=outcomes,
            missing=self._missing(),
        )

    def _delta(self, progress: Progress) -> Delta:
        # a poll before all of these instants has entries of forgotten calls alone
        starts = (tracked.call.start for tracked in self._calls.unsettled())
        journal_from = min(self._window_start, progress.low_watermark, *starts)
        return Delta(progress, self._calls.take_changes(), self._journal.take(), journal_from)

    def _missing(self) -> int:
        return sum(each.in_window or each.phase in UNSETTLED for each in self._calls.missing())

    def _live_starts(self) -> list[Instant]:
        return [
            tracked.call.start
            for tracked in self._calls.unsettled()
            if tracked.phase is CallPhase.LIVE
        ]
