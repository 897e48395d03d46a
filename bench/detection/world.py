"""The calls of an outbound whose share of bad calls moves by itself, in steps of 15 s.

What differs from outbound to outbound is drawn at random: pace, usual share, calling hours, how
calls are bunched, how the share moves and at which scale, and when the outcome of a bad call is
known. Nothing of it is known to the detector.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from pearl_exporter.detection.beta_binomial import concentration_of, with_odds

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
STEP_MS = 15 * SECOND_MS
START_MS = 1_780_272_000_000
"""Midnight of a Monday, 1 June 2026."""

RATES = (5, 20, 60, 200, 1_000, 5_000)
"""Calls an hour, while the outbound calls."""

MEANS = (0.01, 0.03, 0.08, 0.3)
HOURS = {
    "office": ((8, 12), (13, 19)),
    "siesta": ((9, 14), (17, 21)),
    "night gap": ((7, 23),),
    "all day": ((0, 24),),
}
PACES = ("steady", "waves", "bursts")
FAMILIES = ("logit-normal", "beta")
MOVES = ("segments by calls", "segments by time", "drift")
DAY_FRACTIONS = (0.0, 0.5, 1.0)
"""How much of the scatter's variance is from day to day. The rest is within a day."""

OUTCOME_DELAYS_SECONDS = (5, 40)
"""When the outcome of a bad call is known, in the mean: at once, or after ringing for a while."""


class Incident(NamedTuple):
    """A span in which the odds of a bad call are multiplied.

    Attributes:
        kind: A key of `KINDS`.
        start: When it begins, in milliseconds.
        end: When it ends.
        odds: By what the odds are multiplied.
        ramp_ms: How long it takes until they are.
        is_unseen: Whether the exporter is down when it begins, from 5 minutes before to 15 after.
    """

    kind: str
    start: int
    end: int
    odds: float
    ramp_ms: int = 0
    is_unseen: bool = False

    def odds_at(self, now: int) -> float:
        """Return by what the odds are multiplied at an instant."""
        if not self.start <= now < self.end:
            return 1.0
        if now >= self.start + self.ramp_ms:
            return self.odds
        return float(self.odds ** ((now - self.start) / self.ramp_ms))


class Step(NamedTuple):
    """The calls that start in one step.

    Attributes:
        start: When the step begins, in milliseconds.
        calls: How many calls start in it.
        bad: How many of them are bad.
        share: The probability that one of them is bad.
    """

    start: int
    calls: int
    bad: int
    share: float


@dataclass(frozen=True)
class OutboundMonth:
    """What an outbound is like.

    Attributes:
        seed: Seed of its random numbers.
        scatter: The standard deviation of the share's logit beyond chance.
        rate: Calls an hour, while it calls.
        mean: The usual share of bad calls.
        hours: Its calling hours, a key of `HOURS`.
        is_open_on_weekends: Whether it calls on Saturdays and Sundays.
        pace: Whether calls come evenly, for 20 minutes of each hour, or in bursts of some minutes.
        family: The distribution of shares.
        moves: How the share moves within a day.
        day_fraction: How much of the scatter's variance is from day to day.
        outcome_delay_seconds: When the outcome of a bad call is known.
        days: How long it runs.
        incidents: Its incidents.
    """

    seed: int
    scatter: float
    rate: float
    mean: float
    hours: str
    is_open_on_weekends: bool
    pace: str
    family: str
    moves: str
    day_fraction: float
    outcome_delay_seconds: int
    days: int
    incidents: tuple[Incident, ...] = ()

    def opens(self, day: int) -> list[tuple[int, int]]:
        """Return when it calls on a day: from and until, in milliseconds."""
        if day % 7 >= 5 and not self.is_open_on_weekends:
            return []
        midnight = START_MS + day * DAY_MS
        return [(midnight + a * HOUR_MS, midnight + b * HOUR_MS) for a, b in HOURS[self.hours]]

    def steps(self) -> Iterator[Step]:
        """Yield each step in which calls start."""
        random = Random(f"calls {self.seed}")
        flow = _Pace(self.pace, random)
        within = _Movement(self, random)
        for day in range(self.days):
            within.begin_day()
            for opens, closes in self.opens(day):
                for start in range(opens, closes, STEP_MS):
                    expected = self.rate / 240 * flow.at(start)
                    calls = poisson(random, expected) if expected else 0
                    share = within.share_at(start, calls)
                    if not calls:
                        continue
                    for incident in self.incidents:
                        if incident.start <= start < incident.end:
                            share = with_odds(share, incident.odds_at(start))
                    bad = sum(random.random() < share for _ in range(calls))
                    yield Step(start, calls, bad, share)


class _Pace:
    """How calls are bunched: a factor of the mean pace that is 1 in the mean."""

    def __init__(self, kind: str, random: Random) -> None:
        self._kind, self._random = kind, random
        self._until, self._factor = 0, 1.0

    def at(self, now: int) -> float:
        if self._kind == "waves":
            return 3.0 if now % HOUR_MS < HOUR_MS // 3 else 0.0
        if self._kind == "bursts" and now >= self._until:
            self._factor = self._random.gammavariate(1.0, 1.0)
            self._until = now + self._random.randrange(2, 15) * MINUTE_MS
        return self._factor


