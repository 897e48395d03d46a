"""The requests that Grafana sends to Prometheus for a panel.

The tests of the dashboards and the pictures use them. Only what these dashboards need is here:
variables as regular expressions (``${outbound:regex}``), ``$interval`` as the smallest step,
``$__rate_interval`` and ``$__range``.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pearl_exporter.config.durations import parse_duration

Json = dict[str, Any]

Value = str | Sequence[str]
"""What is chosen in a variable: one value, or several."""

ALL = "$__all"
"""The value of a variable in which *All* is chosen, as Grafana has it."""

_ALL_REGEX = ".+"
"""The custom value of *All*, which Grafana inserts as it is, whatever the format."""

_VARIABLE = re.compile(r"\$(?:\{(?P<long>\w+)(?::(?P<format>\w+))?\}|(?P<short>\w+))")


@dataclass(frozen=True)
class View:
    """What is chosen above a dashboard.

    Attributes:
        variables: What is chosen in each variable.
        start_seconds: Start of the time range, a Unix time.
        end_seconds: End of the time range, a Unix time.
        points: Width of a graph in points.
    """

    variables: Mapping[str, Value]
    start_seconds: float
    end_seconds: float
    points: int = 600


@dataclass(frozen=True)
class Request:
    """A request to Prometheus' HTTP API."""

    path: str
    parameters: Mapping[str, str | float]


def panels(dashboard: Json) -> Iterator[Json]:
    """Yield every panel that is not a row."""
    for each in dashboard["panels"]:
        if each["type"] != "row":
            yield each
        yield from each.get("panels", ())


def request_of(target: Json, view: View) -> Request:
    """Return the request for one query of a panel."""
    step, rate_interval = _intervals(target, view)
    query = interpolate(target["expr"], view, {"__rate_interval": f"{rate_interval}s"})
    if target.get("instant"):
        return Request("/api/v1/query", {"query": query, "time": view.end_seconds})
    # Grafana rounds to whole steps, so that points do not move with each refresh
    span = {
        "start": math.floor(view.start_seconds / step) * step,
        "end": math.floor(view.end_seconds / step) * step,
        "step": step,
    }
    return Request("/api/v1/query_range", {"query": query, **span})


def interpolate(text: str, view: View, more: Mapping[str, str]) -> str:
    """Insert the values of variables into a query.

    Args:
        text: The query with its ``$variables``.
        view: The chosen variables and time range.
        more: Values of further variables.

    Raises:
        KeyError: The query names a variable that does not exist.
        ValueError: A variable has a format that is not known here, or several values and none.
    """
    seconds = max(1, round(view.end_seconds - view.start_seconds))
    values = {**view.variables, "__range": f"{seconds}s", **more}

    def inserted(found: re.Match[str]) -> str:
        value, format_ = values[found["long"] or found["short"]], found["format"]
        if format_ == "regex":
            return _as_regex(value)
        if format_ is None and isinstance(value, str):
            return value
        raise ValueError(f"no rule for {found[0]} with the value {value!r}")

    return _VARIABLE.sub(inserted, text)


def _as_regex(value: Value) -> str:
    """Return a value in Grafana's format ``regex``: escapeRegex of @grafana/data on each text."""
    if value == ALL:
        return _ALL_REGEX
    texts = [value] if isinstance(value, str) else value
    escaped = [re.sub(r"[\\^$*+?.()|[\]{}/]", r"\\\g<0>", each) for each in texts]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


def _intervals(target: Json, view: View) -> tuple[int, int]:
    """Return step and ``$__rate_interval`` in seconds, as Grafana calculates them."""
    min_step = round(parse_duration(interpolate(target["interval"], view, {})))
    point = math.ceil((view.end_seconds - view.start_seconds) / view.points)
    step = max(min_step, point)
    return step, max(step + min_step, 4 * min_step)
