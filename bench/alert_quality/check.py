"""Is evaluating an expression over the past the same as living through it?

    .venv/bin/python -m bench.alert_quality.check [--hours 24] [--outbounds 5] [--seed 1]

promtool's rule tests run Prometheus' own rule engine, evaluation by evaluation, with every rule of
the files as it is. This feeds it the very samples of a day and compares when each alert fires, from
its first evaluation to its last. It takes two to three minutes.
"""

import argparse
import json
import math
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.alert_quality.exposition import SCRAPE_MS, SCRAPE_OFFSET_MS, TARGET, Shown
from bench.alert_quality.judge import STEP_SECONDS, Fired, Outcome, seconds
from bench.alert_quality.rules import FOLDER, Rules
from bench.alert_quality.run import run
from bench.alert_quality.world import HOUR_MS, START_MS, Span, make_world
from tests.support.programs import debian_program

GROUPS = (
    "pearl-thresholds",
    "pearl-usual",
    "pearl-windows",
    "pearl-campaign-alerts",
    "pearl-exporter-alerts",
)
TOLERANCE_SECONDS = 120
"""The past is asked once a minute where Prometheus evaluates every 15 s, at four steps of rules."""


def lived_through(folder: Path, shown: Sequence[Shown], span: Span) -> list[Fired]:
    """From when until when (first and last evaluation) each alert fires in the span (ms)."""
    steps = (span[1] - span[0]) // SCRAPE_MS
    asked = [
        {
            "expr": 'ALERTS{alertstate="firing"}',
            "eval_time": f"{step * STEP_SECONDS}s",
            "exp_samples": [],
        }
        for step in range(1, steps + 1)
    ]
    test = {
        "interval": f"{STEP_SECONDS}s",
        "input_series": _series(shown, span[0], steps),
        "promql_expr_test": asked,
    }
    file = folder / "lived.json"
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
    command = [debian_program("promtool"), "test", "rules", str(file)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    said = ran.stdout + ran.stderr
    if "expr:" not in said and ran.returncode != 0:
        raise RuntimeError(f"{command} said: {said[-2000:]}")
    return list(_spells(said, span[0] // 1000))


def _series(shown: Sequence[Shown], start: int, length: int) -> list[dict[str, str]]:
    """Its samples; each is there at the first evaluation after its scrape, as in life."""
    up = f"up{{{TARGET}}}"
    rows: dict[str, list[str]] = {up: ["_"]}
    for number in range(length):
        at = start + number * SCRAPE_MS + SCRAPE_OFFSET_MS
        for series, value in (sample for each in shown for sample in each.samples(at)):
            told = value
            if value is not None and "timestamp" in series:
                told = value - start / 1000
            rows.setdefault(series, ["_"]).append(_text(told))
            if series.startswith("pearl_outbound_up") and len(rows[up]) == number + 1:
                rows[up].append(str(int(value is not None)))
    return [{"series": series, "values": " ".join(values)} for series, values in rows.items()]


def _text(value: float | None) -> str:
    return "stale" if value is None or math.isnan(value) else f"{value:.15g}"


def _spells(said: str, start: int) -> Iterator[Fired]:
    """What fired, of what promtool got at each evaluation, where it expected nothing."""
    open_spells: dict[tuple[str, str], Fired] = {}
    for part in re.split(r"\n\s*(?=expr:)", said)[1:]:
        time_of = re.search(r"time: (\S+),", part)
        assert time_of is not None, part
        moment = start + _seconds(time_of[1])
        for labels in re.findall(r"\{(__name__=[^{}]*)\} 1", part):
            name = dict(re.findall(r'(\w+)="([^"]*)"', labels))
            key = (name["alertname"], name.get("outbound", ""))
            spell = open_spells.get(key)
            if spell is not None and moment - spell.end <= STEP_SECONDS:
                open_spells[key] = spell._replace(end=moment)
                continue
            if spell is not None:
                yield spell
            open_spells[key] = Fired(*key, moment, moment)
    yield from open_spells.values()


def _seconds(duration: str) -> int:
    units = {"h": 3600, "m": 60, "s": 1}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([hms])", duration))


def differences(asked: Sequence[Fired], lived: Sequence[Fired], end: int) -> list[str]:
    """What one way has and the other has not, or has at another time; nothing if they agree.

    ``end`` is the last evaluation that was lived through, in epoch seconds.
    """
    rest = sorted(lived, key=lambda each: each.start)
    told = []
    for each in asked:
        same = next((one for one in rest if _agree(each, one, end)), None)
        if same is None:
            told.append(f"only asked for: {each}")
        else:
            rest.remove(same)
    return told + [f"only lived through: {each}" for each in rest]


def is_brief(spell: Fired) -> bool:
    """Whether the condition held for one evaluation alone.

    Such a share stands right at its threshold: a scrape some seconds sooner or later decides.
    """
    keep = seconds(Rules().alerts[spell.alert].get("keep_firing_for", "0s"))
    return spell.end - spell.start <= keep + STEP_SECONDS


def _agree(asked: Fired, lived: Fired, end: int) -> bool:
    last = min(asked.end, end)
    return (
        asked[:2] == lived[:2]
        and abs(asked.start - lived.start) <= TOLERANCE_SECONDS
        and abs(last - lived.end) <= TOLERANCE_SECONDS
    )


def main() -> None:
    """Prints both, and what differs; exits with 1 if anything does."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--outbounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    world = make_world(given.seed, 1, given.outbounds, quiet_days=0.2)
    span = (START_MS, START_MS + given.hours * HOUR_MS)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        outcome: Outcome = run(world, Path(name) / "blocks", workers=1)
        print(f"{time.monotonic() - began:7.0f} s  the past was asked")
        shown = [Shown(name, each, world) for name, each in outcome.counted.items()]
        lived = lived_through(Path(name), shown, span)
        print(f"{time.monotonic() - began:7.0f} s  {given.hours} hours were lived through")
    end = span[1] // 1000
    asked = [each for each in outcome.fired if each.start < end]
    for title, spells in (("asked", asked), ("lived", lived)):
        for each in sorted(spells, key=lambda one: one.start):
            since = (each.start - START_MS // 1000) / 3600, (each.end - START_MS // 1000) / 3600
            print(f"{title}  {each.alert:26} {each.outbound:20} {since[0]:8.4f} to {since[1]:8.4f}")
    brief = [each for each in (*asked, *lived) if is_brief(each)]
    for each in brief:
        print(f"not compared, true of one evaluation alone: {each.alert} of {each.outbound}")
    kept = ([one for one in some if one not in brief] for some in (asked, lived))
    told = differences(*kept, end)
    print("\n".join(told) or f"the others agree within {TOLERANCE_SECONDS} s")
    sys.exit(bool(told))


if __name__ == "__main__":
    main()
