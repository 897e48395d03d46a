"""The commit hooks run what `make lint` runs, and limit a commit's subject."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
HOOKS = {
    hook["id"]: hook
    for repository in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    for hook in repository["hooks"]
}


def test_hooks_run_the_commands_of_make_lint():
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe is not None
    commands = [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe[1].splitlines()]
    hooks = [hook["entry"] for hook in HOOKS.values() if hook["language"] == "system"]
    assert hooks == commands


@pytest.mark.parametrize(("length", "is_refused"), [(72, False), (73, True)])
def test_a_subject_has_at_most_72_characters(length, is_refused):
    hook = HOOKS["subject-length"]
    assert hook["stages"] == ["commit-msg"]
    message = f"{'x' * length}\n\n{'y' * 200}\n"
    found = re.search(hook["entry"], message, re.MULTILINE | re.DOTALL)
    assert (found is not None) is is_refused
