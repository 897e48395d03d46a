"""The pages' pictures as inline SVG, each with its words. Pure."""

from collections.abc import Sequence
from html import escape

from pearl_exporter.calls import Instant
from pearl_exporter.poll_history import MOST_STEPS, STEP_MS, OutcomeStep

_HEIGHT = 40


def meter(share: float) -> str:
    """A bar of a share from 0 to 1; the number stands beside it, so it is hidden from readers."""
    width = round(100 * min(max(share, 0.0), 1.0), 1)
    return (
        '<svg class="meter" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true" '
        'focusable="false"><rect class="track" width="100" height="10"/>'
        f'<rect class="bar" width="{width}" height="10"/></svg>'
    )


def sparkline(steps: Sequence[OutcomeStep], now: Instant, name: str, css: str) -> str:
    """Calls counted in each step of the last hours; a step without a good poll is a low band."""
    first = now - now % STEP_MS - (MOST_STEPS - 1) * STEP_MS
    known = {(each.begins - first) // STEP_MS: each.settled for each in steps}
    most = max(known.values(), default=0)
    begun = min(known, default=MOST_STEPS)
    places = range(max(0, begun), MOST_STEPS)
    bars = "".join(_bar(place, known.get(place, 0), most) for place in places)
    gaps = "".join(f"M{place * 2} {_HEIGHT}v-4h2v4z" for place in places if place not in known)
    shapes = "".join(
        f'<path class="{kind}" d="{path}"/>'
        for kind, path in (("bar", bars), ("gap", gaps))
        if path
    )
    title = escape(f"Calls counted in each 5 minutes, {name}")
    words = escape(in_words(steps, now))
    return (
        f'<svg class="{css}" viewBox="0 0 {MOST_STEPS * 2} {_HEIGHT}" preserveAspectRatio="none" '
        f'role="img" aria-label="{title}: {words}"><title>{title}</title><desc>{words}</desc>'
        f'{shapes}<path class="base" d="M0 {_HEIGHT}H{MOST_STEPS * 2}"/></svg>'
    )


def _bar(place: int, settled: int, most: int) -> str:
    if not settled:
        return ""
    height = max(1, round(settled / most * (_HEIGHT - 2)))
    return f"M{place * 2} {_HEIGHT}v-{height}h1.6v{height}z"


def in_words(steps: Sequence[OutcomeStep], now: Instant) -> str:
    """The same as a sentence."""
    if not steps:
        return "nothing yet"
    total = sum(each.settled for each in steps)
    most = max(each.settled for each in steps)
    passed = (now - now % STEP_MS - steps[0].begins) // STEP_MS + 1
    gaps = passed - len(steps)
    tail = f", {gaps} steps without a good poll" if gaps > 0 else ""
    return f"{total:,} in the last {passed * 5} min, at most {most:,} in a step{tail}"
