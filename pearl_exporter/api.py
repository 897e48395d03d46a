"""The NLPearl API: one client for each token. The only file that knows httpx.

`PearlClient.search` sends one search of past calls as often as it takes, in its fair turn, and
gives a typed page or an `ApiError` whose class says why not. The search only reads, so it is safe
to send again. Redirects are not followed (they would carry the token elsewhere), bodies are capped
and never logged, stored or quoted: an error text may hold a customer's phone number.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import Any, Protocol
from urllib.parse import quote

import httpx
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_exponential_jitter

from pearl_exporter import __version__
from pearl_exporter.clock import ApiClock, Clock
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
from pearl_exporter.limiter import Limiter
from pearl_exporter.sync import Page, Search

MAX_BODY_BYTES = 32 * 1024 * 1024
"""No page is this large: what is larger is no answer of the calls search."""

KEEPALIVE_SECONDS = 300.0
"""Longer than the usual interval, so that a poll need not connect anew."""

_FIRST_BACKOFF_SECONDS = 1.0
_LONGEST_BACKOFF_SECONDS = 16.0

_log = logging.getLogger(__name__)


class ApiObserver(Protocol):
    """Who wants to know what is asked of the API: the exporter's own metrics."""

    def requested(self, code: str, seconds: float) -> None:
        """One request ended with this HTTP status, or ``none`` where no answer came."""

    def retried(self) -> None:
        """A request is about to be sent again."""


class Patience:
    """How long a poll goes on without a good page, in the event loop's seconds."""

    def __init__(self, give_up_seconds: float) -> None:
        self.give_up_seconds = give_up_seconds
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

    def current(self) -> str:
        """The token as it is now; while its file can't be read, the last good one."""
        stamp = self._file_stamp()
        if stamp != self._stamp:
            try:
                self._value = self._source.read()
                self._stamp = stamp
            except ValueError as error:
                _log.warning(
                    "keeping the last good token: the token file %s",
                    error,
                    extra={"token_file": str(self._source.file)},
                )
        return self._value

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
        self._last_error: ApiError | None = None
        self._http = _http_client(settings, transport)

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def search(self, outbound_id: str, search: Search, patience: Patience) -> Page:
        """One page of an outbound's calls; raises `ApiError` when patience or hope ran out."""
        retrying = AsyncRetrying(
            retry=retry_if_exception(_may_help),
            wait=wait_exponential_jitter(
                _FIRST_BACKOFF_SECONDS, _LONGEST_BACKOFF_SECONDS, jitter=_FIRST_BACKOFF_SECONDS
            ),
            stop=lambda state: state.upcoming_sleep >= patience.remaining,
            before_sleep=self._note_retry,
            sleep=asyncio.sleep,
            reraise=True,
        )
        page: Page = await retrying(self._search_once, outbound_id, search, patience)
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
        async with self._turn(outbound_id, patience):
            sent = _now()
            try:
                body = await self._post(
                    f"/v1/Outbound/{quote(outbound_id, safe='')}/Calls",
                    _search_body(search),
                    min(self._settings.timeout, patience.remaining),
                )
                page = decode_page(body)
            except ApiError as error:
                self._last_error = error
                if isinstance(error, RateLimitedError | ServerError):
                    self._slow_down(sent, error)
                raise
            self._last_error = None
            self.limiter.succeeded()
            patience.renew()
            return page

    def _slow_down(self, sent: float, error: RateLimitedError | ServerError) -> None:
        if isinstance(error, RateLimitedError) or error.retry_after is not None:
            self.limiter.slow_down(sent, error.retry_after)

    @asynccontextmanager
    async def _turn(self, outbound_id: str, patience: Patience) -> AsyncIterator[None]:
        began = _now()
        turn = self.limiter.turn(outbound_id, max(0.001, patience.remaining))
        try:
            waited = await turn.__aenter__()
        except TimeoutError:
            raise self._no_turn() from None
        if patience.first_turn_at is None:
            patience.first_turn_at = _now()
        if self.limiter.progress_at >= began:
            patience.excuse(waited)
        try:
            yield
        finally:
            await turn.__aexit__(None, None, None)

    def _no_turn(self) -> ApiError:
        """Why there was no turn in time: a pause the API asked for, or what fails for everybody."""
        if self.limiter.paused_for > 0 or self._last_error is None:
            return RateLimitedError(
                f"the API asked to pause; {self.limiter.paused_for:.0f} s are left of it"
            )
        return type(self._last_error)(f"{self._last_error} (for another outbound; no turn came)")

    async def _post(self, path: str, body: dict[str, Any], timeout_seconds: float) -> bytes:
        """Sends one request, gives the body of a 200; every failure is an `ApiError`."""
        sent = self._clock.monotonic()
        code = "none"
        try:
            async with (
                _as_api_errors(timeout_seconds),
                asyncio.timeout(timeout_seconds),
                self._http.stream("POST", path, json=body, headers=self._headers()) as response,
            ):
                code = str(response.status_code)
                answer = await _read_capped(response)
                self._api_clock.observe(
                    response.headers.get("date", ""), sent, self._clock.monotonic()
                )
        finally:
            self._observer.requested(code, self._clock.monotonic() - sent)
        _raise_for_status(response)
        return answer

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token.current()}"}


