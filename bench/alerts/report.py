"""The result as tables and as a plot."""

import math
from collections.abc import Iterator, Sequence
from html import escape
from statistics import median

from bench.alerts.evaluation import (
    DECISIVE,
    OF_KIND,
    Detection,
    RunResult,
    detections,
    false_alarms,
    rise_of,
)
from bench.alerts.pipeline import ALERTS, SILENT
from bench.alerts.scenario import Scenario

PAGES = ("PearlErrorSpike", "PearlUnreachableSpike", "PearlExporterDown", "PearlDataStale")
SHARE_KINDS = ("error", "unreachable")
SIZES = (
    (0.0, 1_000.0, "under 1,000"),
    (1_000.0, 10_000.0, "1,000 to 10,000"),
    (10_000.0, 1e9, "more"),
)


def table(scenario: Scenario, result: RunResult) -> Iterator[str]:
    """Yield the figures as lines of Markdown."""
    yield "| alert | incidents | found | missed | median delay | false alarms | a week |"
    yield "|---|---|---|---|---|---|---|"
    for alert in ALERTS:
        yield _row(scenario, result, alert)
        if alert == SILENT:
            known = result._replace(fired=list(result.silent_where_known))
            yield _row(scenario, known, alert, " with `pearl_outbound_running`")
    yield ""
    pages = sum(len(false_alarms(scenario, result, alert)) for alert in PAGES)
    yield f"False pages of all outbounds together: {pages} in {scenario.days} days."
    yield ""
    yield (
        "| a share that | calls a day | incidents | with the call | in time"
        " | found at all | median after the call |"
    )
    yield "|---|---|---|---|---|---|---|"
    yield from _goals(share_incidents(scenario, result))


def _row(scenario: Scenario, result: RunResult, alert: str, more: str = "") -> str:
    kinds = [kind for kind, names in OF_KIND.items() if alert in names]
    each = detections(scenario, result, [alert]) if kinds else []
    hits = [delay for one in each if (delay := one.delay_seconds) is not None]
    wrong = len(false_alarms(scenario, result, alert))
    counts = f"{len(each)} | {len(hits)} | {len(each) - len(hits)}" if kinds else "– | – | –"
    middle = f"{median(hits) / 60:.1f} min" if hits else "–"
    return f"| `{alert}`{more} | {counts} | {middle} | {wrong} | {wrong * 7 / scenario.days:.2f} |"


def share_incidents(scenario: Scenario, result: RunResult) -> list[Detection]:
    """Return the incidents of the error and the unreachable share, with the first alert of each."""
    names = [name for kind in SHARE_KINDS for name in OF_KIND[kind]]
    return [one for one in detections(scenario, result, names) if one.incident.kind in SHARE_KINDS]


def _goals(incidents: Sequence[Detection]) -> Iterator[str]:
    for rise, (number, seconds) in DECISIVE.items():
        for low, high, name in SIZES:
            own = [
                each
                for each in incidents
                if rise_of(each.incident) == rise and low <= each.calls_a_day < high
            ]
            decided = [each for each in own if each.decisive is not None]
            after = [each.late_seconds for each in decided if each.late_seconds is not None]
            in_time = sum(late <= seconds for late in after)
            middle = f"{median(after) / 60:+.1f} min" if after else "–"
            what = {"fourfold": "rises fourfold or more", "double": "at least doubles"}[rise]
            yield (
                f"| {what} (call {number}, {seconds // 60} min) | {name} | {len(own)} | {len(decided)}"
                f" | {in_time} | {len(after)} | {middle} |"
            )


WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 860, 440, 70, 30, 20, 60
MIN_MINUTES, MAX_MINUTES = -30.0, 15.0
"""The range of the plot's y axis, in minutes after the decisive call."""


def plot(scenario: Scenario, result: RunResult) -> str:
    """Return an SVG: how long after the decisive call each incident was found, by calls a day."""
    marks = "".join(
        map(_mark, (each for each in share_incidents(scenario, result) if each.decisive))
    )
    lines = "".join(
        f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{_y(minutes):.1f}" y2="{_y(minutes):.1f}"'
        f' stroke="{colour}" stroke-dasharray="6 4"/>'
        for minutes, colour in ((3, "#c0392b"), (4, "#2471a3"))
    )
    across = "".join(
        f'<text x="{_x(calls):.0f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{calls:,}</text>'
        for calls in (10, 100, 1_000, 10_000, 50_000)
    )
    upwards = "".join(
        f'<text x="{LEFT - 8}" y="{_y(minutes) + 4:.0f}" text-anchor="end">{minutes}</text>'
        for minutes in range(-30, 16, 5)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
        ' font-family="sans-serif" font-size="12">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
        f'<text x="{LEFT}" y="18" font-size="14">Minutes from the decisive bad call to the alert,'
        " by calls a day</text>"
        f'<rect x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" height="{HEIGHT - TOP - BOTTOM}"'
        ' fill="none" stroke="#999"/>'
        f"{lines}{across}{upwards}{marks}"
        f'<text x="{LEFT}" y="{HEIGHT - 14}"><tspan fill="#c0392b">● fourfold, from the 20th bad call'
        '</tspan>   <tspan fill="#2471a3">● double, from the 50th</tspan>   '
        "(dashed: the goals; ×: missed)</text></svg>\n"
    )


def _x(calls: float) -> float:
    span = math.log(50_000 / 10)
    return LEFT + 20 + (WIDTH - LEFT - RIGHT - 40) * math.log(max(calls, 10) / 10) / span


def _y(minutes: float) -> float:
    inside = min(max(minutes, MIN_MINUTES), MAX_MINUTES)
    height = HEIGHT - TOP - BOTTOM
    return TOP + height * (MAX_MINUTES - inside) / (MAX_MINUTES - MIN_MINUTES)


def _mark(each: Detection) -> str:
    colour = "#c0392b" if rise_of(each.incident) == "fourfold" else "#2471a3"
    late = each.late_seconds
    title = escape(f"{each.outbound}: {each.incident.kind} x{each.incident.times:g}")
    x, y = _x(each.calls_a_day), _y(MAX_MINUTES if late is None else late / 60)
    if late is None:
        return f'<text x="{x:.1f}" y="{y + 12:.1f}" fill="{colour}"><title>{title}</title>×</text>'
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}" fill-opacity="0.6">'
        f"<title>{title}, {late / 60:+.1f} min</title></circle>"
    )
