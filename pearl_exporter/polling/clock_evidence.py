"""Which of two clocks is right: the calls know. Pure.

The API dates calls by its own clock, and no call starts in the future. So the newest start decides
between this machine's clock and a ``Date`` that is minutes or more away from it::

       half the difference             up to 5 min
    ├─────────────────────────┤     ├──────────────┤
    ───────────────────────────●──────────────────────────────────────────●────► time
                         the earlier clock                           the later one
    ├─────────────── 2 ────────────────────────────┤├───────── 1 ──────────┤

    1  a call started here: the earlier clock is behind, the later one is right
    2  else, a call started here: the later clock would have had no calls for longer than
       the whole difference, the earlier one is right
    -  else no call tells

Both questions ask whether there is any such call, so the order in which the API sends rows does not
matter. Rows that are not in the range that was asked for are ignored.
"""

from typing import NamedTuple

from pearl_exporter.api.clock import Doubt
from pearl_exporter.reading.search import Page, Search, Searches

PURPOSE = "which clock is right"
"""What these searches are for, in words for the status page."""

_MAX_AHEAD_MS = 300_000
"""A call that starts this much after a clock's present shows that the clock is behind."""

_TOLERATED_MS = 60_000
"""The API may date calls and answers by clocks that differ by this much."""


_MAX_SPAN_MS = 7 * 86_400_000
"""The API may refuse longer ranges, and a clock may be off by decades."""


class ClockVerdict(NamedTuple):
    """What calls say about two clocks.

    Attributes:
        doubt: The two clocks.
        is_other_right: Whether the clock that was not gone by is right; None if no call tells.
    """

    doubt: Doubt
    is_other_right: bool | None


def is_other_right(doubt: Doubt, limit: int) -> Searches[bool | None]:
    """Return whether calls bear out the clock that is not gone by, by one or two searches.

    Args:
        doubt: The two clocks.
        limit: How many rows to ask for.

    Returns:
        False if they bear out the one that is gone by, None if no call tells.
    """
    earlier, later = sorted((doubt.used, doubt.other))
    half = (later - earlier) // 2
    edge = earlier + min(half, _MAX_AHEAD_MS)
    is_other_later = doubt.other == later
    if (yield from _has_calls(max(edge, later - _MAX_SPAN_MS), later + _TOLERATED_MS, limit)):
        return is_other_later
    if (yield from _has_calls(earlier - min(half, _MAX_SPAN_MS), edge, limit)):
        return not is_other_later
    return None


def _has_calls(start: int, end: int, limit: int) -> Searches[bool]:
    page: Page = yield Search(start, end, 0, limit)
    return any(start <= call.start < end for call in page.calls)
