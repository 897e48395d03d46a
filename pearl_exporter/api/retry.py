"""Asking again what has failed, ever less often, until patience runs out."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar, cast

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_exponential_jitter

from pearl_exporter.api.deadline import Deadline
from pearl_exporter.errors import ApiError, RateLimitedError

_FIRST_BACKOFF_SECONDS = 1.0
_MAX_BACKOFF_SECONDS = 16.0

_log = logging.getLogger(__name__)

Answer = TypeVar("Answer")
Raised = TypeVar("Raised", bound=BaseException)


def may_help(deadline: Deadline, error: BaseException) -> bool:
    """Whether there is sense in asking again after a failure."""
    if not deadline.retries:
        return isinstance(error, RateLimitedError)
    return isinstance(error, ApiError) and error.retry


async def ask_again(
    ask: Callable[[], Awaitable[Answer]],
    failure: ApiError,
    *,
    deadline: Deadline,
    key: str,
    on_retry: Callable[[], None],
) -> Answer:
    """What comes of it when it is asked again after its first failure; raises the last one.

    ``key`` is whose question it is, for the log. No frame here names a failure, and each leaves its
    frames behind: tenacity keeps it, and with it an answer's bytes would be kept until the
    collector finds the circle.
    """
    failures = [failure]
    del failure

    async def ask_once() -> Answer | None:
        if failures:
            raise failures.pop()
        return await ask()

    def note_retry(state: RetryCallState) -> None:
        on_retry()
        error = state.outcome.exception() if state.outcome else None
        _log.debug(
            "asking again in %.1f s: %s",
            state.upcoming_sleep,
            error,
            extra={"outbound_id": key, "attempt": state.attempt_number},
        )
        if error is not None:
            _alone(error)

    def give_up(state: RetryCallState) -> None:
        failed = state.outcome.exception() if state.outcome else None
        assert isinstance(failed, ApiError)  # noqa: S101 - nothing else is asked again
        failures.append(_alone(failed))

    retrying = AsyncRetrying(
        retry=retry_if_exception(partial(may_help, deadline)),
        wait=wait_exponential_jitter(
            _FIRST_BACKOFF_SECONDS, _MAX_BACKOFF_SECONDS, jitter=_FIRST_BACKOFF_SECONDS
        ),
        stop=lambda state: state.upcoming_sleep >= deadline.remaining,
        before_sleep=note_retry,
        sleep=asyncio.sleep,
        retry_error_callback=give_up,
    )
    answer: Answer | None = await retrying(ask_once)
    if failures:
        raise failures.pop()
    return cast("Answer", answer)


def _alone(error: Raised) -> Raised:
    """The error without its traceback and cause, and so without the frames that these name."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)
