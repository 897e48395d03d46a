"""Is evaluating an expression over the past the same as living through it?

promtool's rule tests run Prometheus' own rule engine, evaluation by evaluation, with every rule of
the files as it is. This feeds it the very samples and compares when the alerts fire.
"""

import json
import math
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bench.alert_quality.exposition import SCRAPE_MS, SCRAPE_OFFSET_MS, TARGET, Shown
from bench.alert_quality.judge import Fired
from bench.alert_quality.rules import FOLDER
from tests.programs import debian_program

GROUPS = ("pearl-thresholds", "pearl-usual", "pearl-windows", "pearl-campaign-alerts")


def lived_through(
    folder: Path, shown: Sequence[Shown], span: tuple[int, int], alerts: Sequence[str]
) -> list[Fired]:
    """From when until when (first and last evaluation) each alert fires in the span (ms)."""
    length = (span[1] - span[0]) // SCRAPE_MS
    wanted = [(alert, each.name) for alert in alerts for each in shown]
    asked = [
        {
            "expr": f"{function}_over_time(timestamp(ALERTS{_firing(alert, name)})[365d:15s])",
            "eval_time": f"{length * SCRAPE_MS // 1000}s",
            "exp_samples": [],
        }
        for alert, name in wanted
        for function in ("min", "max")
    ]
    test = {
        "interval": "15s",
        "input_series": [series for each in shown for series in _series(each, span[0], length)],
        "promql_expr_test": asked,
    }
    file = folder / "lived.json"
    file.write_text(
        json.dumps(
            {
                "rule_files": [str(each) for each in sorted(FOLDER.glob("*.yml"))],
                "evaluation_interval": "15s",
                "group_eval_order": GROUPS,
                "tests": [test],
            }
        )
    )
    command = [debian_program("promtool"), "test", "rules", str(file)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    return _read(ran.stdout + ran.stderr, span[0])


def _firing(alert: str, outbound: str) -> str:
    return f'{{alertname="{alert}",alertstate="firing",outbound="{outbound}"}}'


def _series(shown: Shown, start: int, length: int) -> list[dict[str, str]]:
    """Its samples; each is there at the first evaluation after its scrape, as in life."""
    rows: dict[str, list[str]] = {f"up{{{TARGET}}}": ["_"]}
    for number in range(length):
        at = start + number * SCRAPE_MS + SCRAPE_OFFSET_MS
        rows[f"up{{{TARGET}}}"].append("1")
        for series, value in shown.samples(at):
            told = value
            if value is not None and "timestamp" in series:
                told = value - start / 1000
            rows.setdefault(series, ["_"]).append(_text(told))
    return [{"series": series, "values": " ".join(values)} for series, values in rows.items()]


def _text(value: float | None) -> str:
    return "stale" if value is None or math.isnan(value) else f"{value:.15g}"


def _read(said: str, start: int) -> list[Fired]:
    """What promtool got, where it expected nothing."""
    moments: dict[tuple[str, str], list[int]] = {}
    for part in re.split(r"\n\s*(?=expr:)", said)[1:]:
        query = re.search(r'alertname=\\"(\w+)\\".*?outbound=\\"([\w-]+)\\"', part)
        got = re.search(r"got:.*\} (\S+)", part)
        assert query is not None, part
        assert got is not None, part
        moment = start // 1000 + round(float(got[1]))
        moments.setdefault((query[1], query[2]), []).append(moment)
    return [Fired(alert, name, min(each), max(each)) for (alert, name), each in moments.items()]
