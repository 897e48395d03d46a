"""Draws the plots as SVG. Only this file knows matplotlib."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.report import Plot

_COLOURS = {
    "ours": "#1f6feb",
    "ours, calm": "#79b8ff",
    "naive peer": "#d1242f",
    "limit": "#57606a",
}


def draw(plot: Plot, file: Path) -> None:
    """Write one plot. The same figures give the same bytes."""
    settings: Any = {"svg.hashsalt": "pearl-exporter", "svg.fonttype": "none", "font.size": 9}
    with mpl.rc_context(settings):
        figure = Figure(figsize=(6.4, 3.4), layout="constrained")
        axes = figure.subplots()
        (_bars if plot.is_bars else _lines)(axes, plot)
        if plot.goal is not None:
            axes.axhline(plot.goal, color="#1a7f37", linewidth=1, linestyle="--", label="goal")
        axes.set_title(plot.title)
        axes.set_xlabel(plot.across)
        axes.set_ylabel(plot.up)
        axes.grid(visible=True, axis="y", alpha=0.3)
        axes.legend(frameon=False)
        figure.savefig(file, metadata={"Date": None, "Creator": None})


def _lines(axes: Axes, plot: Plot) -> None:
    for line in plot.lines:
        across, up = zip(*line.points, strict=True)
        marker = "o" if len(across) < 20 else ""
        axes.plot(across, up, marker=marker, color=_COLOURS.get(line.name), label=line.name)
    if plot.is_logarithmic:
        axes.set_xscale("log")
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)


def _bars(axes: Axes, plot: Plot) -> None:
    names = list(dict.fromkeys(str(at) for line in plot.lines for at, _ in line.points))
    width = 0.8 / len(plot.lines)
    for place, line in enumerate(plot.lines):
        shift = (place - (len(plot.lines) - 1) / 2) * width
        across = [names.index(str(at)) + shift for at, _ in line.points]
        bars = axes.bar(
            across,
            [up for _, up in line.points],
            width * 0.9,
            color=_COLOURS.get(line.name),
            label=line.name,
        )
        axes.bar_label(bars, fmt="{:,.3g}", fontsize=7)
    axes.set_xticks(range(len(names)), names)
    if plot.is_logarithmic:
        axes.set_yscale("log")
