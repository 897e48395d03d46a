"""How long a poll goes on without a good answer: ``poll.give_up``."""

import asyncio


class Deadline:
    """A deadline that each good answer moves on. All times are the event loop's seconds.

    Attributes:
        give_up_seconds: How long to go on without a good answer.
        retries: Whether to send a request again after any failure that may pass, or after a 429
            only.
    """

    def __init__(self, give_up_seconds: float, *, retries: bool = True) -> None:
        self.give_up_seconds = give_up_seconds
        self.retries = retries
        self._ends_at = 0.0
        self.reset()

    def reset(self) -> None:
        """Start again, since a good answer came."""
        self._ends_at = now() + self.give_up_seconds

    def extend(self, seconds: float) -> None:
        """Extend the deadline by time spent queueing while other requests were answered."""
        self._ends_at += seconds

    @property
    def remaining(self) -> float:
        """Seconds left, 0 once the deadline has passed."""
        return max(0.0, self._ends_at - now())


def now() -> float:
    """Return the event loop's time in seconds."""
    return asyncio.get_running_loop().time()
