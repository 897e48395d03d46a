"""Draw plots as SVG, with matplotlib."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.support.report import Plot

_COLOURS = {
    "pearl-exporter": "#1f6feb",
    "pearl-exporter, stable rows": "#79b8ff",
    "naive exporter": "#d1242f",
    "lower bound": "#57606a",
}
_SETTINGS: Any = {"svg.hashsalt": "pearl-exporter", "svg.fonttype": "none", "font.size": 9}
_METADATA: Any = {"Date": None, "Creator": None}


def draw(plot: Plot, file: Path) -> None:
    """Write one plot to a file. The same figures give the same bytes."""
    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=(6.4, 3.4), layout="constrained")
        _draw_on(figure.subplots(), plot)
        figure.savefig(file, metadata=_METADATA)


def draw_together(plots: Sequence[Plot], file: Path) -> None:
    """Write several plots into one picture, two in a row."""
    with mpl.rc_context(_SETTINGS):
        rows = -(-len(plots) // 2)
        figure = Figure(figsize=(9.6, 2.4 * rows), layout="constrained")
        grid = figure.subplots(rows, 2, squeeze=False).flat
        for axes, plot in zip(grid, plots, strict=False):
            _draw_on(axes, plot)
        for axes in list(grid)[len(plots) :]:
            axes.set_visible(False)
        figure.savefig(file, metadata=_METADATA)


def _draw_on(axes: Axes, plot: Plot) -> None:
    (_bars if plot.is_bars else _lines)(axes, plot)
    if plot.goal is not None:
        axes.axhline(plot.goal, color="#1a7f37", linewidth=1, linestyle="--", label="goal")
    axes.set_title(plot.title)
    axes.set_xlabel(plot.x_label)
    axes.set_ylabel(plot.y_label)
    axes.grid(visible=True, axis="y", alpha=0.3)
    axes.legend(frameon=False)


def _lines(axes: Axes, plot: Plot) -> None:
    for line in (each for each in plot.lines if each.points):
        xs, ys = zip(*line.points, strict=True)
        marker = "o" if len(xs) < 20 else ""
        axes.plot(xs, ys, marker=marker, color=_COLOURS.get(line.name), label=line.name)
    if plot.is_logarithmic:
        axes.set_xscale("log")
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)


def _bars(axes: Axes, plot: Plot) -> None:
    groups: dict[str, list[tuple[str, float]]] = {}
    for line in plot.lines:
        for x, y in line.points:
            groups.setdefault(str(x), []).append((line.name, y))
    width = 0.8 / max(2, *map(len, groups.values()))
    named: set[str] = set()
    for place, group in enumerate(groups.values()):
        for number, (name, y) in enumerate(group):
            x = place + (number - (len(group) - 1) / 2) * width
            label = "" if name in named else name
            named.add(name)
            bars = axes.bar(x, y, width * 0.9, color=_COLOURS.get(name), label=label)
            axes.bar_label(bars, [_figure(y)], fontsize=8, padding=1)
    axes.set_xticks(range(len(groups)), list(groups))
    axes.margins(y=0.15)
    if plot.is_logarithmic:
        axes.set_yscale("log")


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
