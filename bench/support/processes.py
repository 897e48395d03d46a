"""Run programs as processes of their own."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PEARL = (sys.executable, "-m", "pearl_exporter")

Figures = dict[str, Any]
"""What a measured process prints, decoded from JSON."""

_BEGAN = time.monotonic()


def progress(text: str) -> None:
    """Log to standard error how far a long run is."""
    print(f"[{time.monotonic() - _BEGAN:6.0f} s] {text}", file=sys.stderr, flush=True)


def run_measured(module: str, **arguments: Any) -> Figures:
    """Run ``python -m MODULE`` to its end. It gets JSON as its argument and prints JSON.

    Returns:
        What the process printed, and ``process_seconds``, the time from its start to its end.
    """
    command = (sys.executable, "-m", module, json.dumps(arguments))
    began = time.monotonic()
    ended = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    figures: Figures = json.loads(ended.stdout)
    return figures | {"process_seconds": time.monotonic() - began}


def measured_arguments() -> Figures:
    """Return the arguments of `run_measured`, inside the process that it runs."""
    arguments: Figures = json.loads(sys.argv[1])
    return arguments


@contextmanager
def running(*command: str, log: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    """Run a program until the block ends.

    Args:
        command: The program and its arguments.
        log: Where its standard error is written. None discards it.
    """
    with (log or Path(os.devnull)).open("w") as errors:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors if log else None, text=True
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)
            assert process.stdout is not None
            process.stdout.close()


def find_program(name: str) -> str:
    """Return the path of an installed program.

    Raises:
        SystemExit: The program is not installed.
    """
    path = shutil.which(name)
    if path is None:
        raise SystemExit(f"{name} is not installed; CONTRIBUTING.md says what is needed")
    return path


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
