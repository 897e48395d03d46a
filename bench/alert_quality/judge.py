"""From the moments at which an expression has a value to alerts that fire, and to their quality."""

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

STEP_SECONDS = 15
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Fired(NamedTuple):
    """An alert that fired, of one outbound, from ``start`` to ``end`` (epoch seconds)."""

    alert: str
    outbound: str
    start: int
    end: int


def fired(
    alert: str, rule: Mapping[str, Any], moments: Sequence[int], outbound: str
) -> list[Fired]:
    """Applies ``for`` and ``keep_firing_for`` as Prometheus does, evaluation by evaluation."""
    wait, keep = seconds(rule.get("for", "0s")), seconds(rule.get("keep_firing_for", "0s"))
    made: list[Fired] = []
    for first, last in _spells(moments):
        start = first + wait
        if made and first - (made[-1].end - keep) <= keep:
            made[-1] = made[-1]._replace(end=last + STEP_SECONDS + keep)
        elif last >= start:
            made.append(Fired(alert, outbound, start, last + STEP_SECONDS + keep))
    return made


def _spells(moments: Sequence[int]) -> list[tuple[int, int]]:
    """The first and last moment of each unbroken row of evaluations."""
    spells: list[tuple[int, int]] = []
    for moment in moments:
        if spells and moment - spells[-1][1] <= STEP_SECONDS:
            spells[-1] = (spells[-1][0], moment)
        else:
            spells.append((moment, moment))
    return spells


def seconds(duration: str) -> int:
    """Of a duration as Prometheus writes it."""
    return sum(
        int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)([smhd])", duration)
    )


def first_during(alerts: Sequence[Fired], start: int, end: int) -> Fired | None:
    """The first that fires at some moment of the span; ``alerts`` are in the order of time."""
    place = bisect_left(alerts, start, key=lambda each: each.end)
    return alerts[place] if place < len(alerts) and alerts[place].start <= end else None