def _http_client(
    settings: ApiSettings, transport: httpx.AsyncBaseTransport | None
) -> httpx.AsyncClient:
    context = httpx.create_ssl_context(trust_env=False)
    if settings.ca_file is not None:
        context.load_verify_locations(cafile=settings.ca_file)
    proxy = settings.proxy.get_secret_value() if settings.proxy is not None else None
    return httpx.AsyncClient(
        base_url=settings.url,
        headers={"User-Agent": f"pearl-exporter/{__version__}", "Accept": "application/json, */*"},
        transport=transport,
        verify=context,
        proxy=proxy if transport is None else None,
        # what the configuration does not name is not used: no proxy or .netrc from the environment
        trust_env=False,
        follow_redirects=False,
        timeout=settings.timeout,
        limits=httpx.Limits(
            max_connections=settings.concurrency,
            max_keepalive_connections=settings.concurrency,
            keepalive_expiry=KEEPALIVE_SECONDS,
        ),
    )


def _search_body(search: Search) -> dict[str, Any]:
    return {
        "fromDate": format_instant(search.start),
        "toDate": format_instant(search.end),
        "skip": search.skip,
        "limit": search.limit,
        "sortProp": "startTime",
        "isAscending": search.ascending,
    }


async def _read_capped(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise BadResponseError(f"the answer is larger than {MAX_BODY_BYTES >> 20} MiB")
    return bytes(body)


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
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _raise_for_status(response: httpx.Response) -> None:
    status = response.status_code
    said = f"the API answered {status} {response.reason_phrase}".rstrip()
    if status == httpx.codes.OK:
        return
    if status in (401, 403):
        raise AuthError(f"{said}: is the token right, in the form accountId:secretKey?")
    if status == httpx.codes.NOT_FOUND:
        raise NotFoundError(f"{said}: is the outbound's id right, and api.url?")
    if status == httpx.codes.TOO_MANY_REQUESTS:
        raise RateLimitedError(said, _retry_after(response))
    if status >= 500:  # noqa: PLR2004 - RFC 9110, section 15.6
        raise ServerError(said, _retry_after(response))
    if status >= 400:  # noqa: PLR2004 - RFC 9110, section 15.5
        raise BadRequestError(f"{said}: is the outbound's id right, and is api.page_size allowed?")
    raise BadResponseError(f"{said}, which is no answer of the search (redirects aren't followed)")


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds to wait by ``Retry-After`` in either form (RFC 9110, section 10.2.3), or None."""
    value = response.headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:10])
    try:
        until = parsedate_to_datetime(value)
        # against the answer's own clock: ours may be off
        since = parsedate_to_datetime(response.headers.get("date", ""))
        return max(0.0, (until - since).total_seconds())
    except (TypeError, ValueError):
        return None


def _may_help(error: BaseException) -> bool:
    return isinstance(error, ApiError) and error.retry


def _now() -> float:
    return asyncio.get_running_loop().time()
