"""A token bucket over all requests, as ``rate_limit`` of the web configuration wants it. Pure."""


class TokenBucket:
    """Lets ``burst`` requests through at once, then one each ``interval`` seconds; 0 lets all."""

    def __init__(self, interval: float, burst: int) -> None:
        self._interval = interval
        self._burst = burst
        self._full_at = float("-inf")

    def take(self, now: float) -> bool:
        """Whether a request at ``now``, in seconds of a monotonic clock, is let through."""
        full_at = max(now, self._full_at) + self._interval
        if full_at - now > self._burst * self._interval:
            return False
        self._full_at = full_at
        return True
