"""How many requests a second one token may send, and how many its polls need. Pure."""

from collections.abc import Mapping
from typing import NamedTuple

MIN_REQUESTS = 1.0
"""Requests of a poll about which nothing is known yet: every poll needs one."""


class Budget(NamedTuple):
    """What one token may send right now.

    Attributes:
        rate: Requests a second, 0 during a pause.
        configured_rate: Requests a second as configured.
        waiting: Requests that wait for a slot.
        is_refused: Whether the API refuses the token.
        trouble: Why the last request failed, if it is sent again; None if it succeeded.
    """

    rate: float
    configured_rate: float
    waiting: int
    is_refused: bool
    trouble: str | None = None


class Demand:
    """The requests that the outbounds of one token need, by what their last polls took."""

    def __init__(self) -> None:
        self._intervals: dict[str, float] = {}
        self._requests: dict[str, float] = {}
        self._was_logged = False

    def share_among(self, intervals: Mapping[str, float]) -> None:
        """Set which outbounds are polled with the token, and their intervals in seconds."""
        self._intervals = dict(intervals)
        self._requests = {key: n for key, n in self._requests.items() if key in intervals}
        self._was_logged = False

    def resume_from(self, old: "Demand") -> None:
        """Take over what polls took that were sent by another client of the token."""
        self._requests = old._requests | self._requests  # noqa: SLF001 - of this class

    def polled(self, outbound: str, requests: int) -> None:
        """Note how many requests a poll took that did not read everything."""
        before = self._requests.get(outbound, float(requests))
        self._requests[outbound] = (before + requests) / 2  # the last polls count most

    @property
    def is_known(self) -> bool:
        """Whether every outbound was polled; if not, more may be needed than `needed`."""
        return self._intervals.keys() <= self._requests.keys()

    @property
    def needed(self) -> float:
        """Requests a second."""
        return sum(
            self._requests.get(outbound, MIN_REQUESTS) / interval
            for outbound, interval in self._intervals.items()
        )

    def should_log(self, allowed: float) -> bool:
        """Return whether more is needed than allowed, once for each `share_among`.

        Args:
            allowed: Requests a second as configured.
        """
        if self._was_logged or self.needed <= allowed:
            return False
        self._was_logged = True
        return True
