"""Asks the platform one thing at intervals, and knows what it last answered.

A failure is logged once, keeps the last answer until that is too old, and ends nothing.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from pearl_exporter.api.token_breaker import MAX_BACKOFF_SECONDS
from pearl_exporter.config.timings import default_stale_after
from pearl_exporter.counting.calls import Instant
from pearl_exporter.errors import BadResponseError, PollError

Answer = TypeVar("Answer")

FIRST_RETRY_SECONDS = 30.0
"""How soon it is tried again after a failure; doubled with each, up to the interval, or further
while the token is refused."""

_BACKED_OFF = ("auth", "not_found")

_log = logging.getLogger(__name__)


class PeriodicRequest(Generic[Answer]):
    """One question to the platform.

    ``ask`` sends it, ``take`` is given each good answer before anybody else sees it; both may raise
    `PollError`. ``now`` is the API's time. Nothing is asked until `set_interval` says how often.
    """

    def __init__(
        self,
        subject: str,
        ask: Callable[[], Awaitable[Answer]],
        take: Callable[[Answer], Awaitable[None]],
        now: Callable[[], Instant],
    ) -> None:
        self.subject = subject
        self._ask = ask
        self._take = take
        self._now = now
        self._interval: float | None = None
        self._changed = asyncio.Event()
        self._asked_at: float | None = None
        self._answered_at = 0.0
        self._answer: Answer | None = None
        self._failures = 0
        self._reason: str | None = None
        self.last_success: Instant | None = None
        """When the last good answer came."""

    @property
    def is_on(self) -> bool:
        """Whether anybody wants to know."""
        return self._interval is not None

    @property
    def is_up(self) -> bool:
        """Whether the last request succeeded; False before any."""
        return self._reason is None and self.last_success is not None

    @property
    def was_tried(self) -> bool:
        """Whether there was an answer or a failure."""
        return self.is_up or self.is_failing

    @property
    def answer(self) -> Answer | None:
        """The last good answer, None if it is older than 5 minutes and than three intervals."""
        if self._interval is None or _time() - self._answered_at > default_stale_after(
            self._interval
        ):
            return None
        return self._answer

    def set_interval(self, seconds: float | None) -> None:
        """Asks this often from now on, None for not at all, which forgets the answer.

        The time of the next question stays, unless it would be later than the new interval allows.
        """
        if seconds is None:
            self._answer = self._asked_at = self._reason = self.last_success = None
            self._failures = 0
        self._interval = seconds
        self._changed.set()

    @property
    def is_failing(self) -> bool:
        """Whether the last request failed."""
        return self._failures > 0

    def run_now(self) -> None:
        """Asks at once, whenever it would be due."""
        self._asked_at = None
        self._changed.set()

    async def run(self) -> None:
        """Asks until it is cancelled."""
        while True:
            self._changed.clear()
            try:
                async with asyncio.timeout(self._seconds_to_next()):
                    await self._changed.wait()
            except TimeoutError:
                await self.once()

    async def once(self) -> PollError | None:
        """Asks once; gives the error if that failed."""
        self._asked_at = _time()
        try:
            answer = await self._ask()
            await self._take(answer)
        except PollError as error:
            return self._failed(error)
        except Exception as error:  # noqa: BLE001 - one bug must not end the asking
            _log.exception("asking for %s met a bug", self.subject)
            return self._failed(BadResponseError(f"met a bug: {type(error).__name__}"))
        if self._interval is None:
            return None  # nobody wants to know any more
        if self._reason is not None:
            _log.info("asking for %s succeeds again", self.subject)
        self._answer, self._answered_at, self.last_success = answer, _time(), self._now()
        self._failures, self._reason = 0, None
        return None

    def _failed(self, error: PollError) -> PollError:
        level = logging.DEBUG if self._reason == error.reason else logging.WARNING
        extra = {"reason": error.reason}
        _log.log(level, "asking for %s failed: %s", self.subject, error, extra=extra)
        self._failures += 1
        self._reason = error.reason
        return error

    def _seconds_to_next(self) -> float | None:
        if self._interval is None:
            return None
        if self._asked_at is None:
            return 0.0
        return max(0.0, self._asked_at + self._pause(self._interval) - _time())

    def _pause(self, interval: float) -> float:
        if not self._failures:
            return interval
        backoff = float(FIRST_RETRY_SECONDS * 2 ** min(self._failures - 1, 20))
        refused = self._reason in _BACKED_OFF
        return min(backoff, max(interval, MAX_BACKOFF_SECONDS) if refused else interval)


def _time() -> float:
    return asyncio.get_running_loop().time()
