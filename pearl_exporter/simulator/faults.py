"""The descriptions of faults, which faults are on, and which requests they hit.

A fault has two spellings that mean the same: the flag ``rate_limit:0.1,retry_after=2`` and the
object ``{"fault": "rate_limit", "probability": 0.1, "retry_after": 2}``. What there is and what it
does is in `pearl_exporter.simulator.fault_catalogue`.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from pearl_exporter.simulator.fault_catalogue import FAULTS
from pearl_exporter.simulator.fault_kind import Fault, FaultKind, Value
from pearl_exporter.simulator.search_body import SearchBodyError, moment_us
from pearl_exporter.simulator.simulated_platform import ACCOUNT_PATH, LIST_PATH

COMMON: Mapping[str, str] = {
    "probability": "0 to 1, the share of requests that it hits (default 1)",
    "outbound": "the id or the name of the one outbound that it is for, or the path "
    f"{LIST_PATH} or {ACCOUNT_PATH} (default: all)",
    "requests": "it hits at most this many requests",
    "begin": "simulated seconds from when it is switched on until it begins",
    "lasting": "simulated seconds that it lasts from then",
}
"""The settings that every fault has."""


class FaultError(ValueError):
    """The description of a fault is wrong; the message says what is allowed."""


def fault(
    described: str | Mapping[str, Any] | Fault, outbounds: Mapping[str, str] | None = None
) -> Fault:
    """Return the fault that a flag or an object describes.

    Args:
        described: The flag or the object; a fault is returned as it is.
        outbounds: The names of the outbounds by id; None accepts any.

    Raises:
        FaultError: There is no such fault or outbound, or a setting is wrong.
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
    probability = _number(name, "probability", given.get("probability", 1.0), (0.0, 1.0))
    numbers = {
        key: None if given.get(key) is None else _number(name, key, given[key], (0.0, math.inf))
        for key in ("requests", "begin", "lasting")
    }
    requests = numbers["requests"]
    return Fault(
        name=name,
        probability=probability,
        outbound=_outbound(name, given.get("outbound"), outbounds),
        requests=None if requests is None else int(requests),
        begin=numbers["begin"] or 0.0,
        lasting=numbers["lasting"],
        settings={key: _setting(name, kind, key, given) for key in kind.settings},
    )


def _outbound(name: str, given: Any, outbounds: Mapping[str, str] | None) -> str | None:
    """Return the id or path that a fault is for; raise `FaultError` if there is no such one."""
    if given is None:
        return None
    if not isinstance(given, str):
        raise FaultError(f"{name}: outbound is {given!r}, wanted an id")
    if outbounds is None or given in outbounds or given in (LIST_PATH, ACCOUNT_PATH):
        return given
    for outbound_id, outbound_name in outbounds.items():
        if given == outbound_name:
            return outbound_id
    known = ", ".join(f"{each} ({called})" for each, called in outbounds.items())
    raise FaultError(
        f"{name}: there is no outbound {given!r}; there are: {known}, {LIST_PATH}, {ACCOUNT_PATH}"
    )


def _setting(name: str, kind: FaultKind, key: str, given: Mapping[str, Any]) -> Value:
    """Return a setting of the fault's kind; raise `FaultError` if it is not allowed."""
    default = kind.settings[key]
    value = given.get(key, default)
    if not isinstance(default, str):
        number = _number(name, key, value, kind.bounds.get(key, (-math.inf, math.inf)))
        return int(number) if isinstance(default, int) else number
    text = str(value)
    words = kind.words.get(key)
    if words is not None and text not in words:
        raise FaultError(f"{name}: {key} is {text!r}, wanted {' or '.join(words)}")
    if key in kind.moments and text:
        try:
            moment_us(key, text)
        except SearchBodyError:
            raise FaultError(
                f"{name}: {key} is {text!r}, wanted a moment such as 2026-03-29T01:00:00Z"
            ) from None
    return text


def _number(name: str, key: str, value: Any, bounds: tuple[float, float]) -> float:
    """Return ``value`` as a number; raise `FaultError` if it is none or out of its bounds."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise FaultError(f"{name}: {key} is {value!r}, wanted a number")
    least, greatest = bounds
    if not least <= number <= greatest:
        wanted = f"{least:g} or more" if greatest == math.inf else f"{least:g} to {greatest:g}"
        raise FaultError(f"{name}: {key} is {value}, wanted {wanted}")
    return number


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


class Faults:
    """The faults that are on, and which requests they hit.

    Args:
        faults: The faults that are on at the start.
        seed: Decides which requests they hit.
        outbounds: The names of the outbounds by id; None accepts any outbound.

    Attributes:
        hits: How many requests each fault has hit, by name.
        random: The seeded random numbers, which faults may also use.

    Raises:
        FaultError: A description is wrong.
    """

    def __init__(
        self,
        faults: Iterable[str | Mapping[str, Any] | Fault] = (),
        *,
        seed: int = 0,
        outbounds: Mapping[str, str] | None = None,
    ) -> None:
        self.random = Random(f"faults/{seed}")
        self.hits: Counter[str] = Counter()
        self._outbounds = outbounds
        self._active: list[_ActiveFault] = []
        self._set(faults, None)

    def set(self, faults: Iterable[str | Mapping[str, Any] | Fault], now_ms: int) -> None:
        """Switch exactly these faults on, as of ``now_ms``.

        Raises:
            FaultError: A description is wrong. Nothing was changed.
        """
        self._set(faults, now_ms)

    def clear(self) -> None:
        """Switch all faults off."""
        self._active = []

    @property
    def active(self) -> Sequence[Fault]:
        """The faults that are on, also those that have hit all their requests."""
        return [each.fault for each in self._active]

    def draw(self, outbound: str | None, now_ms: int) -> dict[str, Fault]:
        """Return the faults that hit one request, in order of `FAULTS`, and count them as hits.

        Args:
            outbound: The id of the outbound that the request is about, or else its path.
            now_ms: The simulated time.
        """
        hit: dict[str, Fault] = {}
        for each in self._active:
            if each.fault.name in hit or not each.applies(outbound, now_ms):
                continue
            if self.random.random() < each.fault.probability:
                each.hits += 1
                self.hits[each.fault.name] += 1
                hit[each.fault.name] = each.fault
        return {name: hit[name] for name in FAULTS if name in hit}

    def _set(self, faults: Iterable[str | Mapping[str, Any] | Fault], now_ms: int | None) -> None:
        self._active = [_ActiveFault(fault(each, self._outbounds), now_ms) for each in faults]


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
