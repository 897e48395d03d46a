"""Memory and CPU of processes, as the kernel reports them in ``/proc``."""

import os
import re
import time
from pathlib import Path


def rss_bytes(pid: int | None = None) -> int:
    """Return the resident memory of a process, by default of this one."""
    return _status_bytes(pid, "VmRSS")


def peak_rss_bytes(pid: int | None = None) -> int:
    """Return the highest resident memory that a process has had."""
    return _status_bytes(pid, "VmHWM")


def _status_bytes(pid: int | None, key: str) -> int:
    return kilobytes(Path(f"/proc/{pid or 'self'}/status").read_text(), key)


def kilobytes(text: str, key: str) -> int:
    """Return the value of a line ``KEY: 1234 kB``, in bytes."""
    found = re.search(rf"^{key}:\s+(\d+) kB$", text, re.MULTILINE)
    assert found is not None, key
    return int(found[1]) * 1024


def cpu_seconds(pid: int) -> float:
    """Return the user and system time of a process, all threads together."""
    # the second field, the command, is in parentheses and may contain spaces
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class OtherLoad:
    """The share of the machine that other processes use, from the construction on."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._busy = self._busy_seconds()

    @staticmethod
    def _busy_seconds() -> float:
        """Return the CPU time of all processes, less that of this one and its ended children."""
        words = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
        user, nice, system, _idle, _wait, interrupts, soft, stolen = map(int, words[:8])
        all_ticks = user + nice + system + interrupts + soft + stolen
        return all_ticks / os.sysconf("SC_CLK_TCK") - sum(os.times()[:4])

    def share(self) -> float:
        """Return the share of all cores, from 0 to 1. Call it when all children have ended."""
        spent = self._busy_seconds() - self._busy
        return spent / (time.monotonic() - self._began) / (os.cpu_count() or 1)
