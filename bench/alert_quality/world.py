"""The world that is watched: outbounds of very different sizes, what befalls them, and its labels.

An *incident* is what an alert is for, everything else is not: mornings, nights, weekends, pauses,
drifts, restarts of the exporter and outages of the API. All moments are epoch milliseconds.
"""

from dataclasses import dataclass
from random import Random

from pearl_exporter.simulator import Profile
from pearl_exporter.simulator.campaign_profile import (
    AROUND_THE_CLOCK,
    EVERY_DAY,
    OFFICE_HOURS,
    WORKING_DAYS,
)

START_MS = 1_780_272_000_000
"""Monday, 1 June 2026, 00:00 UTC."""

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

SMALLEST, LARGEST = 10, 50_000

Span = tuple[int, int]


@dataclass(frozen=True)
class Incident:
    """Calls of one outbound that start in [start, end) end otherwise than usual.

    ``kind`` is ``error``, ``unreachable``, ``success`` (successes turn to failures) or ``stop``
    (no calls at all). ``times`` is by what the usual share is multiplied.
    """

    kind: str
    start: int
    end: int
    times: float


@dataclass(frozen=True)
class Drift:
    """A share that rises evenly over days to ``times`` the usual one, and stays."""

    kind: str
    start: int
    end: int
    times: float


@dataclass(frozen=True)
class Outbound:
    """One outbound: its character, and what befalls it."""

    profile: Profile
    incidents: tuple[Incident, ...] = ()
    pauses: tuple[Span, ...] = ()
    drift: Drift | None = None

    @property
    def name(self) -> str:
        """Its label ``outbound``."""
        return self.profile.name

    def usual(self, kind: str) -> float:
        """The share of calls that end so, as the simulator draws them (nearly)."""
        profile = self.profile
        failed = (1 - profile.answer_share) * (1 - profile.voice_mail_share - profile.abandon_share)
        return failed * (0.05 if kind == "error" else 0.47)


@dataclass(frozen=True)
class World:
    """Everything, and when the exporter or the API were away."""

    days: int
    outbounds: tuple[Outbound, ...]
    restarts: tuple[Span, ...]
    api_outages: tuple[Span, ...]
    lost_state_at: int | None

    @property
    def end(self) -> int:
        """When it ends."""
        return START_MS + self.days * DAY_MS


def make_world(seed: int, days: int, count: int, *, quiet_days: float = 3.0) -> World:
    """A world of ``count`` outbounds; incidents begin after ``quiet_days``."""
    random = Random(f"alert quality {seed}")
    away = _away(random, days)
    restarts, api_outages = away[: len(away) * 2 // 3], away[len(away) * 2 // 3 :]
    plan = _Plan(seed, days, count, quiet_days)
    outbounds = tuple(_outbound(random, place, plan) for place in range(count))
    lost = START_MS + int((days - 9.4) * DAY_MS) if days > 14 else None
    return World(
        days,
        outbounds,
        tuple((start, start + random.choice((20, 45, 90, 180)) * 1000) for start in restarts),
        tuple((start, start + random.choice((2, 5, 12, 40)) * MINUTE_MS) for start in api_outages),
        lost,
    )


def _away(random: Random, days: int) -> list[int]:
    moments = [START_MS + random.randrange(days * DAY_MS) for _ in range(max(3, days * 3 // 5))]
    random.shuffle(moments)
    return moments


@dataclass(frozen=True)
class _Plan:
    seed: int
    days: int
    count: int
    quiet_days: float


def _outbound(random: Random, place: int, plan: _Plan) -> Outbound:
    days = plan.days
    size = SMALLEST * (LARGEST / SMALLEST) ** (place / max(1, plan.count - 1))
    office = place % 3 != 1
    profile = Profile(
        outbound_id=f"65f1c0{plan.seed:06x}{place:012x}",
        name=f"outbound-{place:02d}-{size:.0f}",
        calls_a_day=size,
        hours=OFFICE_HOURS if office else AROUND_THE_CLOCK,
        weekdays=WORKING_DAYS if office else EVERY_DAY,
        answer_share=random.uniform(0.2, 0.5),
        voice_mail_share=random.uniform(0.05, 0.3),
        success_definition=place % 2 == 0,
        success_share=random.uniform(0.15, 0.45),
        median_seconds=random.uniform(30, 120),
    )
    outbound = Outbound(profile)
    drifts = {3: ("error", 1.8), 10: ("unreachable", 1.4), 18: ("error", 1.8)}
    drift = None
    if place in drifts and days > 14:
        kind, times = drifts[place]
        drift = Drift(kind, START_MS + 4 * DAY_MS, START_MS + (days - 5) * DAY_MS, times)
    incidents, pauses = _what_befalls(random, outbound, days, plan.quiet_days)
    return Outbound(profile, incidents, pauses, drift)


KINDS = (
    ("error", 4.0),
    ("error", 2.0),
    ("unreachable", 2.0),
    ("error", 12.0),
    ("unreachable", 3.5),
    ("success", 0.4),
    ("stop", 0.0),
    ("pause", 0.0),
)
LENGTHS_MINUTES = (20, 45, 90, 180, 360)


def _what_befalls(
    random: Random, outbound: Outbound, days: int, quiet_days: float
) -> tuple[tuple[Incident, ...], tuple[Span, ...]]:
    """Incidents and pauses in hours of calling, at least half a day between two of them."""
    spells: list[Incident] = []
    kinds = [each for each in KINDS if each[0] != "success" or outbound.profile.success_definition]
    wanted = max(1, round((days - quiet_days) / 2.6))
    for number in range(40 * wanted):
        if len(spells) == wanted:
            break
        kind, times = kinds[(number + random.randrange(2)) % len(kinds)]
        start = START_MS + int(random.uniform(quiet_days, days - 0.3) * DAY_MS)
        end = start + random.choice(LENGTHS_MINUTES) * MINUTE_MS
        busy = outbound.profile.calls_a_day / 1440 / 2
        minutes = (start // MINUTE_MS, (start + end) // 2 // MINUTE_MS)
        calling = all(outbound.profile.calls_a_minute(minute) > busy for minute in minutes)
        apart = all(
            start > each.end + DAY_MS // 2 or end < each.start - DAY_MS // 2 for each in spells
        )
        if calling and apart:
            spells.append(Incident(kind, start, end, times))
    spells.sort(key=lambda each: each.start)
    incidents = tuple(each for each in spells if each.kind != "pause")
    return incidents, tuple((each.start, each.end) for each in spells if each.kind == "pause")
