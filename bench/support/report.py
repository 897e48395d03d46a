"""Tables and plots of measurements, and the machine on which they were made."""

import math
import os
import platform
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

LIBRARIES = (
    "pearl-exporter",
    "httpx",
    "httpcore",
    "msgspec",
    "prometheus-client",
    "SQLAlchemy",
    "starlette",
    "uvicorn",
    "apscheduler",
)


@dataclass(frozen=True)
class Line:
    """One line of a plot, or one group of bars: its name, and its points as (x, y)."""

    name: str
    points: Sequence[tuple[float | str, float]]


@dataclass(frozen=True)
class Plot:
    """A plot.

    Attributes:
        name: File name of the plot without prefix and suffix.
        title: Title above the plot.
        x_label: Label of the x axis.
        y_label: Label of the y axis.
        lines: What is drawn.
        goal: A level to draw, if there is one.
        is_bars: Whether bars are drawn, not lines.
        is_logarithmic: Whether the axes are logarithmic.
    """

    name: str
    title: str
    x_label: str
    y_label: str
    lines: Sequence[Line]
    goal: float | None = None
    is_bars: bool = False
    is_logarithmic: bool = True


@dataclass(frozen=True)
class Section:
    """One measurement: a table, its explanation, and its plots."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: str = ""
    plots: Sequence[Plot] = field(default=())


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table with its first column aligned left and the others right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def met_or_missed(value: float, goal: float) -> str:
    """Return "met" if a value is at most its goal, else "missed"."""
    return "met" if value <= goal else "missed"


def quantile(values: Iterable[float], share: float) -> float:
    """Return the smallest value that at least ``share`` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def bytes_text(number: float) -> str:
    """Return a size with its unit."""
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.3g} {unit}" if unit != "B" else f"{number:.0f} B"
        number /= 1000
    return f"{number:.3g} GB"


def seconds_text(seconds: float) -> str:
    """Return a time with its unit, in three digits."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.3g} µs"
    if seconds < 1:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds:.3g} s"


def machine() -> Section:
    """Return the machine and the versions as a table, without a host name or a path."""
    cpu = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    facts = [
        ("date", datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")),
        ("processor", f"{cpu[1] if cpu else platform.machine()}, {os.cpu_count()} cores"),
        ("memory", bytes_text(int(memory[1]) * 1024) if memory else "unknown"),
        ("system", f"{platform.system()} {platform.release()}"),
        ("Python", f"{platform.python_implementation()} {platform.python_version()}"),
        ("libraries", libraries),
    ]
    return Section("The machine", ("what", "value"), facts)


def page(name: str, sections: Iterable[Section]) -> str:
    """Return a report as Markdown. Its plots are files in the same folder."""
    parts = [
        f"# Benchmarks: {name}",
        "How to run them, and what each figure means: [bench/README.md](../README.md).",
    ]
    for section in sections:
        parts += [f"## {section.title}", table(section.head, section.rows)]
        parts += [section.notes] if section.notes else []
        parts += [f"![{plot.title}]({name}-{plot.name}.svg)" for plot in section.plots]
    return "\n\n".join(parts) + "\n"
