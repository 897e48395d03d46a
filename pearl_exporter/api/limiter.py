"""How fast one token may send requests: one limiter, shared by the token's outbounds.

It keeps five promises in one place, since each needs the state of the others:

* *Rate*: slots are evenly spaced, ``rate`` a second at most. Unused time is not saved up.
* *In flight*: at most ``max_in_flight`` slots are taken at once.
* *AIMD*: a 429 halves the rate, each success adds a twentieth of the configured rate (additive
  increase, multiplicative decrease: Chiu and Jain 1989, "Analysis of the increase and decrease
  algorithms for congestion avoidance in computer networks").
* *Pause*: no slot is given while ``Retry-After`` lasts (RFC 9110, section 10.2.3).
* *Fairness*: the next slot goes to the waiting outbound that was served longest ago. Outbounds
  whose answers take far longer than the others' never take all slots, so that a slow or greedy
  outbound starves no other.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from statistics import median_low

from pearl_exporter.api.deadline import now

DECREASE = 0.5
INCREASE = 0.05
"""AIMD: a 429 multiplies the rate, a success adds this share of the configured rate."""

MIN_SHARE = 0.02
"""The rate never falls below this share of the configured rate."""

MAX_PAUSE_SECONDS = 300.0
"""The longest pause that is kept: a wrong ``Retry-After`` must not end the monitoring for a day."""

SLOW_SECONDS = 2.0
SLOW_FACTOR = 4.0
"""An outbound is slow if its last answer took this long, and this many times the others' median.

