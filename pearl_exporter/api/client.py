"""The client of the NLPearl API: one for each token. See the package's text for a request's way.

All its requests only read, so they are safe to send again.
"""

import asyncio
import logging
from collections.abc import Callable, Hashable, Mapping
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
from pearl_exporter.api.retry import retry
from pearl_exporter.api.session import Session
from pearl_exporter.api.token_breaker import BreakerState, TokenBreaker
from pearl_exporter.api.token_file import Token
from pearl_exporter.config import ApiSettings
from pearl_exporter.errors import (
    ApiError,
    RateLimitedError,
    RequestTimeoutError,
    TokenBlockedError,
)
from pearl_exporter.reading.search import Page, Search

_LOG_INTERVAL_SECONDS = 60.0
"""At most this often the log says that requests fail and are sent again."""

LARGE_BODY_BYTES = 512 * 1024
"""No usual page is so large. One that is is decoded in a thread, so that scrapes need not wait."""

_log = logging.getLogger(__name__)

Answer = TypeVar("Answer")


class _Request(NamedTuple, Generic[Answer]):
    """One request and how its answer is decoded.

    Attributes:
        path: What comes after ``api.url``.
        body: What is posted; None for a GET.
        decode: Turns the body of the answer into what is returned.
        outbound_id: The outbound that it is about; None if it is about the account.
        on_sent: Called each time that the request has got its slot.
        is_repeated: Whether it was answered before, so that its answer is no progress.
    """

    path: str
    body: bytes | None
    decode: Callable[[bytes], Answer]
    outbound_id: str | None
    on_sent: Callable[[], None]
    is_repeated: bool = False

    @property
    def key(self) -> Hashable:
        """Whose slots it takes: an outbound's, or its own, by a key that is no outbound's id."""
        return (self.path,) if self.outbound_id is None else self.outbound_id

    @property
    def log_fields(self) -> dict[str, str]:
        """What the log says it is about."""
        return {"asked": self.path if self.outbound_id is None else self.outbound_id}


class ApiObserver(WireObserver, Protocol):
    """Hears of requests: the exporter's own metrics."""

    def retried(self) -> None:
        """A request is about to be sent again."""


