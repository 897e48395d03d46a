"""Whoever reads the log may stop to do so: polls, scrapes and health go on."""

import fcntl
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import httpx
import pytest

from tests.cli.simulated import simulated_api, write_config
from tests.support.patience import HANGING_SECONDS, PATIENT
from tests.support.programs import eventually

pytestmark = pytest.mark.slow

PIPE_BYTES = 4096
SHORT_QUEUE = """
from pearl_exporter.cli import main
from pearl_exporter.logs import QueuedLines

QueuedLines.__init__.__defaults__ = (8,)
main()
"""
"""The program with a queue that is full after seconds and not after a minute."""


@contextmanager
def serving_into_a_pipe(config: Path) -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    """Runs ``serve``, whose log is read until it listens; gives the process and its URL.

    Then the pipe is filled, which the lines of a few polls alone would take a minute for.
    """
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    command = [sys.executable, "-c", SHORT_QUEUE, "serve", "--config", str(config)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=writer)
    try:
        read = b""
        while (found := re.search(rb"msg=listening address=(\S+) ", read)) is None:
            piece = os.read(reader, 512)
            assert piece, read
            read += piece
        # in a thread: it waits for ever if lines of the program are in the pipe already
        Thread(target=fill, args=(writer,), daemon=True).start()
        yield process, f"http://{found[1].decode()}"
    finally:
        process.kill()
        process.wait()
        os.close(reader)  # which ends the thread


def fill(writer: int) -> None:
    with suppress(BrokenPipeError), os.fdopen(writer, "wb", buffering=0) as pipe:
        pipe.write(b"." * PIPE_BYTES)


def value(url: str, series: str) -> float:
    text = httpx.get(f"{url}/metrics", **PATIENT).text
    (found,) = re.findall(rf"^{re.escape(series)} (.+)$", text, re.MULTILINE)
    return float(found)


def test_a_log_that_nobody_reads_stops_nothing(tmp_path: Path) -> None:
    with simulated_api() as api:
        config = write_config(tmp_path, api.url, api.outbound, log={"level": "debug"})
        with serving_into_a_pipe(config) as (process, url):
            dropped = "pearl_exporter_log_lines_dropped_total"
            eventually(lambda: value(url, dropped) > 0, what="lines are dropped")
            polls = 'pearl_exporter_polls_total{outbound="one"}'
            before = value(url, polls)
            eventually(lambda: value(url, polls) > before + 1, what="it polls on")
            assert httpx.get(f"{url}/-/healthy", **PATIENT).status_code == 200
            process.terminate()
            assert process.wait(HANGING_SECONDS) == 0
