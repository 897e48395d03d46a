"""Thousands of calls that were read for the first time, packed at once. Pure.

A first read brings a whole window: up to a million calls, nearly all of which are history. To begin
each of them by `Transitions.begin` takes several times as long as `Transitions.begin_all`, which
works by columns, as prepared here. `begin`, call by call, is the definition: a test compares the
two.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pearl_exporter.counting.calls import MIN_INSTANT, Instant
from pearl_exporter.counting.packing import IS_IN_WINDOW, CallKind, can_be_packed, pack_all
from pearl_exporter.counting.rows import RowsByStart
from pearl_exporter.counting.settlement import CountingRules, Cutoffs
from pearl_exporter.counting.tracked_call import PackedOrTracked


class NewCalls(NamedTuple):
    """Calls that were read for the first time, in the order of their starts.

    Attributes:
        packed: Each call as if it were history.
        in_window: How many of the calls are in the window, by `RowsByStart.numbers`.
        to_count: The indexes of the calls that are not history, or have an unknown code: `begin`
            has to count these.
    """

    packed: list[PackedOrTracked]
    in_window: Counter[int]
    to_count: list[int]


def can_pack_new(rows: RowsByStart) -> bool:
    """Return whether `pack_new` takes these rows: there are any, and each can be packed."""
    return bool(rows.ids) and can_be_packed(rows.starts[0]) and can_be_packed(rows.starts[-1])


def pack_new(
    rows: RowsByStart, kinds: Mapping[int, CallKind], rules: CountingRules, cutoffs: Cutoffs
) -> NewCalls:
    """Pack calls that were read for the first time.

    Args:
        rows: Their rows, for which `can_pack_new` is true.
        kinds: The kinds of the rows, by the rows' numbers.
        rules: How the calls are counted.
        cutoffs: The instants by which the calls are judged.
    """
    _, starts, numbers, _ = rows
    # rows are in the order of their starts, so those of the window are one slice
    first, last = bisect_left(starts, cutoffs.window_start), bisect_right(starts, cutoffs.now)
    # HISTORY is phase 0, so a base without flags is a call of history out of the window
    outside = {number: kind.base for number, kind in kinds.items()}
    inside = {number: base | IS_IN_WINDOW for number, base in outside.items()}
    packed: list[PackedOrTracked] = [
        *pack_all(outside, numbers[:first], starts[:first]),
        *pack_all(inside, numbers[first:last], starts[first:last]),
        *pack_all(outside, numbers[last:], starts[last:]),
    ]
    to_count = list(_to_count(rows, kinds, rules, cutoffs))
    return NewCalls(packed, Counter(numbers[first:last]), to_count)


def _to_count(
    rows: RowsByStart, kinds: Mapping[int, CallKind], rules: CountingRules, cutoffs: Cutoffs
) -> Iterator[int]:
    until: dict[int, Instant] = {
        # an unknown code is counted even if the call is history
        number: MIN_INSTANT if kind.unknown_codes else rules.history_until(kind.values, cutoffs)
        for number, kind in kinds.items()
    }
    # all rows up to the lowest of these starts are history: most rows need no look
    for position in range(bisect_right(rows.starts, min(until.values())), len(rows.ids)):
        if rows.starts[position] > until[rows.numbers[position]]:
            yield position
