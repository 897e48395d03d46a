"""Rules of which a part is missing: alerts that cannot fire are told of by one that can."""

import re
from collections.abc import Mapping

from tests.rules.promtool import THRESHOLDS, alerts, rules, run
from tests.rules.world import spring, steady

ALERT = "PearlRulesIncomplete"
EXPR = alerts()[ALERT]["expr"]
REST = ", and alerts that need this stay quiet."
WITHOUT_RECORDING = (*THRESHOLDS, "pearl-exporter-alerts")


def asked(*wanted: tuple[Mapping[str, str], str]) -> dict[str, object]:
    """A test that these alerts fire, and no other: each one's own labels and what it says."""
    rule = alerts()[ALERT]
    found = [
        {
            "exp_labels": {**rule["labels"], **labels},
            "exp_annotations": {**rule["annotations"], "description": f"{says}{REST}"},
        }
        for labels, says in wanted
    ]
    ask = {"eval_time": "10m", "alertname": ALERT, "exp_alerts": found}
    return {"input_series": steady(spring("a"), 20), "alert_rule_test": [ask]}


def test_it_asks_for_every_threshold_there_is():
    there = [rule["labels"] for rule in rules() if rule.get("record") == "pearl:threshold"]
    asked = [
        dict(re.findall(r'(\w+)="(\w+)"', labels))
        for labels in re.findall(r"absent\(pearl:threshold\{(.*?)\}\)", EXPR)
    ]
    assert asked == there


def test_it_is_quiet_while_all_is_there(tmp_path):
    assert not run(tmp_path, [asked()])


def test_it_names_a_threshold_that_is_missing(tmp_path):
    wanted = {"name": "credit"}, "pearl-thresholds.yml sets no credit"
    assert not run(tmp_path, [asked(wanted)], missing="credit")


def test_it_names_status_and_speed_of_those_that_have_them(tmp_path):
    wanted = [
        (
            {"name": "bad_calls", "status": status, "speed": speed},
            f"pearl-thresholds.yml sets no bad_calls, status {status}, speed {speed}",
        )
        for status in ("error", "unreachable")
        for speed in ("fast", "slow")
    ]
    assert not run(tmp_path, [asked(*wanted)], missing="bad_calls")


def test_it_tells_that_the_recording_rules_are_not_loaded(tmp_path):
    wanted: tuple[Mapping[str, str], str] = (
        {},
        "The recording rules of pearl-recording.yml are not loaded",
    )
    assert not run(tmp_path, [asked(wanted)], only=WITHOUT_RECORDING)


def test_without_an_exporter_no_recorded_series_are_missed(tmp_path):
    assert not run(tmp_path, [{**asked(), "input_series": []}], only=WITHOUT_RECORDING)
