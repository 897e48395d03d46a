"""The sliding window of one outbound: how many of its calls bear which label. Pure.

It keeps sums alone; which call is in the window is the tracker's business. What was added must be
removed with the same values, which is why both take the call itself, or its kind.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pearl_exporter.counting.calls import (
    CALL_STATUS_LABELS,
    STATUS_LABELS,
    Outcome,
    is_answered,
    is_live,
)
from pearl_exporter.counting.histogram import Histogram, HistogramSnapshot
from pearl_exporter.counting.labels import CodeLabels


class WindowSnapshot(NamedTuple):
    """The window as of one good poll: calls by label, 0 where a label has none."""

    by_status: dict[str, int]
    by_call_status: dict[str, int]
    by_tag: dict[str, int]
    untagged: int
    durations: HistogramSnapshot
    calls: int


class Window:
    """Calls in the window, counted by outcome, telephony state, tag and duration.

    Every documented code, every code admitted before and all ``tags`` are there from the start.
    """

    def __init__(
        self,
        bounds: Sequence[float],
        statuses: CodeLabels,
        call_statuses: CodeLabels,
        tags: Iterable[str] = (),
    ) -> None:
        self._statuses = statuses
        self._call_statuses = call_statuses
        known = (*STATUS_LABELS, *statuses.admitted)
        known_to_telephony = (*CALL_STATUS_LABELS, *call_statuses.admitted)
        self._by_status = Counter({statuses.of(code): 0 for code in known})
        self._by_call_status = Counter({call_statuses.of(code): 0 for code in known_to_telephony})
        self._by_tag = Counter(dict.fromkeys(tags, 0))
        self._untagged = 0
        self._durations = Histogram(bounds)
        self._calls = 0

    def add(self, call: Outcome, times: int = 1) -> None:
        """Counts calls that came into the window; their tags are labels already."""
        self._calls += times
        self._by_status[self._statuses.of(call.status)] += times
        self._by_call_status[self._call_statuses.of(call.call_status)] += times
        for tag in call.tags:
            self._by_tag[tag] += times
        if is_answered(call) and not is_live(call):
            self._durations.add(call.duration, times=times)
            if not call.tags:
                self._untagged += times

    def remove(self, call: Outcome) -> None:
        """Takes out a call with the values with which it was added."""
        self.add(call, -1)

    def count(self, codes: Iterable[int]) -> int:
        """How many of its calls bear one of these documented outcomes."""
        return sum(self._by_status[STATUS_LABELS[code]] for code in codes)

    def snapshot(self) -> WindowSnapshot:
        """The sums as they are now. A label once seen stays, at 0, so that no series flickers."""
        return WindowSnapshot(
            dict(self._by_status),
            dict(self._by_call_status),
            dict(self._by_tag),
            self._untagged,
            self._durations.snapshot(),
            self._calls,
        )
