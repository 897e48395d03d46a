"""The state: the size of its file, and the duration of commits."""

from statistics import median

from bench.cost.runs import Runs
from bench.support.report import Section, bytes_text, quantile, seconds_text
from bench.support.simulated_api import Workload


def state_file(runs: Runs) -> Section:
    """Measure the state file and the commits of each first read."""
    rows = []
    for calls in runs.sizes.first_reads:
        run = runs.exporter(Workload(calls))
        commits = [each["commit"] for each in run["polls"]]
        rows.append(
            (
                f"{calls:,}",
                bytes_text(run["state_running"]),
                bytes_text(run["state_closed"]),
                f"{run['state_closed'] / run['calls']:.0f}",
                seconds_text(run["first"]["commit"]),
                seconds_text(median(commits)),
                seconds_text(quantile(commits, 0.99)),
            )
        )
    return Section(
        "The state",
        (
            "calls",
            "file after the first read",
            "file when closed",
            "bytes a call",
            "commit of the first read",
            "commit of a poll, median",
            "p99",
        ),
        rows,
        "SQLite, WAL, `synchronous=FULL`; the file with its WAL. Commits as a poll waits for them: "
        "wall time, including the worker thread and the disk. The naive exporter and the lower "
        "bound keep nothing.",
    )
