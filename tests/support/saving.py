"""What trackers take and what a store does with it, in memory; and rules for what is saved."""

from collections.abc import Iterable, Sequence

from pearl_exporter.counting.blocks import decode_block
from pearl_exporter.counting.calls import Call, Instant
from pearl_exporter.counting.compact_ids import full_id
from pearl_exporter.counting.observation import Observation, Range
from pearl_exporter.counting.packing import KindTable
from pearl_exporter.counting.rows import Rows
from pearl_exporter.counting.saved import Delta, SavedOutbound
from pearl_exporter.counting.settlement import CountingRules
from pearl_exporter.counting.tracked_call import TrackedCall, tracked_of
from pearl_exporter.counting.tracker import Applied, Tracker

T0 = 1_795_000_000_000
RULES = CountingRules(
    window_ms=3_600_000,
    settle_ms=120_000,
    settle_unanswered_ms=30_000,
    follow_ms=86_400_000,
    catch_up_ms=86_400_000,
    scan_every_ms=900_000,
    buckets=(10.0, 60.0),
)


def merged(saved: SavedOutbound | None, delta: Delta) -> SavedOutbound:
    """Return what is saved after a delta was committed."""
    blocks = {**(saved.blocks if saved else {}), **delta.blocks}
    signals = {**(saved.signals if saved else {}), **delta.signals}
    return SavedOutbound(
        delta.progress,
        {key: each for key, each in blocks.items() if each is not None},
        {key: each for key, each in signals.items() if each is not None},
    )


def copied(saved: SavedOutbound | None) -> SavedOutbound | None:
    """Return a copy, since a tracker uses up the blocks of what it loads."""
    return saved and saved._replace(blocks=dict(saved.blocks))


def calls_of(saved: SavedOutbound) -> dict[str, TrackedCall]:
    """Return the calls that are saved, by id."""
    found, kinds = {}, KindTable()
    for key, content in saved.blocks.items():
        for compact, entry in decode_block(key, content, kinds).entries.items():
            call_id = full_id(compact)
            assert call_id not in found
            found[call_id] = tracked_of(call_id, entry, kinds)
    return found


def apply_rows(
    tracker: Tracker,
    calls: Iterable[Call],
    *,
    ranges: Sequence[Range],
    now: Instant,
    unreadable_ids: frozenset[str] = frozenset(),
    unread: Range | None = None,
    max_gap_ms: int = 0,
) -> Applied:
    """Let a tracker take what a poll has read."""
    observation = Observation(Rows(calls), ranges, unreadable_ids, unread)
    return tracker.apply(observation, now=now, max_gap_ms=max_gap_ms)
