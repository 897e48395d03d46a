"""The faults that the simulated API can have, which of them are on, and which requests they hit.

A fault has two spellings that mean the same: the flag ``rate_limit:0.1,retry_after=2`` and the
object ``{"fault": "rate_limit", "probability": 0.1, "retry_after": 2}``. `FAULTS` lists all faults,
`pearl_exporter.simulator.fault_effects` has what they do.
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
class FaultKind:
    """One kind of fault.

    Attributes:
        help: What it does.
        settings: Its own settings, with their defaults.
        words: The allowed values of settings that are words.
    """

    help: str
    settings: Mapping[str, Value] = field(default_factory=dict)
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


FAULTS: Mapping[str, FaultKind] = {
    "rate_limit": FaultKind(
        "429; with Retry-After where retry_after is 0 or more seconds",
        {"retry_after": -1.0, "form": "seconds"},
        {"form": ("seconds", "date")},
    ),
    "unauthorized": FaultKind("401"),
    "forbidden": FaultKind("403"),
    "not_found": FaultKind("404"),
    "bad_request": FaultKind("400 with ASP.NET problem details"),
    "server_error": FaultKind("a 5xx", {"status": 503}),
    "slow": FaultKind("waits before it answers", {"seconds": 5.0}),
    "drip": FaultKind("sends the answer in pieces, slowly", {"seconds": 5.0, "drops": 10}),
    "drop": FaultKind(
        "closes the connection, before or in the middle of the answer",
        {"when": "before"},
        {"when": ("before", "middle")},
    ),
    "html": FaultKind("a page of a proxy, with status 200"),
    "error_object": FaultKind("an error object, with status 200"),
    "empty": FaultKind("an empty body, with status 200"),
    "cut": FaultKind("JSON that breaks off, with status 200"),
    "content_type": FaultKind("another content type", {"type": "application/octet-stream"}),
    "clamp": FaultKind("at most this many rows a page, whatever the limit", {"limit": 10}),
    "limit_refused": FaultKind("400 for a limit above this", {"limit": 100}),
    "shifting": FaultKind(
        "deletes the first row, or brings one back, before a page with skip above 0"
    ),
    "order_ignored": FaultKind(
        "rows in this order, whatever was asked",
        {"order": "ascending"},
        {"order": ("ascending", "descending", "scrambled")},
    ),
    "exclusive_to": FaultKind("toDate is not part of the range"),
    "exclusive_from": FaultKind("fromDate is not part of the range"),
    "statuses_ignored": FaultKind("the statuses filter does nothing"),
    "null_results": FaultKind("an empty page has null for its results"),
    "odd_rows": FaultKind("malformed rows, always the same ones", {"share": 0.05}),
    "odd_outbounds": FaultKind("the list of outbounds has malformed rows, and some rows twice"),
    "wrapped_outbounds": FaultKind("the list of outbounds is an object with results"),
    "skew": FaultKind("the Date header is this many seconds ahead", {"seconds": 60.0}),
}
"""Every fault by name."""

COMMON: Mapping[str, str] = {
    "probability": "0 to 1, the share of requests that it hits (default 1)",
    "outbound": "the id of the one outbound that it is for, or the path /v1/Outbound or "
    "/v1/Account (default: all)",
    "requests": "it hits at most this many requests",
    "begin": "simulated seconds from when it is switched on until it begins",
    "lasting": "simulated seconds that it lasts from then",
}
"""The settings that every fault has."""


class FaultError(ValueError):
    """The description of a fault is wrong; the message says what is allowed."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault that is on.

    Attributes:
        name: One of `FAULTS`.
        probability: Share of the requests that it hits, 0 to 1.
        outbound: The id of the one outbound that it is for, or a path of the API; None is all.
        requests: It hits at most this many requests.
        begin: Simulated seconds from when it is switched on until it begins.
        lasting: Simulated seconds that it lasts from then; None is for ever.
        settings: The settings of its kind.
    """

    name: str
    probability: float = 1.0
    outbound: str | None = None
    requests: int | None = None
    begin: float = 0.0
    lasting: float | None = None
    settings: Mapping[str, Value] = field(default_factory=dict)

    def number(self, setting: str) -> float:
        """Return a setting of its kind that is a number."""
        return float(self.settings[setting])

    def word(self, setting: str) -> str:
        """Return a setting of its kind that is a word."""
        return str(self.settings[setting])

    def as_json(self) -> dict[str, Any]:
        """Return the object from which `fault` makes the same fault."""
        plain: dict[str, Any] = {"fault": self.name, "probability": self.probability}
        for name in ("outbound", "requests", "begin", "lasting"):
            if getattr(self, name) is not None:
                plain[name] = getattr(self, name)
        return plain | dict(self.settings)


RequestFaults = Mapping[str, Fault]
"""The faults that hit one request, by name."""


def fault(described: str | Mapping[str, Any] | Fault) -> Fault:
    """Return the fault that a flag or an object describes.

    Raises:
        FaultError: There is no such fault, or a setting is wrong.
    """
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
    return _checked_fault(name, given, settings)


def _checked_fault(name: str, given: Mapping[str, Any], settings: Mapping[str, Value]) -> Fault:
    """Return the fault; raise `FaultError` if a number of it is out of its range."""
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
    """Return ``name:probability,key=value,…`` as an object. All but the name may be left out."""
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
    """Return ``value`` in the type of ``default``; raise `FaultError` if it is no number."""
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
    """The faults that are on, and the seeded random numbers that decide which requests they hit."""

    def __init__(
        self, faults: Iterable[str | Mapping[str, Any] | Fault] = (), *, seed: int = 0
    ) -> None:
        self._random = Random(f"faults/{seed}")
        self._active: list[_ActiveFault] = []
        self.hits: Counter[str] = Counter()
        self._set([fault(each) for each in faults], None)

    def set(self, faults: Iterable[str | Mapping[str, Any] | Fault], now_ms: int) -> None:
        """Switch exactly these faults on, as of ``now_ms``.

        Raises:
            FaultError: A description is wrong. Nothing was changed.
        """
        self._set([fault(each) for each in faults], now_ms)

    def clear(self) -> None:
        """Switch all faults off."""
        self._active = []

    @property
    def active(self) -> Sequence[Fault]:
        """The faults that are on, also those that have hit all their requests."""
        return [each.fault for each in self._active]

    def draw(self, outbound: str | None, now_ms: int) -> dict[str, Fault]:
        """Return the faults, by name, that hit one request, and count them as hits.

        Args:
            outbound: The id of the outbound that the request is about, or else its path.
            now_ms: The simulated time.
        """
        hit: dict[str, Fault] = {}
        for each in self._active:
            if each.fault.name in hit or not each.applies(outbound, now_ms):
                continue
            if self._random.random() < each.fault.probability:
                each.hits += 1
                self.hits[each.fault.name] += 1
                hit[each.fault.name] = each.fault
        return hit

    def _set(self, faults: Iterable[Fault], now_ms: int | None) -> None:
        self._active = [_ActiveFault(each, now_ms) for each in faults]


@dataclass(slots=True)
class _ActiveFault:
    """A fault with the moment from which its times count, None until the first request."""

    fault: Fault
    since_ms: int | None
    hits: int = 0

    def applies(self, outbound: str | None, now_ms: int) -> bool:
        """Return whether the fault may hit a request about ``outbound`` now."""
        if self.since_ms is None:
            self.since_ms = now_ms
        fault = self.fault
        if fault.outbound is not None and fault.outbound != outbound:
            return False
        if fault.requests is not None and self.hits >= fault.requests:
            return False
        begun = (now_ms - self.since_ms) / 1000 - fault.begin
        return begun >= 0 and (fault.lasting is None or begun < fault.lasting)
