"""How calls end: the places of calls by final conversation status, and which are still open.

Lets a search by ``statuses`` count and page without looking at every row of its range. A *place* is
a call's index in its campaign's list; all lists of places here ascend.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from pearl_exporter.simulator.life import NEVER, CallLife

BLOCK = 256
"""Calls in a block, within which calls are sorted by the moment of their last event."""


@dataclass(frozen=True, slots=True)
class Settled:
    """Places of closed calls that match, as slices of lists, with some places to be left out."""

    slices: list[tuple[Sequence[int], int, int]]
    without: AbstractSet[int]

    def merged(self, extra: Sequence[int], wanted: int, *, oldest: bool) -> tuple[list[int], int]:
        """Return the first ``wanted`` places (oldest or newest first) and how many there are.

        Only the near end of each slice is looked at: as much as ``wanted`` could need of it.
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


class Outcomes:
    """Where calls of each final status are. No call changes ``horizon_ms`` after its start."""

    def __init__(self, horizon_ms: int) -> None:
        self._horizon_ms = horizon_ms
        self._by_status: dict[int, array[int]] = {}
        self._blocks: list[_Block] = []

    def add(self, first: int, calls: Sequence[CallLife]) -> None:
        """Take in the calls from place ``first`` on."""
        for place in range(first, len(calls)):
            call = calls[place]
            if call.deleted == NEVER:
                status = call.outcome if call.revision is None else call.revision.outcome
                known = self._by_status.get(status)
                if known is None:
                    known = self._by_status[status] = array("q")
                known.append(place)
        for start in range(first, len(calls), BLOCK):
            self._blocks.append(_block(start, min(start + BLOCK, len(calls)), calls))

    def forget(self, first: int) -> None:
        """Drop the calls from place ``first`` on, which must be where an `add` began or ended."""
        for places in self._by_status.values():
            del places[bisect_left(places, first) :]
        while self._blocks and self._blocks[-1].first >= first:
            self._blocks.pop()

    def open_at(self, first: int, end: int, at_ms: int, starts: Sequence[int]) -> set[int]:
        """Return the places in [first, end) of calls that have an event after ``at_ms`` to come."""
        first = max(first, bisect_left(starts, at_ms - self._horizon_ms))
        found: set[int] = set()
        low = bisect_right(self._blocks, first, key=_first) - 1
        for block in self._blocks[max(low, 0) : bisect_left(self._blocks, end, key=_first)]:
            found.update(block.order[bisect_right(block.lasts, at_ms) :])
        return {place for place in found if first <= place < end}

    def settled(
        self,
        statuses: Iterable[int],
        span: tuple[int, int],
        open_calls: AbstractSet[int],
        calls: Sequence[CallLife],
    ) -> Settled:
        """Return the closed calls of ``span`` that ended in one of ``statuses``."""
        wanted = frozenset(statuses)
        slices: list[tuple[Sequence[int], int, int]] = []
        for status in wanted & self._by_status.keys():
            places = self._by_status[status]
            slices.append((places, bisect_left(places, span[0]), bisect_left(places, span[1])))
        without = {
            place
            for place in open_calls
            if (call := calls[place]).deleted == NEVER and call.final_outcome() in wanted
        }
        return Settled(slices, without)


@dataclass(frozen=True, slots=True)
class _Block:
    first: int
    lasts: Sequence[int]
    order: Sequence[int]


def _block(first: int, end: int, calls: Sequence[CallLife]) -> _Block:
    pairs = sorted((calls[place].last_event(), place) for place in range(first, end))
    return _Block(first, array("q", [p[0] for p in pairs]), array("q", [p[1] for p in pairs]))


def _first(block: _Block) -> int:
    return block.first
