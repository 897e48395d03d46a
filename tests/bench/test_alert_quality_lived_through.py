"""Expressions asked over the past fire as the rule engine does that lives through it."""

from pathlib import Path

from bench.alert_quality.check import differences, lived_through
from bench.alert_quality.exposition import Shown, running_text
from bench.alert_quality.judge import Fired
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
    span = (START_MS, START_MS + 5 * HOUR_MS // 2)
    lived = [each for each in lived_through(tmp_path, [shown], span) if each.alert in FAST]
    assert [each.alert for each in asked] == ["PearlErrorSpike"]
    assert [each.alert for each in lived] == ["PearlErrorSpike"]
    assert abs(lived[0].start - asked[0].start) <= 30
    assert abs(lived[0].end - asked[0].end) <= 60


def test_a_spell_that_one_way_has_and_the_other_has_not_is_told() -> None:
    one, other = Fired("PearlErrorSpike", "spring", 60, 900), Fired("PearlErrorSpike", "", 60, 900)
    assert differences([one], [one._replace(start=90)], end=3600) == []
    assert differences([one._replace(end=4000)], [one._replace(end=3600)], end=3600) == []
    assert len(differences([one], [other], end=3600)) == 2
    assert len(differences([one], [one._replace(start=600)], end=3600)) == 2


def test_a_pause_is_shown_as_soon_as_the_platform_is_asked_again() -> None:
    pause = (START_MS + 61 * MINUTE_MS, START_MS + 91 * MINUTE_MS)
    world = World(1, (Outbound(PROFILE, pauses=(pause,)),), (), (), None)
    *lines, end = running_text(world, (START_MS, START_MS + 3 * HOUR_MS))
    paused = [int(line.split()[2]) - START_MS // 1000 for line in lines if line.split()[1] == "0"]
    assert end == "# EOF\n"
    assert (paused[0] // 60, paused[-1] // 60) == (65, 94)
