"""The pages' pictures as inline SVG, each with its words. Pure."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from pearl_exporter.config.durations import format_duration
from pearl_exporter.counting.calls import Instant
from pearl_exporter.counting.outcome_history import MAX_STEPS, STEP_MS, OutcomeStep
from pearl_exporter.polling.snapshot import OutboundSnapshot

BAD = ("error", "unreachable")
"""The outcomes that hang below the line."""

_HEIGHT = 40
_CUT = 1.5
_BAND = 4
"""How high the band of a step without a good poll is."""


class Hours(NamedTuple):
    """The steps of the last hours up to the present one, the oldest first.

    ``missing`` counts the steps after the last known one in which there should have been a poll.
    """

    steps: Sequence[OutcomeStep]
    missing: int

    @property
    def minutes(self) -> int:
        """How long they take."""
        return (len(self.steps) + self.missing) * STEP_MS // 60_000

    @property
    def gaps(self) -> int:
        """Steps without a good poll."""
        return sum(each.calls is None for each in self.steps) + self.missing

    def calls(self) -> dict[str, int]:
        """All calls of these hours by outcome."""
        total: dict[str, int] = {}
        for _, calls in self.steps:
            for status, number in (calls or {}).items():
                total[status] = total.get(status, 0) + number
        return total


def last_hours(outbound: OutboundSnapshot, now: Instant) -> Hours:
    """What is known of an outbound's last hours."""
    step, history, health = now // STEP_MS, outbound.calls.outcomes, outbound.health
    known = [each for each in history.steps() if 0 <= step - each.start // STEP_MS < MAX_STEPS]
    next_at = (outbound.calls.polled_at or 0) + round(2000 * health.interval_seconds)
    is_late = bool(history.counts) and (health.last_reason is not None or now > next_at)
    return Hours(known, min(max(0, step - history.newest), MAX_STEPS) if is_late else 0)


def meter(share: float) -> str:
    """A bar of a share from 0 to 1; the number stands beside it, so it is hidden from readers."""
    width = round(100 * min(max(share, 0.0), 1.0), 1)
    return (
        '<svg class="meter" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true" '
        'focusable="false"><rect class="track" width="100" height="10"/>'
        f'<rect class="bar" width="{width}" height="10"/></svg>'
    )


def sparkline(hours: Hours, now: Instant, name: str, css: str) -> str:
    """Calls by the step that counted them: upwards the good ones, downwards the `BAD` ones.

    A step without a good poll is a low band. One much higher than nearly all, as after an outage,
    is cut off: the others would be flat beside it.
    """
    first = now // STEP_MS - MAX_STEPS + 1
    begins = hours.steps[0].start // STEP_MS - first if hours.steps else MAX_STEPS - hours.missing
    counts = [each.calls or {} for each in hours.steps]
    bad = [sum(calls.get(each, 0) for each in BAD) for calls in counts]
    every = [sum(calls.values()) for calls in counts]
    kept = _kept(every)
    low = [calls * part for calls, part in zip(bad, kept, strict=True)]
    high = [(calls - b) * part for calls, part, b in zip(every, kept, bad, strict=True)]
    tall, deep = max(high, default=0), max(low, default=0)
    scale = (_HEIGHT - 2) / max(1, tall + deep)
    line = _HEIGHT - 1 - round(deep * scale)
    gaps = [each.calls is None for each in hours.steps] + [True] * hours.missing
    shapes = (
        ("bar", _outline(begins, line, [line - _height(each * scale) for each in high])),
        ("low", _outline(begins, line, [line + _height(each * scale) for each in low])),
        ("gap", _outline(begins, line, [line - _BAND if each else line for each in gaps])),
    )
    drawn = "".join(f'<path class="{kind}" d="{path}"/>' for kind, path in shapes if path)
    title = escape(f"Calls counted in each 5 minutes, {name}: {in_words(hours)}")
    return (
        f'<svg class="{css}" viewBox="0 0 {MAX_STEPS} {_HEIGHT}" preserveAspectRatio="none" '
        f'role="img"><title>{title}</title>{drawn}'
        f'<path class="base" d="M0 {line}H{MAX_STEPS}"/></svg>'
    )


def _kept(calls: Sequence[int]) -> list[float]:
    """The share of each step that is drawn: all, up to `_CUT` of what nine in ten have."""
    counted = sorted(filter(None, calls))
    most = _CUT * counted[len(counted) * 9 // 10] if counted else 0
    return [min(1.0, most / each) if each else 1.0 for each in calls]


def _height(share: float) -> int:
    """Whatever is not nothing is to be seen."""
    return max(round(share), 1) if share else 0


def _outline(begins: int, line: int, edges: Sequence[int]) -> str:
    """A path along an edge, one unit a step, and back along the line; nothing if they are one."""
    if all(edge == line for edge in edges):
        return ""
    return f"M{begins} {line}" + "".join(f"V{edge}h1" for edge in edges) + f"V{line}z"


def in_words(hours: Hours) -> str:
    """The same as a sentence."""
    if not hours.minutes:
        return "nothing yet"
    calls = hours.calls()
    total, bad = sum(calls.values()), sum(calls.get(each, 0) for each in BAD)
    most = max((sum((each.calls or {}).values()) for each in hours.steps), default=0)
    gaps = hours.gaps
    tail = f", {gaps} {'step' if gaps == 1 else 'steps'} without a good poll" if gaps else ""
    return (
        f"{total:,} in the last {format_duration(60 * hours.minutes)}, {bad:,} of them error or "
        f"unreachable, at most {most:,} in a step{tail}"
    )
