"""How many calls were added and taken away by a poll, by start and by what their rows say. Pure.

What is counted elsewhere is final: a call counts once, when it settles. These are the rows as last
read, so that what goes wrong is seen minutes before its calls settle. A call is added with its
first row. When a later row differs, the call is taken away with the old values and added with the
new ones. So the sum over all polls is each call once, with the values of its last row, in whatever
order the rows came. Calls that are gone stay in it.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from math import inf

from pearl_exporter.counting.calls import Call, CallValues, Instant
from pearl_exporter.counting.packing import CallKind
from pearl_exporter.counting.rows import RowsByStart

STEP_MS = 15_000
"""Starts are rounded down to a multiple of this."""

MAX_SHORT_SECONDS = 6.0
"""An answered call of up to this length is short: carriers charge more for these."""

Changes = Mapping[tuple[Instant, CallValues], int]
"""How many calls more, or less if negative, by rounded start and by `outline` of the values."""


def outline(values: Call | CallValues) -> CallValues:
    """Return the values without tags, and of the duration only whether the call is short.

    The duration is 0 if nobody answered, `MAX_SHORT_SECONDS` if the call is short, else infinite.
    So there are few different outlines, however many calls there are.
    """
    duration = values.duration
    if duration > 0:
        duration = MAX_SHORT_SECONDS if duration <= MAX_SHORT_SECONDS else inf
    return CallValues(values.status, values.call_status, duration, ())


class RowChanges:
    """The changes since they were last taken."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[Instant, CallValues]] = Counter()

    def add(self, call: Call) -> None:
        """Add a call."""
        self._counts[_rounded(call.start), outline(call)] += 1

    def remove(self, call: Call) -> None:
        """Take a call away that was added with these values."""
        self._counts[_rounded(call.start), outline(call)] -= 1

    def add_all(self, rows: RowsByStart, kinds: Mapping[int, CallKind]) -> None:
        """Add many calls, as `add` would one by one.

        Args:
            rows: Their rows.
            kinds: The kinds of the rows, by the rows' numbers.
        """
        outlines = {number: outline(kind.values) for number, kind in kinds.items()}
        starts, numbers, first = rows.starts, rows.numbers, 0
        while first < len(starts):  # they are in order, so those of one step are one slice
            start = _rounded(starts[first])
            end = bisect_left(starts, start + STEP_MS, first)
            for number, calls in Counter(numbers[first:end]).items():
                self._counts[start, outlines[number]] += calls
            first = end

    def take(self) -> Changes:
        """Return the changes, and begin again with none."""
        taken, self._counts = self._counts, Counter()
        return {key: calls for key, calls in taken.items() if calls}


def _rounded(start: Instant) -> Instant:
    return start - start % STEP_MS
