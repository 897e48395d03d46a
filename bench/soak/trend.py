"""Whether a figure grows: medians of the first and the last third, and a slope. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import mean, median

HOUR_SECONDS = 3600.0
MIN_SAMPLES = 6


@dataclass(frozen=True)
class Trend:
    """How one figure developed.

    Attributes:
        first_third: Median of the first third of the samples.
        last_third: Median of the last third.
        low: The smallest value.
        high: The largest value.
        slope: Of the least-squares line, per hour.
        standard_error: Of the slope.
    """

    first_third: float
    last_third: float
    low: float
    high: float
    slope: float
    standard_error: float

    @property
    def growth(self) -> float:
        """The last third's median less that of the first third."""
        return self.last_third - self.first_third

    @property
    def min_slope(self) -> float:
        """The slope less two standard errors, per hour; 0 if that is negative."""
        return max(0.0, self.slope - 2 * self.standard_error)


def trend_of(times: Sequence[float], values: Sequence[float]) -> Trend:
    """Return how a figure developed.

    Args:
        times: When the samples were taken, in seconds.
        values: The samples.

    Raises:
        ValueError: There are fewer than `MIN_SAMPLES`.
    """
    if len(values) < MIN_SAMPLES:
        raise ValueError(f"got {len(values)} samples, wanted at least {MIN_SAMPLES}")
    third = len(values) // 3
    slope, standard_error = least_squares(times, values)
    return Trend(
        first_third=median(values[:third]),
        last_third=median(values[-third:]),
        low=min(values),
        high=max(values),
        slope=slope * HOUR_SECONDS,
        standard_error=standard_error * HOUR_SECONDS,
    )


def least_squares(xs: Sequence[float], ys: Sequence[float]) -> tuple[float, float]:
    """Return the slope of the least-squares line, and its standard error.

    Neighbouring samples are correlated, so they count for fewer. The standard error is that of
    ``n (1 - r) / (1 + r)`` independent samples, where r is the lag-1 autocorrelation of the
    residuals (the effective sample size of an AR(1) process).
    """
    mean_x, mean_y = mean(xs), mean(ys)
    spread = sum((x - mean_x) ** 2 for x in xs)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread
    residuals = [y - mean_y - slope * (x - mean_x) for x, y in zip(xs, ys, strict=True)]
    squares = sum(each * each for each in residuals)
    if not squares:
        return slope, 0.0
    correlation = sum(a * b for a, b in pairwise(residuals)) / squares
    correlation = min(max(correlation, 0.0), 0.95)
    independent = max(3.0, len(ys) * (1 - correlation) / (1 + correlation))
    return slope, math.sqrt(squares / len(ys) / (independent - 2) / (spread / len(ys)))
