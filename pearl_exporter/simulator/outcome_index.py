"""How calls end: the places of calls by final outcome, and which calls are still open.

A search by ``statuses`` can so count and page without looking at every row of its range. A *place*
is a call's index in its campaign's list. All lists of places here are in ascending order.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from pearl_exporter.simulator.call_life import NEVER, CallLife

BLOCK = 256
"""Calls in a block, within which calls are sorted by the moment of their last event."""


@dataclass(frozen=True, slots=True)
class ClosedCalls:
    """Places of matching calls that change no more, as slices of lists.

    Attributes:
        slices: (places, first, end): the places in ``places[first:end]``.
        without: Places in the slices that do not match after all.
    """

    slices: list[tuple[Sequence[int], int, int]]
    without: AbstractSet[int]

    def merged(self, extra: Sequence[int], wanted: int, *, oldest: bool) -> tuple[list[int], int]:
        """Return the first matching places, and how many there are in all.

        Only the near end of each slice is read: as much of it as ``wanted`` places could need.

        Args:
            extra: Places of matching calls that are still open.
            wanted: How many places to return at most.
            oldest: Whether the oldest calls come first, or the newest.
        """
        count = sum(end - first for _, first, end in self.slices) - len(self.without) + len(extra)
        reach = wanted + len(self.without)
        near: list[int] = []
        for places, first, end in self.slices:
            part = (first, min(end, first + reach)) if oldest else (max(first, end - reach), end)
            near.extend(places[part[0] : part[1]])
        if self.without:
            near = [place for place in near if place not in self.without]
        near.extend(extra)
        near.sort(reverse=not oldest)
        return near[:wanted], count


class OutcomeIndex:
    """Where the calls of each final outcome are.

    Args:
        horizon_ms: No call changes longer than this after its start.
    """

    def __init__(self, horizon_ms: int) -> None:
        self._horizon_ms = horizon_ms
        self._by_outcome: dict[int, array[int]] = {}
        self._blocks: list[_Block] = []

    def add(self, first: int, calls: Sequence[CallLife]) -> None:
        """Add the calls from place ``first`` on."""
        for place in range(first, len(calls)):
            call = calls[place]
            if call.deleted == NEVER:
                places = self._by_outcome.get(call.final_outcome())
                if places is None:
                    places = self._by_outcome[call.final_outcome()] = array("q")
                places.append(place)
        for start in range(first, len(calls), BLOCK):
            self._blocks.append(_block(start, min(start + BLOCK, len(calls)), calls))

    def forget(self, first: int) -> None:
        """Drop the calls from place ``first`` on, which must be where an `add` began or ended."""
        for places in self._by_outcome.values():
            del places[bisect_left(places, first) :]
        while self._blocks and self._blocks[-1].first >= first:
            self._blocks.pop()

    def open_at(self, first: int, end: int, at_ms: int, starts: Sequence[int]) -> set[int]:
        """Return the places in [first, end) of calls that still have an event after ``at_ms``.

        Args:
            first: First place of the range.
            end: First place after the range.
            at_ms: The moment.
            starts: The start of every call, by place.
        """
        # No call that started before the horizon is open: so the blocks below need not be read.
        first = max(first, bisect_left(starts, at_ms - self._horizon_ms))
        found: set[int] = set()
        low = bisect_right(self._blocks, first, key=_first) - 1
        for block in self._blocks[max(low, 0) : bisect_left(self._blocks, end, key=_first)]:
            found.update(block.places[bisect_right(block.last_events, at_ms) :])
        return {place for place in found if first <= place < end}

    def closed(
        self,
        statuses: Iterable[int],
        span: tuple[int, int],
        open_calls: AbstractSet[int],
        calls: Sequence[CallLife],
    ) -> ClosedCalls:
        """Return the calls that ended with one of the outcomes and change no more.

        Args:
            statuses: The outcomes.
            span: The range of places, [first, end).
            open_calls: Places in the range of calls that still change.
            calls: Every call, by place.
        """
        wanted = frozenset(statuses)
        slices: list[tuple[Sequence[int], int, int]] = []
        for status in wanted & self._by_outcome.keys():
            places = self._by_outcome[status]
            slices.append((places, bisect_left(places, span[0]), bisect_left(places, span[1])))
        without = {
            place
            for place in open_calls
            if (call := calls[place]).deleted == NEVER and call.final_outcome() in wanted
        }
        return ClosedCalls(slices, without)


@dataclass(frozen=True, slots=True)
class _Block:
    """Neighbouring calls: their places in the order of their last events, and these events."""

    first: int
    last_events: Sequence[int]
    places: Sequence[int]


def _block(first: int, end: int, calls: Sequence[CallLife]) -> _Block:
    pairs = sorted((calls[place].last_event(), place) for place in range(first, end))
    return _Block(first, array("q", [p[0] for p in pairs]), array("q", [p[1] for p in pairs]))


def _first(block: _Block) -> int:
    return block.first
