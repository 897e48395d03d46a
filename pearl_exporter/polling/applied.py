"""What one poll came to."""

from typing import NamedTuple

from pearl_exporter.counting.calls import Instant
from pearl_exporter.counting.saved import Delta
from pearl_exporter.counting.tracker import CODE_FIELDS, Tracker, TrackerSnapshot
from pearl_exporter.reading.plan import PollResult


class Applied(NamedTuple):
    """What one poll came to."""

    delta: Delta
    snapshot: TrackerSnapshot
    new: int
    late_rows: int
    unknown_code_counts: dict[str, int]


def apply_result(tracker: Tracker, result: PollResult, *, now: Instant, max_gap_ms: int) -> Applied:
    """Apply what was read."""
    before = tracker.unknown_code_counts
    tracker.max_gap_ms = max_gap_ms
    tracker.apply(
        result.calls,
        ranges=result.ranges,
        now=now,
        unreadable_ids=result.unreadable_ids,
        unread=result.unread,
    )
    counts = {
        field: is_ - was
        for field, was, is_ in zip(CODE_FIELDS, before, tracker.unknown_code_counts, strict=True)
    }
    delta = tracker.take_delta()
    assert delta is not None  # noqa: S101
    return Applied(delta, tracker.snapshot(), tracker.seen.new, tracker.seen.late, counts)
