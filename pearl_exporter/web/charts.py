"""The pages' pictures as inline SVG, each with its words. Pure."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from pearl_exporter.calls import Instant
from pearl_exporter.outcome_history import MOST_STEPS, STEP_MS, Step
from pearl_exporter.snapshot import OutboundSnapshot

BAD = ("error", "unreachable")
"""The outcomes that hang below the line."""

_HEIGHT = 40
_GAP = "v-4h2v4"
"""The low band of a step without a good poll."""


class Hours(NamedTuple):
    """The steps of the last hours up to the present one, the oldest first.

    ``missing`` counts the steps after the last known one in which there should have been a poll.
    """

    steps: Sequence[Step]
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
    known = [each for each in history.steps() if 0 <= step - each.start // STEP_MS < MOST_STEPS]
    next_at = (outbound.calls.polled_at or 0) + round(2000 * health.interval_seconds)
    is_late = bool(history.counts) and (health.last_reason is not None or now > next_at)
    return Hours(known, min(max(0, step - history.newest), MOST_STEPS) if is_late else 0)


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

    A step without a good poll is a low band.
    """
    first = now // STEP_MS - MOST_STEPS + 1
    begins = hours.steps[0].start // STEP_MS - first if hours.steps else MOST_STEPS - hours.missing
    bad = [sum((calls or {}).get(each, 0) for each in BAD) for _, calls in hours.steps]
    good = [
        sum((calls or {}).values()) - below
        for (_, calls), below in zip(hours.steps, bad, strict=True)
    ]
    tall, deep = max(good, default=0), max(bad, default=0)
    scale = (_HEIGHT - 2) / max(1, tall + deep)
    line = _HEIGHT - 1 - round(deep * scale)
    gaps = [calls is None for _, calls in hours.steps] + [True] * hours.missing
    shapes = (
        ("bar", _path(begins, line, [_height(each, -scale) for each in good])),
        ("low", _path(begins, line, [_height(each, scale) for each in bad])),
        ("gap", _path(begins, line, [_GAP if each else "" for each in gaps])),
    )
    drawn = "".join(f'<path class="{kind}" d="{path}"/>' for kind, path in shapes if path)
    title = escape(f"Calls counted in each 5 minutes, {name}: {in_words(hours)}")
    return (
        f'<svg class="{css}" viewBox="0 0 {MOST_STEPS * 2} {_HEIGHT}" preserveAspectRatio="none" '
        f'role="img"><title>{title}</title>{drawn}'
        f'<path class="base" d="M0 {line}H{MOST_STEPS * 2}"/></svg>'
    )


def _height(calls: int, scale: float) -> str:
    """The outline of one bar from the line, and on to the next one; nothing without calls."""
    if not calls:
        return ""
    height = round(calls * scale) or (1 if scale > 0 else -1)
    return f"v{height}h1.6v{-height}h.4"


def _path(begins: int, line: int, outlines: Sequence[str]) -> str:
    """One path of outlines from place to place along the line; nothing if there is none."""
    if not any(outlines):
        return ""
    return f"M{begins * 2} {line}" + "".join(each or "h2" for each in outlines) + "z"


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
        f"{total:,} in the last {hours.minutes} min, {bad:,} of them error or unreachable, "
        f"at most {most:,} in a step{tail}"
    )
