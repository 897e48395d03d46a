"""What happens to a tracked call, and what it does to window, ledger and journal. Pure.

`Tracker` decides which transition happens and when. This module applies it, and keeps call table,
window, ledger and journal consistent. ``+`` adds a call to the window, ``-`` takes it out::

                    window             ledger                  journal
    begin           + if inside        started, if it counts   seen (noted by the tracker)
    observe         - old, + new       revision, if settled    revised, if settled
    … that settles                     settled                 settled
    … that is back                                             back
    miss            + if inside                                missing, the first time
    … that is gone  -                  uncounted, if not done  lost, if not done
    expire                             uncounted               lost
    leave_window    -
    forget                             its exemplar goes

Calls are immutable. A transition makes a new value in steps, and ends by giving the old and the new
one to the table.
"""

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from pearl_exporter.counting.bulk import pack_new
from pearl_exporter.counting.call_table import CallTable
from pearl_exporter.counting.calls import MAX_INSTANT, MIN_INSTANT, Call, Instant, is_live
from pearl_exporter.counting.compact_ids import CompactId, compact_id, full_id
from pearl_exporter.counting.journal import Journal
from pearl_exporter.counting.ledger import Ledger
from pearl_exporter.counting.packing import UNKNOWN_CALL_STATUS, UNKNOWN_STATUS, CallKind
from pearl_exporter.counting.row_changes import Changes, RowChanges
from pearl_exporter.counting.rows import RowsByStart
from pearl_exporter.counting.settlement import CountingRules, Cutoffs
from pearl_exporter.counting.tracked_call import GONE, UNSETTLED, CallPhase, TrackedCall
from pearl_exporter.counting.window import Window

_NO_UNKNOWN_CODES = {"status": 0, "call_status": 0}


