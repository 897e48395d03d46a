"""Times, shares and numbers as text for the pages. Pure."""

from datetime import UTC, datetime

from pearl_exporter.counting.calls import Instant
from pearl_exporter.polling.snapshot import OutboundSnapshot

NO_VALUE = "–"
"""What stands where a value is not known or does not apply."""


def moment(instant: Instant) -> str:
    """Return an instant as date and time in UTC, to the second."""
    return datetime.fromtimestamp(instant / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def short_moment(instant: Instant, now: Instant) -> str:
    """Return an instant as in `moment` without the year, and without the day if that is today."""
    text, today = moment(instant), moment(now)[:10]
    return text[11:] if text.startswith(today) else text[5:]


def ago(then: Instant | None, now: Instant) -> str:
    """Return how long ago an instant was; None is "never"."""
    return "never" if then is None else f"{span((now - then) / 1000)} ago"


def until(seconds: float | None) -> str:
    """Return how soon something happens, in words; None is unknown."""
    if seconds is None:
        return NO_VALUE
    return "now" if round(seconds) <= 0 else f"in {span(seconds)}"


def span(seconds: float) -> str:
    """Return a length of time in one unit, rounded down: ``119 s``, ``2 min``, ``2 h``."""
    whole = max(0, round(seconds))
    if whole < 120:  # noqa: PLR2004 - two minutes
        return f"{whole} s"
    if whole < 7200:  # noqa: PLR2004 - two hours
        return f"{whole // 60} min"
    return f"{whole // 3600} h"


def percent(share: float | None) -> str:
    """Return a share from 0 to 1 in percent; None is unknown."""
    return NO_VALUE if share is None else f"{share:.1%}"


def plural(count: int, noun: str) -> str:
    """Return a count with its noun: ``1 step``, ``2 steps``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def last_success(outbound: OutboundSnapshot, now: Instant) -> str:
    """Return how long ago the last good poll of an outbound was.

    After a restart that is known from the saved state until the first poll.
    """
    ended, polled_at = outbound.health.last_success, outbound.calls.polled_at
    if ended is None and polled_at is not None:
        return f"{ago(polled_at, now)}, before the restart"
    return ago(ended, now)


def read_progress(outbound: OutboundSnapshot) -> str | None:
    """Return how far a long read has come, in words; None if no long read is under way."""
    progress = outbound.read_progress
    if progress is None:
        return None
    which = "first read" if outbound.calls.polled_at is None else "reading everything again"
    return f"{which}: {progress.received:,} of {progress.expected:,} calls"
