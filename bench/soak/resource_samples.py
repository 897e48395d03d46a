"""Samples of a running exporter's memory, files, threads and objects."""

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

from bench.support.process_stats import cpu_seconds, kilobytes, rss_bytes

REPORT_SECONDS = 30.0


@dataclass(frozen=True)
class Sample:
    """One sample.

    Attributes:
        at: Seconds since the soak began.
        rss: Resident memory in bytes.
        pss: Proportional set size in bytes: memory shared with others is divided between them.
        uss: Unique set size in bytes: memory of this process alone.
        descriptors: Open file descriptors.
        threads: Threads.
        tasks: asyncio tasks.
        objects: Objects that Python's garbage collector tracks.
        state: Bytes of the state file.
        wal: Bytes of its write-ahead log.
        cpu_seconds: CPU of the exporter so far.
        api_cpu_seconds: CPU of the simulated API so far.
        types: Number of objects of the most frequent types.
    """

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


class ObjectReports:
    """Requests reports from `bench.soak.instrumented_exporter`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)

    def request(self) -> dict[str, Any]:
        """Return a report.

        Raises:
            queue.Empty: The exporter's event loop did not answer in time.
        """
        self._process.send_signal(signal.SIGUSR1)
        report: dict[str, Any] = json.loads(self._lines.get(timeout=REPORT_SECONDS))
        return report


def take_sample(at: float, reports: ObjectReports, pids: tuple[int, int], state: Path) -> Sample:
    """Take a sample.

    Args:
        at: Seconds since the soak began.
        reports: Where the report of objects comes from.
        pids: The processes of the exporter and of the API.
        state: The state file.

    Raises:
        queue.Empty: The exporter's event loop did not answer in time.
    """
    exporter, api = pids
    report = reports.request()
    maps = Path(f"/proc/{exporter}/smaps_rollup").read_text()
    threads = re.search(
        r"^Threads:\s+(\d+)$", Path(f"/proc/{exporter}/status").read_text(), re.MULTILINE
    )
    assert threads is not None
    return Sample(
        at=at,
        rss=rss_bytes(exporter),
        pss=kilobytes(maps, "Pss"),
        uss=kilobytes(maps, "Private_Clean") + kilobytes(maps, "Private_Dirty"),
        descriptors=len(os.listdir(f"/proc/{exporter}/fd")),  # noqa: PTH208 - memory, no disk
        threads=int(threads[1]),
        tasks=report["tasks"],
        objects=report["objects"],
        state=_size(state),
        wal=_size(state.with_name(f"{state.name}-wal")),
        cpu_seconds=cpu_seconds(exporter),
        api_cpu_seconds=cpu_seconds(api),
        types=dict(report["types"]),
    )


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
