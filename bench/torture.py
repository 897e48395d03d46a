"""Bad answers at every request, a slow and a huge API, and no file descriptor left.

    .venv/bin/python bench/torture.py [--only answers|api|descriptors] [--every 11]

Ends with 1 if anything published was wrong, a process grew beyond its bound, or a scrape was not
answered. ``--every 11`` spoils each eleventh request of a history alone, which takes 13 minutes of
a processor; 1 takes two hours and a half.
"""

import argparse
import functools
import os
import random
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import yaml

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.processes import progress
from tests.cli.simulated import simulated_api
from tests.end_to_end.scrape import Scrape, scrape
from tests.support.bad_answers import BAD_ANSWERS
from tests.support.programs import pearl_command
from tests.support.spoiled import FIRST_READ, history
from tests.support.virtual_time import run_virtually
from tests.support.wire import ANSWERS, LARGE, served

MOST_RSS_MB = 200
MOST_HEALTH_SECONDS = 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--every", type=int, default=11, metavar="N")
    given = parser.parse_args()
    faults = [fault for name in given.only or PARTS for fault in PARTS[name](given.every)]
    print(*(faults or ["nothing wrong"]), sep="\n")
    sys.exit(bool(faults))


# --- bad answers, each at every request of a history of polls


class Job(NamedTuple):
    """One history: what is answered badly, and where."""

    name: str
    at: int
    is_sticky: bool


def bad_answers(every: int) -> list[str]:
    base = run_virtually(history({}))
    jobs = [
        Job(name, at, is_sticky)
        for place, name in enumerate(BAD_ANSWERS)
        for is_sticky in (False, True)
        for at in range(place % every, base.requests, every)
    ]
    random.Random(1).shuffle(jobs)  # so that progress is even, and a part of them a fair sample
    began, faults = time.monotonic(), []
    spoiled = functools.partial(_spoiled, started=base.ledger.started)
    with ProcessPoolExecutor() as pool:
        found = pool.map(spoiled, jobs, chunksize=8)
        for number, (job, wrong) in enumerate(zip(jobs, found, strict=True), 1):
            if wrong:
                faults.append(f"{job.name} at request {job.at}, sticky {job.is_sticky}: {wrong}")
                progress(faults[-1])
            if number % 200 == 0:
                progress(f"{number} of {len(jobs)} histories, {len(faults)} went wrong")
    seconds = time.monotonic() - began
    print(
        f"bad answers: {len(BAD_ANSWERS)} kinds, {len(jobs)} histories of {base.requests} requests "
        f"in {seconds:.0f} s, {len(faults)} went wrong"
    )
    return faults


def _spoiled(job: Job, *, started: int) -> str:
    bad = BAD_ANSWERS[job.name]
    try:
        told = run_virtually(history({job.at: bad}, is_sticky=job.is_sticky))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is a find
        return f"{type(error).__name__}: {error}"
    if told.complaints:
        return told.complaints[0]
    if not told.is_right:
        return "the window is wrong in the end"
    if odd := told.reasons - set(bad.reasons):
        return f"failed by {', '.join(odd)}"
    is_counted = job.at >= FIRST_READ and not bad.may_lie and "9999" not in job.name
    if is_counted and told.ledger.started != started:
        return "calls were lost or doubled"
    return ""


# --- a slow and a huge API


def slow_and_huge_api(_every: int) -> list[str]:
    answers = {**ANSWERS, **LARGE}
    outbounds = [{"id": name} for name in answers]
    api = {"timeout": "3s", "rate_limit": 100, "concurrency": 8}
    poll = {"interval": "3s", "give_up": "6s", "window": "10m"}
    faults, slowest = [], 0.0
    with served(answers) as url, running(url, outbounds, api=api, poll=poll) as exporter:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            began = time.monotonic()
            exporter.get("/-/healthy")
            slowest = max(slowest, time.monotonic() - began)
            time.sleep(0.1)
        seen = exporter.scrape()
        rss_mb = exporter.most_rss_mb
    for name, (_, reasons) in answers.items():
        failures = Counter(
            {
                reason: int(value)
                for reason in REASONS
                if (value := seen.value(FAILURES, outbound=name, reason=reason))
            }
        )
        print(f"  {name:16} {dict(failures) or 'polled well'}")
        if set(failures) - reasons or (reasons and not failures):
            faults.append(f"{name}: failed by {dict(failures)}, wanted {reasons or 'no failure'}")
    polls = seen.value("pearl_exporter_polls_total", outbound="good")
    print(
        f"slow and huge: at most {rss_mb:.0f} MB resident, the slowest answer {slowest:.2f} s, "
        f"the good outbound was polled {polls:.0f} times in 30 s"
    )
    if rss_mb > MOST_RSS_MB:
        faults.append(f"{rss_mb:.0f} MB resident")
    if slowest > MOST_HEALTH_SECONDS:
        faults.append(f"an answer took {slowest:.1f} s")
    return faults