class Transitions:
    """The transitions of one outbound's calls."""

    def __init__(
        self,
        rules: CountingRules,
        calls: CallTable,
        *,
        window: Window,
        ledger: Ledger,
        journal: Journal,
    ) -> None:
        self._rules = rules
        self._calls = calls
        self._window = window
        self._ledger = ledger
        self._journal = journal
        self._changes = RowChanges()
        self._unknown_code_counts = _NO_UNKNOWN_CODES.copy()
        # Calls that were labelled by earlier tag rules. If their labels differ from those of their
        # next row, the reason may be the rules: it is not counted as a change of the tags.
        self._relabel_pending: set[CompactId] = set()

    def begin(self, call: Call, kind: CallKind, cutoffs: Cutoffs) -> None:
        """Begin to track a call that was read for the first time."""
        tracked = self._counted_new(call, kind, cutoffs)
        if tracked.in_window:
            self._window.add(call)
        self._changes.add(call)
        self._calls.add(tracked)

    def begin_all(self, rows: RowsByStart, kinds: Mapping[int, CallKind], cutoffs: Cutoffs) -> None:
        """Begin to track many calls that were read for the first time, as `begin` would one by one.

        Args:
            rows: Their rows, for which `bulk.can_pack_new` is true.
            kinds: The kinds of the rows, by the rows' numbers.
            cutoffs: The instants by which the calls are judged.
        """
        self._changes.add_all(rows, kinds)
        new = pack_new(rows, kinds, self._rules, cutoffs)
        for number, times in new.in_window.items():
            self._window.add(kinds[number].values, times)
        counted = {}
        for position in new.to_count:
            kind = kinds[rows.numbers[position]]
            call = kind.call(full_id(rows.ids[position]), rows.starts[position])
            counted[position] = self._counted_new(call, kind, cutoffs)
        self._calls.add_all(rows.ids, rows.starts, new.packed, counted)

    def observe(self, tracked: TrackedCall, call: Call, kind: CallKind, cutoffs: Cutoffs) -> None:
        """Bring a tracked call in step with its row.

        Args:
            tracked: The call as the table holds it.
            call: The row, its tags replaced by their labels.
            kind: The row's kind.
            cutoffs: The instants by which the call is judged.
        """
        # the order matters: the window loses the old values before it gets the new ones, and the
        # call settles with the values of this row
        found = self._back(tracked)
        if found.call != call:
            found = self._revised(found, call, kind)
        if found.phase in UNSETTLED:
            found = self._advanced(found, cutoffs.now)
        self._calls.replace(tracked, self._into_window(found, cutoffs))

    def keep_unreadable(self, call_ids: Iterable[str], cutoffs: Cutoffs) -> None:
        """Keep tracked calls whose rows are there but cannot be read; they are not missing.

        Such a call enters the window if its start is in it now. Where the clock has gone back, a
        call may be ahead of T for a while, and out of the window.
        """
        for tracked in map(self._calls.get, call_ids):
            if tracked is not None and tracked.missing_since != GONE:
                self._calls.replace(tracked, self._into_window(self._back(tracked), cutoffs))

    def miss(self, tracked: TrackedCall, cutoffs: Cutoffs, *, may_be_gone: bool) -> None:
        """Note that a read which covered a call's start did not have the call.

        The first such read makes it missing. It is gone once another one, far enough after the
        first, has not had it either, and no read in between had it.

        Args:
            tracked: The call, which is not gone.
            cutoffs: The instants by which it is judged.
            may_be_gone: Whether the read's answers did not contradict each other.
        """
        since = tracked.missing_since
        if since is None:
            self._journal.add_missing(tracked.call.id)
            since = cutoffs.now
        elif may_be_gone and cutoffs.now - since >= self._rules.gone_after_ms:
            gone = replace(self._out_of_window(tracked), missing_since=GONE)
            if gone.phase in UNSETTLED:
                gone = self._lost(gone, "deleted")
            self._calls.replace(tracked, gone)
            return
        # a missing call stays in the window, and comes into it as a call that was read does
        missing = self._into_window(replace(tracked, missing_since=since), cutoffs)
        self._calls.replace(tracked, missing)

    def leave_window(self, start: Instant, end: Instant) -> None:
        """Take the calls that start in ``[start, end)`` out of the window."""
        for tracked in self._calls.between(start, end):
            self._calls.replace(tracked, self._out_of_window(tracked))

    def turn_back(self, now: Instant) -> None:
        """Undo conclusions about the future, drawn while the clock was ahead."""
        self.leave_window(now + 1, MAX_INSTANT)
        # a call seen live in the future would settle that much later
        for tracked in self._calls.unsettled():
            if tracked.seen_live_at is not None and tracked.seen_live_at > now:
                self._calls.replace(tracked, replace(tracked, seen_live_at=now))
        # and one missed in the future would be gone that much later
        for tracked in self._calls.missing():
            since = tracked.missing_since
            if since is not None and since > now:
                self._calls.replace(tracked, replace(tracked, missing_since=now))

    def expire(self, before: Instant) -> None:
        """Give up the unsettled calls that started before an instant."""
        for tracked in self._calls.unsettled():
            if tracked.call.start < before:
                self._calls.replace(tracked, self._lost(tracked, "follow_expired"))

    def forget(self, before: Instant) -> None:
        """Forget the calls that started before an instant and are done; they stay counted."""
        if forgotten := self._calls.forget(before):
            self._relabel_pending.difference_update(forgotten)
            self._ledger.drop_exemplars({*map(full_id, forgotten)})

    def begin_relabelling(self) -> None:
        """Note that all calls that are tracked now were labelled by other tag rules."""
        self._relabel_pending.update(self._calls.ids_between(MIN_INSTANT, MAX_INSTANT))

    def mark_relabelled(self, compacts: Iterable[CompactId]) -> None:
        """Note that calls were read, and so are labelled by the tag rules in force."""
        if self._relabel_pending:
            self._relabel_pending.difference_update(compacts)

    @property
    def is_relabelling(self) -> bool:
        """Whether there are calls that are labelled by other tag rules than those in force."""
        return bool(self._relabel_pending)

    def take_changes(self) -> Changes:
        """Return which calls were added and taken away since the last call of this."""
        return self._changes.take()

    def take_unknown_code_counts(self) -> Mapping[str, int]:
        """Return how many calls were found to have an unknown code, since the last call of this.

        Returns:
            The number of calls by the code's field, ``status`` or ``call_status``.
        """
        taken, self._unknown_code_counts = self._unknown_code_counts, _NO_UNKNOWN_CODES.copy()
        return taken

    def _counted_new(self, call: Call, kind: CallKind, cutoffs: Cutoffs) -> TrackedCall:
        """Count a new call; return it as it is to be added to the table and to the window."""
        tracked = TrackedCall(
            call,
            CallPhase.HISTORY,
            in_window=cutoffs.in_window(call.start),
            unknown_codes=kind.unknown_codes,
        )
        self._count_unknown_codes(kind.unknown_codes)
        if call.start <= self._rules.history_until(kind.values, cutoffs):
            return tracked
        self._ledger.count_started()
        return self._advanced(tracked, cutoffs.now)

    def _revised(self, tracked: TrackedCall, call: Call, kind: CallKind) -> TrackedCall:
        """Take a call out of the window, note its change, and return it with its new values."""
        if tracked.phase is CallPhase.SETTLED:
            old = tracked.call
            if compact_id(call.id) in self._relabel_pending:
                # other labels are no change of the tags: compare all but them
                old = replace(old, tags=call.tags)
            is_counted = self._ledger.count_revision(old, call)
            self._journal.add_revision(tracked.call, call, is_counted=is_counted)
        self._changes.remove(tracked.call)
        self._changes.add(call)
        # each call counts once for each field, however often its codes change
        self._count_unknown_codes(kind.unknown_codes & ~tracked.unknown_codes)
        return replace(
            self._out_of_window(tracked),
            call=call,
            unknown_codes=tracked.unknown_codes | kind.unknown_codes,
        )

    def _advanced(self, tracked: TrackedCall, now: Instant) -> TrackedCall:
        """Return an unsettled call in the phase that its values put it in; count it if it settles.

        This is the one place where a call is counted. A settled call never comes here again.
        """
        call = tracked.call
        if is_live(call):
            return replace(tracked, phase=CallPhase.LIVE, seen_live_at=now)
        if now < self._rules.settles_at(call, tracked.seen_live_at):
            return replace(tracked, phase=CallPhase.PENDING)
        self._ledger.count_settled(call)
        self._journal.add_settled(call.id)
        return replace(tracked, phase=CallPhase.SETTLED)

    def _lost(self, tracked: TrackedCall, reason: str) -> TrackedCall:
        """Count an unsettled call as uncounted; return it as lost."""
        self._ledger.count_lost(reason)
        self._journal.add_lost(tracked.call.id, reason)
        # nothing more is to be confirmed of a missing call that is given up
        missing_since = GONE if tracked.is_absent else None
        return replace(tracked, phase=CallPhase.LOST, missing_since=missing_since)

    def _back(self, tracked: TrackedCall) -> TrackedCall:
        """Return a call that was read as one that is not missing."""
        if tracked.missing_since is None:
            return tracked
        self._journal.add_back(tracked.call.id)
        return replace(tracked, missing_since=None)

    def _into_window(self, tracked: TrackedCall, cutoffs: Cutoffs) -> TrackedCall:
        """Add a call to the window if its start is there; return the call so marked."""
        if tracked.in_window or not cutoffs.in_window(tracked.call.start):
            return tracked
        self._window.add(tracked.call)
        return replace(tracked, in_window=True)

    def _out_of_window(self, tracked: TrackedCall) -> TrackedCall:
        """Take a call out of the window if it is there; return the call so marked."""
        if not tracked.in_window:
            return tracked
        self._window.remove(tracked.call)
        return replace(tracked, in_window=False)

    def _count_unknown_codes(self, unknown_codes: int) -> None:
        self._unknown_code_counts["status"] += bool(unknown_codes & UNKNOWN_STATUS)
        self._unknown_code_counts["call_status"] += bool(unknown_codes & UNKNOWN_CALL_STATUS)
