"""The NLPearl API: one client for each token. The only file that knows httpx.

`PearlClient.search` sends one search of past calls as often as it takes, in its fair turn, and
gives a typed page or an `ApiError` whose class says why not; `listing` and `account` read what the
platform says of itself in the same way. All three only read, so they are safe to send again.
Redirects are not followed (they would carry the token elsewhere), bodies are capped and never
logged, stored or quoted: an error text may hold a customer's phone number.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from functools import partial
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, cast
from urllib.parse import quote

import httpx
import msgspec
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_exponential_jitter

from pearl_exporter import __version__
from pearl_exporter.bodies import Body
from pearl_exporter.budget import Budget, Demand
from pearl_exporter.clock import ApiClock, Clock, parse_http_date
from pearl_exporter.config import ApiSettings, TokenSource
from pearl_exporter.config.files import file_stamp
from pearl_exporter.decode import decode_page, format_instant
from pearl_exporter.errors import (
    CHECK_ITS_FORM,
    ApiError,
    AuthError,
    BadRequestError,
    BadResponseError,
    ConnectionFailedError,
    NotFoundError,
    RateLimitedError,
    RequestTimeoutError,
    ServerError,
    WithheldError,
)
from pearl_exporter.limiter import Limiter, NoTurnError
from pearl_exporter.listing import Account, Listing, decode_account, decode_listing
from pearl_exporter.network import AsyncioBackend
from pearl_exporter.refusals import Refusals
from pearl_exporter.sync import Page, Search
from pearl_exporter.unreached import why_unreached

_SKIP_BYTES = 64 * 1024
_SKIP_SECONDS = 1.0
"""Up to here an error's body is read to keep its connection; what is longer costs more."""

_LARGE_BODY_BYTES = 512 * 1024
"""No usual page is so large: it is decoded in a thread, lest scrapes wait for seconds."""

KEEPALIVE_SECONDS = 300.0
"""Longer than the usual interval, so that a poll need not connect anew."""

_FIRST_BACKOFF_SECONDS = 1.0
_LONGEST_BACKOFF_SECONDS = 16.0

_HEADERS = (
    ("User-Agent", f"pearl-exporter/{__version__}"),
    ("Accept", "application/json, */*"),
    ("Accept-Encoding", "gzip, deflate"),
    ("Content-Type", "application/json"),
)

_log = logging.getLogger(__name__)

Answer = TypeVar("Answer")
Raised = TypeVar("Raised", bound=BaseException)


class _Question(NamedTuple, Generic[Answer]):
    """One request and how its answer is read. ``body`` None makes it a GET.

    ``key`` is whose turn it takes; no outbound's id has a slash.
    """

    key: str
    url: httpx.URL
    body: bytes | None
    decode: Callable[[bytes], Answer]


class ApiObserver(Protocol):
    """Who wants to know what is asked of the API: the exporter's own metrics."""

    def requested(self, code: str, seconds: float) -> None:
        """One request ended with this HTTP status, or ``none`` where no answer came."""

    def retried(self) -> None:
        """A request is about to be sent again."""


class Patience:
    """How long a poll goes on without a good page, in the event loop's seconds."""

    def __init__(self, give_up_seconds: float, *, is_insistent: bool = True) -> None:
        self.give_up_seconds = give_up_seconds
        self.is_insistent = is_insistent
        """Whether to ask again after a failure; if not, then after a 429 alone."""
        self.first_turn_at: float | None = None
        """When the poll's first request was sent."""
        self._ends_at = 0.0
        self.renew()

    def renew(self) -> None:
        """A good page came."""
        self._ends_at = _now() + self.give_up_seconds

    def excuse(self, seconds: float) -> None:
        """Time spent behind others in a queue that moves is nobody's failure."""
        self._ends_at += seconds

    @property
    def remaining(self) -> float:
        """Seconds left."""
        return max(0.0, self._ends_at - _now())


