"""Which alerts fire, from the times at which their expressions have a value, and their quality."""

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from bench.alerts.closed_form import CounterIncrements, nth_bad
from bench.alerts.scenario import Incident, Scenario

STEP_SECONDS = 15
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class FiredAlert(NamedTuple):
    """An alert of one outbound that fired from ``start`` to ``end`` (Unix times)."""

    alert: str
    outbound: str
    start: int
    end: int


class RunResult(NamedTuple):
    """What a run has shown.

    Attributes:
        counted: The counters of each outbound, by its name.
        fired: The alerts that fired, ordered by time.
        silent_where_known: Alerts on silence, where ``pearl_outbound_running`` is known.
    """

    counted: dict[str, CounterIncrements]
    fired: list[FiredAlert]
    silent_where_known: Sequence[FiredAlert] = ()


def fired_alerts(
    alert: str, rule: Mapping[str, Any], moments: Sequence[int], outbound: str
) -> list[FiredAlert]:
    """Apply ``for`` and ``keep_firing_for`` as Prometheus does.

    Args:
        alert: The alert's name.
        rule: Its rule.
        moments: The evaluations (Unix times) at which its expression has a value.
        outbound: The outbound of this label set.
    """
    wait, keep = seconds(rule.get("for", "0s")), seconds(rule.get("keep_firing_for", "0s"))
    made: list[FiredAlert] = []
    for first, last in _spells(moments):
        start = first + wait
        if made and first - (made[-1].end - keep) <= keep:
            made[-1] = made[-1]._replace(end=last + STEP_SECONDS + keep)
        elif last >= start:
            made.append(FiredAlert(alert, outbound, start, last + STEP_SECONDS + keep))
    return made


def _spells(moments: Sequence[int]) -> list[tuple[int, int]]:
    """Return the first and last moment of each sequence of consecutive evaluations."""
    spells: list[tuple[int, int]] = []
    for moment in moments:
        if spells and moment - spells[-1][1] <= STEP_SECONDS:
            spells[-1] = (spells[-1][0], moment)
        else:
            spells.append((moment, moment))
    return spells


def seconds(duration: str) -> int:
    """Return the seconds of a duration in Prometheus' notation."""
    return sum(
        int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)([smhd])", duration)
    )


class Detection(NamedTuple):
    """A labelled incident, and the first alert about it.

    Attributes:
        outbound: The outbound's name.
        calls_a_day: Its usual number of calls.
        incident: The incident.
        bad_calls: Calls that ended badly during the incident.
        decisive: Start (Unix time) of the call by which it should be found; None if there is none.
        first: The first alert of its kind during the incident or just after it.
    """

    outbound: str
    calls_a_day: float
    incident: Incident
    bad_calls: int
    decisive: float | None
    first: FiredAlert | None

    @property
    def delay_seconds(self) -> float | None:
        """From the incident's start to the alert."""
        return None if self.first is None else self.first.start - self.incident.start / 1000

    @property
    def late_seconds(self) -> float | None:
        """From the decisive call to the alert; negative if the alert was earlier."""
        if self.first is None or self.decisive is None:
            return None
        return self.first.start - self.decisive


OF_KIND = {
    "error": ("PearlErrorSpike", "PearlErrorShareRaised"),
    "unreachable": ("PearlUnreachableSpike", "PearlUnreachableShareRaised"),
    "success": ("PearlSuccessRateFallen",),
    "stop": ("PearlOutboundSilent",),
}
"""The alerts for each kind of incident."""

DECISIVE = {"fourfold": (20, 180), "double": (50, 240)}
"""The number of the bad call by which a rise should be found, and how many seconds after it."""

AFTERWARDS_SECONDS = 900
"""An alert at most this long after an incident still finds it."""

LATE_SECONDS = 6 * 3600
"""An alert at most this long after an incident is no false alarm, but does not find it: the windows
of the rules still contain its calls."""


def rise_of(incident: Incident) -> str:
    """Return "fourfold" or "double": the share rises at least that much."""
    return "fourfold" if incident.kind == "error" and incident.times >= 4 else "double"


def detections(scenario: Scenario, result: RunResult, alerts: Sequence[str]) -> list[Detection]:
    """Return how these alerts found every incident of their kinds."""
    made = []
    for outbound in scenario.outbounds:
        counted = result.counted[outbound.name]
        own = [each for each in result.fired if each.outbound == outbound.name]
        own = sorted((each for each in own if each.alert in alerts), key=lambda each: each.start)
        for incident in outbound.incidents:
            if not set(OF_KIND[incident.kind]) & set(alerts):
                continue
            bad, decisive = 0, None
            if incident.kind in counted.bad_starts:
                starts = counted.bad_starts[incident.kind]
                bad = bisect_left(starts, incident.end) - bisect_left(starts, incident.start)
                nth = nth_bad(counted, incident, DECISIVE[rise_of(incident)][0])
                decisive = None if nth is None else nth / 1000
            start, end = incident.start / 1000, incident.end / 1000 + AFTERWARDS_SECONDS
            kind = [each for each in own if each.alert in OF_KIND[incident.kind]]
            first = next((each for each in kind if start <= each.start <= end), None)
            size = outbound.profile.calls_a_day
            made.append(Detection(outbound.name, size, incident, bad, decisive, first))
    return made


def false_alarms(scenario: Scenario, result: RunResult, alert: str) -> list[FiredAlert]:
    """Return the alerts that fired without an incident of their kind.

    An alert about the exporter itself is false if there was no restart and no outage.
    """
    incidents = {each.name: each.incidents for each in scenario.outbounds}
    outages = (*scenario.restarts, *scenario.api_outages)
    kinds = {kind for kind, names in OF_KIND.items() if alert in names}

    def is_right(each: FiredAlert) -> bool:
        if not kinds:
            return any(s / 1000 <= each.start <= e / 1000 + 1800 for s, e in outages)
        return any(
            own.kind in kinds and own.start / 1000 <= each.start <= own.end / 1000 + LATE_SECONDS
            for own in incidents[each.outbound]
        )

    return [each for each in result.fired if each.alert == alert and not is_right(each)]
