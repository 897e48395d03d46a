"""A circuit breaker for each token: one outbound at a time probes a token that is refused. Pure.

A refusal (401, 403) does not say what is refused: the token, or one outbound that is not the
token's. So the first refusal backs off that outbound alone, and the polls of the others, which go
on, are the evidence::

           two outbounds refused, or all there         begin, at a moment
           are, and no page for them since             of the backoff
    CLOSED ─────────────────────────────────► OPEN ──────────────────────────► HALF-OPEN
    all send                               none sends ◄─────────────────────── one sends
      ▲                                         │      refused, or no answer       │
      │      another token, other settings      │                                  │
      ├─────────────────────────────────────────┘     a page for any outbound      │
      └────────────────────────────────────────────────────────────────────────────┘

While the breaker is open, one outbound probes the token at each moment of a doubling backoff,
another outbound each time, and the rest wait. When a page comes, all outbounds go on at their own
next moments, which are spread as they were at the start; those of long intervals within two minutes
(see `polling.schedule`).

An outbound that was refused while another one got a page is *disproved*: its refusals say nothing
about the token until it gets a page itself.

Independently, an outbound that is refused alone, or that the API does not know (404), is backed
off: its interval doubles with each refusal up to `MAX_BACKOFF_SECONDS`.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

MAX_BACKOFF_SECONDS = 300.0
"""Up to here the interval doubles while the token or an outbound is refused."""

MIN_REFUSED_OUTBOUNDS = 2
"""Outbounds that must be refused before the token is to blame, where it polls as many."""


def backoff_seconds(interval: float, times: int) -> float:
    """Return an interval in seconds, doubled `times` times, up to `MAX_BACKOFF_SECONDS`."""
    return float(min(interval * 2 ** min(times, 20), max(interval, MAX_BACKOFF_SECONDS)))


class BreakerState(NamedTuple):
    """What refusals mean for one outbound right now, for those who show it.

    Attributes:
        is_token_refused: Whether the breaker is open.
        outbounds: How many outbounds are polled with the token.
        interval: Seconds between polls of the outbound.
        retry_at: The monotonic second from which the outbound may send again. An outbound that
            probes the token before it changes that.
    """

    is_token_refused: bool
    outbounds: int
    interval: float
    retry_at: float


class TokenBreaker:
    """What was refused with one token. Times are monotonic seconds, ``outbound`` is an id.

    A poll calls `begin`, then asks `may_send` before each request and reports its answer by
    `accepted`, `refused` or `back_off`, and calls `end`.
    """

    def __init__(self) -> None:
        self._intervals: dict[str, float] = {}
        self._token: str | None = None
        self._forget()

    def _forget(self) -> None:
        # of each outbound by itself: refusals in a row, and until when it is backed off for them
        self._times: dict[str, int] = {}
        self._held_until: dict[str, float] = {}
        # the evidence: refused since the last page, and refused while another one got a page
        self._refused_outbounds: set[str] = set()
        self._disproved: set[str] = set()
        # the open state: refused probes in a row, 0 while closed; who probed lately; who does now
        self._rounds = 0
        self._next_at = 0.0
        self._probed: set[str] = set()
        self._probing: str | None = None

    def share_among(self, intervals: Mapping[str, float]) -> None:
        """Set which outbounds are polled with the token, and their intervals.

        All refusals are forgotten, since the new configuration may have put things right.
        """
        self._intervals = dict(intervals)
        self._forget()

    @property
    def sharing(self) -> int:
        """How many outbounds are polled with the token."""
        return len(self._intervals)

    @property
    def is_token_refused(self) -> bool:
        """Whether the breaker is open: the API refuses the token, as far as is known."""
        return self._rounds > 0

    @property
    def next_at(self) -> float:
        """When a refused token is probed again."""
        return self._next_at

    def state(self, outbound: str) -> BreakerState:
        """Return what refusals mean for an outbound right now."""
        return BreakerState(
            self.is_token_refused, self.sharing, self.interval(outbound), self._retry_at(outbound)
        )

    def use(self, token: str) -> None:
        """Set the token: what was refused to another one is forgotten."""
        if token != self._token:
            self._token = token
            self._forget()

    def interval(self, outbound: str) -> float:
        """Return the seconds between polls that refusals leave to an outbound."""
        if self.is_token_refused:
            return backoff_seconds(self._shortest(), self._rounds)
        return backoff_seconds(self._intervals.get(outbound, 0.0), self._times.get(outbound, 0))

    def next_allowed_at(self, outbound: str) -> float:
        """Return from when on the outbound may poll; infinity while another one probes."""
        if self.is_token_refused and self._probing not in (None, outbound):
            return math.inf
        return self._retry_at(outbound)

    def _retry_at(self, outbound: str) -> float:
        if not self.is_token_refused:
            return self._held_until.get(outbound, 0.0)
        if outbound not in self._probed:
            return self._next_at
        # those that have not probed lately come first, if they fall due as often
        return self._next_at + self._intervals.get(outbound, 0.0)

    def begin(self, outbound: str) -> None:
        """Begin a poll of the outbound: if the token is refused and nobody probes, it does."""
        if self.is_token_refused and self._probing is None:
            self._probing = outbound

    def end(self, outbound: str) -> None:
        """End a poll of the outbound, whatever came of it."""
        if self._probing == outbound:
            self._probing = None

    def may_send(self, outbound: str) -> bool:
        """Return whether a poll that has begun may send its next request."""
        return not self.is_token_refused or self._probing == outbound

    def accepted(self, outbound: str) -> bool:
        """Note a page of the outbound; return whether it closes the breaker."""
        if not (self._times or self._refused_outbounds or self._disproved):
            return False  # the usual case: nothing was refused
        was_refused = self.is_token_refused
        self._disproved = (self._disproved | self._refused_outbounds) - {outbound}
        self._refused_outbounds = set()
        if was_refused:
            self._rounds, self._probing, self._probed = 0, None, set()
            self._times, self._held_until = {}, {}
        self._times.pop(outbound, None)
        self._held_until.pop(outbound, None)
        return was_refused

    def refused(self, outbound: str, now: float) -> bool:
        """Note that the token was refused for the outbound; return whether it opens the breaker."""
        self._refused_outbounds.add(outbound)
        if self.is_token_refused:
            # another answer than the probe's was on its way before the breaker opened
            if self._probing == outbound:
                self._wait_again(outbound, now)
            return False
        self.back_off(outbound, now)
        reliable = self._refused_outbounds - self._disproved
        if len(reliable) < MIN_REFUSED_OUTBOUNDS and not self._all_refused():
            return False
        self._probed = self._refused_outbounds - {outbound}
        self._wait_again(outbound, now)
        return True

    def back_off(self, outbound: str, now: float) -> None:
        """Double the interval of an outbound that was refused by itself, for its id for one."""
        self._times[outbound] = self._times.get(outbound, 0) + 1
        usual = self._intervals.get(outbound, 0.0)
        # half an interval early, so that the poll that falls due just then is not missed
        self._held_until[outbound] = now + self.interval(outbound) - usual / 2

    def _wait_again(self, outbound: str, now: float) -> None:
        self._probing = None
        self._rounds += 1
        self._probed.add(outbound)
        if self._probed >= self._intervals.keys():
            self._probed = set()  # all have probed: another turn of all begins
        shortest = self._shortest()
        self._next_at = now + backoff_seconds(shortest, self._rounds) - shortest / 2

    def _shortest(self) -> float:
        return min(self._intervals.values(), default=0.0)

    def _all_refused(self) -> bool:
        return self._refused_outbounds >= self._intervals.keys()