class Token:
    """The bearer token of one source, read anew when its file changes."""

    def __init__(self, source: TokenSource) -> None:
        self._source = source
        self._stamp = self._file_stamp()
        self._value = source.read()
        self._told: str | None = None

    def current(self) -> str:
        """The token as it is now; while its file can't be read, the last good one."""
        stamp = self._file_stamp()
        if stamp != self._stamp:
            try:
                self._value = self._source.read()
                self._stamp, self._told = stamp, None
            except ValueError as error:
                self._tell(str(error))
        return self._value

    def read_anew(self) -> str:
        """The token, read also where its file looks unchanged: it was refused, so who knows."""
        self._stamp = object()
        return self.current()

    def _tell(self, fault: str) -> None:
        """Warns of a fault once, not at every request for as long as it lasts."""
        if fault != self._told:
            self._told = fault
            _log.warning(
                "the token file can't be used, going on with the token read before: %s",
                fault,
                extra={"token_file": str(self._source.file)},
            )

    def _file_stamp(self) -> object:
        return None if self._source.file is None else file_stamp(self._source.file)


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
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.limiter = Limiter(settings.rate_limit, settings.concurrency, on_wait=on_wait)
        self.token = token
        self.refusals = Refusals()
        self.demand = Demand()
        self._settings = settings
        self._observer = observer
        self._api_clock = api_clock
        self._clock = clock
        self._common_failure: tuple[type[ApiError], str] | None = None
        self._transport = transport or _network(settings)
        self._urls: dict[str, httpx.URL] = {}
        self._cached_headers = httpx.Headers()
        self._token_of_headers: str | None = None

    @property
    def budget(self) -> Budget:
        """What is allowed with the token right now."""
        return Budget(
            rate=self.limiter.rate,
            ceiling=self.limiter.ceiling,
            waiting=self.limiter.waiting,
            is_refused=self.refusals.is_token_refused,
        )

    def forget(self, outbound_id: str) -> None:
        """Drops what is remembered of an outbound that is polled no more with the token."""
        self.limiter.forget(outbound_id)
        self._urls.pop(outbound_id, None)

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._transport.aclose()

    async def search(self, outbound_id: str, search: Search, patience: Patience) -> Page:
        """One page of an outbound's calls; raises `ApiError` when patience or hope ran out."""
        url, body = self._url(outbound_id), _search_body(search)
        return await self._ask(_Question(outbound_id, url, body, decode_page), patience)

    async def listing(self, patience: Patience) -> Listing:
        """The platform's list of outbounds; raises `ApiError` as `search` does."""
        return await self._ask(self._get("/v1/Outbound", decode_listing), patience)

    async def account(self, patience: Patience) -> Account:
        """How the token's account stands; raises `ApiError` as `search` does."""
        return await self._ask(self._get("/v1/Account", decode_account), patience)

    def _get(self, path: str, decode: Callable[[bytes], Answer]) -> _Question[Answer]:
        url = httpx.URL(f"{self._settings.url.rstrip('/')}{path}")
        return _Question(path, url, None, decode)

    async def _ask(self, question: _Question[Answer], patience: Patience) -> Answer:
        try:
            return await self._ask_once(question, patience)
        except ApiError as error:
            if not _may_help(patience, error):
                raise
            return await self._ask_again(question, patience, error)

    async def _ask_again(
        self, question: _Question[Answer], patience: Patience, failure: ApiError
    ) -> Answer:
        """What comes of it when it is asked again after its first failure.

        No frame here names a failure, and each leaves its frames behind: tenacity keeps it, and
        with it an answer's bytes would be kept until the collector finds the circle.
        """
        failures = [failure]
        del failure

        async def ask_once(_key: str) -> Answer | None:
            if failures:
                raise failures.pop()
            return await self._ask_once(question, patience)

        def give_up(state: RetryCallState) -> None:
            failed = state.outcome.exception() if state.outcome else None
            assert isinstance(failed, ApiError)  # noqa: S101 - nothing else is asked again
            failures.append(_alone(failed))

        retrying = AsyncRetrying(
            retry=retry_if_exception(partial(_may_help, patience)),
            wait=wait_exponential_jitter(
                _FIRST_BACKOFF_SECONDS, _LONGEST_BACKOFF_SECONDS, jitter=_FIRST_BACKOFF_SECONDS
            ),
            stop=lambda state: state.upcoming_sleep >= patience.remaining,
            before_sleep=self._note_retry,
            sleep=asyncio.sleep,
            retry_error_callback=give_up,
        )
        answer: Answer | None = await retrying(ask_once, question.key)
        if failures:
            raise failures.pop()
        return cast("Answer", answer)

    def _note_retry(self, state: RetryCallState) -> None:
        self._observer.retried()
        error = state.outcome.exception() if state.outcome else None
        _log.debug(
            "asking again in %.1f s: %s",
            state.upcoming_sleep,
            error,
            extra={"outbound_id": state.args[0], "attempt": state.attempt_number},
        )
        if error is not None:
            _alone(error)

    async def _ask_once(self, question: _Question[Answer], patience: Patience) -> Answer:
        began = _now()
        try:
            async with self.limiter.turn(question.key, patience.remaining):
                if not self.refusals.admits(question.key):
                    raise WithheldError("not asked: the API refuses the token")
                patience.excuse(max(0.0, self.limiter.progress_at - began))
                if not patience.remaining:
                    raise NoTurnError  # noqa: TRY301 - too late for a request
                if patience.first_turn_at is None:
                    patience.first_turn_at = _now()
                return await self._ask_in_turn(question, patience)
        except NoTurnError:
            raise self._no_turn() from None

    async def _ask_in_turn(self, question: _Question[Answer], patience: Patience) -> Answer:
        sent = _now()
        try:
            seconds = min(self._settings.timeout, patience.remaining)
            body = await self._send(question.url, question.body, seconds)
            if len(body) < _LARGE_BODY_BYTES:
                answer = question.decode(body)
            else:
                answer = await asyncio.to_thread(question.decode, body)
        except ApiError as error:
            self._note_failure(sent, error)
            raise
        self._common_failure = None
        self.limiter.succeeded()
        patience.renew()
        return answer

    def _url(self, outbound_id: str) -> httpx.URL:
        url = self._urls.get(outbound_id)
        if url is None:
            base = self._settings.url.rstrip("/")
            url = httpx.URL(f"{base}/v1/Outbound/{quote(outbound_id, safe='')}/Calls")
            self._urls[outbound_id] = url
        return url

    def _note_failure(self, sent: float, error: ApiError) -> None:
        """Slows all outbounds down, if the API asks for it, and remembers what may fail for all."""
        if not error.retry:
            self.limiter.answered()
            return
        if self._common_failure is None:
            _log.info("a request failed, asking again until poll.give_up: %s", error)
        self._common_failure = (type(error), str(error))
        if isinstance(error, RateLimitedError):
            self.limiter.slow_down(sent)
        if isinstance(error, RateLimitedError | ServerError) and error.retry_after is not None:
            self.limiter.pause(error.retry_after)

    def _no_turn(self) -> ApiError:
        """Why there was no turn in time: what fails for everybody, or a pause."""
        pause = self.limiter.paused_for
        why = f"the API asked to pause; {pause:.0f} s are left of it" if pause else "no turn came"
        if self._common_failure is not None:
            kind, said = self._common_failure
            return kind(f"{said} ({why})")
        if pause:
            return RateLimitedError(why)
        return RequestTimeoutError(
            f"{why}: requests before it are unanswered, or api.rate_limit is low"
        )

    async def _send(self, url: httpx.URL, body: bytes | None, timeout_seconds: float) -> bytes:
        """Sends one request, gives the body of a 200; every failure is an `ApiError`."""
        request = httpx.Request(
            "GET" if body is None else "POST",
            url,
            headers=self._headers(url),
            # as content it would be looked through once more
            stream=httpx.ByteStream(body or b""),
            extensions={"timeout": httpx.Timeout(timeout_seconds).as_dict()},
        )
        if body is not None:
            request.headers["Content-Length"] = str(len(body))
        sent = self._clock.monotonic()
        code = "none"
        try:
            async with (
                self._as_api_errors(timeout_seconds, url),
                asyncio.timeout(timeout_seconds),
                aclosing(await self._transport.handle_async_request(request)) as response,
            ):
                code = str(response.status_code)
                self._api_clock.observe(response.headers.get("date", ""), self._clock.monotonic())
                if response.status_code == httpx.codes.OK:
                    return await _read_capped(response)
                await _skip_body(response)
        finally:
            self._observer.requested(code, self._clock.monotonic() - sent)
        raise self._error_of(response, is_search=body is not None)

    @asynccontextmanager
    async def _as_api_errors(self, timeout_seconds: float, url: httpx.URL) -> AsyncIterator[None]:
        """The one place where httpx' errors become ours."""
        try:
            yield
        except (TimeoutError, httpx.TimeoutException) as error:
            raise RequestTimeoutError(f"no whole answer within {timeout_seconds:.3g} s") from error
        except (httpx.HTTPError, OSError) as error:
            raise ConnectionFailedError(self._why(error, url)) from error

    def _why(self, error: BaseException, url: httpx.URL) -> str:
        host = url.netloc.decode("ascii")  # without a user's name
        why = None
        if isinstance(error, httpx.ConnectError):
            why = why_unreached(error, host, has_proxy=self._settings.proxy is not None)
        return why or f"no connection to {host}, or a broken one: {_cause(error)}"

    def _headers(self, url: httpx.URL) -> httpx.Headers:
        """Made anew only for another token: checking them costs as much as sending them."""
        token = self.token.current()
        if token != self._token_of_headers:
            host = url.netloc.decode("ascii")
            bearer = ("Authorization", f"Bearer {token}")
            self._cached_headers = httpx.Headers([("Host", host), *_HEADERS, bearer])
            self._token_of_headers = token
        return self._cached_headers

    def _error_of(self, response: httpx.Response, *, is_search: bool) -> ApiError:
        """What an answer that isn't 200 means; its own words are left out, even of its head."""
        status = response.status_code
        said = f"the API answered {status} {httpx.codes.get_reason_phrase(status)}".rstrip()
        if status in (401, 403):
            return AuthError(f"{said}: {CHECK_ITS_FORM}")
        if status == httpx.codes.NOT_FOUND:
            what = "the outbound's id right, and api.url" if is_search else "api.url right"
            return NotFoundError(f"{said}: is {what}?")
        if status == httpx.codes.TOO_MANY_REQUESTS:
            return RateLimitedError(said, self._retry_after(response))
        if status >= 500:  # noqa: PLR2004 - RFC 9110, section 15.6
            return ServerError(said, self._retry_after(response))
        if status >= 400:  # noqa: PLR2004 - RFC 9110, section 15.5
            what = ": is the outbound's id right, and is api.page_size allowed?"
            return BadRequestError(f"{said}{what if is_search else ''}")
        return BadResponseError(f"{said}, which is no answer (redirects aren't followed)")

    def _retry_after(self, response: httpx.Response) -> float | None:
        """Seconds to wait by ``Retry-After`` in either form (RFC 9110, section 10.2.3), or None."""
        value = response.headers.get("retry-after", "").strip()
        if value.isascii() and value.isdigit():
            return float(value)
        until = parse_http_date(value)
        if until is None:
            return None
        # against the answer's own clock: ours may be off
        since = parse_http_date(response.headers.get("date", ""))
        return max(0.0, until - (self._api_clock.now() / 1000 if since is None else since))


