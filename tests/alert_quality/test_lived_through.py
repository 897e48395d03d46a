"""Expressions asked over the past fire as the rule engine does that lives through it."""

from pathlib import Path

from bench.alert_quality.check import lived_through
from bench.alert_quality.exposition import Shown
from bench.alert_quality.run import run
from bench.alert_quality.world import HOUR_MS, MINUTE_MS, START_MS, Incident, Outbound, World
from pearl_exporter.simulator import Profile

FAST = ("PearlErrorSpike", "PearlUnreachableSpike")
SPELL = Incident("error", START_MS + 70 * MINUTE_MS, START_MS + 100 * MINUTE_MS, 12.0)
PROFILE = Profile(outbound_id="65f1c0ffee", name="spring", calls_a_day=40_000)
WORLD = World(
    days=1,
    outbounds=(Outbound(PROFILE, (SPELL,)),),
    restarts=((START_MS + 30 * MINUTE_MS, START_MS + 31 * MINUTE_MS),),
    api_outages=((START_MS + 80 * MINUTE_MS, START_MS + 90 * MINUTE_MS),),
    lost_state_at=None,
)


def test_an_incident_with_an_outage_in_it_fires_once_from_then_until_then(tmp_path: Path) -> None:
    outcome = run(WORLD, tmp_path / "blocks", workers=1)
    asked = [each for each in outcome.fired if each.alert in FAST]
    shown = Shown("spring", outcome.counted["spring"], WORLD)
    lived = lived_through(tmp_path, [shown], (START_MS, START_MS + 5 * HOUR_MS // 2), FAST)
    assert [each.alert for each in asked] == ["PearlErrorSpike"]
    assert [each.alert for each in lived] == ["PearlErrorSpike"]
    assert abs(lived[0].start - asked[0].start) <= 30
    assert abs(lived[0].end - asked[0].end) <= 60
