"""Why the API was not reached, in words that name its host and what to look at.

Nothing else of an error is told here than what the system says of itself: no address of a proxy,
which may hold a password, and nothing of what was sent or received.
"""

import os
import socket
import ssl

_NO_TLS = frozenset(
    {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"}
)
"""What OpenSSL calls an answer that is none of TLS."""


def connection_error_message(error: BaseException, host: str, *, has_proxy: bool) -> str | None:
    """The whole message; None where no error of the system is behind ``error``."""
    cause = _of_the_system(error)
    said = None if cause is None else _said(cause, "the proxy's" if has_proxy else "its")
    if said is None:
        return None
    return f"no connection to {host}{' through api.proxy' if has_proxy else ''}: {said}"


def _of_the_system(error: BaseException) -> OSError | None:
    """What ``error`` was raised from. httpcore cuts the cause off, and contexts form circles."""
    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in seen:
        if isinstance(cause, OSError):
            return cause
        seen.append(cause)
        cause = cause.__cause__ or cause.__context__
    return None


def _said(error: OSError, whose: str) -> str | None:
    if isinstance(error, ssl.SSLError):
        return _of_tls(error)
    if isinstance(error, socket.gaierror):
        is_later = error.errno == socket.EAI_AGAIN
        what = "can't be looked up now" if is_later else "is not known"
        return f"{whose} name {what} (check DNS, api.url, api.proxy)"
    if isinstance(error, ConnectionRefusedError):
        return "refused, nobody listens there (check api.url, api.proxy)"
    return os.strerror(error.errno) if error.errno else None


def _of_tls(error: ssl.SSLError) -> str | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not trusted: {error.verify_message} (check api.ca_file)"
    if error.reason in _NO_TLS:
        return "it answers no TLS: is it http:// (check api.url, api.proxy)?"
    return f"no agreement on TLS ({error.reason})" if error.reason else None
