"""Simulate how often the alerts fire by chance alone, for several thresholds, without Prometheus.

    .venv/bin/python -m bench.alerts.false_alarm_rate [--months 3]

Twenty outbounds have 10 to 50,000 calls a day, which end badly with a constant probability. It
counts how often the z-score of a window's share exceeds each threshold. Exceedances less than 20
minutes apart count once.
"""

import argparse
from itertools import accumulate
from math import asin, exp, sqrt
from random import Random

from bench.alerts.scenario import LARGEST, SMALLEST

STEP_MINUTES = 0.5
HOURS_A_DAY, DAYS, PAST_DAYS = 13, 30, 7
WINDOWS_MINUTES = {"fast": (5, 10, 20), "slow": (40, 80, 160, 320)}
KINDS = {"error": (0.028, 0.5), "unreachable": (0.25, 0.8)}
"""The usual share, and the excess above it that an alert needs."""
WOBBLE = {"error": 0.0, "unreachable": 0.04}
"""The standard deviation of a share beyond chance, as in pearl-thresholds.yml."""
LEVELS = (3.0, 3.4, 3.8, 4.0, 4.2, 4.4, 4.6, 4.8)
OUTBOUNDS = 20
BAD_CALLS = {"error": {"fast": 10, "slow": 10}, "unreachable": {"fast": 20, "slow": 10}}
"""The minimum number of bad calls of an alert, as in pearl-thresholds.yml."""
APART = 20 / STEP_MINUTES


def z_score(bad: int, calls: int, usual: float, past: int, wobble: float) -> float:
    """Return by how many standard deviations a share is above usual, as the rules calculate it.

    This is the difference of two proportions after the arcsine transformation, which makes their
    variance independent of the proportion (Cohen, Statistical Power Analysis, 1988, chapter 6).

    Args:
        bad: Bad calls of the window.
        calls: Calls of the window.
        usual: The usual share.
        past: Calls from which the usual share is known.
        wobble: See `WOBBLE`.
    """
    difference = asin(sqrt(min(1.0, bad / calls))) - asin(sqrt(usual))
    return 2 * difference / sqrt(1 / calls + 1 / past + wobble**2)


def poisson(random: Random, mean: float) -> int:
    """Return a random number of a Poisson distribution; above a mean of 40 of a normal one."""
    if mean > 40:
        return max(0, round(random.gauss(mean, sqrt(mean))))
    limit, product, number = exp(-mean), random.random(), 0
    while product > limit:
        product *= random.random()
        number += 1
    return number


def exceedances(
    kind: str, bad: list[int], calls: list[int], window: int, min_bad: int
) -> dict[float, int]:
    """Return how often each of `LEVELS` is exceeded.

    Args:
        kind: The kind of bad calls.
        bad: Running totals of bad calls, by step.
        calls: Running totals of all calls.
        window: Length of the window in steps.
        min_bad: The minimum number of bad calls of an alert.
    """
    excess, wobble = KINDS[kind][1], WOBBLE[kind]
    found = dict.fromkeys(LEVELS, 0)
    latest = dict.fromkeys(LEVELS, -APART)
    past_steps = round(PAST_DAYS * HOURS_A_DAY * 60 / STEP_MINUTES)
    for now in range(past_steps + window, len(bad)):
        some_bad = bad[now] - bad[now - window]
        if some_bad < min_bad:
            continue
        before = now - window - past_steps
        some, past = calls[now] - calls[now - window], calls[now - window] - calls[before]
        usual = max(0.01, (bad[now - window] - bad[before]) / max(past, 1))
        if past < 200 or some_bad / some <= usual + excess * usual * (1 - usual):
            continue
        level = z_score(some_bad, some, usual, past, wobble)
        for each in LEVELS:
            if level > each:
                found[each] += now - latest[each] >= APART
                latest[each] = now
    return found


def main() -> None:
    """Print the exceedances a month of all outbounds together."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--months", type=int, default=3)
    arguments = parser.parse_args()
    random = Random("chance")
    steps = round((DAYS + PAST_DAYS) * HOURS_A_DAY * 60 / STEP_MINUTES)
    total = {
        (kind, speed, level): 0 for kind in KINDS for speed in WINDOWS_MINUTES for level in LEVELS
    }
    for place in range(OUTBOUNDS * arguments.months):
        size = SMALLEST * (LARGEST / SMALLEST) ** (place % OUTBOUNDS / (OUTBOUNDS - 1))
        mean = size / HOURS_A_DAY / 60 * STEP_MINUTES
        for kind, (share, _) in KINDS.items():
            bad = [poisson(random, mean * share) for _ in range(steps)]
            good = (poisson(random, mean * (1 - share)) for _ in range(steps))
            calls = [some + each for some, each in zip(bad, good, strict=True)]
            bads, alls = [0, *accumulate(bad)], [0, *accumulate(calls)]
            for speed, windows in WINDOWS_MINUTES.items():
                for minutes in windows:
                    window, min_bad = round(minutes / STEP_MINUTES), BAD_CALLS[kind][speed]
                    found = exceedances(kind, bads, alls, window, min_bad)
                    for level, number in found.items():
                        total[kind, speed, level] += number
    print("standard deviations       " + "".join(f"{level:8.1f}" for level in LEVELS))
    for kind in KINDS:
        for speed in WINDOWS_MINUTES:
            row = (total[kind, speed, level] / arguments.months for level in LEVELS)
            print(f"{kind:12} {speed:12} " + "".join(f"{number:8.2f}" for number in row))


if __name__ == "__main__":
    main()
