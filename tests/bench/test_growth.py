"""What grows with an answer is linear; the table of it is written."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench.growth.loop_hold import SCENARIOS
from bench.growth.steps import STEPS, Step, growth

ROOT = Path(__file__).parents[2]
TOLERATED_EXPONENT = 1.6
"""Sizes are small here, and the machine may be busy. Twice a quadratic one is far above that."""


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_a_step_that_grows_with_an_answer_is_linear(step: Step) -> None:
    """In CPU of its own thread, which a busy machine hardly stretches."""
    ((_, _, _, _, exponent, _),) = growth((250, 4_000), [step]).rows
    assert float(exponent) < TOLERATED_EXPONENT


@pytest.mark.slow
def test_both_tables_are_written(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.growth", "--size", "tiny", "--output", str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    page = (tmp_path / "growth-tiny.md").read_text()
    assert page in ended.stdout
    for name in (*(each.name for each in STEPS), *(each.name for each in SCENARIOS)):
        assert f"| {name} |" in page
