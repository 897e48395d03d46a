"""Ready-made campaigns for the demo and for load tests, and an incident for the demo."""

from dataclasses import replace

from pearl_exporter.simulator.call_generator import HOUR_MS, MINUTE_MS
from pearl_exporter.simulator.campaign import Campaign
from pearl_exporter.simulator.campaign_profile import (
    AROUND_THE_CLOCK,
    PLAIN_TAGS,
    UNICODE_TAGS,
    Profile,
)
from pearl_exporter.simulator.incident import Incident
from pearl_exporter.simulator.splitmix import splitmix64

DAY_MS = 24 * HOUR_MS


def default_profiles(seed: int = 0) -> list[Profile]:
    """Return three campaigns that differ. They dial day and night, so a demo works at any hour."""
    return [
        Profile(
            outbound_id=outbound_id(seed, 1),
            name="spring-renewals",
            calls_a_day=24_000,
            hours=AROUND_THE_CLOCK,
            tags=UNICODE_TAGS,
            total_agents=24,
        ),
        Profile(
            outbound_id=outbound_id(seed, 2),
            name="appointment-reminders",
            calls_a_day=9_000,
            success_definition=False,
            answer_share=0.55,
            median_seconds=28.0,
            spread=0.6,
            tags=("confirmed", "moved", "🚫 cancelled", "call back later"),
            tagged_share=0.9,
            total_agents=8,
        ),
        Profile(
            outbound_id=outbound_id(seed, 3),
            name="night-shift",
            calls_a_day=3_000,
            success_definition=False,
            answer_share=0.2,
            voice_mail_share=0.3,
            median_seconds=140.0,
            spread=1.1,
            tags=PLAIN_TAGS,
            tagged_share=0.4,
            queue_seconds=20.0,
            total_agents=3,
        ),
    ]


def default_campaigns(
    seed: int, now_ms: int, count: int = 3, *, history_ms: int = DAY_MS
) -> list[Campaign]:
    """Return ``count`` campaigns with calls since ``history_ms`` ago; after three, variants."""
    profiles = default_profiles(seed)
    for place in range(len(profiles), count):
        like = profiles[place % 3]
        name = f"{like.name}-{place // 3 + 1}"
        profiles.append(replace(like, outbound_id=outbound_id(seed, place + 1), name=name))
    return [
        Campaign(profile, seed=seed, start_ms=now_ms - history_ms) for profile in profiles[:count]
    ]


def many_campaigns(
    count: int,
    now_ms: int,
    *,
    seed: int = 0,
    calls_a_day: float = 20_000,
    history_ms: int = DAY_MS,
) -> list[Campaign]:
    """Return ``count`` campaigns with calls evenly over the day, for load tests."""
    return [
        Campaign(
            Profile(
                outbound_id=outbound_id(seed, place),
                name=f"load-{place:03d}",
                calls_a_day=calls_a_day,
                hours=(1.0,) * 24,
                success_definition=place % 2 == 1,
            ),
            seed=seed,
            start_ms=now_ms - history_ms,
        )
        for place in range(1, count + 1)
    ]


def demo_incident(now_ms: int) -> Incident:
    """Return an error spike that starts 2 minutes after ``now_ms`` and lasts 6."""
    return Incident(
        kind="error", start_ms=now_ms + 2 * MINUTE_MS, end_ms=now_ms + 8 * MINUTE_MS, share=0.6
    )


def outbound_id(seed: int, place: int) -> str:
    """Return the 24 hex digits of the ``place``-th outbound of ``seed``."""
    return (
        f"65f1c0{splitmix64(seed * 1_000_003 + place) & 0xFFFFFFFF_FFFFFF:014x}{place & 0xFFFF:04x}"
    )
