"""The image's own health check: asks a running exporter for ``/-/healthy``, by HTTP or by TLS.

``python -m pearl_exporter.healthcheck [HOST:PORT]``; without an address that of
``PEARL_WEB__LISTEN``, else port 10042 of this machine. Exit 0 if it is healthy, 1 and a reason if
not. Whose certificate it is does not matter: this is one machine, and nothing secret is sent.
"""

import os
import ssl
import sys
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection

_SECONDS = 4.0
_TURNED_AWAY = ("CERTIFICATE_REQUIRED", "HANDSHAKE_FAILURE", "UNEXPECTED_EOF", "BAD_CERTIFICATE")
DEFAULT_ADDRESS = "127.0.0.1:10042"
_ANY = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "::1"}  # noqa: S104 - is asked, not bound


def main(arguments: list[str] | None = None) -> int:
    """The exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    address = given[0] if given else os.environ.get("PEARL_WEB__LISTEN") or DEFAULT_ADDRESS
    fault = fault_of(address)
    if fault is not None:
        sys.stderr.write(f"{address}: {fault}\n")
    return 0 if fault is None else 1


def fault_of(address: str) -> str | None:
    """Why the exporter at ``HOST:PORT`` is not healthy, None if it is."""
    host, _, port = address.rpartition(":")
    host = _ANY.get(host, host.strip("[]"))
    if not port.isdecimal():
        return "not HOST:PORT"
    try:
        try:
            with closing(HTTPConnection(host, int(port), timeout=_SECONDS)) as connection:
                return _asked(connection)
        except (HTTPException, ConnectionResetError):
            return _asked_by_tls(host, int(port))
    except (OSError, HTTPException, ValueError) as error:  # ssl.SSLError is an OSError
        return f"no answer: {error!r}"


def _asked_by_tls(host: str, port: int) -> str | None:
    with closing(_tls_connection(host, port)) as connection:
        try:
            return _asked(connection)
        except (ssl.SSLError, ConnectionResetError) as error:
            # it wants a client's certificate: it serves, which is all that can be seen
            return None if _wants_certificate(error) else f"TLS: {error!r}"


def _wants_certificate(error: OSError) -> bool:
    """TLS 1.3 turns one away after the handshake, TLS 1.2 amid it; some close without a word."""
    told = getattr(error, "reason", None) or ""
    return isinstance(error, ConnectionResetError) or any(each in told for each in _TURNED_AWAY)


def _tls_connection(host: str, port: int) -> HTTPSConnection:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return HTTPSConnection(host, port, timeout=_SECONDS, context=context)


def _asked(connection: HTTPConnection) -> str | None:
    connection.request("GET", "/-/healthy")
    answer = connection.getresponse()
    return None if answer.status == HTTPStatus.OK else f"answered {answer.status}"


if __name__ == "__main__":
    sys.exit(main())
