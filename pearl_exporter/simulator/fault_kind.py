"""What a fault is: a name, settings, a help text, and functions that say what it does to a request.

A kind of fault has a function for each *stage* of a request that it changes. The stages, in the
order in which a request meets them:

1. ``instead``: an error in place of an answer.
2. ``refuse``: an error in place of an answer, if the search asks for something.
3. ``on_query``: the search as the server understands it.
4. ``on_table``: what happens to the calls themselves, before they are looked at.
5. ``as_of``: the moment of which the answer is.
6. ``on_page``: which rows are found, and in which order.
7. ``on_row``: one row of the page.
8. ``on_answer``: the count and all rows of the page.
9. ``on_list``: the list of outbounds.
10. ``on_body``: the body of an answer with status 200, before compression.
11. ``on_headers``: the headers of any answer.
12. ``on_wire``: what goes over the connection.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeAlias

from starlette.responses import Response

from pearl_exporter.simulator.call_life import CallLife
from pearl_exporter.simulator.campaign import CallPage, CallQuery, Campaign

Value: TypeAlias = float | int | str
Sleep: TypeAlias = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class AskedSearch:
    """A calls search that faults may change.

    Attributes:
        campaign: The outbound.
        query: The search as the server understands it.
        limit: The limit that was asked for, before it is cut to the simulator's greatest.
        now_ms: The simulated time.
        random: Seeded random numbers.
        shifted: The calls of the outbound that the fault ``shifting`` has deleted and may bring
            back. The fault changes the list.
    """

    campaign: Campaign
    query: CallQuery
    limit: int
    now_ms: int
    random: Random
    shifted: list[CallLife]


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a calls search, before it is JSON."""

    count: int
    results: Sequence[Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultKind:
    """One kind of fault. The functions are the stages that the module's text lists.

    Attributes:
        help: What it does.
        settings: Its own settings, with their defaults.
        words: The allowed values of settings that are words.
        bounds: The least and the greatest value of settings that are numbers.
        moments: The settings that are a moment in ISO 8601, or empty.
    """

    help: str
    settings: Mapping[str, Value] = field(default_factory=dict)
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    moments: frozenset[str] = frozenset()
    instead: "Callable[[Fault, int], Response] | None" = None
    refuse: "Callable[[Fault, AskedSearch], Response | None] | None" = None
    on_query: "Callable[[Fault, CallQuery, int], CallQuery] | None" = None
    on_table: "Callable[[Fault, AskedSearch], None] | None" = None
    as_of: "Callable[[Fault, int], int] | None" = None
    on_page: "Callable[[Fault, AskedSearch, int], CallPage] | None" = None
    on_row: "Callable[[Fault, CallLife, Any], Any] | None" = None
    on_answer: "Callable[[Fault, Answer, AskedSearch], Answer] | None" = None
    on_list: "Callable[[Fault, Any], Any] | None" = None
    on_body: "Callable[[Fault, Response], Response] | None" = None
    on_headers: "Callable[[Fault, Response, int], None] | None" = None
    on_wire: "Callable[[Fault, Response, Sleep], Response] | None" = None


FaultKinds: TypeAlias = Mapping[str, FaultKind]
"""Kinds of faults by name. Where several hit one request, they apply in this order."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault that is on.

    Attributes:
        name: The name of its kind.
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

    def whole(self, setting: str) -> int:
        """Return a setting of its kind that is a whole number."""
        return int(self.settings[setting])

    def milliseconds(self, setting: str, unit_ms: int = 1000) -> int:
        """Return a setting of its kind that is a time, in seconds unless ``unit_ms`` is given."""
        return round(self.number(setting) * unit_ms)

    def word(self, setting: str) -> str:
        """Return a setting of its kind that is a word."""
        return str(self.settings[setting])

    def as_json(self) -> dict[str, Any]:
        """Return the object from which `faults.fault` makes the same fault."""
        plain: dict[str, Any] = {"fault": self.name, "probability": self.probability}
        for name in ("outbound", "requests", "begin", "lasting"):
            if getattr(self, name) is not None:
                plain[name] = getattr(self, name)
        return plain | dict(self.settings)


RequestFaults: TypeAlias = Mapping[str, Fault]
"""The faults that hit one request, by name, in the order of `FaultKinds`."""