# --- no file descriptor left


def no_descriptor_left(_every: int) -> list[str]:
    faults = []
    with simulated_api() as api, ExitStack() as stack:
        settings = {"token": "acct-4711:s3cr3t-k3y"}
        exporter = stack.enter_context(running(api.url, [{"id": api.outbound}], api=settings))
        exporter.leave_descriptors(10)
        for _ in range(60):
            stack.enter_context(socket.create_connection(("127.0.0.1", exporter.port)))
        cpu = exporter.cpu_seconds
        time.sleep(5)
        cpu = exporter.cpu_seconds - cpu
        codes = [exporter.get(path) for path in ("/metrics", "/-/healthy")]
        exporter.leave_descriptors(-3)
        time.sleep(3)
        exporter.leave_descriptors(500)
        exporter.wait_until_up()
        lines = exporter.log_lines
    print(f"no descriptor left: answers {codes}, {cpu:.2f} s of CPU in 5 s, {lines} lines of log")
    if codes != [200, 200]:
        faults.append(f"answers {codes} while 60 idle clients held every descriptor")
    if cpu > 1 or lines > 30:
        faults.append(f"{cpu:.1f} s of CPU in 5 s, {lines} lines of log")
    return faults


# --- a real exporter


class Exporter:
    """A `serve` of its own."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.port = port
        self._process = process
        self._log = log

    def get(self, path: str) -> int:
        """The status of an answer, 0 if there is none."""
        try:
            url = f"http://127.0.0.1:{self.port}{path}"
            return httpx.get(url, timeout=20, trust_env=False).status_code
        except httpx.TransportError:
            return 0

    def scrape(self) -> Scrape:
        """What it publishes."""
        return Scrape(scrape(f"http://127.0.0.1:{self.port}"))

    def wait_until_up(self) -> None:
        """Waits for a good poll; ends the program if there is none."""
        for _ in range(200):
            if self.get("/-/ready") == 200 and self.scrape().value("pearl_outbound_up") == 1:
                return
            time.sleep(0.1)
        raise SystemExit(f"the exporter does not come up:\n{self._log.read_text()}")

    def leave_descriptors(self, count: int) -> None:
        """It can open so many more files than it has open."""
        pid = self._process.pid
        have = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (have + count, 4096))

    @property
    def most_rss_mb(self) -> float:
        """The most resident memory that it has had."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1000

    @property
    def cpu_seconds(self) -> float:
        """CPU used so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def log_lines(self) -> int:
        """Lines of its log."""
        return len(self._log.read_text().splitlines())


@contextmanager
def running(url: str, outbounds: list[dict], *, api: dict, poll: dict | None = None) -> Iterator:
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        config = Path(folder, "config.yml")
        config.write_text(
            yaml.safe_dump(
                {
                    "api": {"url": url, "token": "account:secret", **api},
                    "poll": poll or {"interval": "1s", "window": "10m"},
                    "outbounds": outbounds,
                    "web": {"listen": f"127.0.0.1:{port}"},
                    "state": {"url": f"sqlite:///{folder}/state.db"},
                }
            )
        )
        log = Path(folder, "log")
        with log.open("wb") as stderr:
            command = pearl_command("serve", "--config", str(config))
            process = subprocess.Popen(command, stderr=stderr)
            exporter = Exporter(process, port, log)
            try:
                _wait_for(exporter)
                yield exporter
            finally:
                process.terminate()
                process.wait(10)


def _wait_for(exporter: Exporter) -> None:
    for _ in range(200):
        if exporter.get("/-/ready") == 200:
            return
        time.sleep(0.1)
    raise SystemExit("the exporter does not start")


FAILURES = "pearl_exporter_poll_failures_total"
REASONS = (
    *("auth", "not_found", "rate_limited", "timeout", "connection", "server_error"),
    *("bad_request", "bad_response", "inconsistent", "state"),
)
PARTS = {
    "answers": bad_answers,
    "api": slow_and_huge_api,
    "descriptors": no_descriptor_left,
}


if __name__ == "__main__":
    main()
