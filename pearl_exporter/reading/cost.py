"""How many requests polls take, and how many they may spend."""

import math
from typing import NamedTuple

from pearl_exporter.reading.contradictions import MAX_UNREADABLE

MAX_WHOLE_READ_PAGES = 3
"""A window of at most this many pages is read whole; the incremental plan would not be cheaper."""

USUAL_MAX_REQUESTS = 3
"""A poll that made this many requests spends none on what can wait for the next poll."""

MIN_CATCH_UP_REQUESTS = 5
MAX_CATCH_UP_REQUESTS = 100
"""Bounds for the requests one poll may spend on catching up."""


class PlanLimits(NamedTuple):
    """What the plan of one poll may ask for.

    Attributes:
        page_size: Rows to ask for in one page.
        catch_up_requests: About how many requests to spend on what an outage left unread.
        max_whole_read_pages: A window of at most this many pages is read whole.
        max_unreadable: The share of the rows of a range that may be counted and not given.
    """

    page_size: int
    catch_up_requests: int = MIN_CATCH_UP_REQUESTS
    max_whole_read_pages: int = MAX_WHOLE_READ_PAGES
    max_unreadable: float = MAX_UNREADABLE


def usual_requests(calls: int, page_size: int, new_share: float) -> float:
    """Return how many requests a poll usually takes.

    Args:
        calls: Calls in the window.
        page_size: Rows in one page.
        new_share: The share of the window's calls that is new since the last poll, from 0 to 1.
    """
    pages = max(1.0, calls / page_size)
    if pages <= MAX_WHOLE_READ_PAGES:
        return math.ceil(pages)
    return min(pages, USUAL_MAX_REQUESTS + pages * new_share)


def catch_up_requests(rate: float, interval_seconds: float, outbounds: int) -> int:
    """Return how many requests one poll may spend on catching up.

    That is half of what the rate allows the outbound beside the others of its token.

    Args:
        rate: Requests a second that the token may make.
        interval_seconds: Time from one poll of the outbound to the next.
        outbounds: How many outbounds share the token.
    """
    allowed = rate * interval_seconds / max(1, outbounds)
    return round(min(max(allowed / 2, MIN_CATCH_UP_REQUESTS), MAX_CATCH_UP_REQUESTS))
