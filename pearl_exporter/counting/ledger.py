"""What has been counted: the counters of one outbound, which only ever grow. Pure.

The ledger counts; that each call is counted exactly once is the tracker's promise.
"""

from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import msgspec

from pearl_exporter.counting.calls import (
    FINISHED_CALL_STATUS_LABELS,
    FINISHED_STATUS_LABELS,
    IN_PROGRESS,
    LIVE_STATUSES,
    Call,
    Outcome,
    is_answered,
)
from pearl_exporter.counting.histogram import Histogram, HistogramSnapshot
from pearl_exporter.counting.labels import CodeLabels

REVISABLE = ("status", "call_status", "duration", "tags")
"""What of a settled call may change: the values of label ``field``."""

UNCOUNTED = ("deleted", "follow_expired")
"""Why a call that was seen will never be counted: the values of label ``reason``."""


class LedgerSnapshot(msgspec.Struct, frozen=True):
    """Every counter of one outbound at one moment; what a durable state saves and loads.

    Attributes:
        started: Calls first seen, live or not, that can be counted.
        by_status: Settled calls by outcome; likewise ``by_call_status``, ``by_tag``.
        untagged: Settled, answered calls without a tag.
        durations: Of settled, answered calls, by outcome.
        revisions: Changes to settled calls, by what changed.
        uncounted: Calls that will never settle, by reason.
        uncounted_seconds: Time that no poll ever looked at.
    """

    started: int
    by_status: dict[str, int]
    by_call_status: dict[str, int]
    by_tag: dict[str, int]
    untagged: int
    durations: dict[str, HistogramSnapshot]
    revisions: dict[str, int]
    uncounted: dict[str, int]
    uncounted_seconds: float

    @property
    def settled(self) -> int:
        """All settled calls."""
        return sum(self.by_status.values())


class Ledger:
    """The counters of one outbound, from nothing or from what was saved."""

    def __init__(
        self,
        bounds: Sequence[float],
        statuses: CodeLabels,
        call_statuses: CodeLabels,
        saved: LedgerSnapshot | None = None,
    ) -> None:
        saved = saved or _NOTHING
        self._bounds = tuple(bounds)
        self._statuses = statuses
        self._call_statuses = call_statuses
        self._started = saved.started
        self._by_status = _counter(FINISHED_STATUS_LABELS, saved.by_status)
        self._by_call_status = _counter(FINISHED_CALL_STATUS_LABELS, saved.by_call_status)
        self._by_tag = _counter((), saved.by_tag)
        self._untagged = saved.untagged
        self._durations = {
            label: Histogram(self._bounds, durations)
            for label, durations in saved.durations.items()
            if durations.bounds == self._bounds
        }
        self._revisions = _counter(REVISABLE, saved.revisions)
        self._uncounted = _counter(UNCOUNTED, saved.uncounted)
        self._uncounted_seconds = saved.uncounted_seconds

    def see(self, call: Outcome) -> None:
        """Gives every label of a row its series, at 0, so that its first increase can be seen."""
        for tag in call.tags:
            self._by_tag.setdefault(tag, 0)
        if call.call_status != IN_PROGRESS:
            self._by_call_status.setdefault(self._call_statuses.of(call.call_status), 0)
        if call.status in LIVE_STATUSES:
            return
        status = self._statuses.of(call.status)
        self._by_status.setdefault(status, 0)
        if is_answered(call) and status not in self._durations:
            self._durations[status] = Histogram(self._bounds)

    def start(self) -> None:
        """Counts a call that was seen for the first time."""
        self._started += 1

    def settle(self, call: Call) -> None:
        """Counts a settled call, with these values for good."""
        self.see(call)
        status = self._statuses.of(call.status)
        self._by_status[status] += 1
        self._by_call_status[self._call_statuses.of(call.call_status)] += 1
        for tag in call.tags:
            self._by_tag[tag] += 1
        if not is_answered(call):
            return
        if not call.tags:
            self._untagged += 1
        self._durations[status].add(call.duration, call.id)

    def revise(self, before: Outcome, after: Outcome) -> bool:
        """Counts what of a settled call changed, and gives whether anything did.

        Its own counters keep the first values.
        """
        changed = False
        for field in REVISABLE:
            was, is_ = getattr(before, field), getattr(after, field)
            if was != is_ and not (field == "tags" and set(was) == set(is_)):
                self._revisions[field] += 1
                changed = True
        return changed

    def give_up(self, reason: str) -> None:
        """Counts a call that was seen and will never settle; ``reason`` is one of `UNCOUNTED`."""
        self._uncounted[reason] += 1

    def forget(self, call_ids: AbstractSet[str]) -> None:
        """Lets go of the ids of these calls; they stay counted."""
        for durations in self._durations.values():
            durations.forget(call_ids)

    def lose(self, seconds: float) -> None:
        """Counts time that lies too far back to be read after an outage."""
        self._uncounted_seconds += seconds

    @property
    def by_status(self) -> Counter[str]:
        """Settled calls by outcome, as it is now."""
        return self._by_status.copy()

    def snapshot(self) -> LedgerSnapshot:
        """Every counter as it is now."""
        return LedgerSnapshot(
            started=self._started,
            by_status=dict(self._by_status),
            by_call_status=dict(self._by_call_status),
            by_tag=dict(self._by_tag),
            untagged=self._untagged,
            durations={label: each.snapshot() for label, each in self._durations.items()},
            revisions=dict(self._revisions),
            uncounted=dict(self._uncounted),
            uncounted_seconds=self._uncounted_seconds,
        )


def _counter(labels: Sequence[str], saved: dict[str, int]) -> Counter[str]:
    return Counter({**dict.fromkeys(labels, 0), **saved})


_NOTHING = LedgerSnapshot(
    started=0,
    by_status={},
    by_call_status={},
    by_tag={},
    untagged=0,
    durations={},
    revisions={},
    uncounted={},
    uncounted_seconds=0.0,
)
