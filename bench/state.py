"""The state: how large its file is, and how long commits take."""

from statistics import median

from bench.lab import Lab
from bench.processes import quantile
from bench.report import Section, bytes_text, seconds_text
from bench.world import Table


def state(lab: Lab) -> Section:
    tables = [Table(calls) for calls in lab.sizes.first_reads]
    rows = []
    for table in tables:
        run = lab.ours(table)
        commits = [each["commit"] for each in run["polls"]]
        rows.append(
            (
                f"{table.calls:,}",
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
        "wall time, the worker thread and the disk in it. Neither peer nor limit keeps anything.",
    )