class _Movement:
    """How the usual share moves by itself."""

    def __init__(self, month: OutboundMonth, random: Random) -> None:
        self._month, self._random = month, random
        self._of_day = self._within = month.scatter * math.sqrt(month.day_fraction)
        self._within = month.scatter * math.sqrt(1 - month.day_fraction)
        self._day_share = self._share = month.mean
        self._calls_left = 0
        self._until = 0
        self._level = random.gauss(0, 1)

    def begin_day(self) -> None:
        self._day_share = self._draw(self._month.mean, self._of_day)
        self._calls_left = self._until = 0

    def share_at(self, now: int, calls: int) -> float:
        if self._month.moves == "segments by calls":
            is_over = self._calls_left <= 0
        else:
            is_over = now >= self._until
        if is_over:
            self._calls_left = self._random.randrange(200, 2_000)
            self._begin_segment(now)
        self._calls_left -= calls
        return self._share

    def _begin_segment(self, now: int) -> None:
        if self._month.moves == "drift":
            # an Ornstein-Uhlenbeck process with a memory of an hour
            self._until = now + MINUTE_MS
            keep = math.exp(-1 / 60)
            self._level = self._level * keep + self._random.gauss(0, math.sqrt(1 - keep**2))
            self._share = with_odds(self._day_share, math.exp(self._within * self._level))
        else:
            self._until = now + self._random.randrange(20, 120) * MINUTE_MS
            self._share = self._draw(self._day_share, self._within)

    def _draw(self, mean: float, scatter: float) -> float:
        if not scatter:
            return mean
        if self._month.family == "beta":
            all_calls = concentration_of(mean, scatter)
            return self._random.betavariate(mean * all_calls, (1 - mean) * all_calls)
        return with_odds(mean, math.exp(self._random.gauss(0, scatter)))


def poisson(random: Random, mean: float) -> int:
    """Return a random number of a Poisson distribution."""
    if mean > 30:
        return max(0, round(random.gauss(mean, math.sqrt(mean))))
    limit, count, product = math.exp(-mean), 0, random.random()
    while product > limit:
        count, product = count + 1, product * random.random()
    return count


def _flood(random: Random) -> tuple[int, float, int]:
    return 4, random.choice((30.0, 100.0, 1000.0)), 0


def _spike(random: Random) -> tuple[int, float, int]:
    return random.choice((10, 20, 45)), random.choice((4.0, 8.0, 20.0, 100.0)), 0


def _raised(random: Random) -> tuple[int, float, int]:
    return random.choice((120, 240, 360)), random.choice((2.0, 3.0, 5.0, 10.0)), 0


def _ramp(random: Random) -> tuple[int, float, int]:
    return 180, random.choice((4.0, 8.0, 20.0)), 120


KINDS: dict[str, Callable[[Random], tuple[int, float, int]]] = {
    "flood of 4 minutes": _flood,
    "spike": _spike,
    "raised for hours": _raised,
    "ramp over 2 hours": _ramp,
}
"""Kinds of incidents: minutes that one lasts, by what the odds are multiplied, minutes of ramp."""


def make_month(
    seed: int, scatter: float, *, days: int, incidents_from_day: int | None
) -> OutboundMonth:
    """Draw an outbound at random.

    Args:
        seed: Seed of all that is drawn.
        scatter: The standard deviation of the share's logit beyond chance.
        days: How long it runs.
        incidents_from_day: The first day with incidents, one on three days of ten; None for a quiet
            outbound.
    """
    random = Random(f"month {seed} {scatter} {incidents_from_day}")
    rate, mean = RATES[seed % len(RATES)], random.choice(MEANS)
    month = OutboundMonth(
        seed=random.randrange(2**32),
        scatter=scatter,
        rate=rate,
        mean=mean,
        hours=random.choice(("office", "office", "siesta", "night gap", "all day")),
        is_open_on_weekends=random.random() < 0.3,
        pace=random.choice(PACES),
        family=random.choice(FAMILIES),
        moves=random.choice(MOVES),
        day_fraction=random.choice(DAY_FRACTIONS),
        outcome_delay_seconds=random.choice(OUTCOME_DELAYS_SECONDS),
        days=days,
    )
    if incidents_from_day is None:
        return month
    return OutboundMonth(
        **{**vars(month), "incidents": (*_incidents(month, random, incidents_from_day),)}
    )


def _incidents(month: OutboundMonth, random: Random, first_day: int) -> Iterator[Incident]:
    for day in range(first_day, month.days):
        opens = month.opens(day)
        if not opens or random.random() < 0.7:
            continue
        kind = random.choice([*KINDS])
        minutes, odds, ramp = KINDS[kind](random)
        first, last = opens[0][0], opens[-1][1]
        # a quarter begins with the first call of the day
        latest = max(1, (last - first) // MINUTE_MS - minutes)
        after = 0 if random.random() < 0.25 else random.randrange(latest)
        start = first + after * MINUTE_MS
        end, is_unseen = start + minutes * MINUTE_MS, random.random() < 0.15
        yield Incident(kind, start, end, odds, ramp * MINUTE_MS, is_unseen)
