"""The image's health check: asks a running exporter for ``/-/healthy``, over HTTP or TLS.

``python -m pearl_exporter.healthcheck [HOST:PORT]``; without an address, that of
``PEARL_WEB__LISTEN``, else port 10042 of this machine. Exit code 0 if the exporter is healthy, 1
and a reason if not. The certificate is not verified: the exporter is on this machine, and nothing
secret is sent.
"""

import os
import ssl
import sys
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection

_TIMEOUT_SECONDS = 4.0
_CERTIFICATE_ALERTS = (
    "CERTIFICATE_REQUIRED",
    "HANDSHAKE_FAILURE",
    "UNEXPECTED_EOF",
    "BAD_CERTIFICATE",
)
DEFAULT_ADDRESS = "127.0.0.1:10042"
_ANY = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "::1"}  # noqa: S104 - asked, not bound
"""Where an exporter that listens on all addresses is asked."""


def main(arguments: list[str] | None = None) -> int:
    """Check the exporter, write what is wrong to standard error, and return the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    address = given[0] if given else os.environ.get("PEARL_WEB__LISTEN") or DEFAULT_ADDRESS
    problem = health_problem(address)
    if problem is not None:
        sys.stderr.write(f"{address}: {problem}\n")
    return 0 if problem is None else 1


def health_problem(address: str) -> str | None:
    """Return why the exporter at ``HOST:PORT`` is not healthy; None if it is."""
    host, _, port = address.rpartition(":")
    host = _ANY.get(host, host.strip("[]"))
    if not port.isdecimal():
        return "not HOST:PORT"
    try:
        try:
            with closing(HTTPConnection(host, int(port), timeout=_TIMEOUT_SECONDS)) as connection:
                return _problem(connection)
        except (HTTPException, ConnectionResetError):  # a server of TLS answers HTTP so
            return _problem_over_tls(host, int(port))
    except (OSError, HTTPException, ValueError) as error:  # ssl.SSLError is an OSError
        return f"no answer: {error!r}"


def _problem_over_tls(host: str, port: int) -> str | None:
    with closing(_tls_connection(host, port)) as connection:
        try:
            return _problem(connection)
        except (ssl.SSLError, ConnectionResetError) as error:
            # a server that asks for a client's certificate is up; no more can be seen from here
            return None if _wants_certificate(error) else f"TLS: {error!r}"


def _wants_certificate(error: OSError) -> bool:
    """Return whether a server refused the connection for want of a client's certificate.

    TLS 1.3 refuses after the handshake, TLS 1.2 during it; some servers only close the connection.
    """
    reason = getattr(error, "reason", None) or ""
    return isinstance(error, ConnectionResetError) or any(
        alert in reason for alert in _CERTIFICATE_ALERTS
    )


def _tls_connection(host: str, port: int) -> HTTPSConnection:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return HTTPSConnection(host, port, timeout=_TIMEOUT_SECONDS, context=context)


def _problem(connection: HTTPConnection) -> str | None:
    connection.request("GET", "/-/healthy")
    response = connection.getresponse()
    return None if response.status == HTTPStatus.OK else f"answered {response.status}"


if __name__ == "__main__":
    sys.exit(main())
