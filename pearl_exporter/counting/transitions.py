"""The changes of phase of one outbound's tracked calls, and what each of them counts. Pure.

The phases are those of `tracked`. Whoever tracks calls decides which of these befalls a call, and
when; that window, ledger and journal follow is seen to here alone.
"""

from collections.abc import Iterable
from copy import copy
from typing import NamedTuple

from pearl_exporter.counting.call_table import CallTable
from pearl_exporter.counting.calls import Call, Instant, is_live
from pearl_exporter.counting.compact_ids import CompactId, compact_id, full_id
from pearl_exporter.counting.journal import Journal
from pearl_exporter.counting.ledger import Ledger
from pearl_exporter.counting.packing import UNKNOWN_CALL_STATUS, UNKNOWN_STATUS, CallKind
from pearl_exporter.counting.settlement import CountingRules
from pearl_exporter.counting.tracked_call import UNSETTLED, CallPhase, TrackedCall
from pearl_exporter.counting.window import Window


class Books(NamedTuple):
    """Where what befalls a call is written down."""

    window: Window
    ledger: Ledger
    journal: Journal


class Transitions:
    """What may befall one call of an outbound.

    Attributes:
        unknown_codes: Calls met that bear a code of no table, by outcome and telephony state.
        by_other_tag_rules: Calls whose tags got their labels by rules that are not in force.
    """

    def __init__(self, rules: CountingRules, calls: CallTable, books: Books) -> None:
        self.unknown_code_counts = [0, 0]
        self.relabel_pending: set[CompactId] = set()
        self._rules = rules
        self._calls = calls
        self._window, self._ledger, self._journal = books

    def begin(self, call: Call, kind: CallKind, now: Instant, *, is_history: bool) -> TrackedCall:
        """Begins to track a call; to place it in the window and to keep it is left to do."""
        each = TrackedCall(call, CallPhase.HISTORY, unknown_codes=kind.unknown_codes)
        self._count_unknown_codes(kind.unknown_codes)
        if not is_history:
            self._ledger.start()
            self._calls.unsettled[call.id] = each
            each.phase = CallPhase.PENDING
            self._advance(each, now)
        return each

    def observe(
        self, each: TrackedCall, call: Call, *, kind: CallKind, now: Instant, window_start: Instant
    ) -> None:
        """Brings a tracked call in step with its row."""
        was = copy(each)
        if each.call != call:
            self._change(each, call, kind)
        if each.is_absent:
            self._calls.mark_present(each)
        if each.phase in UNSETTLED:
            self._advance(each, now)
        self._place(each, now, window_start)
        if each != was:
            self._calls.keep(each)

    def keep_unreadable(self, call_ids: Iterable[str], now: Instant, window_start: Instant) -> None:
        """Calls whose rows are there, but can't be read: they are as they were."""
        for each in map(self._calls.get, call_ids):
            if each and not each.is_absent and self._place(each, now, window_start):
                self._calls.keep(each)

    def delete(self, each: TrackedCall) -> None:
        """A call that is no longer in the API's table."""
        was = copy(each)
        self._unplace(each)
        if not each.is_absent:
            self._calls.mark_absent(each)
        if each.phase in UNSETTLED:
            self._lose(each, "deleted")
        if each != was:
            self._calls.keep(each)

    def leave_window(self, each: TrackedCall) -> None:
        """A call that is not in the window any more, if it was."""
        if self._unplace(each):
            self._calls.keep(each)

    def expire(self, before: Instant) -> None:
        """Gives up the unsettled calls that started too long ago."""
        for each in list(self._calls.unsettled.values()):
            if each.call.start < before:
                self._lose(each, "follow_expired")
                self._calls.keep(each)

    def forget(self, before: Instant) -> None:
        """Keeps nothing of the calls that started before this and are done but their counts."""
        if forgotten := self._calls.forget(before):
            self.relabel_pending.difference_update(forgotten)
            self._ledger.forget({*map(full_id, forgotten)})

    def _change(self, each: TrackedCall, call: Call, kind: CallKind) -> None:
        if each.phase is CallPhase.SETTLED:
            is_same = compact_id(call.id) not in self.relabel_pending
            before = each.call if is_same else _retagged(each.call, call)
            is_counted = self._ledger.revise(before, call)
            self._journal.revise(call.id, each.call, call, is_counted=is_counted)
        self._unplace(each)
        self._calls.replace(each, call)
        self._count_unknown_codes(kind.unknown_codes & ~each.unknown_codes)
        each.unknown_codes |= kind.unknown_codes

    def _advance(self, each: TrackedCall, now: Instant) -> None:
        call = each.call
        if is_live(call):
            each.phase = CallPhase.LIVE
            each.seen_live_at = now
        elif now < self._rules.settles_at(call, each.seen_live_at):
            each.phase = CallPhase.PENDING
        else:
            each.phase = CallPhase.SETTLED
            del self._calls.unsettled[call.id]
            self._ledger.settle(call)
            self._journal.settle(call.id)

    def _lose(self, each: TrackedCall, reason: str) -> None:
        each.phase = CallPhase.LOST
        del self._calls.unsettled[each.call.id]
        self._ledger.give_up(reason)
        self._journal.lose(each.call.id, reason)

    def _place(self, each: TrackedCall, now: Instant, window_start: Instant) -> bool:
        """Puts a call into the window that is not in it, and should be; gives whether it did."""
        should_be = window_start <= each.call.start <= now and not each.in_window
        if should_be:
            self._window.add(each.call)
            each.in_window = True
        return should_be

    def _unplace(self, each: TrackedCall) -> bool:
        """Takes a call out of the window; gives whether it was there. It is to be kept after."""
        was_there = each.in_window
        if was_there:
            self._window.remove(each.call)
            each.in_window = False
        return was_there

    def _count_unknown_codes(self, unknown_codes: int) -> None:
        self.unknown_code_counts[0] += bool(unknown_codes & UNKNOWN_STATUS)
        self.unknown_code_counts[1] += bool(unknown_codes & UNKNOWN_CALL_STATUS)


def _retagged(call: Call, other: Call) -> Call:
    """A call with another one's tags."""
    return Call(call.id, call.start, call.status, call.call_status, call.duration, other.tags)
