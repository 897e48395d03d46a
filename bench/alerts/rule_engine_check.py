"""Compare queries over the past with Prometheus' own rule engine.

    .venv/bin/python -m bench.alerts.rule_engine_check [--hours 24] [--outbounds 5] [--seed 1]

The benchmark evaluates alerts by queries over stored history. promtool's rule tests run Prometheus'
rule engine, evaluation by evaluation, with the rule files unchanged. This gives promtool the same
samples of a day and compares when each alert fires. It takes two to three minutes.
"""

import argparse
import json
import math
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.alerts.evaluation import STEP_SECONDS, FiredAlert, seconds
from bench.alerts.exposition import SCRAPE_MS, SCRAPE_OFFSET_MS, TARGET, OutboundExposition
from bench.alerts.pipeline import run
from bench.alerts.rules import FOLDER, RuleFiles
from bench.alerts.scenario import HOUR_MS, START_MS, Span, make_scenario
from bench.support.processes import find_program, progress

GROUPS = (
    "pearl-thresholds-shares",
    "pearl-thresholds-campaigns",
    "pearl-thresholds-exporter",
    "pearl-usual",
    "pearl-windows-fast",
    "pearl-windows-slow",
    "pearl-success",
    "pearl-campaign-alerts",
    "pearl-exporter-alerts",
)
TOLERANCE_SECONDS = 120
"""Queries evaluate once a minute what Prometheus evaluates every 15 s, in four steps of rules."""


