"""How often would chance alone fire? The reckoning behind the thresholds, without Prometheus.

    .venv/bin/python -m bench.alert_quality.chance [--months 3]

Twenty outbounds of 10 to 50,000 calls a day end badly with a steady probability, and nothing ever
happens to them. Counted is how often a window's share is so surprising as the alerts demand; times
less than 20 minutes apart are one.
"""

import argparse
from itertools import accumulate
from math import asin, exp, sqrt
from random import Random

from bench.alert_quality.world import LARGEST, SMALLEST

STEP_MINUTES = 0.5
HOURS_A_DAY, DAYS, PAST_DAYS = 13, 30, 7
WINDOWS_MINUTES = {"fast": (5, 10, 20), "slow": (40, 80, 160, 320)}
KINDS = {"error": (0.028, 0.5), "unreachable": (0.25, 0.8)}
"""The usual share, and the excess that is demanded of a raised one."""
WOBBLE = {"error": 0.0, "unreachable": 0.04}
"""How far a share moves by itself, as in pearl-thresholds.yml."""
LEVELS = (3.0, 3.4, 3.8, 4.0, 4.2, 4.4, 4.6, 4.8)
OUTBOUNDS = 20
BAD_CALLS = {"error": {"fast": 10, "slow": 10}, "unreachable": {"fast": 20, "slow": 10}}
"""The fewest that alarm, as in pearl-thresholds.yml."""
APART = 20 / STEP_MINUTES


def surprise(bad: int, calls: int, usual: float, past: int, wobble: float) -> float:
    """Standard deviations above usual, as in the rules."""
    difference = asin(sqrt(min(1.0, bad / calls))) - asin(sqrt(usual))
    return 2 * difference / sqrt(1 / calls + 1 / past + wobble**2)


def poisson(random: Random, mean: float) -> int:
    """A draw; by the normal distribution where it is as good."""
    if mean > 40:
        return max(0, round(random.gauss(mean, sqrt(mean))))
    limit, product, number = exp(-mean), random.random(), 0
    while product > limit:
        product *= random.random()
        number += 1
    return number


def clusters(
    kind: str, bad: list[int], calls: list[int], window: int, least: int
) -> dict[float, int]:
    """How often each level is passed, of running totals of bad calls and of calls.

    ``least`` is the fewest bad calls in a window that count.
    """
    excess, wobble = KINDS[kind][1], WOBBLE[kind]
    found = dict.fromkeys(LEVELS, 0)
    latest = dict.fromkeys(LEVELS, -APART)
    past_steps = round(PAST_DAYS * HOURS_A_DAY * 60 / STEP_MINUTES)
    for now in range(past_steps + window, len(bad)):
        some_bad = bad[now] - bad[now - window]
        if some_bad < least:
            continue
        before = now - window - past_steps
        some, past = calls[now] - calls[now - window], calls[now - window] - calls[before]
        usual = max(0.01, (bad[now - window] - bad[before]) / max(past, 1))
        if past < 200 or some_bad / some <= usual + excess * usual * (1 - usual):
            continue
        level = surprise(some_bad, some, usual, past, wobble)
        for each in LEVELS:
            if level > each:
                found[each] += now - latest[each] >= APART
                latest[each] = now
    return found


def main() -> None:
    """Prints how often a month, for all outbounds together."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--months", type=int, default=3)
    given = parser.parse_args()
    random = Random("chance")
    steps = round((DAYS + PAST_DAYS) * HOURS_A_DAY * 60 / STEP_MINUTES)
    total = {
        (kind, speed, level): 0 for kind in KINDS for speed in WINDOWS_MINUTES for level in LEVELS
    }
    for place in range(OUTBOUNDS * given.months):
        size = SMALLEST * (LARGEST / SMALLEST) ** (place % OUTBOUNDS / (OUTBOUNDS - 1))
        mean = size / HOURS_A_DAY / 60 * STEP_MINUTES
        for kind, (share, _) in KINDS.items():
            bad = [poisson(random, mean * share) for _ in range(steps)]
            good = (poisson(random, mean * (1 - share)) for _ in range(steps))
            calls = [some + each for some, each in zip(bad, good, strict=True)]
            bads, alls = [0, *accumulate(bad)], [0, *accumulate(calls)]
            for speed, windows in WINDOWS_MINUTES.items():
                for minutes in windows:
                    window, least = round(minutes / STEP_MINUTES), BAD_CALLS[kind][speed]
                    found = clusters(kind, bads, alls, window, least)
                    for level, number in found.items():
                        total[kind, speed, level] += number
    print("standard deviations       " + "".join(f"{level:8.1f}" for level in LEVELS))
    for kind in KINDS:
        for speed in WINDOWS_MINUTES:
            row = (total[kind, speed, level] / given.months for level in LEVELS)
            print(f"{kind:12} {speed:12} " + "".join(f"{number:8.2f}" for number in row))


if __name__ == "__main__":
    main()
