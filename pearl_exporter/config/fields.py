"""The types of configured values: durations, numbers, names, addresses, each with its check.

A check raises ValueError. A message that begins with "wanted" is reported after what was got:
``got "5x", wanted a duration``. No message quotes the value: `Problems` knows whether it may be
shown.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, SecretStr, ValidationInfo

from pearl_exporter.config.addresses import ListenAddress, base_url, parse_listen, proxy_url
from pearl_exporter.config.durations import WANTED, format_duration, parse_duration
from pearl_exporter.config.example_values import refuse_example_id
from pearl_exporter.config.tokens import normalise_token
from pearl_exporter.config.yaml_lines import AmbiguousNumber
from pearl_exporter.patterns import Pattern
from pearl_exporter.text import MAX_TEXT, has_control_characters, is_outbound_id, is_quotable

MAX_LABELS = 10
MAX_BUCKETS = 50
RESERVED_LABELS = frozenset({"job", "instance", "outbound", "outbound_id", "le"})

_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_SQLITE_URL = re.compile(r"sqlite:///[^?#\s][^?#]*")


@dataclass(frozen=True, slots=True)
class Check(BeforeValidator):
    """A validator, and what it accepts in the words of the documentation."""

    accepts: str = ""


def _from_text(
    kind: type, check: Callable[[str], object], accepts: str, wanted: str = "text; put it in quotes"
) -> Check:
    """Return a check that makes a value of type ``kind`` from a text.

    Args:
        kind: The type of the result; a value that has it already is accepted.
        check: Makes the value of the text, or raises ValueError.
        accepts: What is accepted, for the documentation.
        wanted: What the message asks for if YAML did not read the value as text.
    """

    def checked(value: object) -> object:
        if isinstance(value, kind) and kind is not str:
            return value
        if isinstance(value, str):
            return check(value)
        # YAML reads on, 123 and 65e1234567 as a boolean and numbers, whatever their writer meant.
        is_scalar = isinstance(value, (bool, int, float, AmbiguousNumber))
        raise ValueError(f"wanted {wanted if is_scalar else 'text'}")

    return Check(checked, accepts=accepts)


# --- numbers and durations


def duration(low: float, high: float) -> Check:
    """Return a check of durations from ``low`` to ``high`` seconds.

    Code may give any number of seconds, as tests do; the bounds are for what users write.
    """
    accepts = f"duration from {format_duration(low)} to {format_duration(high)}"

    def checked(value: object, info: ValidationInfo) -> float:
        if info.context is None and isinstance(value, (int, float)):
            return float(value)
        seconds = _seconds(value)
        if not low <= seconds <= high:
            raise ValueError(f"wanted a {accepts}")
        return seconds

    return Check(checked, accepts=accepts)


def _seconds(value: object) -> float:
    """Return a duration's seconds. A bare number is refused: a reader would not see its unit."""
    if isinstance(value, str):
        return parse_duration(value.strip())
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        raise ValueError(f'wanted {WANTED}; did you mean "{value}s"?')
    raise ValueError(f"wanted {WANTED}")


def whole(low: int, high: int) -> Check:
    """Return a check of whole numbers from ``low`` to ``high``."""
    accepts = f"whole number from {low} to {high}"

    def checked(value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        raise ValueError(f"wanted a {accepts}")

    return Check(checked, accepts=accepts)


def above_zero(high: float) -> Check:
    """Return a check of numbers above 0 and at most ``high``."""
    accepts = f"number above 0, at most {high:g}"

    def checked(value: object) -> float:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= high:
            return float(value)
        raise ValueError(f"wanted a {accepts}")

    return Check(checked, accepts=accepts)


def share_or_none() -> Check:
    """Return a check of shares above 0, or ``none``."""
    accepts = "number above 0, at most 1, or none"

    def checked(value: object) -> float | None:
        if value is None or value == "none":
            return None
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= 1:
            return float(value)
        raise ValueError(f"wanted a {accepts}")

    return Check(checked, accepts=accepts)


def share() -> Check:
    """Return a check of shares, from 0 to 1."""
    accepts = "number from 0 to 1"

    def checked(value: object) -> float:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1:
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


def _true_or_false(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError("wanted true or false")


def one_of(*choices: str) -> Check:
    """Return a check of the words ``choices``."""
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
    text = _clean(text, "the name")
    if not is_quotable(text):
        raise ValueError("the name has a backtick, which the dashboards' queries can't quote")
    return text


def _outbound_id(text: str) -> str:
    text = _clean(text, "the id")
    if not is_outbound_id(text):
        raise ValueError("wanted an id of letters, digits and any of _ - . ~")
    refuse_example_id(text)
    return text


def _label_name(text: str) -> str:
    if not _LABEL_NAME.fullmatch(text):
        raise ValueError("a label's name has only letters, digits and _, and begins with no digit")
    if text in RESERVED_LABELS or text.startswith("__"):
        reserved = ", ".join(sorted(RESERVED_LABELS))
        raise ValueError(f"reserved name; wanted none of {reserved}, and none beginning with __")
    return text


def _label_value(text: str) -> str:
    return text and _clean(text, "the label's value")


def _mapping(value: object) -> object:
    if isinstance(value, Mapping):
        return value
    raise ValueError("wanted a mapping of label names to texts, such as {team: renewals}")


def _at_most_max_labels(labels: dict[str, str]) -> dict[str, str]:
    if len(labels) > MAX_LABELS:
        raise ValueError(f"got {len(labels)} labels, wanted at most {MAX_LABELS}")
    return labels


def tag_pattern(text: str) -> Pattern:
    """Return the compiled expression, which is matched against whole tags and names.

    Raises:
        ValueError: It is not a regular expression of RE2's.
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


def _proxy_url(text: str) -> SecretStr:
    return SecretStr(proxy_url(text))


def _state_url(text: str) -> str:
    text = text.strip()
    if text == "memory:" or _SQLITE_URL.fullmatch(text):
        return text
    # A later version brings it. Until then it is refused: an ignored setting would be worse.
    if text.startswith(("postgresql:", "postgres:")):
        raise ValueError("PostgreSQL comes with a later version; until then wanted sqlite:///PATH")
    if text.startswith("sqlite:///") and re.search("[?#]", text):
        raise ValueError("wanted sqlite:///PATH, with %3F for each ? and %23 for each # in PATH")
    raise ValueError("wanted sqlite:///PATH (four slashes before an absolute path) or memory:")


# --- the types of the settings

Switch = Annotated[bool, Check(_true_or_false, accepts="true or false")]
Buckets = Annotated[
    tuple[float, ...],
    Check(_buckets, accepts=f"1 to {MAX_BUCKETS} ascending numbers above 0"),
]
BaseUrl = Annotated[str, _from_text(str, base_url, "http or https URL")]
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
        'host:port such as "127.0.0.1:10042", or ":10042"',
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
    AfterValidator(_at_most_max_labels),
    Check(_mapping, accepts=f"mapping of at most {MAX_LABELS} label names to texts"),
]