def promtool_alerts(
    folder: Path, expositions: Sequence[OutboundExposition], span: Span
) -> list[FiredAlert]:
    """Return the first and last evaluation at which promtool's rule engine lets each alert fire.

    Args:
        folder: For its files.
        expositions: The outbounds.
        span: From when to when, in milliseconds.
    """
    steps = (span[1] - span[0]) // SCRAPE_MS
    # it expects no alert at any evaluation, so that promtool reports every alert that fires
    evaluations = [
        {
            "expr": 'ALERTS{alertstate="firing"}',
            "eval_time": f"{step * STEP_SECONDS}s",
            "exp_samples": [],
        }
        for step in range(1, steps + 1)
    ]
    test = {
        "interval": f"{STEP_SECONDS}s",
        "input_series": _input_series(expositions, span[0], steps),
        "promql_expr_test": evaluations,
    }
    file = folder / "rule-test.json"
    file.write_text(
        json.dumps(
            {
                "rule_files": [str(each) for each in sorted(FOLDER.glob("*.yml"))],
                "evaluation_interval": f"{STEP_SECONDS}s",
                "group_eval_order": GROUPS,
                "tests": [test],
            }
        )
    )
    command = [find_program("promtool"), "test", "rules", str(file)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    output = ran.stdout + ran.stderr
    if "expr:" not in output and ran.returncode != 0:
        raise RuntimeError(f"{command} failed: {output[-2000:]}")
    return list(_fired_in(output, span[0] // 1000))


def _input_series(
    expositions: Sequence[OutboundExposition], start: int, length: int
) -> list[dict[str, str]]:
    """Return the samples. Each is there at the first evaluation after its scrape, as in reality."""
    up = f"up{{{TARGET}}}"
    rows: dict[str, list[str]] = {up: ["_"]}
    for number in range(length):
        at = start + number * SCRAPE_MS + SCRAPE_OFFSET_MS
        for series, value in (sample for each in expositions for sample in each.samples(at)):
            if value is not None and "timestamp" in series:
                value -= start / 1000  # noqa: PLW2901 - in promtool's tests time begins at 0
            rows.setdefault(series, ["_"]).append(_text(value))
            if series.startswith("pearl_outbound_up") and len(rows[up]) == number + 1:
                rows[up].append(str(int(value is not None)))
    return [{"series": series, "values": " ".join(values)} for series, values in rows.items()]


def _text(value: float | None) -> str:
    return "stale" if value is None or math.isnan(value) else f"{value:.15g}"


def _fired_in(output: str, start: int) -> Iterator[FiredAlert]:
    """Yield the alerts of promtool's output, which lists them for each evaluation."""
    current: dict[tuple[str, str], FiredAlert] = {}
    for part in re.split(r"\n\s*(?=expr:)", output)[1:]:
        time_of = re.search(r"time: (\S+),", part)
        assert time_of is not None, part
        moment = start + seconds(time_of[1])
        for labels in re.findall(r"\{(__name__=[^{}]*)\} 1", part):
            values = dict(re.findall(r'(\w+)="([^"]*)"', labels))
            key = (values["alertname"], values.get("outbound", ""))
            alert = current.get(key)
            if alert is not None and moment - alert.end <= STEP_SECONDS:
                current[key] = alert._replace(end=moment)
                continue
            if alert is not None:
                yield alert
            current[key] = FiredAlert(*key, moment, moment)
    yield from current.values()


def differences(
    queried: Sequence[FiredAlert], evaluated: Sequence[FiredAlert], end: int
) -> list[str]:
    """Return a line for each alert that only one way has, or has at another time.

    Args:
        queried: The alerts by queries over the past.
        evaluated: The alerts of the rule engine.
        end: The last evaluation of the rule engine, a Unix time.
    """
    rest = sorted(evaluated, key=lambda each: each.start)
    found = []
    for each in queried:
        same = next((one for one in rest if _agree(each, one, end)), None)
        if same is None:
            found.append(f"only by queries: {each}")
        else:
            rest.remove(same)
    return found + [f"only in the rule engine: {each}" for each in rest]


def is_brief(alert: FiredAlert) -> bool:
    """Return whether an alert's condition held for one evaluation only.

    Its share is right at the threshold: a scrape some seconds earlier or later decides.
    """
    keep = seconds(RuleFiles().alerts[alert.alert].get("keep_firing_for", "0s"))
    return alert.end - alert.start <= keep + STEP_SECONDS


def _agree(queried: FiredAlert, evaluated: FiredAlert, end: int) -> bool:
    last = min(queried.end, end)
    return (
        queried[:2] == evaluated[:2]
        and abs(queried.start - evaluated.start) <= TOLERANCE_SECONDS
        and abs(last - evaluated.end) <= TOLERANCE_SECONDS
    )


def main() -> None:
    """Print the alerts of both ways and their differences. Exit with 1 if there are any."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--outbounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    scenario = make_scenario(arguments.seed, 1, arguments.outbounds, quiet_days=0.2)
    span = (START_MS, START_MS + arguments.hours * HOUR_MS)
    with tempfile.TemporaryDirectory() as name:
        result = run(scenario, Path(name) / "blocks", workers=1, log=progress)
        expositions = [
            OutboundExposition(name, each, scenario) for name, each in result.counted.items()
        ]
        evaluated = promtool_alerts(Path(name), expositions, span)
        progress(f"the rule engine has evaluated {arguments.hours} hours")
    end = span[1] // 1000
    queried = [each for each in result.fired if each.start < end]
    for title, alerts in (("queries", queried), ("rule engine", evaluated)):
        for each in sorted(alerts, key=lambda one: one.start):
            hours = (each.start - START_MS // 1000) / 3600, (each.end - START_MS // 1000) / 3600
            times = f"{hours[0]:8.4f} to {hours[1]:8.4f}"
            print(f"{title:11}  {each.alert:26} {each.outbound:20} {times}")
    brief = [each for each in (*queried, *evaluated) if is_brief(each)]
    for each in brief:
        print(f"not compared, true for one evaluation only: {each.alert} of {each.outbound}")
    queried, evaluated = (
        [one for one in alerts if one not in brief] for alerts in (queried, evaluated)
    )
    found = differences(queried, evaluated, end)
    print("\n".join(found) or f"the others agree within {TOLERANCE_SECONDS} s")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
