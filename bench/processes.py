"""Processes of their own for what is measured, and what the kernel says of them."""

import json
import math
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PEARL = (sys.executable, "-m", "pearl_exporter")

Figures = dict[str, Any]

_BEGAN = time.monotonic()


def progress(text: str) -> None:
    """Say on standard error how far a long run has come."""
    print(f"[{time.monotonic() - _BEGAN:6.0f} s] {text}", file=sys.stderr, flush=True)


def child(module: str, **given: Any) -> Figures:
    """Run ``bench.<module>`` as a process to its end; it is given JSON and prints JSON.

    ``process_seconds`` among the figures is how long all of it took.
    """
    command = (sys.executable, "-m", f"bench.{module}", json.dumps(given))
    began = time.monotonic()
    ended = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    figures: Figures = json.loads(ended.stdout)
    return figures | {"process_seconds": time.monotonic() - began}


def given() -> Figures:
    """What `child` was given, in the child."""
    arguments: Figures = json.loads(sys.argv[1])
    return arguments


@contextmanager
def running(*command: str, log: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    """Run a program until the block ends; its standard error goes to ``log``, if one is given."""
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


def rss_bytes(pid: int | None = None) -> int:
    """Resident memory of a process, this one by default."""
    return _status(pid, "VmRSS")


def peak_rss_bytes(pid: int | None = None) -> int:
    """The most resident memory that a process has had so far."""
    return _status(pid, "VmHWM")


def _status(pid: int | None, key: str) -> int:
    text = Path(f"/proc/{pid or 'self'}/status").read_text()
    found = re.search(rf"^{key}:\s+(\d+) kB$", text, re.MULTILINE)
    assert found is not None, key
    return int(found[1]) * 1024


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, all threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Others:
    """How much of the machine other processes use from now on, while this one measures."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._busy = self._busy_seconds()

    @staticmethod
    def _busy_seconds() -> float:
        """The processor time of all processes, less that of this one and its ended children."""
        words = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
        user, nice, system, _idle, _wait, interrupts, soft, stolen = map(int, words[:8])
        all_ticks = user + nice + system + interrupts + soft + stolen
        return all_ticks / os.sysconf("SC_CLK_TCK") - sum(os.times()[:4])

    def share(self) -> float:
        """Of all cores, from 0 to 1. Ask when all children have ended."""
        spent = self._busy_seconds() - self._busy
        return spent / (time.monotonic() - self._began) / (os.cpu_count() or 1)


def fetch(url: str, body: Any = None) -> str:
    """The text of an answer; with a ``body`` it is a POST of JSON."""
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=60) as answer:
        text: str = answer.read().decode()
    return text


def samples(text: str, name: str) -> dict[str, float]:
    """The values of one metric in the text format, summed by outbound ("" where there is none)."""
    found: dict[str, float] = {}
    lines = re.findall(rf"^{name}(?:{{(.*)}})? (\S+)$", text, re.MULTILINE)
    for labels, value in lines:
        outbound = re.search(r'outbound="([^"]*)"', labels)
        key = outbound[1] if outbound else ""
        found[key] = found.get(key, 0.0) + float(value)
    return found


def quantile(values: Iterable[float], share: float) -> float:
    """The least value that this share of all values is not above; 1 gives the largest."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
