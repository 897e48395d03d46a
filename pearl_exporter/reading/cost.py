"""How many requests polls take, and how many they may spend. Pure."""

import math

MAX_WHOLE_READ_PAGES = 3
"""Up to so many pages a whole read is no dearer than a plan."""

USUAL_MAX_REQUESTS = 3
"""A poll that has asked so often has none to spare for what can wait."""

MIN_CATCH_UP_REQUESTS = 5
MAX_CATCH_UP_REQUESTS = 100
"""A poll goes on with a backlog for so many requests, the more the less else the rate must do."""


def usual_requests(calls: int, page_size: int, new_share: float) -> float:
    """How many requests a poll usually takes, over so many calls in the window.

    ``new_share`` is the share of them that is new since the poll before.
    """
    pages = max(1.0, calls / page_size)
    if pages <= MAX_WHOLE_READ_PAGES:
        return math.ceil(pages)
    return min(pages, USUAL_MAX_REQUESTS + pages * new_share)


def spare_requests(rate: float, interval_seconds: float, outbounds: int) -> int:
    """How many requests a poll may spend on a backlog.

    Half of what the rate, in requests a second, allows it beside the other outbounds of the token.
    """
    allowed = rate * interval_seconds / max(1, outbounds)
    return round(min(max(allowed / 2, MIN_CATCH_UP_REQUESTS), MAX_CATCH_UP_REQUESTS))
