"""Start-up with a large state: a real `serve`, until saved counters and a first poll."""

import shutil
import subprocess
import time
from pathlib import Path

from bench.cost.runs import Runs
from bench.support.process_stats import rss_bytes
from bench.support.processes import PEARL, Figures, free_port, progress, running
from bench.support.report import Section, met_or_missed, seconds_text
from bench.support.scrape import fetch, sums_by_outbound
from bench.support.simulated_api import INTERVAL_SECONDS, PAGE_SIZE, Workload

MAX_SECONDS = 3.0
_TIMEOUT_SECONDS = 600.0
_PAUSE_SECONDS = 0.02


def startup(runs: Runs) -> Section:
    """Measure the start of `serve` on the states of a large and of a small window."""
    workload = runs.large
    small = Workload(min(runs.sizes.windows))
    runs.exporter(workload)
    runs.exporter(small)
    large_start = _start(runs, workload)
    small_start = large_start if small == workload else _start(runs, small)
    naive = runs.naive(workload)["process_seconds"]
    goal = f"{MAX_SECONDS:.0f} s: {met_or_missed(large_start['counters'], MAX_SECONDS)}"
    rows = [
        (
            "first /metrics with saved counters",
            seconds_text(large_start["counters"]),
            goal,
            seconds_text(small_start["counters"]),
            seconds_text(naive),
        ),
        (
            "calls loaded and first poll done",
            seconds_text(large_start["polled"]),
            "",
            seconds_text(small_start["polled"]),
            seconds_text(naive),
        ),
        (
            "longest scrape meanwhile",
            seconds_text(large_start["longest_scrape"]),
            "",
            seconds_text(small_start["longest_scrape"]),
            "",
        ),
    ]
    return Section(
        "Start-up with a saved state",
        (
            "from the start of the process to",
            f"{workload.calls:,} calls",
            "goal",
            f"{small.calls:,} calls",
            f"naive exporter, {workload.calls:,} calls",
        ),
        rows,
        "A real `serve`, scraped every 20 ms. The smaller state shows what Python and imports "
        "take. The naive exporter has no state: it has nothing to show until it has read the whole "
        "window, and never has counters.",
    )


def _start(runs: Runs, workload: Workload) -> Figures:
    """Return the seconds to saved counters and to the first poll, and of the longest scrape."""
    api, state = runs.api(workload), runs.folder / "started.db"
    shutil.copyfile(runs.state(workload), state)
    api.set_time(int(time.time() * 1000), running=True)
    port, config, log = free_port(), runs.folder / "started.yml", runs.folder / "started.log"
    config.write_text(
        f"api: {{url: '{api.url}', token: simulated, rate_limit: 1000, page_size: {PAGE_SIZE}}}\n"
        f"poll: {{interval: {INTERVAL_SECONDS:.0f}s, window: {workload.window_seconds:.0f}s}}\n"
        f"state: {{url: 'sqlite:///{state}'}}\n"
        f"web: {{listen: '127.0.0.1:{port}'}}\n"
        f"outbounds: [{{id: {api.outbounds[0]}, name: bench}}]\n"
    )
    progress(f"pearl-exporter: start-up with {workload.calls:,} calls")
    began = time.monotonic()
    with running(*PEARL, "serve", "--config", str(config), log=log) as serve:
        figures = _scrape_until_polled(serve, f"http://127.0.0.1:{port}/metrics", began, log)
        figures["rss"] = rss_bytes(serve.pid)
    state.unlink()
    return figures


def _scrape_until_polled(
    serve: subprocess.Popen[str], url: str, began: float, log: Path
) -> Figures:
    figures: Figures = {"longest_scrape": 0.0}
    while time.monotonic() - began < _TIMEOUT_SECONDS and serve.poll() is None:
        scrape_began = time.monotonic()
        try:
            text = fetch(url)
        except OSError:
            time.sleep(_PAUSE_SECONDS)
            continue
        ended = time.monotonic()
        figures["longest_scrape"] = max(figures["longest_scrape"], ended - scrape_began)
        if "counters" not in figures:
            if not sums_by_outbound(text, "pearl_calls_started_total").get("bench"):
                raise RuntimeError("the first /metrics shows no saved counters")
            figures["counters"] = ended - began
        if sums_by_outbound(text, "pearl_outbound_up").get("bench") == 1:
            figures["polled"] = ended - began
            return figures
        time.sleep(_PAUSE_SECONDS)
    raise RuntimeError(f"no good poll; the log ends with: {log.read_text()[-2000:]}")
