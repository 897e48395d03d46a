"""A day of five outbounds through the benchmark of the alerts."""

import pytest

from bench.alerts.details import details
from bench.alerts.evaluation import FiredAlert, RunResult, detections, false_alarms
from bench.alerts.pipeline import ALERTS, run
from bench.alerts.report import PAGES, plot, table
from bench.alerts.scenario import START_MS, Scenario, make_scenario

pytestmark = pytest.mark.slow

FAST = ("PearlErrorSpike", "PearlUnreachableSpike")


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return make_scenario(1, 1, 5, quiet_days=0.2)


@pytest.fixture(scope="module")
def result(scenario: Scenario, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    return run(scenario, tmp_path_factory.mktemp("day"), workers=1)


def test_the_outbounds_differ_in_size_and_have_incidents(scenario: Scenario) -> None:
    sizes = [each.profile.calls_a_day for each in scenario.outbounds]
    assert (min(sizes), round(max(sizes))) == (10, 50_000)
    assert all(each.incidents for each in scenario.outbounds)
    assert scenario.restarts
    assert scenario.api_outages


def test_the_largest_outbound_pages_within_minutes(scenario: Scenario, result: RunResult) -> None:
    """It has no past yet, so its share of four times the usual is still compared with 10%."""
    found = detections(scenario, result, FAST)
    largest = next(each for each in found if each.calls_a_day > 40_000)
    assert largest.incident.kind == "error"
    assert largest.first is not None
    assert largest.delay_seconds is not None
    assert largest.delay_seconds < 600


@pytest.mark.parametrize("alert", PAGES)
def test_no_page_is_a_false_alarm(scenario: Scenario, result: RunResult, alert: str) -> None:
    assert false_alarms(scenario, result, alert) == []


def test_the_report_has_each_alert_and_a_plot(scenario: Scenario, result: RunResult) -> None:
    text = "\n".join(table(scenario, result))
    assert all(f"| `{alert}` |" in text for alert in ALERTS)
    assert "False pages of all outbounds together: 0 in 1 days." in text
    assert plot(scenario, result).count("<circle") >= 1


def test_each_false_alarm_is_listed(scenario: Scenario, result: RunResult) -> None:
    name = scenario.outbounds[0].name
    false = FiredAlert("PearlErrorSpike", name, START_MS // 1000 + 3900, 0)
    more = result._replace(fired=[*result.fired, false])
    listed = set(details(scenario, more)) - set(details(scenario, result))
    assert len(listed) == 1
    assert "PearlErrorSpike outbound-00-10, day 0 01:05" in listed.pop()
