"""How many calls of an outbound started when, and how many of them were bad. Pure.

The calls of the last week are added up in bins by start. New bins are short, so that the start of
an incident is found to the quarter of a minute. As they age they are merged, so that a week takes
some hundred bins::

    ├── an hour each ──┤├── 10 minutes each ──┤├── a minute each ──┤├── 15 s each ──┤
    now - 7 days       now - 24 h             now - 2 h            now - 10 min     now

Bins of more than `MAX_MERGED_CALLS` are not merged to hours: how far the share moves by itself is
seen only in bins that are no longer than a segment of the list.

All ages are counted from the last full half hour (`epoch_of`). So bins change their shape twice an
hour, and at the same moments after a restart.

A call is added to the bin of its start, whenever it is read: calls that an outage held back fall
into place.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence

from pearl_exporter.counting.calls import Instant
from pearl_exporter.counting.row_changes import STEP_MS
from pearl_exporter.detection.signals import POPULATIONS, Population, Signal

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
WEEK_MS = 7 * DAY_MS
EPOCH_MS = HOUR_MS // 2

MAX_MERGED_CALLS = 1_000
"""Bins are merged to an hour if the hour has at most this many calls."""

COLUMNS: tuple[Population | Signal, ...] = (*Population, *Signal)
"""What is counted in a bin, in the order in which it is saved."""

_LEVELS = ((10 * MINUTE_MS, STEP_MS), (2 * HOUR_MS, MINUTE_MS), (WEEK_MS, 10 * MINUTE_MS))
"""Up to which age bins have which length, both in milliseconds. Each length divides the next."""

_MERGED_AFTER_MS = DAY_MS

_COLUMN = {name: place for place, name in enumerate(COLUMNS)}
_ALL = _COLUMN[Population.ALL]


Bin = tuple[Instant, int, int]
"""Calls of one signal: where their span begins, how many there are, and how many of them are bad.

