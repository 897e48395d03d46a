"""Addresses in the configuration: URLs to connect to, and where to listen."""

import ipaddress
import re
from typing import NamedTuple
from urllib.parse import urlsplit

from pearl_exporter.config.secrecy import looks_secret

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_MAX_PORT = 65_535
_API_PATH = re.compile(r"/v1(/+(outbound(/+[^/]+(/+calls)?)?|account))?/*", re.IGNORECASE)
"""What the exporter itself puts behind the base URL."""


class ListenAddress(NamedTuple):
    """Where to listen.

    Attributes:
        host: Without brackets; empty for every address of this machine, IPv4 and IPv6.
        port: With 0 the system chooses one.
    """

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_listen(text: str) -> ListenAddress:
    """Return the address that ``text`` names.

    It is ``host:port``, ``:port`` (every address, IPv4 and IPv6) or ``[::]:port``.

    Raises:
        ValueError: It is anything else.
    """
    wanted = f"wanted host:port, :port or [::]:port, with a port from 0 to {_MAX_PORT}"
    host, colon, port = text.strip().rpartition(":")
    if not colon or not re.fullmatch("[0-9]{1,5}", port) or int(port) > _MAX_PORT:
        raise ValueError(wanted)
    if not host:
        return ListenAddress("", int(port))
    if host.startswith("[") and host.endswith("]"):
        try:
            return ListenAddress(str(ipaddress.IPv6Address(host[1:-1])), int(port))
        except ValueError:
            raise ValueError(wanted) from None
    if not _is_host(host):
        raise ValueError(wanted)
    return ListenAddress(host, int(port))


def base_url(text: str) -> str:
    """Return the URL without white space around it and without a slash at its end.

    Raises:
        ValueError: It is not an HTTP URL, has a user, a query or a fragment, or has the ``/v1`` of
            the API's paths at its end.
    """
    text = text.strip()
    if not _is_http_url(text) or "?" in text or "#" in text or "@" in text:
        raise ValueError("wanted an http:// or https:// URL without user, query or fragment")
    parts = urlsplit(text)
    for start in (match.start() for match in re.finditer("(?i)/v1", parts.path)):
        if _API_PATH.fullmatch(parts.path, start):
            base = f"{parts.scheme}://{parts.netloc}{parts.path[:start].rstrip('/')}"
            which = "the address before it" if looks_secret(base) else base
            raise ValueError(f"the API's own /v1 follows this URL by itself; write {which}")
    return text.rstrip("/")


def is_readable_on_the_way(url: str) -> bool:
    """Return whether requests to a base URL leave this machine without encryption."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        is_local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_local = host == "localhost" or host.endswith(".localhost")  # RFC 6761, section 6.3
    return parts.scheme == "http" and not is_local


def proxy_url(text: str) -> str:
    """Return the URL of a proxy, which may have a user and a password.

    Raises:
        ValueError: It is not an HTTP URL.
    """
    if not _is_http_url(text.strip()):
        raise ValueError("wanted an http:// or https:// URL, such as http://proxy.example:3128")
    return text.strip()


def _is_http_url(text: str) -> bool:
    if not text.isascii() or not text.isprintable() or " " in text:
        return False
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    host = parts.hostname or ""
    known = _is_host(host) or ":" in host  # urlsplit has checked what is in brackets
    return parts.scheme in {"http", "https"} and known and port != 0


def _is_host(host: str) -> bool:
    """Return whether ``host`` is a name or an IPv4 address; 300.1.1.1 is neither."""
    if re.fullmatch(r"[0-9.]+", host):
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            return False
        return True
    return _HOST.fullmatch(host) is not None