def _network(settings: ApiSettings) -> httpx.AsyncHTTPTransport:
    """Httpx without its client on top, which costs a fifth of a request's time.

    Of what that one adds nothing is wanted: cookies, redirects, credentials from ``.netrc`` and
    proxies from the environment.
    """
    context = httpx.create_ssl_context(trust_env=False)
    if settings.ca_file is not None:
        context.load_verify_locations(cafile=settings.ca_file)
    transport = httpx.AsyncHTTPTransport(
        verify=context,
        proxy=settings.proxy.get_secret_value() if settings.proxy is not None else None,
        trust_env=False,
        limits=httpx.Limits(
            max_connections=settings.concurrency,
            max_keepalive_connections=settings.concurrency,
            keepalive_expiry=KEEPALIVE_SECONDS,
        ),
    )
    # httpx has no public way to name a backend, httpcore has
    transport._pool._network_backend = AsyncioBackend()  # noqa: SLF001
    return transport


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


async def _read_capped(response: httpx.Response) -> bytes:
    body = Body(response.headers.get("content-encoding", ""))
    async for piece in response.aiter_raw():
        body.take(piece)
    return body.whole()


async def _skip_body(response: httpx.Response) -> None:
    """Reads an error's body unseen, if it is short, so that the connection can be used again."""
    skipped = 0
    with suppress(TimeoutError, httpx.HTTPError):
        async with asyncio.timeout(_SKIP_SECONDS):
            async for chunk in response.aiter_raw():
                skipped += len(chunk)
                if skipped > _SKIP_BYTES:
                    return


def _cause(error: BaseException) -> str:
    """What a connection error says; it names hosts and system errors, never what was sent."""
    # what a broken answer's error says is a part of that answer, and so is what a proxy's does
    is_quoted = isinstance(error, httpx.ProtocolError | httpx.ProxyError)
    text = "" if is_quoted else str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _alone(error: Raised) -> Raised:
    """The error without its traceback and cause, and so without the frames that these name."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def _may_help(patience: Patience, error: BaseException) -> bool:
    if not patience.is_insistent:
        return isinstance(error, RateLimitedError)
    return isinstance(error, ApiError) and error.retry


def _now() -> float:
    return asyncio.get_running_loop().time()
