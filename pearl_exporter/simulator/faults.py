"""What can be made to go wrong: which misbehaviours the simulated API has switched on.

One description, two spellings that mean the same: the flag ``rate_limit:0.1,retry_after=2`` and the
object ``{"fault": "rate_limit", "probability": 0.1, "retry_after": 2}``. `FAULTS` lists them.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

Value = float | int | str


@dataclass(frozen=True, slots=True)
class Kind:
    """One misbehaviour: what it does, its own settings by default, the words they allow."""

    help: str
    settings: Mapping[str, Value] = field(default_factory=dict)
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


FAULTS: Mapping[str, Kind] = {
    "rate_limit": Kind(
        "429; with Retry-After where retry_after is 0 or more seconds",
        {"retry_after": -1.0, "form": "seconds"},
        {"form": ("seconds", "date")},
    ),
    "unauthorized": Kind("401"),
    "forbidden": Kind("403"),
    "not_found": Kind("404"),
    "bad_request": Kind("400 with ASP.NET problem details"),
    "server_error": Kind("a 5xx", {"status": 503}),
    "slow": Kind("waits before it answers", {"seconds": 5.0}),
    "drip": Kind("sends the answer in slow drops", {"seconds": 5.0, "drops": 10}),
    "drop": Kind(
        "closes the connection, before or in the middle of the answer",
        {"when": "before"},
        {"when": ("before", "middle")},
    ),
    "html": Kind("a page of a proxy, with status 200"),
    "error_object": Kind("an error object, with status 200"),
    "empty": Kind("an empty body, with status 200"),
    "cut": Kind("JSON that breaks off, with status 200"),
    "content_type": Kind("another content type", {"type": "application/octet-stream"}),
    "clamp": Kind("at most this many rows a page, whatever the limit", {"limit": 10}),
    "limit_refused": Kind("400 for a limit above this", {"limit": 100}),
    "shifting": Kind("deletes or brings back the front row before a page with skip above 0"),
    "order_ignored": Kind(
        "rows in this order, whatever was asked",
        {"order": "ascending"},
        {"order": ("ascending", "descending", "scrambled")},
    ),
    "exclusive_to": Kind("toDate is not part of the range"),
    "exclusive_from": Kind("fromDate is not part of the range"),
    "statuses_ignored": Kind("the statuses filter does nothing"),
    "null_results": Kind("an empty page has null for its results"),
    "odd_rows": Kind("rows, always the same ones, of a wrong form", {"share": 0.05}),
    "odd_outbounds": Kind("the list of outbounds has rows of a wrong form, and some twice"),
    "wrapped_outbounds": Kind("the list of outbounds is an object with results"),
    "skew": Kind("the Date header is this many seconds ahead", {"seconds": 60.0}),
}
"""Every fault by name."""

COMMON: Mapping[str, str] = {
    "probability": "0 to 1, how often it hits (default 1)",
    "outbound": "the id of the one outbound that it is for, or the path /v1/Outbound or "
    "/v1/Account (default: all)",
    "requests": "how many requests it hits at most",
    "begin": "seconds from when it was switched on until it begins",
    "lasting": "seconds that it lasts from then",
}
"""The settings that every fault has."""


class FaultError(ValueError):
    """A fault was described wrongly; the message says what is allowed."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault switched on. ``begin`` and ``lasting`` are simulated seconds."""

    name: str
    probability: float = 1.0
    outbound: str | None = None
    requests: int | None = None
    begin: float = 0.0
    lasting: float | None = None
    settings: Mapping[str, Value] = field(default_factory=dict)

    def number(self, setting: str) -> float:
        """Return a setting of its own that is a number."""
        return float(self.settings[setting])

    def word(self, setting: str) -> str:
        """Return a setting of its own that is a word."""
        return str(self.settings[setting])

    def as_json(self) -> dict[str, Any]:
        """Return the object that `fault` reads back to the same."""
        plain: dict[str, Any] = {"fault": self.name, "probability": self.probability}
        for name in ("outbound", "requests", "begin", "lasting"):
            if getattr(self, name) is not None:
                plain[name] = getattr(self, name)
        return plain | dict(self.settings)


def fault(described: str | Mapping[str, Any] | Fault) -> Fault:
    """Return the fault that a flag or an object describes. Raises `FaultError` for a bad one."""
    if isinstance(described, Fault):
        return described
    given = _flag(described) if isinstance(described, str) else dict(described)
    name = given.pop("fault", None)
    if not isinstance(name, str) or name not in FAULTS:
        raise FaultError(f"there is no fault {name!r}; there are: {', '.join(FAULTS)}")
    kind = FAULTS[name]
    unknown = sorted(given.keys() - kind.settings.keys() - COMMON.keys())
    if unknown:
        allowed = ", ".join([*kind.settings, *COMMON])
        raise FaultError(f"fault {name} has no setting {unknown[0]!r}; it has: {allowed}")
    settings = {
        key: _setting(name, key, given.get(key, default), default)
        for key, default in kind.settings.items()
    }
    for key, words in kind.words.items():
        if settings[key] not in words:
            raise FaultError(f"{name}: {key} is {settings[key]!r}, wanted {' or '.join(words)}")
    return _checked(name, given, settings)


