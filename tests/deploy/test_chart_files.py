"""The chart carries the rules and the dashboards of the folders beside it, as they are."""

import hashlib
import json
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.chart import CHART, MONITORED, helm, of_kind, rendered
from tests.deploy.tools import DEPLOY, objects, promtool


def rule_files() -> list[Path]:
    return sorted(
        file
        for file in (DEPLOY / "prometheus").rglob("*.yml")
        if "groups" in yaml.safe_load(file.read_text())
    )


def dashboard_files() -> list[Path]:
    return sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))


def test_every_rule_file_is_in_the_chart_as_it_is(tmp_path):
    specs = [rule["spec"] for rule in of_kind("PrometheusRule", rendered(MONITORED, tmp_path))]
    wanted = [yaml.safe_load(file.read_text()) for file in rule_files()]
    assert sorted(map(str, specs)) == sorted(map(str, wanted))


def test_prometheus_takes_the_rules_out_of_the_chart(tmp_path):
    for number, rule in enumerate(of_kind("PrometheusRule", rendered(MONITORED, tmp_path))):
        file = tmp_path / f"{number}.json"
        file.write_text(json.dumps(rule["spec"]))
        promtool("check", "rules", file)


def test_every_dashboard_is_in_the_chart_as_it_is(tmp_path):
    found = of_kind("ConfigMap", rendered(MONITORED, tmp_path))
    shown = [each for each in found if each["metadata"]["labels"].get("grafana_dashboard") == "1"]
    texts = {name: json.loads(text) for each in shown for name, text in each["data"].items()}
    assert texts == {file.name: json.loads(file.read_text()) for file in dashboard_files()}


def test_a_packaged_chart_carries_them_and_renders_the_same(tmp_path):
    run = helm("package", CHART, "--destination", tmp_path)
    assert run.returncode == 0, run.stderr
    (package,) = tmp_path.glob("*.tgz")
    values = tmp_path / "values.json"
    values.write_text(json.dumps(MONITORED))
    run = helm("template", "campaigns", package, "--namespace", "telephony", "-f", values)
    assert digest(objects(run.stdout)) == digest(rendered(MONITORED, tmp_path))


def digest(found: list[Any]) -> str:
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()
