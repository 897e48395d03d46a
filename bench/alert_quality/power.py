"""How soon can a rise be told from chance at all? The reckoning behind the goals.

    .venv/bin/python -m bench.alert_quality.power [--runs 2000]

Calls come evenly at random; from one moment on a share of bad ones that is known for a week is
multiplied. Counted is how often any window, looked at every 15 seconds, is as surprising as the
alerts demand soon enough after the decisive bad call. Calls are counted a minute after their start:
so long take ringing, `settle_unanswered`, the next poll and the next scrape at the least.
"""

import argparse
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from random import Random
from typing import NamedTuple

from bench.alert_quality.chance import (
    BAD_CALLS,
    HOURS_A_DAY,
    KINDS,
    PAST_DAYS,
    WINDOWS_MINUTES,
    WOBBLE,
    surprise,
)

DEMANDED = {"error": {"fast": 4.4, "slow": 4.0}, "unreachable": {"fast": 4.8, "slow": 4.6}}
"""Standard deviations, as in pearl-thresholds.yml."""

COUNTED_AFTER_SECONDS = 60
STEP_SECONDS = 15
BEFORE_SECONDS = 320 * 60
CALLS_A_DAY = (2_000, 8_000, 20_000, 50_000)


class Goal(NamedTuple):
    """A share that is multiplied, and when that should be known: after which bad call, how long."""

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
    """Moments of a Poisson process of so many a second."""
    moment = start + random.expovariate(rate)
    while moment < end:
        yield moment
        moment += random.expovariate(rate)


def in_time(random: Random, goal: Goal, calls_a_day: float) -> bool:
    """Whether one made-up rise, which begins at 0, is known soon enough."""
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
        if known(goal.kind, bad, good, past, moment - COUNTED_AFTER_SECONDS):
            return True
        moment += STEP_SECONDS
    return False


def known(kind: str, bad: Sequence[float], good: Sequence[float], past: int, moment: float) -> bool:
    """Whether any window up to this moment is as surprising as is demanded of its kind."""
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
            if surprise(some, calls, usual, past, WOBBLE[kind]) > DEMANDED[kind][speed]:
                return True
    return False


def main() -> None:
    """Prints the share of rises that are known in time, by goal and size of the outbound."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=2_000)
    given = parser.parse_args()
    print("calls a day" + " " * 35 + "".join(f"{size:>9,}" for size in CALLS_A_DAY))
    for goal in GOALS:
        random = Random(f"power {goal}")
        row = [
            sum(in_time(random, goal, size) for _ in range(given.runs)) / given.runs
            for size in CALLS_A_DAY
        ]
        what = f"{goal.kind} x{goal.times:g}, call {goal.call} and {goal.seconds / 60:g} min"
        print(f"{what:46}" + "".join(f"{share:>9.0%}" for share in row))


if __name__ == "__main__":
    main()
