"""The dates of a server's certificate, which loading it does not check."""

import ssl
from contextlib import suppress

_PROBLEMS = {9: "is not valid yet", 10: "has expired"}
"""By OpenSSL's verify codes: X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED."""

_MAX_STEPS = 10
"""A handshake takes three or four steps."""


def date_problem(server: ssl.SSLContext) -> str | None:
    """Return what is wrong with the certificate's dates now; None if nothing is known to be wrong.

    A client that trusts exactly this certificate makes a handshake with the server, in memory. So
    OpenSSL checks the dates as the TLS of every client does.
    """
    try:
        certificate = _handshake(server, _client()).getpeercert(binary_form=True)
        _handshake(server, _client(certificate))
    except ssl.SSLCertVerificationError as error:
        return _PROBLEMS.get(error.verify_code)
    except ssl.SSLError:  # such as a server that asks for a client certificate first
        return None
    return None


def _client(trusted: bytes | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    if trusted is None:
        context.verify_mode = ssl.CERT_NONE
    else:
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(cadata=trusted)
    return context


def _handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> ssl.SSLObject:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_side = client.wrap_bio(to_client, to_server)
    server_side = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(_MAX_STEPS):
        try:
            client_side.do_handshake()
        except ssl.SSLWantReadError:
            with suppress(ssl.SSLWantReadError):
                server_side.do_handshake()
        else:
            return client_side
    raise ssl.SSLError(f"no handshake in {_MAX_STEPS} steps")
