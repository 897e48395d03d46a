"""What an exact exporter must publish, counted by brute force from the rows as served."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pearl_exporter.simulator.campaign import Campaign
from pearl_exporter.simulator.row_writer import CallRow

LIVE_STATUSES = frozenset({1, 20, 40})
KNOWN_STATUSES = frozenset({1, 10, 20, 30, 40, 70, 100, 110, 130, 150, 200, 220, 300, 500})
OVER = frozenset({4, 5, 6, 7})


@dataclass(frozen=True, slots=True)
class Truth:
    """The counts of one outbound's window [from_ms, at_ms] as of ``at_ms``, by the rows' codes."""

    outbound: str
    at_ms: int
    from_ms: int
    calls: int
    by_status: Mapping[int, int]
    by_call_status: Mapping[int, int]
    by_tag: Mapping[str, int]
    untagged: int
    live: int
    durations: Sequence[int]
    rows: Sequence[CallRow]

    def as_json(self, *, rows: bool = False) -> dict[str, Any]:
        """Return plain values; the rows only if asked for, since they have phone numbers."""
        plain = asdict(self)
        if not rows:
            del plain["rows"]
        return plain


def truth(campaign: Campaign, at_ms: int, window_ms: int) -> Truth:
    """Return the counts of the window of ``window_ms`` that ends at ``at_ms``, as of ``at_ms``."""
    rows = campaign.rows(at_ms - window_ms, at_ms, at_ms)
    answered = [row for row in rows if not live(row) and row["duration"] > 0]
    return Truth(
        outbound=campaign.outbound_id,
        at_ms=at_ms,
        from_ms=at_ms - window_ms,
        calls=len(rows),
        by_status=dict(Counter(row["conversationStatus"] for row in rows)),
        by_call_status=dict(Counter(row["status"] for row in rows)),
        by_tag=dict(Counter(tag for row in rows for tag in distinct_tags(row))),
        untagged=sum(not distinct_tags(row) for row in answered),
        live=sum(live(row) for row in rows),
        durations=[row["duration"] for row in answered],
        rows=rows,
    )


def live(row: CallRow) -> bool:
    """Return whether the row is live: its call goes on, as the metrics define it."""
    status, call_status = row["conversationStatus"], row["status"]
    if status in LIVE_STATUSES or call_status == 3:
        return True
    return status not in KNOWN_STATUSES and call_status not in OVER


def distinct_tags(row: CallRow) -> set[str]:
    """Return the row's tags: trimmed, each once, without empty ones."""
    return {tag.strip() for tag in row["tags"] or ()} - {""}
