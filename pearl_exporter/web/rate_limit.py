"""The token bucket behind ``rate_limit`` of the web configuration. Pure.

It limits all requests together. `passwords` slows down wrong passwords.
"""


class TokenBucket:
    """A limit for the requests of all clients together.

    The bucket holds ``burst`` tokens and gains one each ``interval`` seconds; a request takes one.
    An interval of 0 lets every request through.
    """

    def __init__(self, interval: float, burst: int) -> None:
        self._interval = interval
        self._burst = burst
        # The one number that says how many tokens are left: each missing token moves the moment at
        # which the bucket is full by one interval.
        self._full_at = float("-inf")

    def take(self, now: float) -> bool:
        """Take a token and return True, or return False if none is left.

        Args:
            now: The present, in seconds of a monotonic clock.
        """
        full_at = max(now, self._full_at) + self._interval
        if full_at - now > self._burst * self._interval:
            return False
        self._full_at = full_at
        return True
