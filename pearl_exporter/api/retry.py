"""Sending a request again after a failure, with a growing pause, until a deadline."""

import asyncio
from collections.abc import Awaitable, Callable
from random import uniform
from typing import TypeVar

from pearl_exporter.api.deadline import Deadline
from pearl_exporter.errors import ApiError, RateLimitedError

FIRST_BACKOFF_SECONDS = 1.0
MAX_BACKOFF_SECONDS = 16.0
MAX_JITTER_SECONDS = 1.0
"""Random seconds on top of each pause, so that outbounds that failed together part again."""

Answer = TypeVar("Answer")


async def retry(
    attempt: Callable[[], Awaitable[Answer]],
    deadline: Deadline,
    on_retry: Callable[[ApiError, float], None],
) -> Answer:
    """Retry until success, an error that a retry can't help, or the deadline.

    Args:
        attempt: Sends the request once.
        deadline: No attempt begins after it.
        on_retry: Called with the error and the seconds to wait, before each wait.

    Returns:
        What the first attempt that succeeds returns.

    Raises:
        ApiError: The error of the last attempt.
    """
    backoff = FIRST_BACKOFF_SECONDS
    while True:
        try:
            return await attempt()
        except ApiError as error:
            jitter = uniform(0, MAX_JITTER_SECONDS)  # noqa: S311 - no secret
            pause = min(backoff + jitter, MAX_BACKOFF_SECONDS)
            if not may_help(error, deadline) or pause >= deadline.remaining:
                raise
            on_retry(error, pause)
        # After the except block, not in it: there the error would live on through the pause, and
        # with it the frames of its traceback, which hold the answer's bytes.
        await asyncio.sleep(pause)
        backoff *= 2


def may_help(error: ApiError, deadline: Deadline) -> bool:
    """Return whether a retry may succeed, and is wanted.

    A 429 is retried even by those who want no retries: it says nothing about what was asked.
    """
    return error.retry and (deadline.retries or isinstance(error, RateLimitedError))
