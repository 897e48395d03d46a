"""The window of one outbound, the calls that started in the last minutes or hours, as sums. Pure.

The window holds sums by label and no calls. `tracker` decides when the window moves, and
`transitions` adds and removes the calls. A call is removed with the values it was added with.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pearl_exporter.counting.calls import (
    CALL_STATUS_LABELS,
    STATUS_LABELS,
    Call,
    CallValues,
    is_answered,
    is_live,
)
from pearl_exporter.counting.histogram import Histogram, HistogramSnapshot
from pearl_exporter.counting.labels import CodeLabels


class WindowSnapshot(NamedTuple):
    """The window at one good poll.

    Attributes:
        by_status: Calls by label of their outcome; 0 for a label that no call has.
        by_call_status: Calls by label of their telephony state; 0 as above.
        by_tag: Calls by label of their tags; 0 as above.
        untagged: Finished, answered calls without a tag.
        durations: The durations of finished, answered calls.
        calls: All calls.
    """

    by_status: dict[str, int]
    by_call_status: dict[str, int]
    by_tag: dict[str, int]
    untagged: int
    durations: HistogramSnapshot
    calls: int


class Window:
    """The calls in the window, counted by outcome, telephony state, tag and duration."""

    def __init__(
        self,
        bounds: Sequence[float],
        statuses: CodeLabels,
        call_statuses: CodeLabels,
        tags: Iterable[str] = (),
    ) -> None:
        """Make an empty window, with a sum of 0 for every label that is known.

        Args:
            bounds: Upper bounds of the duration buckets, in seconds.
            statuses: The labels of outcomes.
            call_statuses: The labels of telephony states.
            tags: The labels of tags that were met before.
        """
        self._statuses = statuses
        self._call_statuses = call_statuses
        codes = (*STATUS_LABELS, *statuses.admitted)
        telephony_codes = (*CALL_STATUS_LABELS, *call_statuses.admitted)
        self._by_status = Counter({statuses.of(code): 0 for code in codes})
        self._by_call_status = Counter({call_statuses.of(code): 0 for code in telephony_codes})
        self._by_tag = Counter(dict.fromkeys(tags, 0))
        self._untagged = 0
        self._durations = Histogram(bounds)
        self._calls = 0

    def add(self, call: Call | CallValues, times: int = 1) -> None:
        """Count calls that came into the window, all with the same values; tags are labels."""
        self._calls += times
        self._by_status[self._statuses.of(call.status)] += times
        self._by_call_status[self._call_statuses.of(call.call_status)] += times
        for tag in call.tags:
            self._by_tag[tag] += times
        if is_answered(call) and not is_live(call):
            self._durations.add(call.duration, times=times)
            if not call.tags:
                self._untagged += times

    def remove(self, call: Call | CallValues) -> None:
        """Take out a call with the values with which it was added."""
        self.add(call, -1)

    def count(self, codes: Iterable[int]) -> int:
        """Return how many calls have one of these documented outcomes."""
        return sum(self._by_status[STATUS_LABELS[code]] for code in codes)

    def snapshot(self) -> WindowSnapshot:
        """Return the sums as they are now.

        A label that was met once stays, at 0, so that its series does not come and go.
        """
        return WindowSnapshot(
            dict(self._by_status),
            dict(self._by_call_status),
            dict(self._by_tag),
            self._untagged,
            self._durations.snapshot(),
            self._calls,
        )
