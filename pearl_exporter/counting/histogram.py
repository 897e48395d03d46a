"""Call durations counted into buckets, for the window and for the counters. Pure."""

from bisect import bisect_left
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple


class HistogramSnapshot(NamedTuple):
    """A histogram at one moment.

    Attributes:
        bounds: Upper bounds in seconds, inclusive, without infinity.
        counts: Calls in each bucket alone (not cumulative); the last bucket is beyond all bounds.
        total_seconds: The sum of all durations.
        exemplars: For each bucket, the id and duration of its latest call; None if there was none
            or it is forgotten.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total_seconds: float
    exemplars: tuple[tuple[str, float] | None, ...] = ()


class Histogram:
    """Counts of durations; what was added can be taken out again."""

    __slots__ = ("_bounds", "_counts", "_exemplars", "_total_ms")

    def __init__(self, bounds: Sequence[float], saved: HistogramSnapshot | None = None) -> None:
        self._bounds = tuple(bounds)
        size = len(self._bounds) + 1
        self._counts = list(saved.counts) if saved else [0] * size
        # whole milliseconds: a sum of floats would drift as calls come and go
        self._total_ms = round(saved.total_seconds * 1000) if saved else 0
        exemplars = saved.exemplars if saved else ()
        self._exemplars: list[tuple[str, float] | None] = list(exemplars) or [None] * size

    def add(self, duration: float, call_id: str | None = None, *, times: int = 1) -> None:
        """Count calls.

        Args:
            duration: How long each of them lasted, in seconds.
            call_id: The id that becomes the bucket's exemplar; None leaves the exemplar as it is.
            times: How many calls there are.
        """
        bucket = bisect_left(self._bounds, duration)
        self._counts[bucket] += times
        self._total_ms += round(duration * 1000) * times
        if call_id is not None:
            self._exemplars[bucket] = (call_id, duration)

    def remove(self, duration: float) -> None:
        """Take out a call that was added with the same duration, in seconds."""
        self.add(duration, times=-1)

    def drop_exemplars(self, call_ids: AbstractSet[str]) -> None:
        """Show none of these calls as an exemplar any more; they stay counted."""
        self._exemplars = [
            None if latest is not None and latest[0] in call_ids else latest
            for latest in self._exemplars
        ]

    def snapshot(self) -> HistogramSnapshot:
        """Return the counts as they are now."""
        return HistogramSnapshot(
            self._bounds, tuple(self._counts), self._total_ms / 1000, tuple(self._exemplars)
        )
