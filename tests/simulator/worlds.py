"""The small worlds that the simulator's tests look at."""

from typing import Any

from pearl_exporter.simulator import Campaign, Profile

NOW = 1_772_366_400_000  # 2026-03-01T12:00:00Z, a Sunday
MINUTE = 60_000
HOUR = 60 * MINUTE

ODD: dict[str, Any] = {
    "late_row_share": 0.1,
    "late_outcome_share": 0.1,
    "late_tags_share": 0.1,
    "revised_share": 0.1,
    "deleted_share": 0.1,
    "unknown_code_share": 0.1,
    "null_share": 0.1,
}
"""Enough oddities for a few hundred calls to show each."""

CALM: dict[str, Any] = dict.fromkeys(ODD, 0.0)
"""No oddities at all."""


def a_campaign(*, hours: float = 8.0, seed: int = 0, place: int = 1, **changes: Any) -> Campaign:
    """Return a campaign of about a call every 20 s that has run for ``hours`` at `NOW`."""
    wanted = {"calls_a_day": 4_320.0, "hours": (1.0,) * 24} | changes
    profile = Profile(outbound_id=f"{place:024x}", name=f"c{place}", **wanted)
    return Campaign(profile, seed=seed, start_ms=NOW - round(hours * HOUR))
