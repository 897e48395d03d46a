"""A day of five outbounds through the benchmark of alert quality."""

import pytest

from bench.alert_quality.details import details
from bench.alert_quality.judge import Fired, Outcome, false_alarms, found
from bench.alert_quality.report import PAGES, plot, table
from bench.alert_quality.run import ALERTS, run
from bench.alert_quality.world import START_MS, World, make_world

pytestmark = pytest.mark.slow

FAST = ("PearlErrorSpike", "PearlUnreachableSpike")


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(1, 1, 5, quiet_days=0.2)


@pytest.fixture(scope="module")
def outcome(world: World, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return run(world, tmp_path_factory.mktemp("day"), workers=1)


def test_the_world_is_of_very_different_sizes_and_has_incidents(world: World) -> None:
    sizes = [each.profile.calls_a_day for each in world.outbounds]
    assert (min(sizes), round(max(sizes))) == (10, 50_000)
    assert all(each.incidents for each in world.outbounds)
    assert world.restarts
    assert world.api_outages


def test_the_incident_of_the_largest_pages_within_minutes(world: World, outcome: Outcome) -> None:
    """It has no past yet, so its share of four times the usual is still compared with 10%."""
    largest = next(each for each in found(world, outcome, FAST) if each.calls_a_day > 40_000)
    assert largest.incident.kind == "error"
    assert largest.first is not None
    assert largest.delay_seconds is not None
    assert largest.delay_seconds < 600


@pytest.mark.parametrize("alert", PAGES)
def test_nobody_is_woken_for_nothing(world: World, outcome: Outcome, alert: str) -> None:
    assert false_alarms(world, outcome, alert) == []


def test_the_report_has_a_row_for_each_alert_and_a_plot(world: World, outcome: Outcome) -> None:
    text = "\n".join(table(world, outcome))
    assert all(f"| `{alert}` |" in text for alert in ALERTS)
    assert "False pages of all outbounds together: 0 in 1 days." in text
    assert plot(world, outcome).count("<circle") >= 1


def test_each_false_alarm_is_told(world: World, outcome: Outcome) -> None:
    false = Fired("PearlErrorSpike", world.outbounds[0].name, START_MS // 1000 + 3900, 0)
    more = outcome._replace(fired=[*outcome.fired, false])
    told = set(details(world, more)) - set(details(world, outcome))
    assert len(told) == 1
    assert "PearlErrorSpike outbound-00-10, day 0 01:05" in told.pop()
