"""The NLPearl API: one client for each token.

`PearlClient.search` sends one search of past calls as often as it takes, in its fair turn, and
gives a typed page or an `ApiError` whose class says why not; `listing` and `account` read what the
platform says of itself in the same way. All three only read, so they are safe to send again. What
goes over the wire is `wire`'s business.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Generic, NamedTuple, Protocol, TypeVar
from urllib.parse import quote

import msgspec

from pearl_exporter.api.budget import Budget, Demand
from pearl_exporter.api.clock import ApiClock, Clock
from pearl_exporter.api.deadline import Deadline, now
from pearl_exporter.api.decode_calls import decode_page, format_instant
from pearl_exporter.api.decode_platform import Account, Listing, decode_account, decode_listing
from pearl_exporter.api.http import Transport, Wire, WireObserver
from pearl_exporter.api.limiter import Limiter, LimiterTimeoutError
from pearl_exporter.api.retry import ask_again, may_help
from pearl_exporter.api.token_breaker import TokenBreaker
from pearl_exporter.api.token_file import Token
from pearl_exporter.config import ApiSettings
from pearl_exporter.errors import (
    ApiError,
    RateLimitedError,
    RequestTimeoutError,
    ServerError,
    TokenBlockedError,
)
from pearl_exporter.reading.search import Page, Search

_LOG_INTERVAL_SECONDS = 60.0
"""How long the log says nothing more of requests that are asked again."""

_LARGE_BODY_BYTES = 512 * 1024
"""No usual page is so large: it is decoded in a thread, lest scrapes wait for seconds."""

_log = logging.getLogger(__name__)

Answer = TypeVar("Answer")


class _Question(NamedTuple, Generic[Answer]):
    """One request and how its answer is read. ``body`` None makes it a GET.

    ``key`` is whose turn it takes; no outbound's id has a slash.
    """

    key: str
    path: str
    body: bytes | None
    decode: Callable[[bytes], Answer]


class ApiObserver(WireObserver, Protocol):
    """Who wants to know what is asked of the API: the exporter's own metrics."""

    def retried(self) -> None:
        """A request is about to be sent again."""


