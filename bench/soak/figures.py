"""Whether something grows: medians of the first and the last third, and a slope. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import mean, median

HOUR_SECONDS = 3600.0


@dataclass(frozen=True)
class Course:
    """How one figure went. ``slope`` is by the hour, ``uncertainty`` its standard error."""

    first_third: float
    last_third: float
    least: float
    most: float
    slope: float
    uncertainty: float

    @property
    def growth(self) -> float:
        """From the first third's median to that of the last."""
        return self.last_third - self.first_third

    @property
    def sure_slope(self) -> float:
        """By the hour, as little as it may be: two standard errors below; 0 where it may fall."""
        return max(0.0, self.slope - 2 * self.uncertainty)


def course(times: Sequence[float], values: Sequence[float]) -> Course:
    """How a figure went over times in seconds; raises ValueError for fewer than six."""
    if len(values) < 6:
        raise ValueError(f"got {len(values)} samples, wanted 6 at least")
    third = len(values) // 3
    slope, uncertainty = least_squares(times, values)
    return Course(
        first_third=median(values[:third]),
        last_third=median(values[-third:]),
        least=min(values),
        most=max(values),
        slope=slope * HOUR_SECONDS,
        uncertainty=uncertainty * HOUR_SECONDS,
    )


def least_squares(across: Sequence[float], up: Sequence[float]) -> tuple[float, float]:
    """The slope of the straight line of least squares, and its standard error.

    Neighbouring samples resemble each other, so they are worth fewer: the error is reckoned for
    as many independent ones as the residuals' autocorrelation leaves of them.
    """
    middle_across, middle_up = mean(across), mean(up)
    spread = sum((x - middle_across) ** 2 for x in across)
    slope = (
        sum((x - middle_across) * (y - middle_up) for x, y in zip(across, up, strict=True)) / spread
    )
    residuals = [
        y - middle_up - slope * (x - middle_across) for x, y in zip(across, up, strict=True)
    ]
    squares = sum(each * each for each in residuals)
    if not squares:
        return slope, 0.0
    alike = sum(a * b for a, b in pairwise(residuals)) / squares
    alike = min(max(alike, 0.0), 0.95)
    independent = max(3.0, len(up) * (1 - alike) / (1 + alike))
    return slope, math.sqrt(squares / len(up) / (independent - 2) / (spread / len(up)))
