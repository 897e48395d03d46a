"""The page and the picture of a soak."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.plots import draw_together
from bench.report import Line, Plot, machine, table
from bench.soak.figures import Course, course
from bench.soak.samples import Sample
from bench.soak.verdict import (
    FIGURES,
    JOURNAL_FULL_SECONDS,
    Judged,
    bounds,
    exceeded,
    grown_types,
)

_LEAST_SAMPLES = 30
_DRAWN = ("rss", "objects", "descriptors", "tasks", "threads", "state")


@dataclass(frozen=True)
class Soak:
    """All that a soak has shown. ``counts`` are of what happened, by what it is called."""

    minutes: float
    outbounds: int
    warm_up: float
    samples: Sequence[Sample]
    troubles: Sequence[str]
    counts: Mapping[str, str]
    faults: Sequence[str]
    """Everything that was not as it must be, but for what grew."""

    @property
    def judged(self) -> Sequence[Sample]:
        """The samples after the warm-up."""
        return [each for each in self.samples if each.at >= self.warm_up]

    def course(self, judged: Judged) -> Course | None:
        """How one figure went from when it is judged on; None where that leaves too little."""
        samples = [each for each in self.judged if each.at >= judged.full_after]
        if judged.full_after and len(samples) < _LEAST_SAMPLES:
            return None
        values = [judged.read(each) / judged.unit for each in samples]
        return course([each.at for each in samples], values)


def grown(soak: Soak) -> list[str]:
    """Every bound that was exceeded."""
    return [
        f"{judged.title}: {what}"
        for judged in FIGURES.values()
        if (went := soak.course(judged)) is not None
        for what in exceeded(judged, went)
    ]


def write(soak: Soak, folder: Path) -> str:
    """Write `soak.md` and `soak.svg`; gives the page."""
    folder.mkdir(parents=True, exist_ok=True)
    text = _page(soak)
    (folder / "soak.md").write_text(text)
    draw_together([_plot(soak, name) for name in _DRAWN], folder / "soak.svg")
    return text


def _page(soak: Soak) -> str:
    wrong = [*grown(soak), *soak.faults]
    happened = [(name, f"{number}") for name, number in Counter(soak.troubles).items()]
    here = machine()
    setting = (
        f"{soak.outbounds} outbounds for {soak.minutes:g} minutes, with faults on. How to run it, "
        "and what each figure means: [bench/README.md](../README.md#soak)."
    )
    judgement = f"**Verdict: {'flat' if not wrong else 'not well'}.**"
    warm_up = (
        f"The first {soak.warm_up / 60:.3g} minutes are the warm-up, of which growth and slope are "
        "not reckoned. The state's journal reaches back to the oldest call that has not settled: "
        f"it is full after {JOURNAL_FULL_SECONDS / 60:.3g} minutes, and the state file is judged "
        "from then on."
    )
    parts = [
        "# Soak",
        setting,
        "\n".join((judgement, *(f"- {each}" for each in wrong[:40]))),
        "![What was held over time](soak.svg)",
        warm_up,
        "## What was held",
        _held(soak),
        f"Types that grew the most, in objects: {', '.join(grown_types(soak.judged)) or 'none'}.",
        "## What happened",
        table(("what", "how often"), [*happened, *soak.counts.items()]),
        "## The machine",
        table(here.head, here.rows),
    ]
    return "\n\n".join(parts) + "\n"


def _held(soak: Soak) -> str:
    rows = []
    for judged in FIGURES.values():
        went = soak.course(judged)
        if went is None:
            rows.append((judged.title, *[""] * 4, bounds(judged), "too short to judge"))
            continue
        rows.append(
            (
                judged.title,
                _figure(went.first_third),
                _figure(went.last_third),
                f"{_figure(went.least)} to {_figure(went.most)}",
                f"{went.slope:+.2f} ± {went.uncertainty:.2f}",
                bounds(judged),
                "exceeded" if exceeded(judged, went) else "kept",
            )
        )
    head = (
        "figure",
        "first third, median",
        "last third, median",
        "range",
        "slope an hour, ± 1σ",
        "bounds",
        "",
    )
    return table(head, rows)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def _plot(soak: Soak, name: str) -> Plot:
    judged = FIGURES[name]
    points = [(each.at / 60, judged.read(each) / judged.unit) for each in soak.samples]
    return Plot(name, judged.title, "minutes", "", [Line("ours", points)], is_logarithmic=False)
