"""What the log and a crash say of an exception: where it was and of which type, never its words."""

import asyncio
import json
import logging
import os
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest

from pearl_exporter.config import LogSettings
from pearl_exporter.errors import ConfigError, StateError
from pearl_exporter.logs import QueuedLines, print_uncaught, set_up_logging, traceback_of
from pearl_exporter.serving import log_unhandled
from tests.support.canary import Canary
from tests.support.patience import HANGING_SECONDS
from tests.support.programs import eventually


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


# --- the queue


@contextmanager
def piped(max_lines: int):
    """A logger whose lines go through a queue into a pipe; gives it, its handler, the pipe's end.

    At the end the pipe is read to its end, so that the handler's thread is not left behind.
    """
    reader, writer = os.pipe()
    handler = QueuedLines(writer, max_lines)
    handler.setFormatter(logging.Formatter("%(message)s"))
    handler.start()
    logger = logging.Logger("piped")  # noqa: LOG001 - nobody else shall have it
    logger.addHandler(handler)
    draining = threading.Thread(target=lambda: [*iter(lambda: os.read(reader, 65536), b"")])
    try:
        yield logger, handler, reader
    finally:
        draining.start()
        eventually(lambda: not handler._lines.unfinished_tasks, what="all lines are written")
        os.close(writer)
        draining.join(HANGING_SECONDS)
        os.close(reader)


def test_a_pipe_that_nobody_reads_holds_nobody_up():
    """It holds 64 KiB, the queue holds ten lines, and the rest is counted."""
    with piped(max_lines=10) as (logger, handler, _):
        for number in range(5_000):
            logger.warning("%05d %s", number, "x" * 94)
        # 655 lines of 101 bytes fill the pipe, one is under way, ten wait
        assert 5_000 - 655 - 11 - 1 <= handler.dropped < 5_000


def test_lines_come_out_whole_and_in_order():
    with piped(max_lines=1_000) as (logger, handler, reader):
        for number in range(500):
            logger.warning("line %d", number)
        eventually(lambda: not handler._lines.unfinished_tasks, what="all lines are written")
        lines = os.read(reader, 1 << 20).decode().splitlines()
        assert lines == [f"line {number}" for number in range(500)]
        assert handler.dropped == 0


def test_a_line_is_made_when_it_is_logged():
    """What it quotes may have changed by the time it is written."""
    with piped(max_lines=10) as (logger, handler, reader):
        known = ["a"]
        logger.warning("known: %s", known)
        known.append("b")
        eventually(lambda: not handler._lines.unfinished_tasks, what="the line is written")
        assert os.read(reader, 1 << 16) == b"known: ['a']\n"


def test_lines_that_cannot_be_written_or_made_are_counted():
    with piped(max_lines=10) as (logger, handler, _):
        logger.warning("%d", "no number")
        assert handler.dropped == 1
    full = os.open("/dev/full", os.O_WRONLY)
    handler = QueuedLines(full)
    handler.setFormatter(logging.Formatter("%(message)s"))
    handler.start()
    handler.handle(logging.makeLogRecord({"msg": "no space left"}))
    eventually(lambda: handler.dropped == 1, what="the line is counted")
    os.close(full)


def test_a_pipe_that_does_not_block_loses_nothing():
    """Whoever shares standard error may have made it non-blocking."""
    with piped(max_lines=2_000) as (logger, handler, reader):
        os.set_blocking(handler._descriptor, False)
        for number in range(1_000):
            logger.warning("%04d %s", number, "x" * 200)
        read = b""
        while read.count(b"\n") < 1_000:
            read += os.read(reader, 1 << 16)
        assert handler.dropped == 0


END = """
import logging, sys
from pearl_exporter.config import LogSettings
from pearl_exporter.logs import log_in_thread, print_uncaught, set_up_logging
sys.excepthook = print_uncaught
set_up_logging(LogSettings())
log_in_thread()
for number in range(300):
    logging.getLogger("pearl_exporter").warning("line %d.", number)
"""


@pytest.mark.parametrize(
    ("end", "code", "last"),
    [
        ("", 0, "line 299."),
        ("sys.exit(2)", 2, "line 299."),
        ("raise ValueError('secret')", 1, "builtins.ValueError"),
    ],
    ids=["end", "exit", "crash"],
)
def test_lines_come_out_at_the_end_however_it_ends(end, code, last):
    command = [sys.executable, "-c", END + end]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == code
    lines = ended.stderr.splitlines()
    assert sum("line " in each and each.endswith('."') for each in lines) == 300
    assert last in lines[-1]
    assert "secret" not in ended.stderr


def test_a_reader_that_never_reads_does_not_keep_it_from_ending():
    reader, writer = os.pipe()
    filling = END.replace("range(300)", "range(20_000)")
    with subprocess.Popen([sys.executable, "-c", filling], stderr=writer) as process:
        os.close(writer)
        assert process.wait(HANGING_SECONDS) == 0
    os.close(reader)


def test_without_standard_error_nothing_is_written_anywhere(tmp_path):
    """Its descriptor may be another file's by then: the state's."""
    file = tmp_path / "file"
    opens = "import os, sys; assert os.open(sys.argv[1], os.O_RDWR | os.O_CREAT) == 2\n"
    command = ["sh", "-c", 'exec "$0" -c "$1" "$2" 2>&-', sys.executable, opens + END, str(file)]
    assert subprocess.run(command, check=False).returncode == 0
    assert file.read_bytes() == b""
