"""Inject faults that the soak does not have: bad answers, slow and huge ones, no descriptor left.

    .venv/bin/python -m bench.soak.fault_injection [--only answers|api|descriptors] [--every 11]

The exit code is 1 if anything published was wrong, a process grew beyond its limit, or a scrape was
not answered. ``--every 11`` gives a bad answer to every eleventh request of a history of polls,
which takes a quarter of an hour of one processor. 1 takes two hours and a half.
"""

import argparse
import functools
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
from typing import Any, NamedTuple

import httpx
import yaml

from bench.support.process_stats import cpu_seconds, peak_rss_bytes
from bench.support.processes import PEARL, free_port, progress, running
from bench.support.scrape import TEXT, Scrape, fetch
from bench.support.simulated_api import Workload, simulated_api
from tests.support.bad_answers import BAD_ANSWERS
from tests.support.faulty_history import FIRST_READ, history
from tests.support.faulty_server import ANSWERS, LARGE, served
from tests.support.virtual_time import run_virtually

MAX_RSS_MB = 200
MAX_HEALTH_SECONDS = 2.0
FAILURES = "pearl_exporter_poll_failures_total"


def main() -> None:
    """Inject the faults that the command line names, by default all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--every", type=int, default=11, metavar="N")
    arguments = parser.parse_args()
    failures = [
        failure for name in arguments.only or PARTS for failure in PARTS[name](arguments.every)
    ]
    print(*(failures or ["nothing wrong"]), sep="\n")
    sys.exit(bool(failures))


# --- bad answers, each at every request of a history of polls


class Injection(NamedTuple):
    """One history: the name of the bad answer, the request that gets it, whether it repeats."""

    name: str
    at: int
    is_sticky: bool


def bad_answers(every: int) -> list[str]:
    """Give each bad answer to some requests of a history. Return what went wrong, a line each."""
    base = run_virtually(history({}))
    injections = [
        Injection(name, at, is_sticky)
        for place, name in enumerate(BAD_ANSWERS)
        for is_sticky in (False, True)
        for at in range(place % every, base.requests, every)
    ]
    # shuffled, so that progress is even, and a part of them is a fair sample
    random.Random(1).shuffle(injections)
    began, failures = time.monotonic(), []
    run = functools.partial(_failure_of, started=base.ledger.started)
    with ProcessPoolExecutor() as pool:
        outcomes = pool.map(run, injections, chunksize=8)
        for number, (injection, failure) in enumerate(zip(injections, outcomes, strict=True), 1):
            if failure:
                sticky = ", repeated" if injection.is_sticky else ""
                failures.append(f"{injection.name} at request {injection.at}{sticky}: {failure}")
                progress(failures[-1])
            if number % 200 == 0:
                progress(f"{number} of {len(injections)} histories, {len(failures)} failed")
    seconds = time.monotonic() - began
    print(
        f"bad answers: {len(BAD_ANSWERS)} kinds, {len(injections)} histories of {base.requests} "
        f"requests in {seconds:.0f} s, {len(failures)} failed"
    )
    return failures


def _failure_of(injection: Injection, *, started: int) -> str:
    """Run a history with one bad answer. Return what went wrong, "" if nothing did."""
    bad = BAD_ANSWERS[injection.name]
    try:
        outcome = run_virtually(history({injection.at: bad}, is_sticky=injection.is_sticky))
    except Exception as error:  # noqa: BLE001 - any error is a failure to report
        return f"{type(error).__name__}: {error}"
    if outcome.complaints:
        return outcome.complaints[0]
    if not outcome.is_right:
        return "the window is wrong in the end"
    if unexpected := outcome.reasons - set(bad.reasons):
        return f"polls failed by {', '.join(unexpected)}"
    is_counted = injection.at >= FIRST_READ and not bad.may_lie and "9999" not in injection.name
    if is_counted and outcome.ledger.started != started:
        return "calls were lost or counted twice"
    return ""


# --- a slow and a huge API


def slow_and_huge_api(_every: int) -> list[str]:
    """Run a real exporter over an API that drips, never ends or sends 100 MB."""
    answers = {**ANSWERS, **LARGE}
    outbounds = [{"id": name} for name in answers]
    api = {"timeout": "3s", "rate_limit": 100, "concurrency": 8}
    poll = {"interval": "3s", "give_up": "6s", "window": "10m"}
    failures, slowest = [], 0.0
    with served(answers) as url, running_exporter(url, outbounds, api=api, poll=poll) as exporter:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            began = time.monotonic()
            exporter.get("/-/healthy")
            slowest = max(slowest, time.monotonic() - began)
            time.sleep(0.1)
        scrape = exporter.scrape()
        rss_mb = exporter.peak_rss_mb
    for name, (_, reasons) in answers.items():
        by_reason = scrape.by_label(FAILURES, name, "reason")
        failed = Counter({reason: int(number) for reason, number in by_reason.items() if number})
        print(f"  {name:16} {dict(failed) or 'polls succeeded'}")
        if set(failed) - reasons or (reasons and not failed):
            wanted = reasons or "no failure"
            failures.append(f"{name}: polls failed by {dict(failed)}, wanted {wanted}")
    polls = scrape.by_outbound("pearl_exporter_polls_total")["good"]
    print(
        f"slow and huge: at most {rss_mb:.0f} MB resident, the slowest answer {slowest:.2f} s, "
        f"the good outbound was polled {polls:.0f} times in 30 s"
    )
    if rss_mb > MAX_RSS_MB:
        failures.append(f"{rss_mb:.0f} MB resident, wanted at most {MAX_RSS_MB}")
    if slowest > MAX_HEALTH_SECONDS:
        failures.append(f"an answer took {slowest:.1f} s, wanted at most {MAX_HEALTH_SECONDS}")
    return failures


# --- no file descriptor left


def no_descriptor_left(_every: int) -> list[str]:
    """Run a real exporter while idle clients hold all its file descriptors."""
    failures = []
    with ExitStack() as stack:
        api = stack.enter_context(
            simulated_api(Workload(100), int(time.time() * 1000), is_running=True)
        )
        outbounds = [{"id": id_} for id_ in api.outbounds]
        exporter = stack.enter_context(running_exporter(api.url, outbounds))
        exporter.limit_descriptors(10)
        for _ in range(60):
            stack.enter_context(socket.create_connection(("127.0.0.1", exporter.port)))
        cpu = exporter.cpu_seconds
        time.sleep(5)
        cpu = exporter.cpu_seconds - cpu
        codes = [exporter.get(path) for path in ("/metrics", "/-/healthy")]
        exporter.limit_descriptors(-3)
        time.sleep(3)
        exporter.limit_descriptors(500)
        exporter.wait_until_up()
        lines = exporter.log_lines
    print(f"no descriptor left: answers {codes}, {cpu:.2f} s of CPU in 5 s, {lines} lines of log")
    if codes != [200, 200]:
        failures.append(f"answers {codes} while 60 idle clients held every descriptor")
    if cpu > 1 or lines > 30:
        failures.append(f"{cpu:.1f} s of CPU in 5 s, {lines} lines of log")
    return failures


# --- a real exporter


class Exporter:
    """A running `serve`."""

    def __init__(self, process: subprocess.Popen[str], port: int, log: Path) -> None:
        self.port = port
        self._url = f"http://127.0.0.1:{port}"
        self._process = process
        self._log = log

    def get(self, path: str) -> int:
        """Return the status of an answer, 0 if there is none."""
        try:
            return httpx.get(f"{self._url}{path}", timeout=20, trust_env=False).status_code
        except httpx.TransportError:
            return 0

    def scrape(self) -> Scrape:
        """Return a scrape."""
        return Scrape(fetch(f"{self._url}/metrics", accept=TEXT))

    def wait_until_ready(self) -> None:
        """Wait until it serves.

        Raises:
            RuntimeError: It does not in 20 seconds.
        """
        self._wait(lambda: self.get("/-/ready") == 200)

    def wait_until_up(self) -> None:
        """Wait until its last poll has succeeded.

        Raises:
            RuntimeError: None does in 20 seconds.
        """
        self._wait(
            lambda: self.get("/-/ready") == 200 and self.scrape().total("pearl_outbound_up") == 1
        )

    def _wait(self, condition: Any) -> None:
        for _ in range(200):
            if condition():
                return
            time.sleep(0.1)
        raise RuntimeError(f"the exporter is not ready:\n{self._log.read_text()[-2000:]}")

    def limit_descriptors(self, count: int) -> None:
        """Let it open at most ``count`` files more than it has open."""
        pid = self._process.pid
        have = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (have + count, 4096))

    @property
    def peak_rss_mb(self) -> float:
        """The highest resident memory that it has had."""
        return peak_rss_bytes(self._process.pid) / 1e6

    @property
    def cpu_seconds(self) -> float:
        """CPU used so far."""
        return cpu_seconds(self._process.pid)

    @property
    def log_lines(self) -> int:
        """Lines of its log."""
        return len(self._log.read_text().splitlines())


@contextmanager
def running_exporter(
    url: str,
    outbounds: list[dict[str, str]],
    *,
    api: dict[str, Any] | None = None,
    poll: dict[str, Any] | None = None,
) -> Iterator[Exporter]:
    """Run `serve` until the block ends. ``api`` and ``poll`` are sections of its configuration."""
    with tempfile.TemporaryDirectory() as folder:
        port, log = free_port(), Path(folder, "log")
        config = Path(folder, "config.yml")
        config.write_text(
            yaml.safe_dump(
                {
                    "api": {"url": url, "token": "account:secret", **(api or {})},
                    "poll": poll or {"interval": "1s", "window": "10m"},
                    "outbounds": outbounds,
                    "web": {"listen": f"127.0.0.1:{port}"},
                    "state": {"url": f"sqlite:///{folder}/state.db"},
                }
            )
        )
        with running(*PEARL, "serve", "--config", str(config), log=log) as process:
            exporter = Exporter(process, port, log)
            exporter.wait_until_ready()
            yield exporter


PARTS = {
    "answers": bad_answers,
    "api": slow_and_huge_api,
    "descriptors": no_descriptor_left,
}


if __name__ == "__main__":
    main()
