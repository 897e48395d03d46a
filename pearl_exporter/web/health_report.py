"""What ``/-/healthy?verbose`` lists: one line a check, and the verdict. Pure.

The report counts outbounds and names none: probes are answered without a password.
"""

from collections import Counter
from collections.abc import Iterable

from pearl_exporter.errors import Reason
from pearl_exporter.polling.snapshot import OutboundSnapshot


def health_report(
    outbounds: Iterable[OutboundSnapshot], *, is_alive: bool, beat_age: float | None
) -> str:
    """Return the report.

    Args:
        outbounds: What is known of each outbound. Their failures are listed and change no verdict.
        is_alive: Whether the scheduler's heartbeat is in time, which alone is the verdict.
        beat_age: Seconds since that heartbeat; None before the first one.
    """
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


def _line(check: str, problem: str | None, details: str = "") -> str:
    if problem is not None:
        return f"[-]{check} failed: {problem}"
    return f"[+]{check} ok" + (f": {details}" if details else "")
