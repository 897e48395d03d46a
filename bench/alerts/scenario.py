"""The scenario: outbounds of very different sizes, and the incidents that alerts should find.

Only *incidents* are what alerts are for. Nights, weekends, pauses, drifts, restarts of the exporter
and outages of the API are not. All moments are in milliseconds since the epoch.
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
    """A span ``[start, end)`` in which an outbound's calls do not end as usual.

    Attributes:
        kind: ``error``, ``unreachable``, ``success`` (successes become failures) or ``stop`` (no
            calls).
        start: The first affected start of a call.
        end: The first start of a call that is not affected any more.
        times: By what the usual share is multiplied.
    """

    kind: str
    start: int
    end: int
    times: float


@dataclass(frozen=True)
class Drift:
    """A share that rises evenly over days to ``times`` the usual share and stays there."""

    kind: str
    start: int
    end: int
    times: float


@dataclass(frozen=True)
class Outbound:
    """One outbound: its profile, and what happens to it."""

    profile: Profile
    incidents: tuple[Incident, ...] = ()
    pauses: tuple[Span, ...] = ()
    drift: Drift | None = None

    @property
    def name(self) -> str:
        """The value of its label ``outbound``."""
        return self.profile.name

    def usual(self, kind: str) -> float:
        """Return the share of calls that the simulator lets end so, approximately."""
        profile = self.profile
        failed = (1 - profile.answer_share) * (1 - profile.voice_mail_share - profile.abandon_share)
        return failed * (0.05 if kind == "error" else 0.47)


@dataclass(frozen=True)
class Scenario:
    """All outbounds, and when the exporter or the API were down."""

    days: int
    outbounds: tuple[Outbound, ...]
    restarts: tuple[Span, ...]
    api_outages: tuple[Span, ...]
    lost_state_at: int | None

    @property
    def end(self) -> int:
        """The end of the scenario."""
        return START_MS + self.days * DAY_MS


def make_scenario(seed: int, days: int, count: int, *, quiet_days: float = 3.0) -> Scenario:
    """Return a scenario. The same arguments give the same scenario.

    Args:
        seed: Of the random numbers.
        days: The length.
        count: The number of outbounds.
        quiet_days: Days before the first incident.
    """
    random = Random(f"alert quality {seed}")
    down = _downtimes(random, days)
    restarts, api_outages = down[: len(down) * 2 // 3], down[len(down) * 2 // 3 :]
    plan = _Plan(seed, days, count, quiet_days)
    outbounds = tuple(_outbound(random, place, plan) for place in range(count))
    lost = START_MS + int((days - 9.4) * DAY_MS) if days > 14 else None
    return Scenario(
        days,
        outbounds,
        tuple((start, start + random.choice((20, 45, 90, 180)) * 1000) for start in restarts),
        tuple((start, start + random.choice((2, 5, 12, 40)) * MINUTE_MS) for start in api_outages),
        lost,
    )


def _downtimes(random: Random, days: int) -> list[int]:
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
    incidents, pauses = _incidents_and_pauses(random, outbound, days, plan.quiet_days)
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


def _incidents_and_pauses(
    random: Random, outbound: Outbound, days: int, quiet_days: float
) -> tuple[tuple[Incident, ...], tuple[Span, ...]]:
    """Return incidents and pauses in calling hours, at least half a day apart."""
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
