"""The NLPearl API: one client for each token. The only file that knows httpx.

`PearlClient.search` sends one search of past calls as often as it takes, in its fair turn, and
gives a typed page or an `ApiError` whose class says why not. The search only reads, so it is safe
to send again. Redirects are not followed (they would carry the token elsewhere), bodies are capped
and never logged, stored or quoted: an error text may hold a customer's phone number.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from functools import partial
from typing import Any, Protocol
from urllib.parse import quote

import httpx
import msgspec
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_exponential_jitter

from pearl_exporter import __version__
from pearl_exporter.clock import ApiClock, Clock, parse_http_date
from pearl_exporter.config import ApiSettings, TokenSource
from pearl_exporter.decode import decode_page, format_instant
from pearl_exporter.errors import (
    ApiError,
    AuthError,
    BadRequestError,
    BadResponseError,
    ConnectionFailedError,
    NotFoundError,
    RateLimitedError,
    RequestTimeoutError,
    ServerError,
)
from pearl_exporter.limiter import Limiter, NoTurnError
from pearl_exporter.network import AsyncioBackend
from pearl_exporter.sync import Page, Search

MAX_BODY_BYTES = 32 * 1024 * 1024
"""No page is this large: what is larger is no answer of the calls search."""

_SKIP_BYTES = 64 * 1024
_SKIP_SECONDS = 1.0
"""Up to here an error's body is read to keep its connection; what is longer costs more."""

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
        if self._source.file is None:
            return None
        try:
            stat = self._source.file.stat()
        except OSError:
            return None
        return (stat.st_mtime_ns, stat.st_size, stat.st_ino)


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
        self._settings = settings
        self._observer = observer
        self._api_clock = api_clock
        self._clock = clock
        self._common_failure: tuple[type[ApiError], str] | None = None
        self._transport = transport or _network(settings)
        self._urls: dict[str, httpx.URL] = {}
        self._cached_headers = httpx.Headers()
        self._token_of_headers: str | None = None

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._transport.aclose()

    async def search(self, outbound_id: str, search: Search, patience: Patience) -> Page:
        """One page of an outbound's calls; raises `ApiError` when patience or hope ran out."""
        try:
            return await self._search_once(outbound_id, search, patience)
        except ApiError as error:
            if not _may_help(patience, error):
                raise
            return await self._search_again(outbound_id, search, patience, error)

    async def _search_again(
        self, outbound_id: str, search: Search, patience: Patience, failure: ApiError
    ) -> Page:
        """What comes of it when it is asked again after its first failure."""
        first = iter([failure])

        async def search_once(outbound_id: str) -> Page:
            for error in first:
                raise error
            return await self._search_once(outbound_id, search, patience)

        retrying = AsyncRetrying(
            retry=retry_if_exception(partial(_may_help, patience)),
            wait=wait_exponential_jitter(
                _FIRST_BACKOFF_SECONDS, _LONGEST_BACKOFF_SECONDS, jitter=_FIRST_BACKOFF_SECONDS
            ),
            stop=lambda state: state.upcoming_sleep >= patience.remaining,
            before_sleep=self._note_retry,
            sleep=asyncio.sleep,
            reraise=True,
        )
        page: Page = await retrying(search_once, outbound_id)
        return page

    def _note_retry(self, state: RetryCallState) -> None:
        self._observer.retried()
        error = state.outcome.exception() if state.outcome else None
        _log.debug(
            "asking again in %.1f s: %s",
            state.upcoming_sleep,
            error,
            extra={"outbound_id": state.args[0], "attempt": state.attempt_number},
        )

    async def _search_once(self, outbound_id: str, search: Search, patience: Patience) -> Page:
        began = _now()
        try:
            async with self.limiter.turn(outbound_id, patience.remaining):
                patience.excuse(max(0.0, self.limiter.progress_at - began))
                if not patience.remaining:
                    raise NoTurnError  # noqa: TRY301 - too late for a request
                if patience.first_turn_at is None:
                    patience.first_turn_at = _now()
                return await self._search_in_turn(outbound_id, search, patience)
        except NoTurnError:
            raise self._no_turn() from None

    async def _search_in_turn(self, outbound_id: str, search: Search, patience: Patience) -> Page:
        sent = _now()
        try:
            body = await self._post(
                self._url(outbound_id),
                _search_body(search),
                min(self._settings.timeout, patience.remaining),
            )
            page = decode_page(body)
        except ApiError as error:
            self._note_failure(sent, error)
            raise
        self._common_failure = None
        self.limiter.succeeded()
        patience.renew()
        return page

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

    async def _post(self, url: httpx.URL, body: bytes, timeout_seconds: float) -> bytes:
        """Sends one request, gives the body of a 200; every failure is an `ApiError`."""
        request = httpx.Request(
            "POST",
            url,
            headers=self._headers(url),
            stream=httpx.ByteStream(body),  # as content it would be looked through once more
            extensions={"timeout": httpx.Timeout(timeout_seconds).as_dict()},
        )
        request.headers["Content-Length"] = str(len(body))
        sent = self._clock.monotonic()
        code = "none"
        try:
            async with (
                _as_api_errors(timeout_seconds),
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
        raise self._error_of(response)

    def _headers(self, url: httpx.URL) -> httpx.Headers:
        """Made anew only for another token: checking them costs as much as sending them."""
        token = self.token.current()
        if token != self._token_of_headers:
            host = url.netloc.decode("ascii")
            bearer = ("Authorization", f"Bearer {token}")
            self._cached_headers = httpx.Headers([("Host", host), *_HEADERS, bearer])
            self._token_of_headers = token
        return self._cached_headers

    def _error_of(self, response: httpx.Response) -> ApiError:
        """What an answer that isn't 200 means; its own words are left out, even of its head."""
        status = response.status_code
        said = f"the API answered {status} {httpx.codes.get_reason_phrase(status)}".rstrip()
        if status in (401, 403):
            return AuthError(f"{said}: is the token right, in the form accountId:secretKey?")
        if status == httpx.codes.NOT_FOUND:
            return NotFoundError(f"{said}: is the outbound's id right, and api.url?")
        if status == httpx.codes.TOO_MANY_REQUESTS:
            return RateLimitedError(said, self._retry_after(response))
        if status >= 500:  # noqa: PLR2004 - RFC 9110, section 15.6
            return ServerError(said, self._retry_after(response))
        if status >= 400:  # noqa: PLR2004 - RFC 9110, section 15.5
            return BadRequestError(
                f"{said}: is the outbound's id right, and is api.page_size allowed?"
            )
        return BadResponseError(
            f"{said}, which is no answer of the search (redirects aren't followed)"
        )

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
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise BadResponseError(f"the answer is larger than {MAX_BODY_BYTES >> 20} MiB")
    return bytes(body)


async def _skip_body(response: httpx.Response) -> None:
    """Reads an error's body unseen, if it is short, so that the connection can be used again."""
    skipped = 0
    with suppress(TimeoutError, httpx.HTTPError):
        async with asyncio.timeout(_SKIP_SECONDS):
            async for chunk in response.aiter_raw():
                skipped += len(chunk)
                if skipped > _SKIP_BYTES:
                    return


@asynccontextmanager
async def _as_api_errors(timeout_seconds: float) -> AsyncIterator[None]:
    """The one place where httpx' errors become ours."""
    try:
        yield
    except (TimeoutError, httpx.TimeoutException) as error:
        raise RequestTimeoutError(f"no whole answer within {timeout_seconds:.3g} s") from error
    except httpx.DecodingError as error:
        raise BadResponseError("the answer's content encoding is broken") from error
    except (httpx.HTTPError, OSError) as error:
        raise ConnectionFailedError(f"no connection, or a broken one: {_cause(error)}") from error


def _cause(error: BaseException) -> str:
    """What a connection error says; it names hosts and system errors, never what was sent."""
    # what a broken answer's error says is a part of that answer
    text = "" if isinstance(error, httpx.ProtocolError) else str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _may_help(patience: Patience, error: BaseException) -> bool:
    if not patience.is_insistent:
        return isinstance(error, RateLimitedError)
    return isinstance(error, ApiError) and error.retry


def _now() -> float:
    return asyncio.get_running_loop().time()
