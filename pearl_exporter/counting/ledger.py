"""The counters of one outbound, which only ever grow. Pure.

The ledger adds up what it is given. That each call is counted exactly once is the work of the
tracker and its transitions.
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
    CallValues,
    is_answered,
)
from pearl_exporter.counting.histogram import Histogram, HistogramSnapshot
from pearl_exporter.counting.labels import CodeLabels

REVISABLE = ("status", "call_status", "duration", "tags")
"""The fields of a settled call that may change: the values of label ``field``."""

UNCOUNTED = ("deleted", "follow_expired")
"""Why a call that was read will never be counted: the values of label ``reason``."""


class LedgerSnapshot(msgspec.Struct, frozen=True):
    """Every counter of one outbound at one moment; this is what a state saves.

    Attributes:
        started: Calls that were read for the first time and are not history.
        by_status: Settled calls by outcome.
        by_call_status: Settled calls by telephony state.
        by_tag: Settled calls by tag; a call counts once for each of its tags.
        untagged: Settled, answered calls without a tag.
        durations: The durations of settled, answered calls, by outcome.
        revisions: Changes to settled calls, by the field that changed.
        uncounted: Calls that will never settle, by reason.
        uncounted_seconds: Time whose calls no poll has read, because an outage was too long.
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
        """How many calls have settled."""
        return sum(self.by_status.values())


class Ledger:
    """The counters of one outbound."""

    def __init__(
        self,
        bounds: Sequence[float],
        statuses: CodeLabels,
        call_statuses: CodeLabels,
        saved: LedgerSnapshot | None = None,
    ) -> None:
        """Go on from saved counters, or from 0.

        Args:
            bounds: Upper bounds of the duration buckets, in seconds. Saved histograms with other
                bounds are dropped, since their counts cannot be put into these buckets.
            statuses: The labels of outcomes.
            call_statuses: The labels of telephony states.
            saved: What was saved; None if nothing was.
        """
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

    def create_series(self, call: Call | CallValues) -> None:
        """Create a series, at 0, for every label of a row that has none yet.

        Prometheus cannot see the first increase of a series that begins above 0.
        """
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

    def count_started(self) -> None:
        """Count a call that was read for the first time."""
        self._started += 1

    def count_settled(self, call: Call) -> None:
        """Count a call that has settled, with these values for good."""
        self.create_series(call)
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

    def count_revision(self, before: Call, after: Call) -> bool:
        """Count the fields of a settled call that changed; its own counts keep the first values.

        Returns:
            Whether any field changed. Another order of the tags is no change.
        """
        changed = False
        for field in REVISABLE:
            old, new = getattr(before, field), getattr(after, field)
            if old != new and not (field == "tags" and set(old) == set(new)):
                self._revisions[field] += 1
                changed = True
        return changed

    def count_lost(self, reason: str) -> None:
        """Count a call that was read and will never settle; ``reason`` is one of `UNCOUNTED`."""
        self._uncounted[reason] += 1

    def drop_exemplars(self, call_ids: AbstractSet[str]) -> None:
        """Show none of these calls as an exemplar any more; they stay counted."""
        for durations in self._durations.values():
            durations.drop_exemplars(call_ids)

    def add_uncounted_seconds(self, seconds: float) -> None:
        """Count time of an outage that is too long ago for its calls to be read."""
        self._uncounted_seconds += seconds

    @property
    def by_status(self) -> Counter[str]:
        """A copy of the settled calls by outcome."""
        return self._by_status.copy()

    def snapshot(self) -> LedgerSnapshot:
        """Return every counter as it is now."""
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
