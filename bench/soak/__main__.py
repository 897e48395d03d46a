"""Run a soak. The exit code is 0 if nothing grew and nothing was wrong, else 1.

make soak
.venv/bin/python -m bench.soak --minutes 10 --outbounds 100
"""

import argparse
import queue
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from bench.soak.configuration import INTERVAL_SECONDS
from bench.soak.environment import Environment, soak_environment, wait_until_ready
from bench.soak.fault_schedule import CONSTANT_FAULTS, CYCLES, FaultSchedule, set_faults
from bench.soak.final_checks import run_final_checks
from bench.soak.misbehaving_clients import MisbehavingClients
from bench.soak.report import SoakResult, growth_failures, write
from bench.soak.resource_samples import ObjectReports, Sample, take_sample
from bench.soak.scrape_monitor import ScrapeMonitor
from bench.support.process_stats import OtherLoad
from bench.support.processes import ROOT, progress
from bench.support.scrape import OPENMETRICS, TEXT, Scrape, fetch

SAMPLE_SECONDS = 10.0
SCRAPE_SECONDS = 15.0
SCRAPE_TIMEOUT_SECONDS = 15.0
_RECOVERY_SECONDS = 60.0
_MIN_SAMPLES = 30


def main() -> None:
    """Run a soak as the command line says, and exit with its result."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.soak", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--outbounds", type=int, default=300)
    parser.add_argument("--output", type=Path, default=ROOT / "bench" / "results")
    arguments = parser.parse_args()
    others = OtherLoad()
    with tempfile.TemporaryDirectory(prefix="pearl-soak-") as folder:
        progress(f"generating {arguments.outbounds} outbounds")
        with soak_environment(arguments.outbounds, Path(folder)) as environment:
            result = run(environment, arguments.minutes, others)
    print(write(result, arguments.output))
    sys.exit(1 if growth_failures(result) or result.failures else 0)


def run(environment: Environment, minutes: float, others: OtherLoad) -> SoakResult:
    """Run a soak in an environment whose processes have just been started."""
    seconds = minutes * 60
    wait_until_ready(environment)
    # the API's clock stood still for the first polls, and runs from here
    environment.api.set_time(int(time.time() * 1000), running=True)
    set_faults(environment, *CONSTANT_FAULTS)
    monitor, schedule, errors = ScrapeMonitor(), FaultSchedule(environment), list[str]()
    clients = MisbehavingClients(environment.port, slow=4, silent=2)
    is_over = threading.Event()
    threads = [
        _start_thread(errors, lambda: schedule.run(seconds)),
        _start_thread(errors, lambda: _scrape(environment, monitor, is_over)),
    ]
    clients.start()
    samples = _take_samples(environment, seconds)
    schedule.end()
    clients.stop()
    is_over.set()
    for thread in threads:
        thread.join(120)
    set_faults(environment)
    environment.reload(0)
    progress("faults off; comparing with the truth")
    time.sleep(min(_RECOVERY_SECONDS, seconds / 10))
    checks = run_final_checks(environment, monitor)
    return SoakResult(
        minutes=minutes,
        outbounds=len(environment.api.outbounds),
        warm_up=seconds / CYCLES,
        samples=samples,
        faults=schedule.happened,
        failures=[*monitor.failures, *errors, *checks.failures, *_log_failures(environment)],
        counts={
            "reloads": f"{schedule.reloads}",
            "slow and silent connections": f"{clients.connections.total()}",
            **_monitor_counts(monitor),
            **_exporter_counts(environment, monitor, samples),
            **checks.counts(),
            "processor time of other processes meanwhile": f"{others.share():.0%} of all cores",
        },
    )


def _start_thread(errors: list[str], work: Callable[[], None]) -> threading.Thread:
    def run() -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - it is reported at the end, as a failure
            errors.append(f"the soak itself failed: {type(error).__name__}: {error}")

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def _take_samples(environment: Environment, seconds: float) -> list[Sample]:
    reports, began = ObjectReports(environment.exporter), time.monotonic()
    pids = (environment.exporter.pid, environment.api.pid)
    pause = min(SAMPLE_SECONDS, seconds / _MIN_SAMPLES)
    samples: list[Sample] = []
    while (elapsed := time.monotonic() - began) < seconds:
        if environment.exporter.poll() is not None:
            raise RuntimeError(f"the exporter ended: {environment.log.read_text()[-2000:]}")
        try:
            samples.append(take_sample(elapsed, reports, pids, environment.state))
        except queue.Empty:
            progress("the exporter's event loop did not answer in time")
        if len(samples) % 12 == 1:
            last = samples[-1]
            progress(
                f"{elapsed / 60:.1f} min: {last.rss / 1e6:.1f} MB, {last.descriptors} descriptors, "
                f"{last.tasks} tasks, {last.threads} threads, {last.objects:,} objects"
            )
        time.sleep(pause - (time.monotonic() - began) % pause)
    return samples


def _scrape(environment: Environment, monitor: ScrapeMonitor, is_over: threading.Event) -> None:
    while not is_over.wait(SCRAPE_SECONDS):
        for accept in (TEXT, OPENMETRICS):
            began = time.monotonic()
            try:
                text = fetch(
                    f"{environment.url}/metrics", accept=accept, seconds=SCRAPE_TIMEOUT_SECONDS
                )
            except OSError as error:
                monitor.failed_scrapes += 1
                monitor.failures.append(f"a scrape failed: {error}")
                continue
            monitor.slowest_seconds = max(monitor.slowest_seconds, time.monotonic() - began)
            monitor.check(Scrape(text))


def _log_failures(environment: Environment) -> list[str]:
    signs = ("Traceback", "internal error", "level=ERROR", "level=CRITICAL")
    lines = environment.log.read_text().splitlines()
    return [f"the log: {line}" for line in lines if any(sign in line for sign in signs)]


def _monitor_counts(monitor: ScrapeMonitor) -> dict[str, str]:
    return {
        "scrapes that were checked for falling counters": f"{monitor.scrapes}",
        "scrapes that failed": f"{monitor.failed_scrapes}",
        "slowest scrape": f"{monitor.slowest_seconds:.2f} s",
        "sums of an outbound's calls that were checked": f"{monitor.balances:,}",
    }


def _exporter_counts(
    environment: Environment, monitor: ScrapeMonitor, samples: list[Sample]
) -> dict[str, str]:
    last = monitor.last
    assert last is not None
    span = samples[-1].at - samples[0].at
    exporter_cpu = (samples[-1].cpu_seconds - samples[0].cpu_seconds) / span
    api_cpu = (samples[-1].api_cpu_seconds - samples[0].api_cpu_seconds) / span
    lateness = last.by_outbound("pearl_outbound_poll_lateness_seconds").values()
    due = span / INTERVAL_SECONDS * len(environment.api.outbounds)
    return {
        "polls": (
            f"{last.total('pearl_exporter_polls_total'):,.0f} "
            f"(one every {INTERVAL_SECONDS} s: {due:,.0f})"
        ),
        "polls that failed": f"{last.total('pearl_exporter_poll_failures_total'):,.0f}",
        "polls skipped, as the previous one was not over": (
            f"{last.total('pearl_exporter_polls_skipped_total'):,.0f}"
        ),
        "highest lateness of the outbounds' last polls": f"{max(lateness):.2f} s",
        "requests": f"{last.total('pearl_exporter_api_requests_total'):,.0f}",
        "requests sent again": f"{last.total('pearl_exporter_api_retries_total'):,.0f}",
        "calls settled": f"{last.total('pearl_calls_total'):,.0f}",
        "calls tracked": f"{last.total('pearl_outbound_tracked_calls'):,.0f}",
        "processor, the exporter": f"{exporter_cpu:.1%} of a core",
        "processor, the simulated API": f"{api_cpu:.1%} of a core",
    }


if __name__ == "__main__":
    main()
