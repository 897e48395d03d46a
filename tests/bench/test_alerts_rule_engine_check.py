"""Alerts evaluated by queries over the past fire as in Prometheus' own rule engine."""

from pathlib import Path

from bench.alerts.evaluation import FiredAlert
from bench.alerts.exposition import OutboundExposition, running_text
from bench.alerts.pipeline import run
from bench.alerts.rule_engine_check import differences, promtool_alerts
from bench.alerts.scenario import HOUR_MS, MINUTE_MS, START_MS, Incident, Outbound, Scenario
from pearl_exporter.simulator import Profile

FAST = ("PearlErrorSpike", "PearlUnreachableSpike")
SPELL = Incident("error", START_MS + 70 * MINUTE_MS, START_MS + 100 * MINUTE_MS, 12.0)
PROFILE = Profile(outbound_id="65f1c0ffee", name="spring", calls_a_day=40_000)
SCENARIO = Scenario(
    days=1,
    outbounds=(Outbound(PROFILE, (SPELL,)),),
    restarts=((START_MS + 30 * MINUTE_MS, START_MS + 31 * MINUTE_MS),),
    api_outages=((START_MS + 80 * MINUTE_MS, START_MS + 90 * MINUTE_MS),),
    lost_state_at=None,
)


def test_an_incident_with_an_outage_fires_once_in_both_ways(tmp_path: Path) -> None:
    result = run(SCENARIO, tmp_path / "blocks", workers=1)
    queried = [each for each in result.fired if each.alert in FAST]
    exposition = OutboundExposition("spring", result.counted["spring"], SCENARIO)
    span = (START_MS, START_MS + 5 * HOUR_MS // 2)
    evaluated = promtool_alerts(tmp_path, [exposition], span)
    evaluated = [each for each in evaluated if each.alert in FAST]
    assert [each.alert for each in queried] == ["PearlErrorSpike"]
    assert [each.alert for each in evaluated] == ["PearlErrorSpike"]
    assert abs(evaluated[0].start - queried[0].start) <= 30
    assert abs(evaluated[0].end - queried[0].end) <= 60


def test_an_alert_of_only_one_way_is_a_difference() -> None:
    one = FiredAlert("PearlErrorSpike", "spring", 60, 900)
    other = FiredAlert("PearlErrorSpike", "", 60, 900)
    assert differences([one], [one._replace(start=90)], end=3600) == []
    assert differences([one._replace(end=4000)], [one._replace(end=3600)], end=3600) == []
    assert len(differences([one], [other], end=3600)) == 2
    assert len(differences([one], [one._replace(start=600)], end=3600)) == 2


def test_a_pause_is_shown_at_the_next_list_of_outbounds() -> None:
    pause = (START_MS + 61 * MINUTE_MS, START_MS + 91 * MINUTE_MS)
    scenario = Scenario(1, (Outbound(PROFILE, pauses=(pause,)),), (), (), None)
    *lines, end = running_text(scenario, (START_MS, START_MS + 3 * HOUR_MS))
    paused = [int(line.split()[2]) - START_MS // 1000 for line in lines if line.split()[1] == "0"]
    assert end == "# EOF\n"
    assert (paused[0] // 60, paused[-1] // 60) == (65, 94)
