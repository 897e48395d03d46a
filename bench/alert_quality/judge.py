"""From the moments at which an expression has a value to alerts that fire, and to their quality."""

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from bench.alert_quality.counting import Counted, nth_bad
from bench.alert_quality.world import Incident, World

STEP_SECONDS = 15
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Fired(NamedTuple):
    """An alert that fired, of one outbound, from ``start`` to ``end`` (epoch seconds)."""

    alert: str
    outbound: str
    start: int
    end: int


class Outcome(NamedTuple):
    """What was counted of each outbound, by its name, and what fired, in the order of time."""

    counted: dict[str, Counted]
    fired: list[Fired]
    silent_where_known: Sequence[Fired] = ()
    """Silences told where `pearl_outbound_running` says which outbounds are paused."""


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


class Found(NamedTuple):
    """A labelled incident, and what was made of it."""

    outbound: str
    calls_a_day: float
    incident: Incident
    bad_calls: int
    decisive: float | None
    """When the call started by which it should be known (epoch seconds); None if none did."""
    first: Fired | None
    """The first alert of its kind during it or just after."""

    @property
    def delay_seconds(self) -> float | None:
        """From its beginning to the alert."""
        return None if self.first is None else self.first.start - self.incident.start / 1000

    @property
    def late_seconds(self) -> float | None:
        """From the decisive call to the alert; negative where it was known before."""
        if self.first is None or self.decisive is None:
            return None
        return self.first.start - self.decisive


OF_KIND = {
    "error": ("PearlErrorSpike", "PearlErrorShareRaised"),
    "unreachable": ("PearlUnreachableSpike", "PearlUnreachableShareRaised"),
    "success": ("PearlSuccessRateFallen",),
    "stop": ("PearlOutboundSilent",),
}
DECISIVE = {"fourfold": (20, 180), "double": (50, 240)}
"""The bad call by which a rise should be known, and how long after it, in seconds."""

AFTERWARDS_SECONDS = 900
"""An alert this long after an incident still is about it, and finds it."""

LATE_SECONDS = 6 * 3600
"""An alert this long after it is about it, and finds nothing: the windows still hold its calls."""


def size_of(incident: Incident) -> str:
    """``double`` or ``fourfold``: the share rises at least so much."""
    return "fourfold" if incident.kind == "error" and incident.times >= 4 else "double"


def found(world: World, outcome: Outcome, alerts: Sequence[str]) -> list[Found]:
    """What these alerts made of every incident of their kind."""
    made = []
    for outbound in world.outbounds:
        counted = outcome.counted[outbound.name]
        own = [each for each in outcome.fired if each.outbound == outbound.name]
        own = sorted((each for each in own if each.alert in alerts), key=lambda each: each.start)
        for incident in outbound.incidents:
            if not set(OF_KIND[incident.kind]) & set(alerts):
                continue
            bad, decisive = 0, None
            if incident.kind in counted.bad_starts:
                starts = counted.bad_starts[incident.kind]
                bad = bisect_left(starts, incident.end) - bisect_left(starts, incident.start)
                nth = nth_bad(counted, incident, DECISIVE[size_of(incident)][0])
                decisive = None if nth is None else nth / 1000
            start, end = incident.start / 1000, incident.end / 1000 + AFTERWARDS_SECONDS
            kind = [each for each in own if each.alert in OF_KIND[incident.kind]]
            first = next((each for each in kind if start <= each.start <= end), None)
            size = outbound.profile.calls_a_day
            made.append(Found(outbound.name, size, incident, bad, decisive, first))
    return made


def false_alarms(world: World, outcome: Outcome, alert: str) -> list[Fired]:
    """What fired without a labelled incident of its kind, or an outage where that is its kind."""
    incidents = {each.name: each.incidents for each in world.outbounds}
    outages = (*world.restarts, *world.api_outages)
    kinds = {kind for kind, names in OF_KIND.items() if alert in names}

    def excused(each: Fired) -> bool:
        if not kinds:
            return any(s / 1000 <= each.start <= e / 1000 + 1800 for s, e in outages)
        return any(
            own.kind in kinds and own.start / 1000 <= each.start <= own.end / 1000 + LATE_SECONDS
            for own in incidents[each.outbound]
        )

    return [each for each in outcome.fired if each.alert == alert and not excused(each)]
