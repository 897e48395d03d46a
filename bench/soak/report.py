"""The report of a soak: a page and a picture."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.soak.limits import (
    FIGURES,
    JOURNAL_FULL_SECONDS,
    Figure,
    exceeded_limits,
    growing_types,
    limits_text,
)
from bench.soak.resource_samples import Sample
from bench.soak.trend import Trend, trend_of
from bench.support.plots import draw_together
from bench.support.report import Line, Plot, machine, table

_MIN_SAMPLES = 30
_MAX_LISTED = 40
_DRAWN = ("rss", "objects", "descriptors", "tasks", "threads", "state")


@dataclass(frozen=True)
class SoakResult:
    """All that a soak has shown.

    Attributes:
        minutes: How long it was.
        outbounds: How many there were.
        warm_up: Seconds of the warm-up.
        samples: The samples in their order.
        faults: The names of the faults that were run.
        counts: Further figures of what happened, by their names.
        failures: Everything that was wrong, except for growth.
    """

    minutes: float
    outbounds: int
    warm_up: float
    samples: Sequence[Sample]
    faults: Sequence[str]
    counts: Mapping[str, str]
    failures: Sequence[str]

    @property
    def judged_samples(self) -> Sequence[Sample]:
        """The samples after the warm-up."""
        return [each for each in self.samples if each.at >= self.warm_up]

    def trend(self, figure: Figure) -> Trend | None:
        """Return the trend of a figure while it is judged; None where that is too short."""
        samples = [each for each in self.judged_samples if each.at >= figure.full_after]
        if figure.full_after and len(samples) < _MIN_SAMPLES:
            return None
        values = [figure.read(each) / figure.unit for each in samples]
        return trend_of([each.at for each in samples], values)


def growth_failures(result: SoakResult) -> list[str]:
    """Return a line for every limit that was exceeded."""
    return [
        f"{figure.title}: {limit}"
        for figure in FIGURES.values()
        if (trend := result.trend(figure)) is not None
        for limit in exceeded_limits(figure, trend)
    ]


def write(result: SoakResult, folder: Path) -> str:
    """Write `soak.md` and `soak.svg`. Return the page."""
    folder.mkdir(parents=True, exist_ok=True)
    text = _page(result)
    (folder / "soak.md").write_text(text)
    draw_together([_plot(result, name) for name in _DRAWN], folder / "soak.svg")
    return text


def _page(result: SoakResult) -> str:
    failures = [*growth_failures(result), *result.failures]
    faults = [(name, f"{number}") for name, number in Counter(result.faults).items()]
    here = machine()
    setting = (
        f"{result.outbounds} outbounds for {result.minutes:g} minutes, with faults on. "
        "How to run it, and what each figure means: [bench/README.md](../README.md#soak)."
    )
    verdict = f"**Verdict: {'failed' if failures else 'passed'}.**"
    warm_up = (
        f"The first {result.warm_up / 60:.3g} minutes are the warm-up, which is not judged. "
        "The state's journal reaches back to the oldest call that has not settled: it is full "
        f"after {JOURNAL_FULL_SECONDS / 60:.3g} minutes, and the state file is judged from then on."
    )
    types = ", ".join(growing_types(result.judged_samples)) or "none"
    parts = [
        "# Soak",
        setting,
        "\n".join((verdict, *(f"- {each}" for each in failures[:_MAX_LISTED]))),
        "![Memory, objects, files, tasks, threads and state over time](soak.svg)",
        warm_up,
        "## Resources",
        _resources(result),
        f"Types whose objects grew most: {types}.",
        "## Events and checks",
        table(("what", "number"), [*faults, *result.counts.items()]),
        "## The machine",
        table(here.head, here.rows),
    ]
    return "\n\n".join(parts) + "\n"


def _resources(result: SoakResult) -> str:
    rows = []
    for figure in FIGURES.values():
        trend = result.trend(figure)
        if trend is None:
            rows.append((figure.title, *[""] * 4, limits_text(figure), "too short to judge"))
            continue
        rows.append(
            (
                figure.title,
                _number(trend.first_third),
                _number(trend.last_third),
                f"{_number(trend.low)} to {_number(trend.high)}",
                f"{trend.slope:+.2f} ± {trend.standard_error:.2f}",
                limits_text(figure),
                "exceeded" if exceeded_limits(figure, trend) else "kept",
            )
        )
    head = (
        "figure",
        "first third, median",
        "last third, median",
        "range",
        "slope an hour, ± 1σ",
        "limits",
        "",
    )
    return table(head, rows)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def _plot(result: SoakResult, name: str) -> Plot:
    figure = FIGURES[name]
    points = [(each.at / 60, figure.read(each) / figure.unit) for each in result.samples]
    return Plot(name, figure.title, "minutes", "", [Line(name, points)], is_logarithmic=False)
