"""What a soak must not exceed, and whether it did. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.soak.figures import Course
from bench.soak.lab import FOLLOW_SECONDS, SETTLE_SECONDS, WINDOW_SECONDS
from bench.soak.samples import Sample

MB = 1_000_000
JOURNAL_FULL_SECONDS = max(WINDOW_SECONDS, FOLLOW_SECONDS) + SETTLE_SECONDS
"""The state's journal reaches back to the oldest call that has not settled: it grows until then."""


@dataclass(frozen=True)
class Judged:
    """One figure of the samples: how to read it, and what it may do."""

    title: str
    read: Callable[[Sample], float]
    unit: float = 1.0
    """What it is divided by to be told."""
    growth: float | None = None
    """How much it may grow from the first third to the last, in its unit."""
    growth_share: float | None = None
    """The same as a share of the first third's median."""
    slope: float | None = None
    """How much by the hour, two standard errors granted, in its unit."""
    most: float | None = None
    """What it may never exceed, in its unit."""
    full_after: float = 0.0
    """Seconds from the start until it holds all that it will; not judged before."""


FIGURES: Mapping[str, Judged] = {
    "rss": Judged("resident memory, MB", lambda each: each.rss, MB, growth=6.0, slope=10.0),
    "pss": Judged("its proportional share (PSS), MB", lambda each: each.pss, MB),
    "uss": Judged("private memory (USS), MB", lambda each: each.uss, MB, growth=6.0, slope=10.0),
    "objects": Judged(
        "Python objects that the collector tracks",
        lambda each: each.objects,
        growth_share=0.03,
    ),
    "tasks": Judged("asyncio tasks", lambda each: each.tasks, growth=5),
    "descriptors": Judged("file descriptors", lambda each: each.descriptors, growth=5),
    "threads": Judged("threads", lambda each: each.threads, growth=1),
    "state": Judged(
        "state file, MB",
        lambda each: each.state,
        MB,
        growth_share=0.05,
        full_after=JOURNAL_FULL_SECONDS,
    ),
    "wal": Judged("its write-ahead log, MB", lambda each: each.wal, MB, most=16.0),
}
"""Growth and slopes are of the samples after the warm-up."""


def exceeded(judged: Judged, course: Course) -> list[str]:
    """What of its bounds a figure has exceeded, a phrase each. ``course`` is in its unit."""
    found = []
    if judged.growth is not None and course.growth > judged.growth:
        found.append(f"grew by {course.growth:.3g}, more than {judged.growth:g}")
    if judged.growth_share is not None:
        share = course.growth / course.first_third if course.first_third else 0.0
        if share > judged.growth_share:
            found.append(f"grew by {share:.1%}, more than {judged.growth_share:.0%}")
    if judged.slope is not None and course.sure_slope > judged.slope:
        found.append(f"grows by at least {course.sure_slope:.3g} an hour, more than {judged.slope}")
    if judged.most is not None and course.most > judged.most:
        found.append(f"was {course.most:.3g}, more than {judged.most:g}")
    return found


def bounds(judged: Judged) -> str:
    """The bounds of a figure in words."""
    words = []
    if judged.growth is not None:
        words.append(f"growth ≤ {judged.growth:g}")
    if judged.growth_share is not None:
        words.append(f"growth ≤ {judged.growth_share:.0%}")
    if judged.slope is not None:
        words.append(f"slope - 2σ ≤ {judged.slope:g}/h")
    if judged.most is not None:
        words.append(f"never > {judged.most:g}")
    return ", ".join(words) or "not judged"


def grown_types(samples: Sequence[Sample], most: int = 8) -> list[str]:
    """The types of which there were more in the last third than in the first, the most first."""
    third = max(1, len(samples) // 3)

    def mean_of(part: Sequence[Sample], name: str) -> float:
        return sum(each.types.get(name, 0) for each in part) / len(part)

    names = set(samples[-1].types)
    growth = {
        name: mean_of(samples[-third:], name) - mean_of(samples[:third], name) for name in names
    }
    ordered = sorted(names, key=lambda name: -growth[name])
    return [f"{name} {growth[name]:+.0f}" for name in ordered[:most] if growth[name] >= 1]
