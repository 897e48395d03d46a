"""Every false alarm, and every raised share that was found late or not at all, a line each."""

from collections.abc import Iterator

from bench.alerts.evaluation import DECISIVE, RunResult, false_alarms, rise_of
from bench.alerts.pipeline import ALERTS
from bench.alerts.report import share_incidents
from bench.alerts.scenario import START_MS, Scenario


def details(scenario: Scenario, result: RunResult) -> Iterator[str]:
    """Yield a line for each of them."""
    for alert in ALERTS:
        for each in false_alarms(scenario, result, alert):
            spell = f"{day_and_time(each.start)} to {day_and_time(each.end)}"
            yield f"false alarm: {alert} {each.outbound}, {spell}"
    for one in share_incidents(scenario, result):
        seconds = DECISIVE[rise_of(one.incident)][1]
        if one.decisive is None or (one.late_seconds is not None and one.late_seconds <= seconds):
            continue
        incident = one.incident
        spell = f"{day_and_time(incident.start / 1000)} to {day_and_time(incident.end / 1000)}"
        late = "missed" if one.late_seconds is None else f"{one.late_seconds / 60:+.1f} min"
        yield (
            f"late: {one.outbound} {incident.kind} x{incident.times:g}, {spell},"
            f" {one.bad_calls} bad calls, the decisive one at {day_and_time(one.decisive)}: {late}"
        )


def day_and_time(second: float) -> str:
    """Return a Unix time as day since the start of the scenario and time of day."""
    days, rest = divmod(int(second) - START_MS // 1000, 86400)
    return f"day {days} {rest // 3600:02d}:{rest % 3600 // 60:02d}"
