"""Histories in promtool's notation, and runs of its rule tests over the rules in ``deploy/``.

promtool evaluates with Prometheus' own engine at simulated times, so hours take a second. Scenarios
that run together in one world cost hardly more than one of them: each has labels of its own.
"""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.support.programs import debian_program

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "rules"
FILES = sorted(RULES.glob("*.yml"))
STEPS_A_MINUTE = 4
THRESHOLDS = ("pearl-thresholds-shares", "pearl-thresholds-campaigns", "pearl-thresholds-exporter")
WINDOWS = ("pearl-windows-fast", "pearl-windows-slow", "pearl-success")
ORDER = (*THRESHOLDS, "pearl-usual", *WINDOWS, "pearl-campaign-alerts")
"""The groups of the alerts on calls. Prometheus evaluates groups side by side; at a long step their
order must be that of need."""

Spell = tuple[float, float]
"""Minutes, and how much a minute (a counter) or which value (a gauge)."""
Labels = Mapping[str, str]
Series = list[dict[str, str]]
Asked = list[dict[str, Any]]


@cache  # it takes a quarter of a second; nobody changes what it returns
def groups() -> list[dict[str, Any]]:
    return [group for file in FILES for group in yaml.safe_load(file.read_text())["groups"]]


def rules() -> list[dict[str, Any]]:
    return [rule for group in groups() for rule in group["rules"]]


def alerts() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


# Histories, a sample every 15 seconds


def series(name: str, values: str, labels: Labels, **more: str) -> dict[str, str]:
    return {"series": _text(name, {**labels, **more}), "values": values}


def counter(*spells: Spell, start: float = 0) -> str:
    """A counter that grows so much a minute in each spell."""
    words, value = [], start
    for minutes, per_minute in spells:
        steps, growth = round(minutes * STEPS_A_MINUTE), per_minute / STEPS_A_MINUTE
        words.append(f"{value:g}+{growth:g}x{steps - 1}")
        value += growth * steps
    return " ".join(words)


def gauge(*spells: Spell) -> str:
    return " ".join(f"{value:g}x{round(minutes * STEPS_A_MINUTE) - 1}" for minutes, value in spells)


def absent(minutes: float) -> str:
    """Scrapes that fail, or show no such series."""
    return f"stale _x{round(minutes * STEPS_A_MINUTE) - 1}"


def target(name: str) -> dict[str, str]:
    """The labels of an exporter of its own for this scenario."""
    return {"job": "pearl", "instance": name}


# What is asked


def firing(minute: float, alert: str, of: Labels, **more: str | None) -> dict[str, Any]:
    """That the alert fires then, once, with the labels ``of`` and ``more``."""
    labels = {**of, **{key: value for key, value in more.items() if value is not None}}
    fixed = {"alertname": alert, "alertstate": "firing", **alerts()[alert]["labels"]}
    return _ask(minute, alert, of, [{"labels": _text("ALERTS", {**labels, **fixed}), "value": 1}])


def quiet(minute: float, alert: str, of: Labels) -> dict[str, Any]:
    """That no such alert of this scenario fires then."""
    return _ask(minute, alert, of, [])


def holds(minute: float, query: str, value: float | None, **labels: str) -> dict[str, Any]:
    """That a query has one value then, or none."""
    samples = [] if value is None else [{"labels": _text("", labels), "value": value}]
    return {"expr": query, "eval_time": _at(minute), "exp_samples": samples}


def _ask(minute: float, alert: str, of: Labels, samples: Asked) -> dict[str, Any]:
    where = _text("ALERTS", {"alertname": alert, "alertstate": "firing", **of})
    return {"expr": where, "eval_time": _at(minute), "exp_samples": samples}


def _at(minute: float) -> str:
    return f"{round(minute * 60)}s"


def _text(name: str, labels: Labels) -> str:
    quoted = (f"{key}={json.dumps(text, ensure_ascii=False)}" for key, text in labels.items())
    return name + "{" + ",".join(quoted) + "}"


# Runs


class Scenario(NamedTuple):
    """What is scraped, and what must be so when."""

    world: Series
    asked: Asked


Make = Callable[[str], Scenario]
"""Makes a scenario whose series all bear ``instance=<the name it is given>``."""


def failures(
    folder: Path, scenarios: Mapping[str, Make], *, only: Iterable[str] = (), step: str = "15s"
) -> dict[str, str]:
    """Runs all scenarios in one world; what promtool says of those that did not come true.

    ``only`` names the rule groups that they need, to save time; none are all.
    """
    made = {name: make(name) for name, make in scenarios.items()}
    worlds = [each for scenario in made.values() for each in scenario.world]
    asked = [each for scenario in made.values() for each in scenario.asked]
    test = {"input_series": worlds, "promql_expr_test": asked}
    said = run(folder, [test], only=only, step=step)
    parts = re.split(r"\n\s*(?=expr:)", said)
    if said and len(parts) < 2:
        raise AssertionError(said)
    found: dict[str, str] = {}
    for part in parts[1:]:
        name = next(each for each in re.findall(r'=\\"([^"\\]+)\\"', part) if each in made)
        found[name] = found.get(name, "") + part + "\n"
    return found


def run(
    folder: Path,
    tests: Iterable[Mapping[str, Any]],
    *,
    only: Iterable[str] = (),
    step: str = "15s",
    missing: str | None = None,
) -> str:
    """Runs promtool's rule tests; what it says if any fails, else nothing.

    ``missing`` is a threshold that the rules do without.
    """
    wanted = frozenset(only)
    rule_file, file = folder / "rules.json", folder / "tests.json"  # JSON is YAML
    chosen = [dict(each) for each in groups() if not wanted or each["name"] in wanted]
    for group in chosen:
        told = [each for each in group["rules"] if each.get("labels", {}).get("name") != missing]
        group["rules"] = told if missing else group["rules"]
    names = {each["name"] for each in chosen}
    rule_file.write_text(json.dumps({"groups": chosen}, ensure_ascii=False))
    file.write_text(
        json.dumps(
            {
                "rule_files": [str(rule_file)],
                "evaluation_interval": step,
                "group_eval_order": [name for name in ORDER if name in names],
                "tests": [{**each, "interval": step} for each in tests],
            },
            ensure_ascii=False,  # its YAML has no surrogate pairs
        )
    )
    command = [debian_program("promtool"), "test", "rules", str(file)]
    # a tenth of its time goes into freeing memory of which it needs little
    env = os.environ | {"GOGC": "400"}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    return "" if ran.returncode == 0 else ran.stdout + ran.stderr


def promtool(*arguments: str | Path) -> str:
    """What promtool prints; the test fails if promtool does."""
    command = [debian_program("promtool"), *map(str, arguments)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout
