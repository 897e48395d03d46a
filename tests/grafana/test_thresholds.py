"""The limits in the dashboards are those of the alert rules."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.grafana.files import expressions
from tests.grafana.promql import selectors
from tests.project.test_docs import promtool
from tools.dashboards import thresholds

RULES = sorted((Path(__file__).parents[2] / "deploy" / "prometheus" / "rules").glob("*.yml"))


def recorded() -> list[dict[str, Any]]:
    """Every recording rule."""
    groups = [group for file in RULES for group in yaml.safe_load(file.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"] if "record" in rule]


def threshold(**labels: str) -> float:
    """The value of a threshold."""
    (rule,) = [
        rule
        for rule in recorded()
        if rule["record"] == "pearl:threshold" and rule["labels"] == labels
    ]
    return float(rule["expr"].removeprefix("vector(").removesuffix(")"))


def test_every_recorded_series_that_is_shown_is_recorded():
    shown = {each.metric for expr in expressions() for each in selectors(expr)}
    of_rules = {name for name in shown if ":" in name}
    assert of_rules
    assert of_rules <= {rule["record"] for rule in recorded()}


@pytest.mark.parametrize(
    ("drawn", "labels"),
    [
        (thresholds.ASSUMED_SHARE["error"], {"name": "assumed_share", "status": "error"}),
        (
            thresholds.ASSUMED_SHARE["unreachable"],
            {"name": "assumed_share", "status": "unreachable"},
        ),
        (thresholds.EXCESS["error"], {"name": "excess", "status": "error"}),
        (thresholds.EXCESS["unreachable"], {"name": "excess", "status": "unreachable"}),
        (thresholds.STUCK_SECONDS, {"name": "stuck_seconds"}),
        (thresholds.DATA_AGE_SECONDS, {"name": "data_age_seconds"}),
        (thresholds.BUDGET_SHARE, {"name": "budget_share"}),
        (thresholds.CREDIT, {"name": "credit"}),
    ],
)
def test_a_limit_that_is_drawn_is_that_of_the_rules(drawn, labels):
    assert drawn == threshold(**labels)


def test_the_limit_of_an_assumed_share_is_that_of_the_rules(tmp_path):
    """By promtool: an outbound with calls and no past."""
    samples = [
        {
            "labels": f'{thresholds.LIMIT}{{outbound="new", status="{status}"}}',
            "value": thresholds.assumed_limit(status),
        }
        for status in thresholds.ASSUMED_SHARE
    ]
    counted = 'outbound_status:pearl_calls:increase{outbound="new",window="40m",speed="slow"'
    series = [
        {"series": f'{counted},status="{status}"}}', "values": "1x20"}
        for status in thresholds.ASSUMED_SHARE
    ]
    test = {
        "rule_files": [str(file) for file in RULES],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": series,
                "promql_expr_test": [
                    {"expr": thresholds.LIMIT, "eval_time": "10m", "exp_samples": samples}
                ],
            }
        ],
    }
    file = tmp_path / "test.json"
    file.write_text(json.dumps(test))
    promtool("test", "rules", str(file))


def test_each_status_and_speed_has_a_threshold_of_surprise():
    for status in thresholds.ASSUMED_SHARE:
        for speed in ("fast", "slow"):
            assert threshold(name="surprise", status=status, speed=speed) > 0
