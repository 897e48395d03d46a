"""The requests that Grafana sends to Prometheus for a panel.

The tests of the dashboards and the pictures use them. Only what these dashboards need is here:
variables within regular expressions, ``$interval`` as the smallest step, ``$__rate_interval`` and
``$__range``.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pearl_exporter.config.durations import parse_duration

Json = dict[str, Any]


@dataclass(frozen=True)
class View:
    """What is chosen above a dashboard.

    Attributes:
        variables: The value of each variable, as it is inserted into a query.
        start_seconds: Start of the time range, a Unix time.
        end_seconds: End of the time range, a Unix time.
        points: Width of a graph in points.
    """

    variables: Mapping[str, str]
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
    """
    seconds = max(1, round(view.end_seconds - view.start_seconds))
    values = {**view.variables, "__range": f"{seconds}s", **more}
    return re.sub(r"\$(\w+)", lambda found: values[found[1]], text)


def _intervals(target: Json, view: View) -> tuple[int, int]:
    """Return step and ``$__rate_interval`` in seconds, as Grafana calculates them."""
    min_step = round(parse_duration(interpolate(target["interval"], view, {})))
    point = math.ceil((view.end_seconds - view.start_seconds) / view.points)
    step = max(min_step, point)
    return step, max(step + min_step, 4 * min_step)
