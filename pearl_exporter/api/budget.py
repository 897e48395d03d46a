"""How many requests a second one token may send, and how many its polls need. Pure."""

from collections.abc import Mapping
from typing import NamedTuple

LEAST_REQUESTS = 1.0
"""A poll takes at least so many, which counts while nothing is known of it."""


class Budget(NamedTuple):
    """What one token may ask for right now.

    Attributes:
        rate: Requests a second, 0 during a pause.
        ceiling: The same as configured.
        waiting: Requests that wait for their turn.
        is_refused: Whether the API refuses the token.
        trouble: Why the last request failed, if it is sent again; None if it went well.
    """

    rate: float
    configured_rate: float
    waiting: int
    is_refused: bool
    trouble: str | None = None


class Demand:
    """What the outbounds that share a token need, by what their last polls took."""

    def __init__(self) -> None:
        self._intervals: dict[str, float] = {}
        self._requests: dict[str, float] = {}
        self._was_told = False

    def share_among(self, intervals: Mapping[str, float]) -> None:
        """These outbounds, and no others, are polled with the token, at these intervals."""
        self._intervals = dict(intervals)
        self._requests = {key: n for key, n in self._requests.items() if key in intervals}
        self._was_told = False

    def resume_from(self, old: "Demand") -> None:
        """Knows what another one of the same token has seen."""
        self._requests = old._requests | self._requests  # noqa: SLF001 - of this class

    def polled(self, outbound: str, requests: int) -> None:
        """A poll that is no read of everything took so many requests."""
        before = self._requests.get(outbound, float(requests))
        self._requests[outbound] = (before + requests) / 2

    @property
    def is_known(self) -> bool:
        """Whether every outbound was polled; else more may be needed than `needed` says."""
        return self._intervals.keys() <= self._requests.keys()

    @property
    def needed(self) -> float:
        """Requests a second."""
        return sum(
            self._requests.get(outbound, LEAST_REQUESTS) / interval
            for outbound, interval in self._intervals.items()
        )

    def should_log(self, allowed: float) -> bool:
        """Whether it does not fit, and that was not said since the configuration was read."""
        if self._was_told or self.needed <= allowed:
            return False
        self._was_told = True
        return True