Of two values in the middle the lower one is the median: where half of all are slow, they are slow.
"""

_BURST_SECONDS = 0.02
"""Slots that fell due this close together are given at once: timers are no finer."""


class LimiterTimeoutError(TimeoutError):
    """There was no slot in time, and no request of the token was answered meanwhile."""


class Limiter:
    """Gives out slots to send a request. All times are the event loop's seconds.

    A *key* is whose slot it is: an outbound's id, or a request's own.

    Invariants: a request is in ``_waiting`` until it is served, and counts in ``_in_flight`` from
    then until its block ends. No queue in ``_waiting`` is empty, no count in ``_in_flight`` is 0.
    Whatever frees a slot or adds a waiter calls `_dispatch`, which leaves at most one timer, set to
    the next moment at which somebody could be served.
    """

    def __init__(
        self,
        rate: float,
        max_in_flight: int,
        *,
        on_wait: Callable[[float], None] = lambda _: None,
    ) -> None:
        """Build a limiter that gives slots at once.

        Args:
            rate: Requests a second.
            max_in_flight: Requests that may be unanswered at once.
            on_wait: Called with the seconds that each request waited for its slot.
        """
        self._configured_rate = rate
        self._rate = rate
        self._max_in_flight = max_in_flight
        self._on_wait = on_wait
        self._in_flight: dict[Hashable, int] = {}
        self._waiting: dict[Hashable, deque[_Waiter]] = {}
        # fairness: the number of the last slot of each key, and the seconds that it was taken
        self._last_served: dict[Hashable, int] = {}
        self._took: dict[Hashable, float] = {}
        self._slots_given = 0
        self._next_at = 0.0
        self._paused_until = 0.0
        self._slowed_at = 0.0
        self._progress_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def rate(self) -> float:
        """Requests a second allowed right now, 0 during a pause."""
        return 0.0 if self.paused_for > 0 else self._rate

    @property
    def reduced_rate(self) -> float:
        """Requests a second between pauses: the configured rate, less what 429s have taken."""
        return self._rate

    @property
    def configured_rate(self) -> float:
        """Requests a second as configured."""
        return self._configured_rate

    @property
    def waiting(self) -> int:
        """Requests that wait for a slot."""
        return sum(map(len, self._waiting.values()))

    @property
    def paused_for(self) -> float:
        """Seconds until a pause that the API asked for is over, 0 if there is none."""
        return max(0.0, self._paused_until - now())

    @property
    def progress_at(self) -> float:
        """When a request of the token last had a clear answer."""
        return self._progress_at

    @asynccontextmanager
    async def slot(self, key: Hashable, timeout_seconds: float) -> AsyncIterator[None]:
        """Wait for a slot, and give it back at the end of the block.

        Args:
            key: Whose slot it is.
            timeout_seconds: How long to wait while no request of the token is answered. A queue
                that moves is waited for without limit.

        Raises:
            LimiterTimeoutError: No request of the token was answered for so long.
        """
        await self._wait(key, timeout_seconds)
        began = now()
        try:
            yield
        finally:
            self._took[key] = now() - began
            self._release(key)

    async def _wait(self, key: Hashable, timeout_seconds: float) -> None:
        began = now()
        waiter = _Waiter()
        self._waiting.setdefault(key, deque()).append(waiter)
        self._dispatch()
        try:
            if not waiter.is_served:
                self._watch(waiter, began, timeout_seconds)
                # Until this returns anything may have happened to the limiter: pauses, another
                # rate, other waiters. Only `_serve` and `_watch` end the wait.
                await waiter.future
        except BaseException:
            self._leave_queue(key, waiter)
            raise
        finally:
            waiter.stop_watch()
            self._on_wait(now() - began)

    def _watch(self, waiter: "_Waiter", began: float, timeout_seconds: float) -> None:
        """End a wait during which nothing was answered; else look again when that may be so.

        One timer for each waiter, moved on when it fires, costs less than a wait in slices.
        """
        left = max(began, self._progress_at) + timeout_seconds - now()
        if left > 0:
            loop = asyncio.get_running_loop()
            waiter.timer = loop.call_later(left, self._watch, waiter, began, timeout_seconds)
        elif not waiter.future.done():
            waiter.future.set_exception(LimiterTimeoutError())

    def _leave_queue(self, key: Hashable, waiter: "_Waiter") -> None:
        if waiter.is_served:
            # the slot was granted in the loop iteration in which the waiter was cancelled
            self._release(key)
            return
        queue = self._waiting[key]
        queue.remove(waiter)
        if not queue:
            del self._waiting[key]

    def _release(self, key: Hashable) -> None:
        self._in_flight[key] -= 1
        if not self._in_flight[key]:
            del self._in_flight[key]
        self._dispatch()

    def answered(self) -> None:
        """Note a clear answer, also a refusal: the queue moves."""
        self._progress_at = now()

    def succeeded(self) -> None:
        """Note a good answer: the rate grows back towards the configured rate."""
        self.answered()
        self._rate = min(self._configured_rate, self._rate + INCREASE * self._configured_rate)

    def slow_down(self, sent_at: float) -> None:
        """Halve the rate, since the API asked to slow down.

        Args:
            sent_at: When the request was sent that the API answered so. The rate is halved once for
                all requests that were sent before it was last halved.
        """
        if sent_at >= self._slowed_at:
            self._slowed_at = now()
            self._rate = max(MIN_SHARE * self._configured_rate, self._rate * DECREASE)

    def pause(self, seconds: float) -> None:
        """Give no slot to anybody for some seconds, since the API asked for it."""
        # The timer of `_dispatch` need not be moved: when it fires it looks at the pause.
        until = now() + min(seconds, MAX_PAUSE_SECONDS)
        self._paused_until = max(self._paused_until, until)

    def resume_from(self, old: "Limiter") -> None:
        """Continue the pause and reduced rate of the limiter that this one replaces.

        The reduced rate counts only if the configured rate is the same: a new one is the user's
        word, and counts at once.
        """
        configured_rate, rate, slowed_at, paused_until = old._limits()  # noqa: SLF001 - of this class
        self._paused_until = max(self._paused_until, paused_until)
        if self._configured_rate == configured_rate:
            self._rate, self._slowed_at = rate, slowed_at

    def _limits(self) -> tuple[float, float, float, float]:
        return self._configured_rate, self._rate, self._slowed_at, self._paused_until

    def forget(self, key: Hashable) -> None:
        """Drop what is remembered of an outbound that is no longer configured."""
        self._last_served.pop(key, None)
        self._took.pop(key, None)

    def _dispatch(self) -> None:
        """Serve all waiters that may be served now, and set a timer for the next."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting and sum(self._in_flight.values()) < self._max_in_flight:
            due, present = max(self._next_at, self._paused_until), now()
            if due > present:
                self._timer = asyncio.get_running_loop().call_at(due, self._dispatch)
                return
            key = self._next_key()
            if key is None:  # all that wait are slow: a slot that is given back wakes them
                return
            self._serve(key, present)

    def _next_key(self) -> Hashable | None:
        """Return the waiting key that was served longest ago, but no slow one for the last slot."""
        if sum(self._in_flight.values()) < self._max_in_flight - 1 or self._max_in_flight == 1:
            waiting = iter(self._waiting)
        else:
            slow = self._slow()
            busy = sum(count for key, count in self._in_flight.items() if key in slow)
            is_last_slot = busy >= self._max_in_flight - 1
            waiting = iter([key for key in self._waiting if not (is_last_slot and key in slow)])
        return min(waiting, key=lambda key: self._last_served.get(key, 0), default=None)

    def _slow(self) -> set[Hashable]:
        if not self._took:
            return set()
        threshold = max(SLOW_SECONDS, SLOW_FACTOR * median_low(self._took.values()))
        return {key for key, seconds in self._took.items() if seconds > threshold}

    def _serve(self, key: Hashable, present: float) -> None:
        queue = self._waiting[key]
        waiter = queue.popleft()
        if not queue:
            del self._waiting[key]
        self._slots_given += 1
        self._last_served[key] = self._slots_given
        # From the moment that was due, not from now, or late timers would lower the rate; but from
        # no earlier moment than a burst ago, or idle time would be saved up.
        self._next_at = max(self._next_at, present - _BURST_SECONDS) + 1 / self._rate
        self._in_flight[key] = self._in_flight.get(key, 0) + 1
        waiter.serve()


class _Waiter:
    """A request that waits for a slot. It may be served and cancelled in one loop iteration."""

    __slots__ = ("future", "is_served", "timer")

    def __init__(self) -> None:
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.is_served = False
        self.timer: asyncio.TimerHandle | None = None

    def serve(self) -> None:
        self.is_served = True
        if not self.future.done():
            self.future.set_result(None)

    def stop_watch(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
