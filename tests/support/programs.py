"""Runs real programs: pearl-exporter itself as a process, and those that Debian packages."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, TypeVar

import pytest

from tests.support.patience import HANGING_SECONDS

PACKAGES = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "amtool": "prometheus-alertmanager",
}

Value = TypeVar("Value")


def debian_program(name: str) -> str:
    """The path of a program that tests need. Where it is missing the test fails, and says why."""
    path = shutil.which(name)
    if path is None:
        pytest.fail(f"this test needs {name}: apt-get install {PACKAGES[name]}", pytrace=False)
    return path


def eventually(
    look: Callable[[], Value],
    *,
    what: str,
    every: float = 0.05,
    seconds: float = HANGING_SECONDS,
) -> Value:
    """The first true value that ``look`` gives; the test fails if none ever comes.

    ``every`` is how many seconds it rests between looks: more where a look is costly.
    """
    deadline = time.monotonic() + seconds
    while not (value := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"never: {what}; the last was {value!r}")
        time.sleep(every)
    return value


class Running:
    """A process under way, and what it has written so far."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.process = process
        self._folder = folder

    @property
    def stdout(self) -> str:
        return (self._folder / "stdout").read_text()

    @property
    def stderr(self) -> str:
        return (self._folder / "stderr").read_text()

    def says(self, text: str, *, seconds: float = HANGING_SECONDS) -> str:
        """The first line, of either stream, with ``text`` in it."""

        def line() -> str | None:
            lines = [*self.stdout.splitlines(), *self.stderr.splitlines()]
            found = next((each for each in lines if text in each), None)
            if found is None and self.process.poll() is not None:
                raise AssertionError(f"ended without saying {text!r}: {lines}")
            return found

        found = eventually(line, seconds=seconds, what=f"the process says {text!r}")
        assert found is not None
        return found

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ends(self, *, seconds: float = HANGING_SECONDS) -> int:
        """Its exit code; the test fails if it does not end."""
        return self.process.wait(seconds)


@contextmanager
def running(
    command: Sequence[str],
    folder: Path,
    *,
    env: Mapping[str, str] | None = None,
) -> Iterator[Running]:
    """Runs a program in ``folder`` until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "stdout").open("wb") as stdout, (folder / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr
        )
    try:
        yield Running(process, folder)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def without_coverage() -> dict[str, str]:
    """This process' environment for one that may end or write at no time: it has no coverage."""
    return {name: each for name, each in os.environ.items() if not name.startswith("COVERAGE")}


def environment(**variables: str) -> dict[str, str]:
    """This process' environment with these variables, and no others of pearl-exporter's."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PEARL_")}
    # a real terminal's colours and width are none of the tests' business
    ours |= {"NO_COLOR": "1", "COLUMNS": "100", "PYTHONWARNINGS": "error"}
    return ours | variables


def pearl_command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "pearl_exporter", *map(str, arguments)]


def running_pearl(
    folder: Path, *arguments: str | Path, **variables: str
) -> AbstractContextManager[Running]:
    """Runs ``pearl-exporter …`` as a process of its own until the block ends."""
    return running(pearl_command(*arguments), folder, env=environment(**variables))


def run_pearl(
    folder: Path,
    *arguments: str | Path,
    stdout: IO[str] | int = subprocess.PIPE,
    **variables: str,
) -> "subprocess.CompletedProcess[str]":
    """Runs ``pearl-exporter …`` to its end, with these environment variables."""
    return subprocess.run(
        pearl_command(*arguments),
        cwd=folder,
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=HANGING_SECONDS,
        check=False,
    )
