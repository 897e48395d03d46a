"""Whether a server's certificate is of use today, which loading it does not tell."""

import ssl
from contextlib import suppress

_FAULTS = {9: "is not valid yet", 10: "has expired"}
"""What a client would say, by OpenSSL's numbers."""

_MOST_STEPS = 10
"""Of a handshake, which takes three or four."""


def date_fault(server: ssl.SSLContext) -> str | None:
    """Give what is wrong with the certificate's dates today; None if nothing is that can be told.

    A client that trusts this very certificate shakes hands with the server, in memory, so that
    OpenSSL judges the dates as every other client's TLS will.
    """
    try:
        certificate = _shaken_hands(server, _client()).getpeercert(binary_form=True)
        _shaken_hands(server, _client(certificate))
    except ssl.SSLCertVerificationError as error:
        return _FAULTS.get(error.verify_code)
    except ssl.SSLError:  # as of a server that wants a certificate of the client before
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


def _shaken_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> ssl.SSLObject:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    asks = client.wrap_bio(to_client, to_server)
    answers = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(_MOST_STEPS):
        try:
            asks.do_handshake()
        except ssl.SSLWantReadError:
            with suppress(ssl.SSLWantReadError):
                answers.do_handshake()
        else:
            return asks
    raise ssl.SSLError(f"no handshake in {_MOST_STEPS} steps")
