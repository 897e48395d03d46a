"""The types of values in the web configuration, each with its check. See `config.fields`.

A message about a value that may be secret never begins with "wanted": `Problems` would add the
value to it.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import SecretStr

from pearl_exporter.config.durations import parse_duration
from pearl_exporter.config.fields import Check, one_of

CIPHERS = {
    "TLS_AES_128_GCM_SHA256": "",
    "TLS_AES_256_GCM_SHA384": "",
    "TLS_CHACHA20_POLY1305_SHA256": "",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
}
"""OpenSSL's name for each cipher suite that Go counts as secure; empty if only TLS 1.3 has it."""

CURVES = {
    "CurveP256": "prime256v1",
    "CurveP384": "secp384r1",
    "CurveP521": "secp521r1",
    "X25519": "X25519",
}
"""OpenSSL's name for each curve."""

VERSIONS = ("TLS10", "TLS11", "TLS12", "TLS13")
HEADERS: Mapping[str, tuple[str, ...]] = {
    "Content-Security-Policy": (),
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
}
"""The headers that may be set, with the only values they may have; empty for any value."""

MIN_COST, MAX_COST = 4, 15
"""The cost of a bcrypt hash. At 15 a check takes seconds, which a scrape's timeout must allow."""

MAX_BURST = 1_000_000
_UNVERIFIED = (
    "Python's ssl verifies every certificate that it asks for; use RequireAndVerifyClientCert "
    "or VerifyClientCertIfGiven, or NoClientCert to ask for none"
)
_HASH = re.compile(r"\$2[aby]\$(?P<cost>[0-9]{2})\$[./A-Za-z0-9]{53}")
_HEADER_VALUE = re.compile(r"[!-~]([ -~]*[!-~])?")


def _text(check: Callable[[str], object], accepts: str) -> Check:
    """Return a check of texts that may be shown."""

    def checked(value: object) -> object:
        if isinstance(value, str):
            return check(value)
        raise ValueError("wanted text")

    return Check(checked, accepts=accepts)


def _pem(label: str, what: str) -> Callable[[object], SecretStr]:
    def checked(value: object) -> SecretStr:
        if isinstance(value, SecretStr):
            return value
        if not isinstance(value, str) or f"{label}-----" not in value:
            raise ValueError(f"not a {what} in PEM; for the path of a file use the key with _file")
        return SecretStr(value)

    return checked


def _pem_file(value: object) -> Path:
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError("not the path of a file; for PEM itself use the key without _file")
    return Path(value)


def _each(check: Callable[[str], str], what: str) -> Check:
    """Return a check of lists of texts."""

    def checked(value: object) -> tuple[str, ...]:
        if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
            raise ValueError(f"wanted a list of {what}")
        return tuple(map(check, value))

    return Check(checked, accepts=f"list of {what}")


def _known(names: Mapping[str, str], what: str) -> Callable[[str], str]:
    def checked(name: str) -> str:
        if name not in names:
            raise ValueError(f"unknown {what}; known are {', '.join(names)}")
        return name

    return checked


def _client_auth(text: str) -> str:
    if text in {"RequestClientCert", "RequireAnyClientCert", "RequireClientCert"}:
        raise ValueError(f'"{text}" is not supported: {_UNVERIFIED}')
    choices = ("NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert")
    if text not in choices:
        raise ValueError(f"wanted one of {', '.join(choices)}")
    return text


def alternative_name(text: str) -> str:
    """Return a subject alternative name in one form of writing, so that names can be compared."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text


def _headers(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise ValueError("wanted a mapping of headers to texts")  # noqa: TRY004 - pydantic's way
    headers, problems = {}, []
    for name, text in value.items():
        if text is None or text == "":
            continue
        try:
            headers[name] = _header(name, text)
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise ValueError("; ".join(problems))
    return headers


def _header(name: str, text: object) -> str:
    if name not in HEADERS:
        raise ValueError(f'the header "{name[:60]}" can\'t be set; these can: {", ".join(HEADERS)}')
    if HEADERS[name] and text not in HEADERS[name]:
        raise ValueError(f"{name} can only be {' or '.join(HEADERS[name])}")
    if not isinstance(text, str) or not _HEADER_VALUE.fullmatch(text):
        raise ValueError(f"{name} must be one line of printable ASCII, in quotes if it is a number")
    return text


def _interval(value: object) -> float:
    if isinstance(value, str):
        return parse_duration(value)
    if value == 0 and not isinstance(value, bool):
        return 0.0
    raise ValueError("wanted a duration such as 1s or 250ms, or 0 for no limit")


def _burst(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_BURST:
        raise ValueError(f"wanted a whole number from 1 to {MAX_BURST}")
    return value


def bcrypt_hash(value: object) -> SecretStr:
    """Return a user's password hash.

    Raises:
        ValueError: It is not a bcrypt hash of an allowed cost. The message has no part of it.
    """
    match = _HASH.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(
            "not a bcrypt hash, which begins with $2a$, $2b$ or $2y$ and has 60 characters; "
            "htpasswd -nBC 10 makes one"
        )
    if not MIN_COST <= int(match["cost"]) <= MAX_COST:
        raise ValueError(
            f"the hash has cost {int(match['cost'])}, which may be {MIN_COST} to {MAX_COST}"
        )
    return SecretStr(match[0])


def user_name(name: str) -> str:
    """Return a user's name.

    Raises:
        ValueError: Basic auth can't carry it.
    """
    if ":" in name or not name.isprintable():
        raise ValueError("a user's name has no colon and no control characters")
    return name


# --- the types of the settings

Certificates = Annotated[SecretStr, Check(_pem("BEGIN CERTIFICATE", "certificate"))]
PrivateKey = Annotated[SecretStr, Check(_pem("PRIVATE KEY", "private key"))]
PemFile = Annotated[Path, Check(_pem_file)]
ClientAuth = Annotated[str, _text(_client_auth, "client auth type")]
Names = Annotated[tuple[str, ...], _each(alternative_name, "names")]
Version = Annotated[str, one_of(*VERSIONS)]
Ciphers = Annotated[tuple[str, ...], _each(_known(CIPHERS, "cipher suite"), "cipher suites")]
Curves = Annotated[tuple[str, ...], _each(_known(CURVES, "curve"), "curves")]
Headers = Annotated[Mapping[str, str], Check(_headers)]
Interval = Annotated[float, Check(_interval)]
Burst = Annotated[int, Check(_burst)]
