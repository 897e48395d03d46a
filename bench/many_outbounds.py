"""Are the polls of many outbounds on time? A real `serve` over a real `simulate`, scraped.

    .venv/bin/python bench/many_outbounds.py [--outbounds 200] [--interval 30] [--seconds 120]

Prints how late polls were, how many were skipped or failed, and what the exporter cost.
"""

import argparse
import os
import platform
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

EXPORTER = (sys.executable, "-m", "pearl_exporter")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--outbounds", type=int, default=200)
    parser.add_argument("--interval", type=int, default=30, help="seconds")
    parser.add_argument("--seconds", type=int, default=120)
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        api, web = free_port(), free_port()
        simulate = (*EXPORTER, "simulate", "--listen", f"127.0.0.1:{api}")
        stack.enter_context(running(*simulate, "--outbounds", str(given.outbounds)))
        state = wait_for(f"http://127.0.0.1:{api}/_sim/state")
        ids = re.findall(r'"id":"([0-9a-f]{24})"', state)
        config = folder / "config.yml"
        config.write_text(configuration(ids, api, web, given.interval))
        serve = stack.enter_context(running(*EXPORTER, "serve", "--config", str(config)))
        wait_for(f"http://127.0.0.1:{web}/metrics")
        report(serve.pid, f"http://127.0.0.1:{web}/metrics", given.seconds, given.interval)


def configuration(ids: list[str], api: int, web: int, interval: int) -> str:
    outbounds = "".join(f"  - {{id: {each}, name: outbound-{n}}}\n" for n, each in enumerate(ids))
    return f"""
api: {{url: "http://127.0.0.1:{api}", token: bench, rate_limit: 1000, concurrency: 8}}
poll: {{interval: {interval}s, window: 1h}}
web: {{listen: "127.0.0.1:{web}"}}
outbounds:
{outbounds}"""


def report(pid: int, url: str, seconds: int, interval: int) -> None:
    began, cpu_before = time.monotonic(), cpu_seconds(pid)
    late, scrapes = [], []
    while time.monotonic() - began < seconds:
        asked = time.monotonic()
        text = fetch(url)
        scrapes.append(time.monotonic() - asked)
        if time.monotonic() - began > interval:
            late.extend(values(text, "pearl_outbound_poll_lateness_seconds"))
        time.sleep(1)
    elapsed = time.monotonic() - began
    late.sort()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"outbounds up          {sum(values(text, 'pearl_outbound_up')):.0f}")
    print(f"calls in the windows  {sum(values(text, 'pearl_window_calls')):,.0f}")
    print(f"polls                 {sum(values(text, 'pearl_exporter_polls_total')):,.0f}")
    print(f"polls failed          {sum(values(text, 'pearl_exporter_poll_failures_total')):.0f}")
    print(f"polls skipped         {sum(values(text, 'pearl_exporter_polls_skipped_total')):.0f}")
    print(f"requests              {sum(values(text, 'pearl_exporter_api_requests_total')):,.0f}")
    print(f"lateness              median {late[len(late) // 2]:.3f} s, worst {late[-1]:.3f} s")
    print(f"scrape                {len(text):,} bytes, worst {max(scrapes):.3f} s")
    print(f"CPU of the exporter   {(cpu_seconds(pid) - cpu_before) / elapsed:.0%} of one core")
    print(
        f"memory (RSS)          {values(text, 'process_resident_memory_bytes')[0] / 2**20:.0f} MiB"
    )


def values(text: str, name: str) -> list[float]:
    return [float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE)]


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read().decode()


def wait_for(url: str) -> str:
    deadline = time.monotonic() + 120
    while True:
        try:
            return fetch(url)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running(*command: str) -> Iterator[subprocess.Popen]:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
