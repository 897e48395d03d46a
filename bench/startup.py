"""Start-up with a large state: a real `serve`, from its exec to saved counters and a first poll."""

import shutil
import time
from pathlib import Path

from bench.lab import Lab
from bench.processes import PEARL, Figures, fetch, free_port, progress, rss_bytes, running, samples
from bench.report import Section, seconds_text, verdict
from bench.world import INTERVAL_SECONDS, PAGE, Table

GOAL_SECONDS = 3.0
_LONGEST_SECONDS = 600.0


def startup(lab: Lab) -> Section:
    table = lab.large
    small = Table(min(lab.sizes.windows))
    lab.ours(table)
    lab.ours(small)
    large_ours = _started(lab, table)
    small_ours = large_ours if small == table else _started(lab, small)
    peer = lab.peer(table)["process_seconds"]
    goal = f"{GOAL_SECONDS:.0f} s: {verdict(large_ours['counters'], GOAL_SECONDS)}"
    rows = [
        (
            "first /metrics with saved counters",
            seconds_text(large_ours["counters"]),
            goal,
            seconds_text(small_ours["counters"]),
            seconds_text(peer),
        ),
        (
            "calls loaded and first poll done",
            seconds_text(large_ours["polled"]),
            "",
            seconds_text(small_ours["polled"]),
            seconds_text(peer),
        ),
        (
            "longest scrape meanwhile",
            seconds_text(large_ours["longest_scrape"]),
            "",
            seconds_text(small_ours["longest_scrape"]),
            "",
        ),
    ]
    return Section(
        "Start-up with a saved state",
        (
            "from exec to",
            f"{table.calls:,} calls",
            "goal",
            f"{small.calls:,} calls",
            f"naive peer, {table.calls:,} calls",
        ),
        rows,
        "A real `serve`, asked for /metrics every 20 ms. The smaller state shows what Python and "
        "imports take. The peer has no state: it has nothing to show until it has read the whole "
        "window again, and counters never.",
    )


def _started(lab: Lab, table: Table) -> Figures:
    """Seconds to the saved counters and to the first poll, and the longest scrape between."""
    api, state = lab.api(table), lab.folder / "started.db"
    shutil.copyfile(lab.state(table), state)
    api.set_time(int(time.time() * 1000), running=True)
    port, config, log = free_port(), lab.folder / "started.yml", lab.folder / "started.log"
    config.write_text(
        f"api: {{url: '{api.url}', token: bench, rate_limit: 1000, page_size: {PAGE}}}\n"
        f"poll: {{interval: {INTERVAL_SECONDS:.0f}s, window: {table.window_seconds:.0f}s}}\n"
        f"state: {{url: 'sqlite:///{state}'}}\n"
        f"web: {{listen: '127.0.0.1:{port}'}}\n"
        f"outbounds: [{{id: {api.outbounds[0]}, name: bench}}]\n"
    )
    progress(f"ours: start-up with {table.calls:,} calls")
    began = time.monotonic()
    with running(*PEARL, "serve", "--config", str(config), log=log) as serve:
        figures = _watch(f"http://127.0.0.1:{port}/metrics", began, log)
        figures["rss"] = rss_bytes(serve.pid)
    state.unlink()
    return figures


def _watch(url: str, began: float, log: Path) -> Figures:
    figures: Figures = {"longest_scrape": 0.0}
    while time.monotonic() - began < _LONGEST_SECONDS:
        asked = time.monotonic()
        try:
            text = fetch(url)
        except OSError:
            time.sleep(0.02)
            continue
        ended = time.monotonic()
        figures["longest_scrape"] = max(figures["longest_scrape"], ended - asked)
        if "counters" not in figures:
            if not samples(text, "pearl_calls_started_total").get("bench"):
                raise RuntimeError("the first /metrics shows no saved counters")
            figures["counters"] = ended - began
        if samples(text, "pearl_outbound_up").get("bench") == 1:
            figures["polled"] = ended - began
            return figures
        time.sleep(0.02)
    raise RuntimeError(f"no good poll: {log.read_text()[-2000:]}")