def _checked(name: str, given: Mapping[str, Any], settings: Mapping[str, Value]) -> Fault:
    probability = _setting(name, "probability", given.get("probability", 1.0), 1.0)
    if not 0.0 <= float(probability) <= 1.0:
        raise FaultError(f"{name}: probability is {probability}, wanted 0 to 1")
    numbers: dict[str, float | None] = {}
    for key in ("requests", "begin", "lasting"):
        value = given.get(key)
        numbers[key] = None if value is None else float(_setting(name, key, value, 0.0))
        if (numbers[key] or 0.0) < 0:
            raise FaultError(f"{name}: {key} is {value}, wanted 0 or more")
    for key in ("seconds", "limit"):
        if key in settings and name != "skew" and float(settings[key]) < 0:
            raise FaultError(f"{name}: {key} is {settings[key]}, wanted 0 or more")
    if "status" in settings and not 500 <= float(settings["status"]) <= 599:
        raise FaultError(f"{name}: status is {settings['status']}, wanted 500 to 599")
    outbound = given.get("outbound")
    if outbound is not None and not isinstance(outbound, str):
        raise FaultError(f"{name}: outbound is {outbound!r}, wanted an id")
    return Fault(
        name=name,
        probability=float(probability),
        outbound=outbound,
        requests=None if numbers["requests"] is None else int(numbers["requests"]),
        begin=numbers["begin"] or 0.0,
        lasting=numbers["lasting"],
        settings=settings,
    )


def _flag(text: str) -> dict[str, Any]:
    """Split ``name:probability,key=value,…``; everything but the name may be left out."""
    found = re.match(r"([^:,]*)[:,]?(.*)", text, re.DOTALL)
    assert found is not None  # noqa: S101 - both parts may be empty
    name, rest = found.groups()
    given: dict[str, Any] = {"fault": name.strip()}
    for part in filter(None, (part.strip() for part in rest.split(","))):
        key, equals, value = part.partition("=")
        if equals:
            given[key.strip()] = value.strip()
        elif len(given) == 1:
            given["probability"] = part
        else:
            raise FaultError(f"{text!r}: {part!r} is no key=value")
    return given


def _setting(name: str, key: str, value: Any, default: Value) -> Value:
    if isinstance(default, str):
        return str(value)
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise FaultError(f"{name}: {key} is {value!r}, wanted a number")
    return int(number) if isinstance(default, int) else number


class Faults:
    """The faults that are on, and the dice (seeded) that say which of them hit a request."""

    def __init__(
        self, faults: Iterable[str | Mapping[str, Any] | Fault] = (), *, seed: int = 0
    ) -> None:
        self._random = Random(f"faults/{seed}")
        self._active: list[_Active] = []
        self.hits: Counter[str] = Counter()
        self._set([fault(each) for each in faults], None)

    def set(self, faults: Iterable[str | Mapping[str, Any] | Fault], now_ms: int) -> None:
        """Switch exactly these on from ``now_ms``. Raises `FaultError` and changes nothing."""
        self._set([fault(each) for each in faults], now_ms)

    def clear(self) -> None:
        """Switch all off."""
        self._active = []

    @property
    def active(self) -> Sequence[Fault]:
        """The faults that are on, spent ones too."""
        return [each.fault for each in self._active]

    def strike(self, outbound: str | None, now_ms: int) -> dict[str, Fault]:
        """Return the faults, by name, that hit a request about ``outbound`` at ``now_ms``."""
        struck: dict[str, Fault] = {}
        for each in self._active:
            if each.fault.name in struck or not each.applies(outbound, now_ms):
                continue
            if self._random.random() < each.fault.probability:
                each.hits += 1
                self.hits[each.fault.name] += 1
                struck[each.fault.name] = each.fault
        return struck

    def _set(self, faults: Iterable[Fault], now_ms: int | None) -> None:
        self._active = [_Active(each, now_ms) for each in faults]


@dataclass(slots=True)
class _Active:
    fault: Fault
    since_ms: int | None  # None: from the first request on
    hits: int = 0

    def applies(self, outbound: str | None, now_ms: int) -> bool:
        if self.since_ms is None:
            self.since_ms = now_ms
        described = self.fault
        if described.outbound is not None and described.outbound != outbound:
            return False
        if described.requests is not None and self.hits >= described.requests:
            return False
        begun = (now_ms - self.since_ms) / 1000 - described.begin
        return begun >= 0 and (described.lasting is None or begun < described.lasting)
