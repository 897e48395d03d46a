"""Runs the programs that judge deployment files, and says what pearl-exporter makes of them."""

import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from pearl_exporter.cli import main
from pearl_exporter.config import Settings, load_settings
from tests.support.patience import HANGING_SECONDS
from tests.support.programs import debian_program

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
BIN = Path(sys.executable).parent
TOKEN = "account:secret"

Run = subprocess.CompletedProcess[str]


def run_tool(name: str, *arguments: str | Path, remedy: str = "make test installs it") -> Run:
    """Runs a program of the virtual environment, without which the test fails."""
    program = BIN / name
    if not program.exists():
        pytest.fail(f"this test needs {name} in {BIN}: {remedy}", pytrace=False)
    return subprocess.run(
        [program, *arguments], capture_output=True, text=True, timeout=HANGING_SECONDS, check=False
    )


def objects(text: str) -> list[Any]:
    """The documents of a YAML stream, without the empty ones."""
    return [each for each in yaml.safe_load_all(text) if each]


def options_of(arguments: Iterable[str]) -> dict[str, Any]:
    """How the command line takes these arguments; the test fails where it refuses them."""
    assert isinstance(main, click.Group)
    name, *rest = arguments
    with main.make_context("pearl-exporter", [name, *rest]) as context:
        return dict(main.commands[name].make_context(name, rest, parent=context).params)


def loaded(config: Path | None, environ: Mapping[str, str], tmp_path: Path) -> Settings:
    """The settings as the program would load them, the token file being one of ``tmp_path``."""
    environ = dict(environ)
    if "PEARL_API_TOKEN_FILE" in environ:
        file = tmp_path / "token"
        file.write_text(TOKEN)
        environ["PEARL_API_TOKEN_FILE"] = str(file)
    return load_settings(config, environ)


def promtool(*arguments: str | Path) -> str:
    """What promtool prints; the test fails if it does not end well."""
    command = [debian_program("promtool"), *arguments]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout
