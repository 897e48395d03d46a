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
    NotFoundError,
    RateLimitedError,
    ServerError,
)

_NO_TLS = frozenset(
    {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"}
)
"""OpenSSL's reasons for a first answer that is not TLS at all, but plain HTTP for example."""


def error_for_status(
    status: int, headers: Mapping[str, str], *, now_seconds: float, is_search: bool
) -> ApiError:
    """Return the error for an answer whose status is not 200.

    Args:
        status: The HTTP status.
        headers: The headers of the answer.
        now_seconds: The API's present, in seconds since the epoch.
        is_search: Whether the request was a search of calls.
    """
    said = f"the API answered {status} {_phrase(status)}".rstrip()
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return AuthError(f"{said}: {TOKEN_FORM_HINT}")
    if status == HTTPStatus.NOT_FOUND:
        what = "the outbound's id right, and api.url" if is_search else "api.url right"
        return NotFoundError(f"{said}: is {what}?")
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return RateLimitedError(said, _retry_after(headers, now_seconds))
    if status >= 500:  # noqa: PLR2004 - RFC 9110, section 15.6
        return ServerError(said, _retry_after(headers, now_seconds))
    if status >= 400:  # noqa: PLR2004 - RFC 9110, section 15.5
        what = ": is the outbound's id right, and is api.page_size allowed?"
        return BadRequestError(f"{said}{what if is_search else ''}")
    return BadResponseError(f"{said}, which is no answer (redirects aren't followed)")


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