A plain tuple, since each poll makes some hundred for each signal.
"""


def epoch_of(now: Instant) -> Instant:
    """Return the last full half hour."""
    return now - now % EPOCH_MS


def hour_of(start: Instant) -> Instant:
    """Return the full hour before an instant."""
    return start - start % HOUR_MS


def _oldest(epoch: Instant) -> Instant:
    """Return the start of the oldest bin that is kept: a full hour, so that no bin is cut."""
    return hour_of(epoch - WEEK_MS)


class Bins:
    """The bins of one outbound, for all signals."""

    def __init__(self, saved: Mapping[Instant, Sequence[int]] | None = None) -> None:
        """Go on from saved bins, or from none.

        Args:
            saved: What `saved` returned: the counts of each bin by its start.

        Raises:
            ValueError: What was saved is damaged.
        """
        for start, counts in (saved or {}).items():
            _check(start, counts)
        self._counts = {start: [*counts] for start, counts in (saved or {}).items()}
        self._starts = sorted(self._counts)
        self._changed_hours: set[Instant] = set()
        # as long as the present is not known, the newest bin is the best guess
        self._epoch: Instant = epoch_of(max(self._counts, default=0))

    def saved(self) -> Mapping[Instant, tuple[int, ...]]:
        """Return the counts of each bin, in the order of `COLUMNS`, by its start."""
        return {start: tuple(counts) for start, counts in self._counts.items()}

    def take_changed_hours(self) -> Mapping[Instant, Mapping[Instant, Sequence[int]]]:
        """Return the bins of each hour that has changed since the last call of this, by its start.

        An hour that is forgotten has no bins.
        """
        changed, self._changed_hours = self._changed_hours, set()
        counts = self._counts
        return {
            hour: {
                start: counts[start]
                for start in range(hour, hour + HOUR_MS, STEP_MS)
                if start in counts
            }
            for hour in changed
        }

    def add(self, start: Instant, names: Iterable[Population | Signal], times: int = 1) -> None:
        """Add calls to the bin of their start; calls that started over a week ago are left out.

        Args:
            start: When the calls started.
            names: The populations that they belong to, and the signals for which they are bad.
            times: How many calls they are; less than 0 takes away calls that were added.
        """
        if start < _oldest(self._epoch):
            # the bin is gone: a bad call without the others would be worse than none
            return
        place = self._place(start)
        counts = self._counts.get(place)
        if counts is None:
            counts = self._counts[place] = [0] * len(COLUMNS)
            insort(self._starts, place)
        self._changed_hours.add(hour_of(place))
        for name in names:
            # calls of a state from before there were bins may be taken away, and were never added
            counts[_COLUMN[name]] = max(0, counts[_COLUMN[name]] + times)
        if times < 0:  # then they were counted for others: no bin has more bad calls than calls
            for signal, population in POPULATIONS.items():
                counts[_COLUMN[population]] = max(
                    counts[_COLUMN[population]], counts[_COLUMN[signal]]
                )

    def advance(self, now: Instant) -> None:
        """Merge bins that have become old, and forget those that are over a week old.

        Args:
            now: The present. If it goes back, nothing happens.
        """
        epoch = epoch_of(now)
        if epoch <= self._epoch:
            return
        self._epoch = epoch
        merged: dict[Instant, list[int]] = {}
        for start, counts in self._counts.items():
            if start >= _oldest(epoch):
                _merge(merged, self._place(start), counts)
        merged = self._with_hours(merged)
        self._changed_hours |= {hour_of(start) for start in self._counts.keys() ^ merged.keys()}
        self._counts = merged
        self._starts = sorted(self._counts)

    def newest_first(self, signal: Signal, since: Instant) -> list[Bin]:
        """Return the bins of a signal that have calls and begin at some instant or later."""
        calls, bad = _COLUMN[POPULATIONS[signal]], _COLUMN[signal]
        all_counts, starts = self._counts, self._starts
        return [
            (start, counts[calls], counts[bad])
            for start in reversed(starts[bisect_left(starts, since) :])
            if (counts := all_counts[start])[calls]
        ]

    def _place(self, start: Instant) -> Instant:
        """Return where the bin of a start begins."""
        age = self._epoch - start
        lengths = (length for oldest, length in _LEVELS if age < oldest)
        place = start - start % next(lengths, _LEVELS[-1][1])
        if age >= _MERGED_AFTER_MS and place not in self._counts and hour_of(place) in self._counts:
            return hour_of(place)
        return place

    def _with_hours(self, counts: Mapping[Instant, list[int]]) -> dict[Instant, list[int]]:
        """Return the bins with old ones merged to hours, but for hours that have many calls."""
        until = hour_of(self._epoch - _MERGED_AFTER_MS)
        calls: dict[Instant, int] = {}
        for start, each in counts.items():
            hour = hour_of(start)
            calls[hour] = calls.get(hour, 0) + each[_ALL]
        merged: dict[Instant, list[int]] = {}
        for start, each in counts.items():
            hour = hour_of(start)
            is_merged = start < until and calls[hour] <= MAX_MERGED_CALLS
            _merge(merged, hour if is_merged else start, each)
        return merged


def _merge(into: dict[Instant, list[int]], start: Instant, counts: list[int]) -> None:
    known = into.get(start)
    into[start] = counts if known is None else [a + b for a, b in zip(known, counts, strict=True)]


def _check(start: object, counts: object) -> None:
    """Raise `ValueError` if a saved bin is damaged."""
    if (
        not isinstance(start, int)
        or not isinstance(counts, Sequence)
        or len(counts) != len(COLUMNS)
        or not all(isinstance(each, int) and each >= 0 for each in counts)
        or any(counts[_COLUMN[bad]] > counts[_COLUMN[of]] for bad, of in POPULATIONS.items())
    ):
        raise ValueError(
            f"saved bins are damaged: got {counts!r} for the start {start!r}, wanted"
            f" milliseconds, and {len(COLUMNS)} counts with no more bad calls than calls"
        )
