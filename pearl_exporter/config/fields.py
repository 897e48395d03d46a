"""What one configured value may look like: a type for each kind, with its check.

A check raises ValueError with the whole message, or with one that begins "wanted", which is then
told after what was got. No message here quotes the value itself: whoever reports the fault decides
whether the value may be shown.
"""

import ipaddress
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, NamedTuple
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr, ValidationInfo

from pearl_exporter.config.durations import WANTED, format_duration, parse_duration
from pearl_exporter.config.example_values import refuse_placeholder_id
from pearl_exporter.config.tokens import normalise_token
from pearl_exporter.config.yaml_lines import OddNumber
from pearl_exporter.patterns import Pattern
from pearl_exporter.text import MAX_TEXT, has_control_characters, is_outbound_id

MAX_LABELS = 10
MAX_BUCKETS = 50
RESERVED_LABELS = frozenset({"job", "instance", "outbound", "outbound_id", "le"})

_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_MAX_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Check(BeforeValidator):
    """A validator with the words for what it accepts, as the documentation has them."""

    accepts: str = ""


def _from_text(
    kind: type, check: Callable[[str], object], accepts: str, wanted: str = "text; put it in quotes"
) -> Check:
    """Give a check that makes a ``kind`` of text; what is one already passes.

    ``wanted`` is told where YAML took the value for something else.
    """

    def checked(value: object) -> object:
        if isinstance(value, kind) and kind is not str:
            return value
        if isinstance(value, str):
            return check(value)
        # YAML takes on, 123 and 65e1234567 for something else than their writer did.
        is_taken = isinstance(value, (bool, int, float, OddNumber))
        raise ValueError(f"wanted {wanted if is_taken else 'text'}")

    return Check(checked, accepts=accepts)


# --- numbers and durations


def duration(low: float, high: float) -> Check:
    """Give a check of durations from ``low`` to ``high`` seconds."""
    accepts = f"duration from {format_duration(low)} to {format_duration(high)}"

    def checked(value: object, info: ValidationInfo) -> float:
        seconds = _seconds(value, in_file=info.context is not None)
        if not low <= seconds <= high:
            raise ValueError(f"wanted a {accepts}")
        return seconds

    return Check(checked, accepts=accepts)


def _seconds(value: object, *, in_file: bool) -> float:
    """Read a duration. Seconds as a number are for Python; in a file nobody sees their unit."""
    if isinstance(value, str):
        return parse_duration(value.strip())
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if not in_file:
            return float(value)
        if isinstance(value, int) and value >= 0:
            raise ValueError(f'wanted {WANTED}; did you mean "{value}s"?')
    raise ValueError(f"wanted {WANTED}")


