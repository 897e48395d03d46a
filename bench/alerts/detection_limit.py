"""Simulate how soon a raised share can be distinguished from chance at all.

    .venv/bin/python -m bench.alerts.detection_limit [--runs 2000]

Calls are a Poisson process. From one moment on the share of bad calls, known from a week before, is
multiplied. It counts how often the z-score of any window, evaluated every 15 seconds, exceeds the
alerts' threshold soon enough after the decisive bad call (the power of the test). A call is counted
a minute after its start, the minimum for ringing, `settle_unanswered`, the next poll and scrape.
"""

import argparse
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from random import Random
from typing import NamedTuple

from bench.alerts.false_alarm_rate import (
    BAD_CALLS,
    HOURS_A_DAY,
    KINDS,
    PAST_DAYS,
    WINDOWS_MINUTES,
    WOBBLE,
    z_score,
)

THRESHOLDS = {"error": {"fast": 4.4, "slow": 4.0}, "unreachable": {"fast": 4.8, "slow": 4.6}}
"""Standard deviations, as in pearl-thresholds.yml."""

COUNTED_AFTER_SECONDS = 60
STEP_SECONDS = 15
BEFORE_SECONDS = 320 * 60
CALLS_A_DAY = (2_000, 8_000, 20_000, 50_000)


class Goal(NamedTuple):
    """By what a share is multiplied, and within how many seconds of which bad call to find that."""

    kind: str
    times: float
    call: int
    seconds: float


GOALS = (
    Goal("error", 4.0, 20, 180),
    Goal("error", 2.0, 50, 240),
    Goal("unreachable", 2.0, 50, 240),
)


def arrivals(random: Random, rate: float, start: float, end: float) -> Iterator[float]:
    """Yield the moments of a Poisson process; ``rate`` is per second."""
    moment = start + random.expovariate(rate)
    while moment < end:
        yield moment
        moment += random.expovariate(rate)


def is_found_in_time(random: Random, goal: Goal, calls_a_day: float) -> bool:
    """Return whether one simulated rise, which begins at 0, is found soon enough."""
    usual = KINDS[goal.kind][0]
    rate = calls_a_day / HOURS_A_DAY / 3600
    raised = usual * goal.times
    end = goal.call / (rate * raised) * 3 + 3600
    bad = list(arrivals(random, rate * usual, -BEFORE_SECONDS, 0))
    before = len(bad)
    bad += arrivals(random, rate * raised, 0, end)
    good = list(arrivals(random, rate * (1 - usual), -BEFORE_SECONDS, 0))
    good += arrivals(random, rate * (1 - raised), 0, end)
    deadline = bad[before + goal.call - 1] + goal.seconds
    past = round(calls_a_day * PAST_DAYS)
    moment = float(STEP_SECONDS)
    while moment <= deadline:
        if is_found(goal.kind, bad, good, past, moment - COUNTED_AFTER_SECONDS):
            return True
        moment += STEP_SECONDS
    return False


def is_found(
    kind: str, bad: Sequence[float], good: Sequence[float], past: int, moment: float
) -> bool:
    """Return whether the z-score of any window that ends at a moment exceeds its threshold."""
    usual, excess = KINDS[kind]
    bad_now, good_now = bisect_right(bad, moment), bisect_right(good, moment)
    for speed, windows in WINDOWS_MINUTES.items():
        for minutes in windows:
            some = bad_now - bisect_right(bad, moment - 60 * minutes)
            calls = some + good_now - bisect_right(good, moment - 60 * minutes)
            if some < BAD_CALLS[kind][speed] or some / calls <= usual + excess * usual * (
                1 - usual
            ):
                continue
            if z_score(some, calls, usual, past, WOBBLE[kind]) > THRESHOLDS[kind][speed]:
                return True
    return False


def main() -> None:
    """Print the share of rises that are found in time, by goal and size of the outbound."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=2_000)
    arguments = parser.parse_args()
    print("calls a day" + " " * 35 + "".join(f"{size:>9,}" for size in CALLS_A_DAY))
    for goal in GOALS:
        random = Random(f"power {goal}")
        row = [
            sum(is_found_in_time(random, goal, size) for _ in range(arguments.runs))
            / arguments.runs
            for size in CALLS_A_DAY
        ]
        what = f"{goal.kind} x{goal.times:g}, call {goal.call} and {goal.seconds / 60:g} min"
        print(f"{what:46}" + "".join(f"{share:>9.0%}" for share in row))


if __name__ == "__main__":
    main()
