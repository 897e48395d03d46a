"""Each false alarm, and each rise that was known late or not at all, one by one."""

from collections.abc import Iterator

from bench.alert_quality.judge import DECISIVE, Outcome, false_alarms, size_of
from bench.alert_quality.report import shares
from bench.alert_quality.run import ALERTS
from bench.alert_quality.world import START_MS, World


def details(world: World, outcome: Outcome) -> Iterator[str]:
    """A line for each of them."""
    for alert in ALERTS:
        for each in false_alarms(world, outcome, alert):
            spell = f"{when(each.start)} to {when(each.end)}"
            yield f"false alarm: {alert} {each.outbound}, {spell}"
    for one in shares(world, outcome):
        seconds = DECISIVE[size_of(one.incident)][1]
        if one.decisive is None or (one.late_seconds is not None and one.late_seconds <= seconds):
            continue
        incident = one.incident
        spell = f"{when(incident.start / 1000)} to {when(incident.end / 1000)}"
        told = "missed" if one.late_seconds is None else f"{one.late_seconds / 60:+.1f} min"
        yield (
            f"late: {one.outbound} {incident.kind} x{incident.times:g}, {spell},"
            f" {one.bad_calls} bad calls, the decisive one at {when(one.decisive)}: {told}"
        )


def when(second: float) -> str:
    """A moment as day and time of day, from the world's beginning."""
    days, rest = divmod(int(second) - START_MS // 1000, 86400)
    return f"day {days} {rest // 3600:02d}:{rest % 3600 // 60:02d}"
