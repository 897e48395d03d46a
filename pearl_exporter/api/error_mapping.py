"""Failures of a request as errors of ours: by an answer's status, or by what broke the connection.

No message quotes the API, not even the reason phrase of its status line: it may hold a phone
number. No message names the proxy: its address may hold a password.
"""

import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from http import HTTPStatus

from pearl_exporter.api.clock import parse_http_date
from pearl_exporter.errors import (
    TOKEN_FORM_HINT,
    ApiError,
    AuthError,
    BadRequestError,
    BadResponseError,
    ConnectionFailedError,
    InterceptedError,
    NotFoundError,
    RateLimitedError,
    RequestTimeoutError,
    ServerError,
)

_NO_TLS = frozenset(
    {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"}
)
"""OpenSSL's reasons for a first answer that is not TLS at all, but plain HTTP for example."""


_HTML = frozenset({"text/html", "application/xhtml+xml"})

_REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


def error_for_status(  # noqa: PLR0913 - what an answer says, by keyword
    status: int,
    headers: Mapping[str, str],
    *,
    start_of_body: bytes = b"",
    now_seconds: float,
    is_search: bool,
    has_proxy: bool = False,
) -> ApiError:
    """Return the error for an answer whose status is not 200.

    Args:
        status: The HTTP status.
        headers: The headers of the answer.
        start_of_body: The first bytes of its body.
        now_seconds: The present by the API's headers, in seconds since the epoch.
        is_search: Whether the request was a search of calls.
        has_proxy: Whether ``api.proxy`` is set.
    """
    said = f"the API answered {status} {_phrase(status)}".rstrip()
    retry_after = _retry_after(headers, now_seconds)
    if status in _REFUSED:
        firewall = _firewall(status, headers, start_of_body)
        if firewall is not None:
            return InterceptedError(f"{status}, {firewall} before the API?", retry_after)
        return AuthError(f"{said}: {TOKEN_FORM_HINT}")
    if status >= 500:  # noqa: PLR2004 - RFC 9110, section 15.6
        return ServerError(said, retry_after)
    if status >= 400:  # noqa: PLR2004 - RFC 9110, section 15.5
        return _client_error(status, said, retry_after, is_search=is_search, has_proxy=has_proxy)
    if status >= 300:  # noqa: PLR2004 - RFC 9110, section 15.4
        return BadResponseError(f"{said}, which is no answer (redirects aren't followed)")
    hint = "an answer without calls: a firewall or proxy before the API?"
    return InterceptedError(f"{said}, {hint}", retry_after)


def _client_error(
    status: int, said: str, retry_after: float | None, *, is_search: bool, has_proxy: bool
) -> ApiError:
    if status == HTTPStatus.NOT_FOUND:
        what = "the outbound's id right, and api.url" if is_search else "api.url right"
        return NotFoundError(f"{said}: is {what}?")
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        return ConnectionFailedError(_proxy_authentication(has_proxy=has_proxy))
    if status in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY):
        why = "the request came too late or not whole; a proxy may give up idle connections early"
        return RequestTimeoutError(f"{said}: {why}", retry_after)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return RateLimitedError(said, retry_after)
    what = ": are the outbound's id, api.page_size, the range and the statuses allowed?"
    return BadRequestError(f"{said}{what if is_search else ''}")


def _firewall(status: int, headers: Mapping[str, str], start_of_body: bytes) -> str | None:
    """Return what shows that a refusal is not the API's, which documents JSON for its errors.

    An HTML page with 401 says nothing: a gateway that checks the token may write one.
    """
    if "cf-mitigated" in headers:
        return "a challenge (cf-mitigated): a firewall"
    content_type = headers.get("content-type", "").split(";")[0].strip().lower()
    is_html = content_type in _HTML or (
        content_type in ("", "text/plain")
        and start_of_body.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<")
    )
    if status == HTTPStatus.FORBIDDEN and is_html:
        return f"a page of HTML ({content_type or 'no content type'}): a firewall or proxy"
    return None


def _proxy_authentication(*, has_proxy: bool) -> str:
    what = "check the user and password of api.proxy" if has_proxy else "set api.proxy"
    return f"a proxy answered 407 Proxy Authentication Required: {what}"


def proxy_refusal(text: str) -> str | None:
    """Return why a proxy opened no tunnel to the API, None if that is not known.

    Args:
        text: The HTTP client's error: the proxy's status, and a phrase that must not be quoted.
    """
    digits = text[:3]
    if not (len(digits) == 3 and digits.isascii() and digits.isdigit()):  # noqa: PLR2004
        return None
    status = int(digits)
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        return _proxy_authentication(has_proxy=True)
    said = f"{status} {_phrase(status)}".rstrip()
    return f"the proxy of api.proxy answered {said} in place of a connection to the API"


def connection_error_message(error: BaseException, host: str, *, has_proxy: bool) -> str | None:
    """Return why a connection could not be made, None if no error of the system is behind it.

    Args:
        error: What the HTTP client raised.
        host: The API's host, as it is named to the user.
        has_proxy: Whether ``api.proxy`` is set, so that the proxy's name was looked up.
    """
    whose = "the proxy's" if has_proxy else "its"
    reasons = (_reason(each, whose) for each in _causes(error) if isinstance(each, OSError))
    reason = next(filter(None, reasons), None)
    if reason is None:
        return None
    return f"no connection to {host}{' through api.proxy' if has_proxy else ''}: {reason}"


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _retry_after(headers: Mapping[str, str], now_seconds: float) -> float | None:
    """Return the seconds of ``Retry-After`` in either form (RFC 9110, section 10.2.3), or None."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    until = parse_http_date(value)
    if until is None:
        return None
    # by the answer's own clock, since this machine's may be wrong
    since = parse_http_date(headers.get("date", ""))
    return max(0.0, until - (now_seconds if since is None else since))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all that it was raised from, each once: contexts may form circles."""
    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in seen:
        yield cause
        seen.append(cause)
        if isinstance(cause, BaseExceptionGroup):
            # one error for each address of the host: IPv6 is tried first, and often missing
            cause = cause.exceptions[-1]
        else:
            cause = cause.__cause__ or cause.__context__


def _reason(error: OSError, whose: str) -> str | None:
    if isinstance(error, ssl.SSLError):
        return _tls_reason(error)
    if isinstance(error, socket.gaierror):
        is_later = error.errno == socket.EAI_AGAIN
        what = "can't be looked up now" if is_later else "is not known"
        return f"{whose} name {what} (check DNS, api.url, api.proxy)"
    if isinstance(error, ConnectionRefusedError):
        return "refused, nobody listens there (check api.url, api.proxy)"
    return os.strerror(error.errno) if error.errno else None


def _tls_reason(error: ssl.SSLError) -> str | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not trusted: {error.verify_message} (check api.ca_file)"
    if error.reason in _NO_TLS:
        return "it answers no TLS: is it http:// (check api.url, api.proxy)?"
    return f"no agreement on TLS ({error.reason})" if error.reason else None
