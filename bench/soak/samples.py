"""What is known of a running exporter every few seconds, from the kernel and from itself."""

import json
import os
import queue
import re
import signal
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.processes import cpu_seconds, rss_bytes

ANSWER_SECONDS = 30.0


@dataclass(frozen=True)
class Sample:
    """One look. Memory and files are in bytes, ``at`` in seconds since the soak began."""

    at: float
    rss: int
    pss: int
    uss: int
    descriptors: int
    threads: int
    tasks: int
    objects: int
    state: int
    wal: int
    cpu_seconds: float
    api_cpu_seconds: float
    types: Mapping[str, int]


class Inside:
    """Asks the exporter what it holds; see `bench.soak.exporter`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)

    def ask(self) -> dict[str, Any]:
        """Its answer; raises queue.Empty where its loop does not answer."""
        self._process.send_signal(signal.SIGUSR1)
        told: dict[str, Any] = json.loads(self._lines.get(timeout=ANSWER_SECONDS))
        return told


def look(at: float, inside: Inside, pids: tuple[int, int], state: Path) -> Sample:
    """A sample; ``pids`` are those of the exporter and of the API."""
    exporter, api = pids
    told = inside.ask()
    maps = Path(f"/proc/{exporter}/smaps_rollup").read_text()
    threads = re.search(
        r"^Threads:\s+(\d+)$", Path(f"/proc/{exporter}/status").read_text(), re.MULTILINE
    )
    assert threads is not None
    return Sample(
        at=at,
        rss=rss_bytes(exporter),
        pss=_kilobytes(maps, "Pss"),
        uss=_kilobytes(maps, "Private_Clean") + _kilobytes(maps, "Private_Dirty"),
        descriptors=len(os.listdir(f"/proc/{exporter}/fd")),  # noqa: PTH208 - memory, no disk
        threads=int(threads[1]),
        tasks=told["tasks"],
        objects=told["objects"],
        state=_size(state),
        wal=_size(state.with_name(f"{state.name}-wal")),
        cpu_seconds=cpu_seconds(exporter),
        api_cpu_seconds=cpu_seconds(api),
        types=dict(told["types"]),
    )


def _kilobytes(text: str, key: str) -> int:
    found = re.search(rf"^{key}:\s+(\d+) kB$", text, re.MULTILINE)
    assert found is not None, key
    return int(found[1]) * 1024


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
