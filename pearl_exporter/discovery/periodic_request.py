"""One request to the platform at intervals, and what it last answered.

A failure is logged once, keeps the last answer until that is too old, and ends nothing.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from pearl_exporter.api.deadline import now as loop_time
from pearl_exporter.api.token_breaker import MAX_BACKOFF_SECONDS
from pearl_exporter.config.timings import default_stale_after
from pearl_exporter.counting.calls import Instant
from pearl_exporter.errors import BadResponseError, PollError, Reason

Answer = TypeVar("Answer")

FIRST_RETRY_SECONDS = 30.0
"""How soon a failed request is sent again. It doubles with each failure, up to the interval, or
further while the token is refused."""

_BACKED_OFF = (Reason.AUTH, Reason.NOT_FOUND)

_log = logging.getLogger(__name__)


class PeriodicRequest(Generic[Answer]):
    """One request to the platform. Nothing is sent until `set_interval` says how often.

    Attributes:
        subject: What is asked for, for people.
        last_success: When the last good answer came, None before any.
    """

    def __init__(
        self,
        subject: str,
        send: Callable[[bool], Awaitable[Answer]],
        take: Callable[[Answer], Awaitable[None]],
        now: Callable[[], Instant],
    ) -> None:
        """Build a request that is not sent.

        Args:
            subject: What is asked for, for people.
            send: Sends the request; its argument is whether to send it again if it fails. May raise
                `PollError`.
            take: Gets each good answer before anybody else sees it. May raise `PollError`.
            now: Returns the API's time.
        """
        self.subject = subject
        self.last_success: Instant | None = None
        self._send = send
        self._take = take
        self._now = now
        self._interval: float | None = None
        self._changed = asyncio.Event()
        self._sent_at: float | None = None
        self._answered_at = 0.0
        self._answer: Answer | None = None
        self._failures = 0
        self._reason: Reason | None = None

    @property
    def is_on(self) -> bool:
        """Whether it is sent at all."""
        return self._interval is not None

    @property
    def is_up(self) -> bool:
        """Whether the last request succeeded; False before any."""
        return self._reason is None and self.last_success is not None

    @property
    def is_failing(self) -> bool:
        """Whether the last request failed."""
        return self._failures > 0

    @property
    def was_tried(self) -> bool:
        """Whether there was an answer or a failure."""
        return self.is_up or self.is_failing

    @property
    def answer(self) -> Answer | None:
        """The last good answer, None if it is older than 5 minutes and than three intervals."""
        if self._interval is None:
            return None
        is_old = loop_time() - self._answered_at > default_stale_after(self._interval)
        return None if is_old else self._answer

    def set_interval(self, seconds: float | None) -> None:
        """Send the request this often from now on; None stops it and forgets the answer.

        The time of the next request stays, unless it is later than the new interval allows.
        """
        if seconds is None:
            self._answer = self._sent_at = self._reason = self.last_success = None
            self._failures = 0
        self._interval = seconds
        self._changed.set()

    def run_now(self) -> None:
        """Send the request at once, whenever it is due."""
        self._sent_at = None
        self._changed.set()

    async def run(self) -> None:
        """Send the request at its interval until this is cancelled."""
        while True:
            self._changed.clear()
            try:
                async with asyncio.timeout(self._seconds_to_next()):
                    await self._changed.wait()
            except TimeoutError:
                await self.once()

    async def once(self, *, retries: bool = True) -> PollError | None:
        """Send the request once.

        Args:
            retries: Whether a request that fails is sent again.

        Returns:
            Why it failed; None if it succeeded.
        """
        self._sent_at = loop_time()
        try:
            answer = await self._send(retries)
            await self._take(answer)
        except PollError as error:
            return self._failed(error)
        except Exception as bug:  # noqa: BLE001 - a bug must not end the requests
            _log.exception("internal error in a platform request", extra={"subject": self.subject})
            name = type(bug).__name__
            return self._failed(BadResponseError(f"internal error: {name} (traceback in the log)"))
        if self._interval is None:
            return None  # it was stopped while it waited
        if self._reason is not None:
            _log.info("platform request succeeds again", extra={"subject": self.subject})
        self._answer, self._answered_at, self.last_success = answer, loop_time(), self._now()
        self._failures, self._reason = 0, None
        return None

    def _failed(self, error: PollError) -> PollError:
        level = logging.DEBUG if self._reason == error.reason else logging.WARNING
        extra = {"subject": self.subject, "reason": error.reason.value, "error": str(error)}
        _log.log(level, "platform request failed", extra=extra)
        self._failures += 1
        self._reason = error.reason
        return error

    def _seconds_to_next(self) -> float | None:
        if self._interval is None:
            return None
        if self._sent_at is None:
            return 0.0
        return max(0.0, self._sent_at + self._pause(self._interval) - loop_time())

    def _pause(self, interval: float) -> float:
        if not self._failures:
            return interval
        backoff = float(FIRST_RETRY_SECONDS * 2 ** min(self._failures - 1, 20))
        is_refused = self._reason in _BACKED_OFF
        return min(backoff, max(interval, MAX_BACKOFF_SECONDS) if is_refused else interval)
