"""Help that teaches, the version, and bad usage."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from pearl_exporter import __version__
from pearl_exporter.cli import main
from tests.support.programs import run_pearl

COMMANDS = ("serve", "check", "once", "explain", "simulate", "demo")


def test_the_help_names_every_command_and_where_to_begin() -> None:
    told = CliRunner().invoke(main, ["--help"])
    assert told.exit_code == 0
    for command in COMMANDS:
        assert re.search(rf"^  {command} +[A-Z].*\.$", told.output, re.MULTILINE), command
    assert re.search(r"^  See it work, .*pearl-exporter demo$", told.output, re.MULTILINE)
    assert (
        "Exit codes: 0 success, 1 the command failed, 2 bad usage, bad configuration or"
        in told.output
    )
    assert not [line for line in told.output.splitlines()[1:] if "..." in line]
    assert "\\b" not in told.output


@pytest.mark.parametrize(
    ("command", "taught"),
    [
        ("serve", ["--config FILE", "PEARL_CONFIG", "environment", "/metrics", "SIGTERM"]),
        ("check", ["--config FILE", "api.rate_limit", "no state", "0 if all are well", "1 if not"]),
        ("once", ["--config FILE", "--output FILE", "by rename", "no counters", "no state"]),
        ("explain", ["CALL_ID", "--outbound NAME", "--json", "changes nothing", "1 if not"]),
        ("simulate", ["--listen HOST:PORT", "--seed", "--speed", "--token", "--fault", "/_sim/"]),
        ("demo", ["--listen HOST:PORT", "127.0.0.1:10042", "no token", "incident"]),
    ],
)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_the_help_of_a_command_teaches_it(command: str, taught: list[str], flag: str) -> None:
    told = CliRunner().invoke(main, [command, flag])
    assert told.exit_code == 0
    text = " ".join(told.output.split())
    assert [each for each in taught if each.lower() not in text.lower()] == []


def test_every_fault_is_named_in_the_help_of_simulate() -> None:
    text = CliRunner().invoke(main, ["simulate", "--help"]).output
    for name in ("rate_limit", "server_error", "slow", "drop", "html", "cut", "clamp", "shifting"):
        assert name in text


def test_the_version_of_module_and_script_are_one(tmp_path: Path) -> None:
    script = Path(sys.executable).with_name("pearl-exporter")
    told = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == f"pearl-exporter, version {__version__}"
    assert run_pearl(tmp_path, "--version").stdout == told.stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["bogus"], "No such command 'bogus'"),
        (["serve", "--nope"], "No such option"),
        (["check", "--config"], "requires an argument"),
        (["once", "extra"], "unexpected extra argument"),
        (["demo", "--listen", "nonsense"], "wanted host:port"),
        (["demo", "--listen", "127.0.0.1:99999"], "wanted host:port"),
        (["simulate", "--speed", "0"], "--speed"),
        (["simulate", "--outbounds", "0"], "--outbounds"),
        (["simulate", "--seed", "x"], "--seed"),
    ],
)
def test_bad_usage_is_told_and_exits_with_2(arguments: list[str], complaint: str) -> None:
    told = CliRunner().invoke(main, arguments)
    assert told.exit_code == 2
    assert complaint in told.output


def test_help_imports_none_of_the_heavy_libraries() -> None:
    """So that ``--help``, ``--version`` and bad usage are answered at once."""
    heavy = {
        *("apscheduler", "httpx", "prometheus_client", "pydantic", "rich"),
        *("sqlalchemy", "starlette", "uvicorn", "asyncio", "msgspec"),
    }
    script = (
        "import sys; from click.testing import CliRunner; from pearl_exporter.cli import main\n"
        "for arguments in (['--help'], ['--version'], ['serve', '--help'], ['serve', '--bogus']):\n"
        "    CliRunner().invoke(main, arguments)\n"
        "print(*sys.modules)"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    imported = set(told.stdout.split())
    assert "pearl_exporter.cli.commands" in imported
    assert heavy & imported == set()
