"""The TLS context of the server, made of the web configuration's TLS settings by Python's ssl."""

import os
import ssl
import tempfile
import warnings
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from pearl_exporter.config.files import os_errors_as_reasons, read_capped
from pearl_exporter.config.web.fields import CIPHERS, CURVES
from pearl_exporter.config.web.settings import TlsSettings

_MAX_PEM_BYTES = 1024 * 1024
_CERTIFICATE, _PRIVATE_KEY = b"CERTIFICATE", b"PRIVATE KEY"
_VERSIONS = {
    "TLS10": ssl.TLSVersion.TLSv1,
    "TLS11": ssl.TLSVersion.TLSv1_1,
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}
_MODES = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}


class TlsError(Exception):
    """A setting can't be fulfilled. ``key`` is the key of the section that is at fault."""

    def __init__(self, key: str, message: str) -> None:
        self.key = key
        super().__init__(message)


def server_context(
    tls: TlsSettings, wrong: AbstractSet[str] = frozenset()
) -> tuple[ssl.SSLContext, list[TlsError]]:
    """Return the context with certificate and key loaded, and what went wrong.

    The files are read again at each call. No message holds a key.

    Args:
        tls: The settings; paths in them are used unchanged.
        wrong: The keys that have a problem already. A step that needs one of them is not tried,
            since its error would only follow from that problem.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    errors: list[TlsError] = []
    for step, needed in _STEPS:
        if needed & wrong:
            continue
        try:
            step(context, tls)
        except TlsError as error:
            errors.append(error)
        except ExceptionGroup as group:
            errors.extend(error for error in group.exceptions if isinstance(error, TlsError))
    return context, errors


def _set_versions(context: ssl.SSLContext, tls: TlsSettings) -> None:
    for key, attribute in (("min_version", "minimum_version"), ("max_version", "maximum_version")):
        name: str = getattr(tls, key)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # TLS10 was chosen on purpose
                setattr(context, attribute, _VERSIONS[name])
        except ValueError:
            raise TlsError(key, f"{name} is not supported by {ssl.OPENSSL_VERSION}") from None


def _set_ciphers(context: ssl.SSLContext, tls: TlsSettings) -> None:
    """Set the suites up to TLS 1.2. OpenSSL has TLS 1.0 and 1.1 only at security level 0."""
    names = [CIPHERS[name] for name in tls.cipher_suites if CIPHERS[name]]
    if tls.cipher_suites and not names and tls.min_version != "TLS13":
        raise TlsError(
            "cipher_suites",
            "the suites of TLS 1.3 can't be chosen; for TLS 1.3 alone write min_version: TLS13",
        )
    is_old = tls.min_version in {"TLS10", "TLS11"}
    if names or is_old:
        level = ["@SECLEVEL=0"] if is_old else []
        try:
            context.set_ciphers(":".join([*(names or ["DEFAULT"]), *level]))
        except ssl.SSLError:
            message = f"none of these is supported by {ssl.OPENSSL_VERSION}"
            raise TlsError("cipher_suites", message) from None
    if not tls.prefer_server_cipher_suites:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE


def _set_curve(context: ssl.SSLContext, tls: TlsSettings) -> None:
    if len(tls.curve_preferences) > 1:
        raise TlsError(
            "curve_preferences",
            "Python's ssl accepts one curve, not several; give one, or leave the key out",
        )
    for curve in tls.curve_preferences:
        try:
            context.set_ecdh_curve(CURVES[curve])
        except ValueError:
            raise TlsError("curve_preferences", f"not supported by {ssl.OPENSSL_VERSION}") from None


# --- files


def _load_key_pair(context: ssl.SSLContext, tls: TlsSettings) -> None:
    certificate_key = "cert" if tls.cert else "cert_file"
    key_key = "key" if tls.key else "key_file"
    pems, errors = [], []
    for key, label in ((certificate_key, _CERTIFICATE), (key_key, _PRIVATE_KEY)):
        try:
            if getattr(tls, key) is not None:  # else it is missing or wrong, and reported
                pems.append(_pem(tls, key, label))
        except TlsError as error:
            errors.append(error)
    if errors:
        raise ExceptionGroup("certificate and key", errors)
    if len(pems) < len((certificate_key, key_key)):
        return

    def no_passphrase() -> str:
        raise TlsError(key_key, "the key is encrypted with a passphrase; give a key without one")

    try:
        with _as_file(pems[0]) as certificate_path, _as_file(pems[1]) as key_path:
            context.load_cert_chain(certificate_path, key_path, password=no_passphrase)
    except ssl.SSLError as error:
        if error.reason in {"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"}:
            message = f"the key does not belong to the certificate in {certificate_key}"
            raise TlsError(key_key, message) from None
        reason = (error.reason or "not in PEM").lower().replace("_", " ")
        message = f"OpenSSL can't use this certificate with the key in {key_key}: {reason}"
        raise TlsError(certificate_key, message) from None


def _load_client_ca(context: ssl.SSLContext, tls: TlsSettings) -> None:
    context.verify_mode = _MODES[tls.client_auth_type]
    key = "client_ca" if tls.client_ca else "client_ca_file"
    if getattr(tls, key) is None:  # reported already if the mode needs one
        return
    authority = _pem(tls, key, _CERTIFICATE)
    try:
        with _as_file(authority) as path:
            context.load_verify_locations(path)
    except ssl.SSLError:
        raise TlsError(key, "OpenSSL can't read these certificates") from None


_STEPS: tuple[tuple[Callable[[ssl.SSLContext, TlsSettings], None], frozenset[str]], ...] = (
    (_set_versions, frozenset({"min_version", "max_version"})),
    (_set_ciphers, frozenset({"min_version", "max_version"})),
    (_set_curve, frozenset()),
    (_load_key_pair, frozenset()),
    (_load_client_ca, frozenset()),
)
"""The steps, each with the keys without which it has no meaning."""


def _pem(tls: TlsSettings, key: str, label: bytes) -> bytes:
    """Return the PEM that the key holds, or that is in the file it names."""
    given: SecretStr | Path = getattr(tls, key)
    if isinstance(given, SecretStr):
        return given.get_secret_value().encode()
    try:
        content = _read(given)
    except ValueError as error:
        raise TlsError(key, f"{given} {error}") from None
    if label not in content:
        raise TlsError(key, f"{given} has no {label.decode()} in PEM")
    return content


def _read(path: Path) -> bytes:
    """Return what is in a regular file; reading a pipe would wait for its writer."""
    with os_errors_as_reasons():
        if path.exists() and not path.is_file():
            raise ValueError("can't be read: it is not a regular file")
    return read_capped(path, _MAX_PEM_BYTES, "can't be read: it is larger than 1 MiB")


@contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """Yield a path from which ``ssl``, which accepts only paths, reads the content.

    So what was read once is what is used, also if the key is in the web configuration itself. On
    Linux it is in memory, since a container may have no folder to write to.
    """
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("pem", os.MFD_CLOEXEC), "wb") as memory:
            memory.write(content)
            memory.flush()
            yield f"/proc/self/fd/{memory.fileno()}"
    else:
        with tempfile.NamedTemporaryFile() as file:  # readable for its owner alone
            file.write(content)
            file.flush()
            yield file.name