class PearlClient:
    """The API as seen with one token; its outbounds share the connections and the limiter.

    Attributes:
        limiter: How fast the token may send.
        token: The token itself.
        demand: How many requests its outbounds need.
        trouble: What has failed since the last good answer and may fail for all outbounds of the
            token; None if nothing has.
    """

    def __init__(  # noqa: PLR0913 - its parts are given to it, by keyword
        self,
        settings: ApiSettings,
        token: Token,
        *,
        observer: ApiObserver,
        api_clock: ApiClock,
        clock: Clock,
        on_wait: Callable[[float], None] = lambda _: None,
        transport: Transport | None = None,
        large_body_bytes: int = LARGE_BODY_BYTES,
    ) -> None:
        """Build a client, and connect nothing.

        Args:
            settings: The section ``api`` of the configuration.
            token: The token that all requests carry.
            observer: Hears of each request.
            api_clock: Learns the API's time from the answers.
            clock: This machine's clocks.
            on_wait: Called with the seconds that each request waited for its slot.
            transport: What carries requests instead of the network.
            large_body_bytes: From here on a body is decoded in a thread.
        """
        self.limiter = Limiter(settings.rate_limit, settings.concurrency, on_wait=on_wait)
        self.token = token
        self.demand = Demand()
        self.trouble: ApiError | None = None
        self._breaker = TokenBreaker()
        self._settings = settings
        self._observer = observer
        self._clock = clock
        self._large_body_bytes = large_body_bytes
        self._no_log_until = 0.0
        self._wire = Wire(
            settings,
            token,
            observer=observer,
            api_clock=api_clock,
            clock=clock,
            transport=transport,
        )

    # --- requests

    def session(self, outbound_id: str, deadline: Deadline) -> Session:
        """Return the session of one poll, to be used by ``async with``.

        Args:
            outbound_id: The outbound that is polled.
            deadline: How long the poll goes on without a good answer to a new question.
        """
        answered: set[int] = set()  # hashes: a first read may make ten thousand searches

        async def send(search: Search, on_sent: Callable[[], None]) -> Page:
            request = _search_request(outbound_id, search, on_sent)
            key = hash(search)
            page = await self._send(request._replace(is_repeated=key in answered), deadline)
            answered.add(key)
            return page

        return Session(
            outbound_id, send, breaker=self._breaker, token=self.token, clock=self._clock
        )

    async def search(self, outbound_id: str, search: Search, deadline: Deadline) -> Page:
        """Return one page of an outbound's calls, outside of any poll.

        Raises:
            ApiError: The last attempt's error, once no retry may help or the deadline has passed.
        """
        return await self._send(_search_request(outbound_id, search, _ignore), deadline)

    async def listing(self, deadline: Deadline) -> Listing:
        """Return the platform's list of outbounds; raise `ApiError` as `search` does."""
        return await self._send(_get("/v1/Outbound", decode_listing), deadline)

    async def account(self, deadline: Deadline) -> Account:
        """Return how the token's account stands; raise `ApiError` as `search` does."""
        return await self._send(_get("/v1/Account", decode_account), deadline)

    # --- what pollers and pages want to know

    @property
    def budget(self) -> Budget:
        """What may be sent with the token right now."""
        return Budget(
            rate=self.limiter.rate,
            configured_rate=self.limiter.configured_rate,
            waiting=self.limiter.waiting,
            is_refused=self._breaker.is_token_refused,
            trouble=None if self.trouble is None else str(self.trouble),
        )

    def next_allowed_at(self, outbound_id: str) -> float:
        """Return the monotonic second from which an outbound may be polled.

        A token that has changed since it was refused may be tried at once. It is infinity while
        another outbound probes a refused token.
        """
        self._breaker.use(self.token.current())
        return self._breaker.next_allowed_at(outbound_id)

    def breaker_state(self, outbound_id: str) -> BreakerState:
        """Return what refusals mean for an outbound right now, to be shown."""
        return self._breaker.state(outbound_id)

    def record_demand(self, outbound_id: str, requests: int) -> None:
        """Note how many requests a poll took; log if the token's polls need too many."""
        self.demand.polled(outbound_id, requests)
        self.log_excess_demand()

    def log_excess_demand(self) -> None:
        """Warn, once for each configuration, if polls need more requests than are allowed."""
        allowed = self.limiter.configured_rate
        if self.demand.should_log(allowed):
            _log.warning(
                "api.rate_limit is too low, polls come late: make poll.interval longer, or raise "
                "api.rate_limit if your account allows it",
                extra={
                    "needed_per_second": round(self.demand.needed, 1),
                    "allowed_per_second": allowed,
                    "is_lower_bound": not self.demand.is_known,
                },
            )

    # --- what the configuration changes

    def share_among(self, intervals: Mapping[str, float]) -> None:
        """Set which outbounds are polled with the token, and their intervals in seconds."""
        self._breaker.share_among(intervals)
        self.demand.share_among(intervals)

    def resume_from(self, old: "PearlClient") -> None:
        """Continue the limits that the API asked an older client of the same token to keep."""
        self.limiter.resume_from(old.limiter)
        self.demand.resume_from(old.demand)

    def forget(self, outbound_id: str) -> None:
        """Drop what is remembered of an outbound that is no longer polled with the token."""
        self.limiter.forget(outbound_id)
        self._wire.forget(_path(outbound_id))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._wire.aclose()

    # --- the way of a request

    async def _send(self, request: _Request[Answer], deadline: Deadline) -> Answer:
        def on_retry(error: ApiError, pause_seconds: float) -> None:
            self._observer.retried()
            _log.debug(
                "sending a request again",
                extra={**request.log_fields, "error": str(error), "pause_seconds": pause_seconds},
            )

        return await retry(partial(self._send_once, request, deadline), deadline, on_retry)

    async def _send_once(self, request: _Request[Answer], deadline: Deadline) -> Answer:
        began = now()
        try:
            async with self.limiter.slot(request.key, deadline.remaining):
                # While it waited, the token may have been refused to others, ...
                if not self._may_send(request.outbound_id):
                    raise TokenBlockedError("not sent: the API refuses the token")
                # ... and answers to others have moved the queue: that time does not count.
                deadline.extend(max(0.0, self.limiter.progress_at - began))
                if not deadline.remaining:
                    raise LimiterTimeoutError  # noqa: TRY301 - too late for a request
                request.on_sent()
                return await self._send_in_slot(request, deadline)
        except LimiterTimeoutError:
            raise self._no_slot_error() from None

    def _may_send(self, outbound_id: str | None) -> bool:
        if outbound_id is None:
            return not self._breaker.is_token_refused
        return self._breaker.may_send(outbound_id)

    async def _send_in_slot(self, request: _Request[Answer], deadline: Deadline) -> Answer:
        sent = now()
        try:
            seconds = min(self._settings.timeout, deadline.remaining)
            body = await self._wire.send(request.path, request.body, seconds)
            if len(body) < self._large_body_bytes:
                answer = request.decode(body)
            else:
                answer = await asyncio.to_thread(request.decode, body)
        except ApiError as error:
            self._note_failure(request, sent, error)
            raise
        self.trouble = None
        self.limiter.succeeded()
        if not request.is_repeated:
            deadline.reset()
        return answer

    def _note_failure(self, request: _Request[Any], sent: float, error: ApiError) -> None:
        """Slow all outbounds down if the API asks for it; remember what may fail for all."""
        if not error.retry:
            self.limiter.answered()
            return
        if self.trouble is None and now() >= self._no_log_until:
            self._no_log_until = now() + _LOG_INTERVAL_SECONDS
            _log.info(
                "a request failed, retrying until poll.give_up",
                extra={**request.log_fields, "error": str(error)},
            )
        # A copy, for its traceback would keep frames alive that hold the answer's bytes.
        self.trouble = type(error)(str(error))
        if isinstance(error, RateLimitedError):
            self.limiter.slow_down(sent)
        if error.retry_after is not None:
            self.limiter.pause(error.retry_after)

    def _no_slot_error(self) -> ApiError:
        """Return why there was no slot in time: what fails for all outbounds, or a pause."""
        pause = self.limiter.paused_for
        why = f"the API asked to pause, {pause:.0f} s are left" if pause else "no slot in time"
        if self.trouble is not None:
            return type(self.trouble)(f"{self.trouble} ({why})")
        if pause:
            return RateLimitedError(why)
        return RequestTimeoutError(
            f"{why}: earlier requests are unanswered, or api.rate_limit is low"
        )


def _ignore() -> None:
    return


def _search_request(
    outbound_id: str, search: Search, on_sent: Callable[[], None]
) -> _Request[Page]:
    path, body = _path(outbound_id), _search_body(search)
    return _Request(path, body, decode_page, outbound_id, on_sent)


def _get(path: str, decode: Callable[[bytes], Answer]) -> _Request[Answer]:
    return _Request(path, None, decode, None, _ignore)


def _path(outbound_id: str) -> str:
    return f"/v1/Outbound/{quote(outbound_id, safe='')}/Calls"


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
