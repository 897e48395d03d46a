"""What the log and a crash say of an exception: where it was and of which type, never its words."""

import asyncio
import json
import logging
import sys

import pytest

from pearl_exporter.config import LogSettings
from pearl_exporter.errors import ConfigError, StateError
from pearl_exporter.logs import print_uncaught, set_up_logging, traceback_of
from pearl_exporter.serving import log_unhandled
from tests.support.canary import Canary


@pytest.fixture
def canary():
    return Canary()


@pytest.fixture
def log(capsys):
    """Gives what was logged in a format, and puts logging back as it was."""
    root = logging.getLogger()
    ours = logging.getLogger("pearl_exporter")
    before = (root.handlers[:], root.level, ours.level)
    yield lambda: capsys.readouterr().err
    root.handlers[:], root.level = before[0], before[1]
    ours.setLevel(before[2])


def caught(canary):
    """An exception that quotes a customer, made of another one that does."""
    try:
        try:
            {}[canary.number("a key")]
        except KeyError as error:
            raise ValueError(f"no lead {canary.email('a value')}") from error
    except ValueError as error:
        return error


@pytest.mark.parametrize("form", ["logfmt", "json"])
def test_a_bug_is_logged_with_place_and_type_without_its_text(canary, log, form):
    set_up_logging(LogSettings(format=form))
    logging.getLogger("pearl_exporter.polling.poller").error("met a bug", exc_info=caught(canary))
    told = log()
    assert canary.told_in(told) == set()
    for part in ("builtins.KeyError", "builtins.ValueError", "test_logs.py", "in caught"):
        assert part in told
    assert len(told.splitlines()) == 1
    assert form == "logfmt" or "KeyError" in json.loads(told)["exc_info"]


def test_our_own_errors_are_logged_with_their_text():
    assert traceback_of(StateError("the disk is full")).endswith("StateError: the disk is full")
    assert "unknown key" in traceback_of(ConfigError(["unknown key"]))


def test_exceptions_that_are_each_others_cause_come_to_an_end():
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert traceback_of(first).count("builtins.ValueError") == 2


def test_what_nobody_catches_ends_the_program_without_its_words(canary, capsys):
    error = caught(canary)
    print_uncaught(type(error), error, error.__traceback__)
    told = capsys.readouterr().err
    assert "ValueError" in told
    assert canary.told_in(told) == set()


async def test_a_task_that_nobody_waits_for_is_told_without_its_words(canary, log):
    """By itself the loop would write the error out, in the name of the task."""
    set_up_logging(LogSettings())
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(log_unhandled)

    async def fail():
        raise caught(canary)

    task = loop.create_task(fail())
    await asyncio.wait([task])
    del task
    told = log()
    assert "Task exception was never retrieved" in told
    assert "ValueError" in told
    assert canary.told_in(told) == set()


def test_the_command_line_has_crashes_told_so(monkeypatch):
    from click.testing import CliRunner

    from pearl_exporter.cli import main

    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    assert CliRunner().invoke(main, ["serve", "--config", "no.yml"]).exit_code == 2
    assert sys.excepthook is print_uncaught
