"""What Grafana asks Prometheus for a panel: variables and intervals put into its queries.

The tests and the renderer ask the same way. Only what these dashboards use is here: variables
within regular expressions, ``$interval`` as the least step, ``$__rate_interval``, ``$__range``.
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
    """What a person has chosen above a dashboard.

    Attributes:
        variables: The chosen value of each variable, as it goes into a query.
        start_seconds: Begin of the time range.
        end_seconds: End of the time range.
        points: How many points a graph has room for.
    """

    variables: Mapping[str, str]
    start_seconds: float
    end_seconds: float
    points: int = 600


@dataclass(frozen=True)
class Request:
    """A request to Prometheus' API."""

    path: str
    asked: Mapping[str, str | float]


def panels(dashboard: Json) -> Iterator[Json]:
    """Every panel that is no row."""
    for each in dashboard["panels"]:
        if each["type"] != "row":
            yield each
        yield from each.get("panels", ())


def request(target: Json, view: View) -> Request:
    """The request for one query of a panel."""
    step, rate_interval = _intervals(target, view)
    query = put_in(target["expr"], view, {"__rate_interval": f"{rate_interval}s"})
    if target.get("instant"):
        return Request("/api/v1/query", {"query": query, "time": view.end_seconds})
    # Grafana's points are whole steps, so that they do not move with each refresh
    span = {
        "start": math.floor(view.start_seconds / step) * step,
        "end": math.floor(view.end_seconds / step) * step,
        "step": step,
    }
    return Request("/api/v1/query_range", {"query": query, **span})


def put_in(text: str, view: View, more: Mapping[str, str]) -> str:
    """Puts the values of variables in. Raises KeyError for a variable that there is not."""
    seconds = max(1, round(view.end_seconds - view.start_seconds))
    values = {**view.variables, "__range": f"{seconds}s", **more}
    return re.sub(r"\$(\w+)", lambda found: values[found[1]], text)


def _intervals(target: Json, view: View) -> tuple[int, int]:
    """Step and $__rate_interval in seconds: four times the least step, more in a long range."""
    least = round(parse_duration(put_in(target["interval"], view, {})))
    room = math.ceil((view.end_seconds - view.start_seconds) / view.points)
    step = max(least, room)
    return step, max(step + least, 4 * least)
