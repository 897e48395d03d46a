"""One request over HTTP: its body, or an `ApiError`.

Redirects are not followed: they would carry the token to another host. Bodies have a limit, and are
never logged, stored or quoted: an error text may hold a customer's phone number.
"""

import asyncio
from contextlib import aclosing, suppress
from typing import Protocol

import httpx

from pearl_exporter import __version__
from pearl_exporter.api.body import Body
from pearl_exporter.api.clock import ApiClock, Clock
from pearl_exporter.api.error_mapping import (
    connection_error_message,
    error_for_status,
    proxy_refusal,
)
from pearl_exporter.api.network import Network
from pearl_exporter.api.token_file import Token
from pearl_exporter.config import ApiSettings
from pearl_exporter.errors import BadResponseError, ConnectionFailedError, RequestTimeoutError

_SKIP_BYTES = 64 * 1024
_SKIP_SECONDS = 1.0
"""Up to here an error's body is read to keep its connection; a longer one costs more than that."""

CONNECT_SHARE = 0.9
"""Connecting may take at most this share of a request's time.

httpx closes a connection whose TLS handshake exceeds httpx' own timeout, but leaves one open until
it is collected as garbage if the request is cancelled first, as the timeout here does.
"""

KEEPALIVE_SECONDS = 300.0
"""Longer than the usual interval, so that a poll need not connect again."""

_HEADERS = (
    ("User-Agent", f"pearl-exporter/{__version__}"),
    ("Accept", "application/json, */*"),
    ("Accept-Encoding", "gzip, deflate"),
    ("Content-Type", "application/json"),
)

Transport = httpx.AsyncBaseTransport
"""What carries requests."""


class WireObserver(Protocol):
    """Hears of requests."""

    def requested(self, code: str, seconds: float) -> None:
        """A request ended with this HTTP status, or ``none`` if no answer came."""


class Wire:
    """The connections to the API, and the token that all requests carry."""

    def __init__(  # noqa: PLR0913 - its parts are given to it, by keyword
        self,
        settings: ApiSettings,
        token: Token,
        *,
        observer: WireObserver,
        api_clock: ApiClock,
        clock: Clock,
        transport: Transport | None = None,
    ) -> None:
        self._settings = settings
        self._token = token
        self._observer = observer
        self._api_clock = api_clock
        self._clock = clock
        self._transport = transport or _network(settings)
        self._urls: dict[str, httpx.URL] = {}
        self._cached_headers = httpx.Headers()
        self._token_of_headers: str | None = None

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    def forget(self, path: str) -> None:
        """Drop what is remembered of a path that is not asked for any more."""
        self._urls.pop(path, None)

    async def send(self, path: str, body: bytes | None, timeout_seconds: float) -> bytes:
        """Send one request.

        Args:
            path: What comes after ``api.url``.
            body: What is posted; None for a GET.
            timeout_seconds: How long the whole answer may take.

        Returns:
            The body of the answer, whose status is 200.

        Raises:
            ApiError: Anything else.
        """
        url = self._url(path)
        request = httpx.Request(
            "GET" if body is None else "POST",
            url,
            headers=self._headers(url),
            # given as content, httpx would look through it once more
            stream=httpx.ByteStream(body or b""),
            extensions={"timeout": _timeouts(timeout_seconds)},
        )
        if body is not None:
            request.headers["Content-Length"] = str(len(body))
        sent = self._clock.monotonic()
        code = "none"
        try:
            async with (
                # httpx' timeouts are for each read: an answer that drips would never end by them
                asyncio.timeout(timeout_seconds),
                aclosing(await self._transport.handle_async_request(request)) as response,
            ):
                code = str(response.status_code)
                self._note_time(response.headers)
                if response.status_code == httpx.codes.OK:
                    return await _read_capped(response)
                start = await _skip_body(response)
        except (TimeoutError, httpx.TimeoutException) as error:
            message = f"no whole answer within {timeout_seconds:.3g} s"
            raise RequestTimeoutError(message) from error
        except (httpx.HTTPError, OSError) as error:
            raise ConnectionFailedError(self._why(error, url)) from error
        finally:
            self._observer.requested(code, self._clock.monotonic() - sent)
        raise error_for_status(
            response.status_code,
            response.headers,
            start_of_body=start,
            now_seconds=self._api_clock.header_seconds,
            is_search=body is not None,
            has_proxy=self._settings.proxy is not None,
        )

    def _note_time(self, headers: httpx.Headers) -> None:
        """Learn the API's time when the head of an answer comes: its body may take long.

        An answer with ``Age`` was kept by a cache since its ``Date`` (RFC 9111, section 5.1).
        """
        if "age" not in headers:
            self._api_clock.observe(headers.get("date", ""), self._clock.monotonic())

    def _url(self, path: str) -> httpx.URL:
        url = self._urls.get(path)
        if url is None:
            url = self._urls[path] = httpx.URL(f"{self._settings.url.rstrip('/')}{path}")
        return url

    def _why(self, error: BaseException, url: httpx.URL) -> str:
        host = url.netloc.decode("ascii")  # without a user's name
        why = None
        if isinstance(error, httpx.ConnectError):
            why = connection_error_message(error, host, has_proxy=self._settings.proxy is not None)
        elif isinstance(error, httpx.ProxyError):
            why = proxy_refusal(str(error))
        return why or f"no connection to {host}, or a broken one: {_cause(error)}"

    def _headers(self, url: httpx.URL) -> httpx.Headers:
        """Return the headers of all requests, built again only for another token.

        httpx checks headers when they are built, which costs as much as sending them.
        """
        token = self._token.current()
        if token != self._token_of_headers:
            host = url.netloc.decode("ascii")
            bearer = ("Authorization", f"Bearer {token}")
            self._cached_headers = httpx.Headers([("Host", host), *_HEADERS, bearer])
            self._token_of_headers = token
        return self._cached_headers


def _network(settings: ApiSettings) -> Network:
    context = httpx.create_ssl_context(trust_env=False)
    if settings.ca_file is not None:
        context.load_verify_locations(cafile=settings.ca_file)
    return Network(
        context,
        proxy=settings.proxy.get_secret_value() if settings.proxy is not None else None,
        # as many connections as slots: a request that has a slot never waits for a connection
        max_connections=settings.concurrency,
        keepalive_seconds=KEEPALIVE_SECONDS,
    )


def _timeouts(seconds: float) -> dict[str, float | None]:
    return httpx.Timeout(seconds, connect=CONNECT_SHARE * seconds).as_dict()


async def _read_capped(response: httpx.Response) -> bytes:
    body = Body(response.headers.get("content-encoding", ""))
    async for piece in response.aiter_raw():
        body.take(piece)
    return body.whole()


async def _skip_body(response: httpx.Response) -> bytes:
    """Read an error's body, if it is short, so that the connection can be used again.

    Returns:
        The first piece of the body, which shows whether it is HTML. It must not be quoted.
    """
    start, skipped = b"", 0
    with suppress(TimeoutError, httpx.HTTPError, BadResponseError):
        async with asyncio.timeout(_SKIP_SECONDS):
            async for chunk in response.aiter_raw():
                start = start or chunk
                skipped += len(chunk)
                if skipped > _SKIP_BYTES:
                    break
    return start


def _cause(error: BaseException) -> str:
    """Return what a connection error says: hosts and system errors, never what was sent."""
    # what a broken answer's error says is a part of that answer, and so is what a proxy's says
    is_quoted = isinstance(error, httpx.ProtocolError | httpx.ProxyError)
    text = "" if is_quoted else str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
