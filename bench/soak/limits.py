"""The limits that a soak must keep, and whether it did. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.soak.configuration import FOLLOW_SECONDS, SETTLE_SECONDS, WINDOW_SECONDS
from bench.soak.resource_samples import Sample
from bench.soak.trend import Trend

MB = 1_000_000
JOURNAL_FULL_SECONDS = max(WINDOW_SECONDS, FOLLOW_SECONDS) + SETTLE_SECONDS
"""The state's journal reaches back to the oldest call that has not settled. It grows until then."""


@dataclass(frozen=True)
class Figure:
    """One figure of the samples and its limits, which are in its unit.

    Attributes:
        title: Its name in the report.
        read: Returns it from a sample.
        unit: By what it is divided.
        max_growth: Limit of the growth from the first third to the last.
        max_growth_share: The same as a share of the first third's median.
        max_slope: Limit of `Trend.min_slope`, per hour.
        max_value: Limit of every value.
        full_after: Seconds until it can be full. Earlier samples are not judged.
    """

    title: str
    read: Callable[[Sample], float]
    unit: float = 1.0
    max_growth: float | None = None
    max_growth_share: float | None = None
    max_slope: float | None = None
    max_value: float | None = None
    full_after: float = 0.0


FIGURES: Mapping[str, Figure] = {
    "rss": Figure("resident memory, MB", lambda each: each.rss, MB, max_growth=6.0, max_slope=10.0),
    "pss": Figure("its proportional share (PSS), MB", lambda each: each.pss, MB),
    "uss": Figure(
        "private memory (USS), MB", lambda each: each.uss, MB, max_growth=6.0, max_slope=10.0
    ),
    "objects": Figure(
        "Python objects that the collector tracks",
        lambda each: each.objects,
        max_growth_share=0.03,
    ),
    "tasks": Figure("asyncio tasks", lambda each: each.tasks, max_growth=5),
    "descriptors": Figure("file descriptors", lambda each: each.descriptors, max_growth=5),
    "threads": Figure("threads", lambda each: each.threads, max_growth=1),
    "state": Figure(
        "state file, MB",
        lambda each: each.state,
        MB,
        max_growth_share=0.05,
        full_after=JOURNAL_FULL_SECONDS,
    ),
    "wal": Figure("its write-ahead log, MB", lambda each: each.wal, MB, max_value=16.0),
}
"""Growth and slopes are of the samples after the warm-up."""


def exceeded_limits(figure: Figure, trend: Trend) -> list[str]:
    """Return a phrase for each limit that a figure has exceeded."""
    found = []
    if figure.max_growth is not None and trend.growth > figure.max_growth:
        found.append(f"grew by {trend.growth:.3g}, more than {figure.max_growth:g}")
    if figure.max_growth_share is not None:
        share = trend.growth / trend.first_third if trend.first_third else 0.0
        if share > figure.max_growth_share:
            found.append(f"grew by {share:.1%}, more than {figure.max_growth_share:.0%}")
    if figure.max_slope is not None and trend.min_slope > figure.max_slope:
        found.append(
            f"grows by at least {trend.min_slope:.3g} an hour, more than {figure.max_slope}"
        )
    if figure.max_value is not None and trend.high > figure.max_value:
        found.append(f"was {trend.high:.3g}, more than {figure.max_value:g}")
    return found


def limits_text(figure: Figure) -> str:
    """Return the limits of a figure in words."""
    words = []
    if figure.max_growth is not None:
        words.append(f"growth ≤ {figure.max_growth:g}")
    if figure.max_growth_share is not None:
        words.append(f"growth ≤ {figure.max_growth_share:.0%}")
    if figure.max_slope is not None:
        words.append(f"slope - 2σ ≤ {figure.max_slope:g}/h")
    if figure.max_value is not None:
        words.append(f"never > {figure.max_value:g}")
    return ", ".join(words) or "not judged"


def growing_types(samples: Sequence[Sample], count: int = 8) -> list[str]:
    """Return the ``count`` types whose objects grew most from the first third to the last."""
    third = max(1, len(samples) // 3)

    def mean_of(part: Sequence[Sample], name: str) -> float:
        return sum(each.types.get(name, 0) for each in part) / len(part)

    names = set(samples[-1].types)
    growth = {
        name: mean_of(samples[-third:], name) - mean_of(samples[:third], name) for name in names
    }
    ordered = sorted(names, key=lambda name: -growth[name])
    return [f"{name} {growth[name]:+.0f}" for name in ordered[:count] if growth[name] >= 1]
