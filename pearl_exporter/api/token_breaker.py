"""Who may ask while the API refuses a token, or refuses one outbound of it. Pure.

A refusal (401, 403) does not say whether the token is bad or one outbound is none of its. So the
first one backs off that outbound alone, and the others' polls, which go on, are the evidence::

    taken ── refused for two outbounds, or for all there are, and for none taken since ──► refused
      ▲                                                                                    │
      └────────── a page for any outbound, or another token ───────────────────────────────┘

While it is refused, one outbound asks at each moment of a doubling backoff, another one each time,
and the rest wait. When a page comes, all go on at their own next moments, which are spread as they
were at the start; those of long intervals within two minutes (see `schedule`). What was refused to
an outbound while its token was good proves nothing later.
"""

from collections.abc import Mapping

MAX_BACKOFF_SECONDS = 300.0
"""How far the interval doubles while the token or the id is refused."""

MIN_REFUSED_OUTBOUNDS = 2


def backoff_seconds(interval: float, times: int) -> float:
    """An interval in seconds doubled so often, up to `MAX_BACKOFF_SECONDS`."""
    return float(min(interval * 2 ** min(times, 20), max(interval, MAX_BACKOFF_SECONDS)))


class TokenBreaker:
    """What was refused with one token. Times are monotonic seconds, ``outbound`` is an id."""

    def __init__(self) -> None:
        self._intervals: dict[str, float] = {}
        self._token: str | None = None
        self._forget()

    def _forget(self) -> None:
        self._times: dict[str, int] = {}
        self._held_until: dict[str, float] = {}
        self._refused_outbounds: set[str] = set()
        self._disproved: set[str] = set()
        self._probed: set[str] = set()
        self._rounds = 0
        self._next_at = 0.0
        self._probing: str | None = None

    def share_among(self, intervals: Mapping[str, float]) -> None:
        """These outbounds, and no others, are polled with the token, at these intervals.

        What was refused is forgotten, since the configuration may have put it right.
        """
        self._intervals = dict(intervals)
        self._forget()

    @property
    def sharing(self) -> int:
        """How many outbounds are polled with the token."""
        return len(self._intervals)

    @property
    def is_token_refused(self) -> bool:
        """Whether the API refuses the token, as far as is known."""
        return self._rounds > 0

    @property
    def next_at(self) -> float:
        """When a refused token is tried again."""
        return self._next_at

    def use(self, token: str) -> None:
        """This is the token from now on: what was refused to another one is forgotten."""
        if token != self._token:
            self._token = token
            self._forget()

    def interval(self, outbound: str) -> float:
        """The seconds between polls that refusals leave to an outbound."""
        if self.is_token_refused:
            return backoff_seconds(self._shortest(), self._rounds)
        return backoff_seconds(self._intervals.get(outbound, 0.0), self._times.get(outbound, 0))

    def held_until(self, outbound: str) -> float:
        """Before this moment the outbound does not ask."""
        if not self.is_token_refused:
            return self._held_until.get(outbound, 0.0)
        if outbound not in self._probed:
            return self._next_at
        # those that it was not tried with yet come first, if they fall due as often
        return self._next_at + self._intervals.get(outbound, 0.0)

    def is_held(self, outbound: str, now: float) -> bool:
        """Whether a poll of the outbound that falls due now is passed over."""
        another_tries = self.is_token_refused and self._probing not in (None, outbound)
        return another_tries or now < self.held_until(outbound)

    def begin(self, outbound: str) -> None:
        """A poll of the outbound begins; if the token is refused, it is the one that tries it."""
        if self.is_token_refused and self._probing is None:
            self._probing = outbound

    def end(self, outbound: str) -> None:
        """A poll of the outbound ended, whatever came of it."""
        if self._probing == outbound:
            self._probing = None

    def may_send(self, outbound: str) -> bool:
        """Whether a poll that is going on may still ask."""
        return not self.is_token_refused or self._probing == outbound

    def accepted(self, outbound: str) -> bool:
        """The API gave a page; gives whether that shows that a refused token is taken again."""
        if not (self._times or self._refused_outbounds or self._disproved):
            return False
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
        """The API refused the token for an outbound; gives whether it is now known as refused."""
        self._refused_outbounds.add(outbound)
        if self.is_token_refused:
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
        """The outbound alone was refused (its id, for one): doubles its interval."""
        self._times[outbound] = self._times.get(outbound, 0) + 1
        usual = self._intervals.get(outbound, 0.0)
        # half an interval early, so that the poll that falls due just then is not missed
        self._held_until[outbound] = now + self.interval(outbound) - usual / 2

    def _wait_again(self, outbound: str, now: float) -> None:
        self._probing = None
        self._rounds += 1
        self._probed.add(outbound)
        if self._probed >= self._intervals.keys():
            self._probed = set()
        shortest = self._shortest()
        self._next_at = now + backoff_seconds(shortest, self._rounds) - shortest / 2

    def _shortest(self) -> float:
        return min(self._intervals.values(), default=0.0)

    def _all_refused(self) -> bool:
        return self._refused_outbounds >= self._intervals.keys()