def whole(low: int, high: int) -> Check:
    """Give a check of whole numbers from ``low`` to ``high``."""
    accepts = f"whole number from {low} to {high}"

    def checked(value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        raise ValueError(f"wanted a {accepts}")

    return Check(checked, accepts=accepts)


def above_zero(high: float) -> Check:
    """Give a check of numbers above 0 and at most ``high``."""
    accepts = f"number above 0, at most {high:g}"

    def checked(value: object) -> float:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= high:
            return float(value)
        raise ValueError(f"wanted a {accepts}")

    return Check(checked, accepts=accepts)


def _buckets(value: object) -> tuple[float, ...]:
    wanted = f"wanted 1 to {MAX_BUCKETS} ascending numbers above 0, such as [10, 60, 300]"
    if not isinstance(value, (list, tuple)) or not 1 <= len(value) <= MAX_BUCKETS:
        raise ValueError(wanted)
    if any(isinstance(bound, bool) or not isinstance(bound, (int, float)) for bound in value):
        raise ValueError(wanted)
    bounds = tuple(map(float, value))
    ascending = all(low < high for low, high in pairwise((0.0, *bounds)))
    if not ascending or not math.isfinite(bounds[-1]):
        raise ValueError(wanted)
    return bounds


def _switch(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError("wanted true or false")


def one_of(*choices: str) -> Check:
    """Give a check of the words ``choices``."""
    accepts = f"one of {', '.join(choices)}"

    def checked(value: object) -> object:
        if value in choices:
            return value
        raise ValueError(f"wanted {accepts}")

    return Check(checked, accepts=accepts)


# --- texts


def _clean(text: str, what: str) -> str:
    text = text.strip()
    if not text:
        raise ValueError(f"{what} is empty")
    if len(text) > MAX_TEXT:
        raise ValueError(f"{what} has {len(text)} characters, more than {MAX_TEXT}")
    if has_control_characters(text):
        raise ValueError(f"{what} has control characters or is not valid Unicode")
    return text


def _name(text: str) -> str:
    return _clean(text, "the name")


def _outbound_id(text: str) -> str:
    """Check an id. It becomes a segment of the API's path, so nothing may lead out of it.

    Nor is there a colon, which an NLPearl token has: one pasted here would become a label.
    """
    text = _clean(text, "the id")
    if not is_outbound_id(text):
        raise ValueError("wanted an id of letters, digits and any of _ - . ~")
    refuse_placeholder_id(text)
    return text


def _label_name(text: str) -> str:
    if not _LABEL_NAME.fullmatch(text):
        raise ValueError("a label's name has only letters, digits and _, and begins with no digit")
    if text in RESERVED_LABELS or text.startswith("__"):
        taken = ", ".join(sorted(RESERVED_LABELS))
        raise ValueError(f"this label is taken; wanted none of {taken}, and none beginning with __")
    return text


def _label_value(text: str) -> str:
    return text and _clean(text, "the label's value")


def _mapping(value: object) -> object:
    if isinstance(value, Mapping):
        return value
    raise ValueError("wanted a mapping of label names to texts, such as {team: renewals}")


def _few(labels: dict[str, str]) -> dict[str, str]:
    if len(labels) > MAX_LABELS:
        raise ValueError(f"got {len(labels)} labels, wanted at most {MAX_LABELS}")
    return labels


def tag_pattern(text: str) -> Pattern:
    """Compile an expression that is matched against whole tags and names.

    Raises ValueError where it is no regular expression.
    """
    try:
        return Pattern(text)
    except ValueError as error:
        raise ValueError(f"wanted a regular expression of RE2's ({error})") from None


def _path(text: str) -> Path:
    if not text.strip() or "\0" in text:
        raise ValueError("wanted the path of a file")
    return Path(text)


def _token(text: str) -> SecretStr:
    return SecretStr(normalise_token(text))


# --- addresses


def _base_url(text: str) -> str:
    text = text.strip()
    wanted = "wanted an http:// or https:// URL without user, query or fragment"
    if not _is_url(text) or "?" in text or "#" in text or "@" in text:
        raise ValueError(wanted)
    return text.rstrip("/")


def _proxy_url(text: str) -> SecretStr:
    if not _is_url(text.strip()):
        raise ValueError("wanted an http:// or https:// URL, such as http://proxy.example:3128")
    return SecretStr(text.strip())


def _is_url(text: str) -> bool:
    if not text.isascii() or not text.isprintable() or " " in text:
        return False
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    host = parts.hostname or ""
    known = _is_host(host) or ":" in host  # urlsplit has checked what stands in brackets
    return parts.scheme in {"http", "https"} and known and port != 0


def _is_host(host: str) -> bool:
    """Whether it is a name or an IPv4 address; 300.1.1.1 is neither."""
    if re.fullmatch(r"[0-9.]+", host):
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            return False
        return True
    return _HOST.fullmatch(host) is not None


class ListenAddress(NamedTuple):
    """Where to listen. ``host`` bears no brackets; port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_listen(text: str) -> ListenAddress:
    """Read ``host:port``, ``:port`` (every IPv4 address) or ``[::]:port``.

    Raises ValueError for anything else.
    """
    wanted = f"wanted host:port, :port or [::]:port, with a port from 0 to {_MAX_PORT}"
    host, colon, port = text.strip().rpartition(":")
    if not colon or not re.fullmatch("[0-9]{1,5}", port) or int(port) > _MAX_PORT:
        raise ValueError(wanted)
    if not host:
        return ListenAddress("0.0.0.0", int(port))  # noqa: S104 - that is what :port means
    if host.startswith("[") and host.endswith("]"):
        try:
            return ListenAddress(str(ipaddress.IPv6Address(host[1:-1])), int(port))
        except ValueError:
            raise ValueError(wanted) from None
    if not _is_host(host):
        raise ValueError(wanted)
    return ListenAddress(host, int(port))


# --- what a later version brings: refused, because a setting that is ignored is worse


_SQLITE_URL = re.compile(r"sqlite:///[^?#\s][^?#]*")


def _state_url(text: str) -> str:
    text = text.strip()
    if text == "memory:" or _SQLITE_URL.fullmatch(text):
        return text
    if text.startswith(("postgresql:", "postgres:")):
        raise ValueError("PostgreSQL comes with a later version; until then wanted sqlite:///PATH")
    raise ValueError("wanted sqlite:///PATH (four slashes before an absolute path) or memory:")


# --- the types that the models are made of

Switch = Annotated[bool, Check(_switch, accepts="true or false")]
Buckets = Annotated[
    tuple[float, ...],
    Check(_buckets, accepts=f"1 to {MAX_BUCKETS} ascending numbers above 0"),
]
BaseUrl = Annotated[str, _from_text(str, _base_url, "http or https URL")]
ProxyUrl = Annotated[SecretStr, _from_text(SecretStr, _proxy_url, "http or https URL")]
Token = Annotated[SecretStr, _from_text(SecretStr, _token, "text")]
FilePath = Annotated[Path, _from_text(Path, _path, "path of a file")]
StateUrl = Annotated[str, _from_text(str, _state_url, "`sqlite:///PATH` or `memory:`")]
Listen = Annotated[
    ListenAddress,
    _from_text(
        ListenAddress,
        parse_listen,
        "`host:port`, `:port` or `[::]:port`",
        'host:port such as "0.0.0.0:10042"',
    ),
]
OutboundId = Annotated[
    str, _from_text(str, _outbound_id, f"1 to {MAX_TEXT} letters, digits and any of `_-.~`")
]
Name = Annotated[str, _from_text(str, _name, f"1 to {MAX_TEXT} characters")]
TagPattern = Annotated[Pattern, _from_text(Pattern, tag_pattern, "regular expression")]
Labels = Annotated[
    Mapping[
        Annotated[str, AfterValidator(_label_name)],
        Annotated[str, _from_text(str, _label_value, "")],
    ],
    AfterValidator(_few),
    Check(_mapping, accepts=f"mapping of at most {MAX_LABELS} label names to texts"),
]
