"""What ``/-/healthy?verbose`` lists: what the verdict rests on, and what else there is to know.

It names no outbound: counts are all it tells of them.
"""

from collections import Counter
from collections.abc import Iterable

from pearl_exporter.errors import Reason
from pearl_exporter.polling.snapshot import OutboundSnapshot


def list_checks(
    outbounds: Iterable[OutboundSnapshot], *, is_alive: bool, beat_age: float | None
) -> str:
    """A line a check, the verdict last; the scheduler's heart alone decides it."""
    healths = [each.health for each in outbounds]
    reasons = Counter(each.last_reason for each in healths if each.last_reason is not None)
    unsaved = reasons[Reason.STATE]
    beat = "no heartbeat yet" if beat_age is None else f"last heartbeat {beat_age:.1f} s ago"
    failing = ", ".join(f"{number} {reason}" for reason, number in sorted(reasons.items()))
    up = f"{sum(each.up for each in healths)} of {len(healths)} up"
    lines = [
        _line("scheduler", None if is_alive else beat, beat),
        _line("state", f"{unsaved} of {len(healths)} outbounds not saved" if unsaved else None),
        _line("outbounds", f"{up}; last polls failed: {failing}" if failing else None, up),
        f"health check {'passed' if is_alive else 'failed'} (the scheduler alone decides)",
    ]
    return "".join(f"{line}\n" for line in lines)


def _line(check: str, fault: str | None, more: str = "") -> str:
    if fault is not None:
        return f"[-]{check} failed: {fault}"
    return f"[+]{check} ok" + (f": {more}" if more else "")
