"""What an answer means that is not 200: the error, and how long the API asks to wait.

Nothing that the answer says in words is quoted, not even its head: it may hold a phone number.
"""

from collections.abc import Mapping
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


def error_for_status(
    status: int, headers: Mapping[str, str], *, now_seconds: float, is_search: bool
) -> ApiError:
    """What an answer's status means; ``headers`` are its own, ``now_seconds`` is the API's time."""
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


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _retry_after(headers: Mapping[str, str], now_seconds: float) -> float | None:
    """Seconds to wait by ``Retry-After`` in either form (RFC 9110, section 10.2.3), or None."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value)
    until = parse_http_date(value)
    if until is None:
        return None
    # against the answer's own clock: ours may be off
    since = parse_http_date(headers.get("date", ""))
    return max(0.0, until - (now_seconds if since is None else since))