class PearlClient:
    """The API as seen with one token; its outbounds share the connections and the limiter.

    ``on_wait`` hears how long each request waited for its turn.
    """

    def __init__(  # noqa: PLR0913 - what it joins is given to it, by keyword
        self,
        settings: ApiSettings,
        token: Token,
        *,
        observer: ApiObserver,
        api_clock: ApiClock,
        clock: Clock,
        on_wait: Callable[[float], None] = lambda _: None,
        transport: Transport | None = None,
    ) -> None:
        self.limiter = Limiter(settings.rate_limit, settings.concurrency, on_wait=on_wait)
        self.token = token
        self.breaker = TokenBreaker()
        self.demand = Demand()
        self._settings = settings
        self._observer = observer
        self.trouble: ApiError | None = None
        """What fails for all of the token's outbounds since the last good answer, if anything."""
        self._silent_until = 0.0
        self._wire = Wire(
            settings,
            token,
            observer=observer,
            api_clock=api_clock,
            clock=clock,
            transport=transport,
        )

    @property
    def budget(self) -> Budget:
        """What is allowed with the token right now."""
        return Budget(
            rate=self.limiter.rate,
            configured_rate=self.limiter.configured_rate,
            waiting=self.limiter.waiting,
            is_refused=self.breaker.is_token_refused,
            trouble=None if self.trouble is None else str(self.trouble),
        )

    def forget(self, outbound_id: str) -> None:
        """Drops what is remembered of an outbound that is polled no more with the token."""
        self.limiter.forget(outbound_id)
        self._wire.forget(_path(outbound_id))

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._wire.aclose()

    async def search(self, outbound_id: str, search: Search, deadline: Deadline) -> Page:
        """One page of an outbound's calls; raises `ApiError` when patience or hope ran out."""
        path, body = _path(outbound_id), _search_body(search)
        return await self._ask(_Question(outbound_id, path, body, decode_page), deadline)

    async def listing(self, deadline: Deadline) -> Listing:
        """The platform's list of outbounds; raises `ApiError` as `search` does."""
        return await self._ask(_get("/v1/Outbound", decode_listing), deadline)

    async def account(self, deadline: Deadline) -> Account:
        """How the token's account stands; raises `ApiError` as `search` does."""
        return await self._ask(_get("/v1/Account", decode_account), deadline)

    async def _ask(self, question: _Question[Answer], deadline: Deadline) -> Answer:
        try:
            return await self._ask_once(question, deadline)
        except ApiError as error:
            if not may_help(deadline, error):
                raise
            return await ask_again(
                partial(self._ask_once, question, deadline),
                error,
                deadline=deadline,
                key=question.key,
                on_retry=self._observer.retried,
            )

    async def _ask_once(self, question: _Question[Answer], deadline: Deadline) -> Answer:
        began = now()
        try:
            async with self.limiter.slot(question.key, deadline.remaining):
                if not self.breaker.may_send(question.key):
                    raise TokenBlockedError("not asked: the API refuses the token")
                deadline.extend(max(0.0, self.limiter.progress_at - began))
                if not deadline.remaining:
                    raise LimiterTimeoutError  # noqa: TRY301 - too late for a request
                if deadline.first_sent_at is None:
                    deadline.first_sent_at = now()
                return await self._ask_in_turn(question, deadline)
        except LimiterTimeoutError:
            raise self._no_turn() from None

    async def _ask_in_turn(self, question: _Question[Answer], deadline: Deadline) -> Answer:
        sent = now()
        try:
            seconds = min(self._settings.timeout, deadline.remaining)
            body = await self._wire.send(question.path, question.body, seconds)
            if len(body) < _LARGE_BODY_BYTES:
                answer = question.decode(body)
            else:
                answer = await asyncio.to_thread(question.decode, body)
        except ApiError as error:
            self._note_failure(question.key, sent, error)
            raise
        self.trouble = None
        self.limiter.succeeded()
        deadline.reset()
        return answer

    def _note_failure(self, key: str, sent: float, error: ApiError) -> None:
        """Slows all outbounds down, if the API asks for it, and remembers what may fail for all."""
        if not error.retry:
            self.limiter.answered()
            return
        if self.trouble is None and now() >= self._silent_until:
            self._silent_until = now() + _LOG_INTERVAL_SECONDS
            text = "a request failed, asking again until poll.give_up: %s"
            _log.info(text, error, extra={"asked": key})
        self.trouble = type(error)(str(error))  # without the frames that the error itself names
        if isinstance(error, RateLimitedError):
            self.limiter.slow_down(sent)
        if isinstance(error, RateLimitedError | ServerError) and error.retry_after is not None:
            self.limiter.pause(error.retry_after)

    def _no_turn(self) -> ApiError:
        """Why there was no turn in time: what fails for everybody, or a pause."""
        pause = self.limiter.paused_for
        why = f"the API asked to pause; {pause:.0f} s are left of it" if pause else "no turn came"
        if self.trouble is not None:
            return type(self.trouble)(f"{self.trouble} ({why})")
        if pause:
            return RateLimitedError(why)
        return RequestTimeoutError(
            f"{why}: requests before it are unanswered, or api.rate_limit is low"
        )


def _path(outbound_id: str) -> str:
    return f"/v1/Outbound/{quote(outbound_id, safe='')}/Calls"


def _get(path: str, decode: Callable[[bytes], Answer]) -> _Question[Answer]:
    return _Question(path, path, None, decode)


def _search_body(search: Search) -> bytes:
    body: dict[str, Any] = {
        "fromDate": format_instant(search.start),
        "toDate": format_instant(search.end),
        "skip": search.skip,
        "limit": search.limit,
        "sortProp": "startTime",
        "isAscending": search.ascending,
    }
    if search.statuses:
        body["statuses"] = search.statuses
    return msgspec.json.encode(body)
