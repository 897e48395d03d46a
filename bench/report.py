"""Tables and plots of the measurements, and the machine they were made on."""

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
    """One line of a plot, or for bars one group of them."""

    name: str
    points: Sequence[tuple[float | str, float]]


@dataclass(frozen=True)
class Plot:
    """What a plot shows. ``goal`` is a level to draw, if there is one."""

    name: str
    title: str
    across: str
    up: str
    lines: Sequence[Line]
    goal: float | None = None
    is_bars: bool = False
    is_logarithmic: bool = True


@dataclass(frozen=True)
class Section:
    """One measurement: a table, what to know about it, and its plots."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: str = ""
    plots: Sequence[Plot] = field(default=())


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, the first column to the left, figures to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def verdict(value: float, goal: float) -> str:
    """Whether a figure is at most its goal."""
    return "met" if value <= goal else "missed"


def bytes_text(number: float) -> str:
    """A size for people."""
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.3g} {unit}" if unit != "B" else f"{number:.0f} B"
        number /= 1000
    return f"{number:.3g} GB"


def seconds_text(seconds: float) -> str:
    """A time for people, with three digits."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.3g} µs"
    if seconds < 1:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds:.3g} s"


def machine() -> Section:
    """The machine and the versions, by themselves and without a name or a path."""
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
    return Section("The machine", ("what", "here"), facts)


def page(name: str, sections: Iterable[Section]) -> str:
    """The whole report as Markdown; its plots are files beside it."""
    parts = [
        f"# Benchmarks: {name}",
        "How to run them, and what each figure means: [bench/README.md](../README.md).",
    ]
    for section in sections:
        parts += [f"## {section.title}", table(section.head, section.rows)]
        parts += [section.notes] if section.notes else []
        parts += [f"![{plot.title}]({name}-{plot.name}.svg)" for plot in section.plots]
    return "\n\n".join(parts) + "\n"
