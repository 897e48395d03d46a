"""The calls of the last hours as an inline chart, and the same in words. Pure.

A chart is drawn by ``templates/charts.html``; this module works out its paths.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pearl_exporter.config.durations import format_duration
from pearl_exporter.counting.calls import Instant
from pearl_exporter.counting.outcome_history import MAX_STEPS, STEP_MS, OutcomeStep
from pearl_exporter.polling.snapshot import OutboundSnapshot
from pearl_exporter.web.pages.formatting import plural

BAD_OUTCOMES = ("error", "unreachable")
"""The outcomes that are drawn below the baseline."""

_HEIGHT = 40
"""Height of a chart in its own units. The stylesheet says how large a unit is on the screen."""

_MAX_OVER_NINTH_DECILE = 1.5
"""A step is drawn at most this many times as high as the ninth decile of the steps."""

_GAP_HEIGHT = 4


@dataclass(frozen=True, slots=True)
class LastHours:
    """The steps of the last hours up to now, the oldest first.

    Attributes:
        steps: The steps that are known.
        missing: How many steps came after them in which a poll was due and did not succeed.
    """

    steps: Sequence[OutcomeStep]
    missing: int

    @property
    def minutes(self) -> int:
        """How long the steps are together."""
        return (len(self.steps) + self.missing) * STEP_MS // 60_000

    @property
    def gaps(self) -> int:
        """How many steps had no good poll."""
        return sum(each.calls is None for each in self.steps) + self.missing

    def calls(self) -> dict[str, int]:
        """Return the calls of all steps by outcome."""
        total: dict[str, int] = {}
        for step in self.steps:
            for outcome, number in (step.calls or {}).items():
                total[outcome] = total.get(outcome, 0) + number
        return total


@dataclass(frozen=True, slots=True)
class Shape:
    """A filled outline: its class in the stylesheet, and the ``d`` of its SVG path."""

    css_class: str
    path: str


@dataclass(frozen=True, slots=True)
class Sparkline:
    """A chart of calls per step: see `sparkline`.

    Attributes:
        title: The chart in words, for whoever does not see it.
        width: In units, one for each step.
        height: In units.
        baseline: Height of the line between good and bad outcomes, in units from the top.
        shapes: What is drawn, in this order.
    """

    title: str
    width: int
    height: int
    baseline: int
    shapes: tuple[Shape, ...]


def last_hours(outbound: OutboundSnapshot, now: Instant) -> LastHours:
    """Return what is known of the last hours of an outbound."""
    step, history, health = now // STEP_MS, outbound.calls.outcomes, outbound.health
    known = [each for each in history.steps() if 0 <= step - each.start // STEP_MS < MAX_STEPS]
    # A step after the last one is a gap only if a poll was due in it: an idle outbound is polled
    # less often than once a step.
    next_at = (outbound.calls.polled_at or 0) + round(2000 * health.interval_seconds)
    is_late = bool(history.counts) and (health.last_reason is not None or now > next_at)
    return LastHours(known, min(max(0, step - history.newest), MAX_STEPS) if is_late else 0)


def sparkline(hours: LastHours, now: Instant, name: str) -> Sparkline:
    """Return the chart of an outbound's calls by the step that counted them.

    Good outcomes rise above the baseline, `BAD_OUTCOMES` hang below it. A step without a good poll
    is a low band. A step far higher than nearly all others, as after an outage, is cut off: beside
    it the others would be flat.

    Args:
        hours: The steps.
        now: The present; the chart ends with its step.
        name: The outbound's name, for the title.
    """
    first = now // STEP_MS - MAX_STEPS + 1
    begins = hours.steps[0].start // STEP_MS - first if hours.steps else MAX_STEPS - hours.missing
    counts = [each.calls or {} for each in hours.steps]
    bad = [sum(calls.get(each, 0) for each in BAD_OUTCOMES) for calls in counts]
    totals = [sum(calls.values()) for calls in counts]
    drawn = _drawn_shares(totals)
    below = [calls * share for calls, share in zip(bad, drawn, strict=True)]
    above = [
        (total - calls) * share for total, share, calls in zip(totals, drawn, bad, strict=True)
    ]
    tallest, deepest = max(above, default=0), max(below, default=0)
    scale = (_HEIGHT - 2) / max(1, tallest + deepest)
    line = _HEIGHT - 1 - round(deepest * scale)
    gaps = [each.calls is None for each in hours.steps] + [True] * hours.missing
    shapes = (
        Shape("bar", _outline(begins, line, [line - _units(each * scale) for each in above])),
        Shape("low", _outline(begins, line, [line + _units(each * scale) for each in below])),
        Shape("gap", _outline(begins, line, [line - _GAP_HEIGHT * each for each in gaps])),
    )
    return Sparkline(
        title=f"Calls counted in each 5 minutes, {name}: {in_words(hours)}",
        width=MAX_STEPS,
        height=_HEIGHT,
        baseline=line,
        shapes=tuple(shape for shape in shapes if shape.path),
    )


def _drawn_shares(totals: Sequence[int]) -> list[float]:
    """Return which share of each step is drawn: 1, or less where the step is cut off."""
    counted = sorted(filter(None, totals))
    most = _MAX_OVER_NINTH_DECILE * counted[len(counted) * 9 // 10] if counted else 0
    return [min(1.0, most / each) if each else 1.0 for each in totals]


def _units(height: float) -> int:
    """Round a height to whole units, at least one where there is any call."""
    return max(round(height), 1) if height else 0


def _outline(begins: int, line: int, edges: Sequence[int]) -> str:
    """Return the path along an edge, one unit a step, and back along the baseline.

    Args:
        begins: Where the first step begins, in units from the left.
        line: The baseline.
        edges: The height of each step's edge, in units from the top.

    Returns:
        The ``d`` of an SVG path; empty if every edge is the baseline.
    """
    if all(edge == line for edge in edges):
        return ""
    return f"M{begins} {line}" + "".join(f"V{edge}h1" for edge in edges) + f"V{line}z"


def in_words(hours: LastHours) -> str:
    """Return what a chart shows as part of a sentence."""
    if not hours.minutes:
        return "nothing yet"
    calls = hours.calls()
    total, bad = sum(calls.values()), sum(calls.get(each, 0) for each in BAD_OUTCOMES)
    most = max((sum((each.calls or {}).values()) for each in hours.steps), default=0)
    tail = f", {plural(hours.gaps, 'step')} without a good poll" if hours.gaps else ""
    return (
        f"{total:,} in the last {format_duration(60 * hours.minutes)}, {bad:,} of them error or "
        f"unreachable, at most {most:,} in a step{tail}"
    )
