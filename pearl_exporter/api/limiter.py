"""How often the API may be asked: one limiter for each token, shared by its outbounds.

It holds five promises in one place: requests a second (evenly spaced), requests in flight, a rate
that halves on 429 and grows back (AIMD), pauses that ``Retry-After`` asks for, and fair turns. The
waiting outbound that was served longest ago is next, and outbounds whose answers take far longer
than the others' never hold all places in flight, so that a slow or greedy one starves nobody.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from statistics import median_low

DECREASE = 0.5
INCREASE = 0.05
"""A 429 halves the rate; each success adds a twentieth of the configured one."""

MIN_SHARE = 0.02
"""The rate never falls below this share of the configured one."""

MAX_PAUSE_SECONDS = 300.0
"""``Retry-After`` is honoured up to here: a wrong one must not end the monitoring for a day."""

SLOW_SECONDS = 2.0
SLOW_FACTOR = 4.0
"""An outbound is slow if its last answer took this long, and this many times the others' median.

Of two values in the middle that is the lower one: where half of all are slow, they are slow.
"""

_BURST_SECONDS = 0.02
"""Turns that fell due this close together are given at once: timers are no finer."""


class LimiterTimeoutError(TimeoutError):
    """There was no turn in time, and nobody else got on either."""


class Limiter:
    """Gives out turns to ask. All times are the event loop's seconds."""

    def __init__(
        self, rate: float, in_flight: int, *, on_wait: Callable[[float], None] = lambda _: None
    ) -> None:
        self._configured_rate = rate
        self._rate = rate
        self._max_in_flight = in_flight
        self._on_wait = on_wait
        self._in_flight: dict[str, int] = {}
        self._waiting: dict[str, deque[_Waiter]] = {}
        self._last_served: dict[str, int] = {}
        self._took: dict[str, float] = {}
        self._turns = 0
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
    def configured_rate(self) -> float:
        """Requests a second as configured."""
        return self._configured_rate

    @property
    def waiting(self) -> int:
        """Requests that wait for their turn."""
        return sum(map(len, self._waiting.values()))

    @property
    def paused_for(self) -> float:
        """Seconds until a pause that the API asked for is over, 0 if there is none."""
        return max(0.0, self._paused_until - _now())

    @property
    def progress_at(self) -> float:
        """When anybody's request last had a clear answer, in the event loop's seconds."""
        return self._progress_at

    @asynccontextmanager
    async def slot(self, key: str, deadline: float) -> AsyncIterator[None]:
        """Wait for a slot of outbound ``key``, and give it back afterwards.

        Raises:
            LimiterTimeoutError: No request of this token was answered for ``deadline`` seconds.
        """
        await self._wait(key, deadline)
        began = _now()
        try:
            yield
        finally:
            self._took[key] = _now() - began
            self._leave(key)

    async def _wait(self, key: str, deadline: float) -> None:
        began = _now()
        waiter = _Waiter()
        self._waiting.setdefault(key, deque()).append(waiter)
        self._dispatch()
        try:
            if not waiter.is_served:
                self._watch(waiter, began, deadline)
                await waiter.future
        except BaseException:
            self._forgo(key, waiter)
            raise
        finally:
            waiter.stop_watch()
            self._on_wait(_now() - began)

    def _watch(self, waiter: "_Waiter", began: float, deadline: float) -> None:
        """Ends a wait in which nobody got on; one timer, which costs less than a wait in slices."""
        left = max(began, self._progress_at) + deadline - _now()
        if left > 0:
            loop = asyncio.get_running_loop()
            waiter.timer = loop.call_later(left, self._watch, waiter, began, deadline)
        elif not waiter.future.done():
            waiter.future.set_exception(LimiterTimeoutError())

    def _forgo(self, key: str, waiter: "_Waiter") -> None:
        if waiter.is_served:  # the turn was given in the same breath in which it was given up
            self._leave(key)
            return
        queue = self._waiting[key]
        queue.remove(waiter)
        if not queue:
            del self._waiting[key]

    def _leave(self, key: str) -> None:
        self._in_flight[key] -= 1
        if not self._in_flight[key]:
            del self._in_flight[key]
        self._dispatch()

    def answered(self) -> None:
        """A request had a clear answer, be it a refusal: the queue moves."""
        self._progress_at = _now()

    def succeeded(self) -> None:
        """A request had a good answer: the rate grows back towards the configured one."""
        self.answered()
        self._rate = min(self._configured_rate, self._rate + INCREASE * self._configured_rate)

    def slow_down(self, sent_at: float) -> None:
        """The API asked to slow down, in answer to a request sent at ``sent_at``.

        The rate halves once for all the requests that were sent before it was last halved.
        """
        if sent_at >= self._slowed_at:
            self._slowed_at = _now()
            self._rate = max(MIN_SHARE * self._configured_rate, self._rate * DECREASE)

    def pause(self, seconds: float) -> None:
        """The API asked to be left alone: so long there are no turns, for anybody."""
        until = _now() + min(seconds, MAX_PAUSE_SECONDS)
        self._paused_until = max(self._paused_until, until)

    def resume_from(self, old: "Limiter") -> None:
        """Goes on where another limiter of the same token stops: new settings are no pardon.

        A pause goes on. The slowed rate does if the configured one is the same; a new one is the
        user's word, and counts at once.
        """
        configured_rate, rate, slowed_at, paused_until = old._asked_for()  # noqa: SLF001 - of this class
        self._paused_until = max(self._paused_until, paused_until)
        if self._configured_rate == configured_rate:
            self._rate, self._slowed_at = rate, slowed_at

    def _asked_for(self) -> tuple[float, float, float, float]:
        return self._configured_rate, self._rate, self._slowed_at, self._paused_until

    def forget(self, key: str) -> None:
        """Drops what is remembered of an outbound that is no longer configured."""
        self._last_served.pop(key, None)
        self._took.pop(key, None)

    def _dispatch(self) -> None:
        """Gives turns to whom they are due, and wakes up again for the next."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting and sum(self._in_flight.values()) < self._max_in_flight:
            due = max(self._next_at, self._paused_until)
            now = _now()
            if due > now:
                self._timer = asyncio.get_running_loop().call_at(due, self._dispatch)
                return
            key = self._next_key()
            if key is None:
                return
            self._serve(key, now)

    def _next_key(self) -> str | None:
        """The outbound that was served longest ago, passing over slow ones on the last place."""
        if sum(self._in_flight.values()) < self._max_in_flight - 1 or self._max_in_flight == 1:
            waiting = iter(self._waiting)
        else:
            slow = self._slow()
            busy = sum(count for key, count in self._in_flight.items() if key in slow)
            last_place = busy >= self._max_in_flight - 1
            waiting = iter([key for key in self._waiting if not (last_place and key in slow)])
        return min(waiting, key=lambda key: self._last_served.get(key, 0), default=None)

    def _slow(self) -> set[str]:
        if not self._took:
            return set()
        threshold = max(SLOW_SECONDS, SLOW_FACTOR * median_low(self._took.values()))
        return {key for key, seconds in self._took.items() if seconds > threshold}

    def _serve(self, key: str, now: float) -> None:
        queue = self._waiting[key]
        waiter = queue.popleft()
        if not queue:
            del self._waiting[key]
        self._turns += 1
        self._last_served[key] = self._turns
        self._next_at = max(self._next_at, now - _BURST_SECONDS) + 1 / self._rate
        self._in_flight[key] = self._in_flight.get(key, 0) + 1
        waiter.serve()


class _Waiter:
    """Somebody who waits for a turn; a turn may come in the breath in which the wait ends."""

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


def _now() -> float:
    return asyncio.get_running_loop().time()
