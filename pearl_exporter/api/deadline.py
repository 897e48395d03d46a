"""How long a poll goes on asking, whatever fails meanwhile."""

import asyncio


class Deadline:
    """How long a poll goes on without a good page, in the event loop's seconds."""

    def __init__(self, give_up_seconds: float, *, retries: bool = True) -> None:
        self.give_up_seconds = give_up_seconds
        self.retries = retries
        """Whether to ask again after a failure; if not, then after a 429 alone."""
        self.first_sent_at: float | None = None
        """When the poll's first request was sent."""
        self._ends_at = 0.0
        self.reset()

    def reset(self) -> None:
        """A good page came."""
        self._ends_at = now() + self.give_up_seconds

    def extend(self, seconds: float) -> None:
        """Time spent behind others in a queue that moves is nobody's failure."""
        self._ends_at += seconds

    @property
    def remaining(self) -> float:
        """Seconds left."""
        return max(0.0, self._ends_at - now())


def now() -> float:
    """The time by the event loop's clock, in seconds."""
    return asyncio.get_running_loop().time()
