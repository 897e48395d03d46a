"""What a poll costs in requests, bytes and CPU, by the size of the window."""

from statistics import fmean

from bench.cost.runs import POLLS, Runs
from bench.support.processes import Figures
from bench.support.report import (
    Line,
    Plot,
    Section,
    bytes_text,
    met_or_missed,
    quantile,
    seconds_text,
)
from bench.support.simulated_api import STABLE, USUAL, Workload

MAX_REQUESTS = 3.0
MIN_TIMES_BELOW_NAIVE = 100.0


def requests(runs: Runs) -> Section:
    """Measure requests and bytes a poll, of stable and of usual rows."""
    rows = []
    means: dict[str, list[tuple[float, float]]] = {STABLE: [], USUAL: []}
    sizes: dict[str, list[tuple[float, float]]] = {STABLE: [], USUAL: []}
    naive_polls = []
    for calls in runs.sizes.windows:
        naive = runs.naive(Workload(calls))["polls"][0]
        naive_polls.append((calls, naive))
        for kind in (STABLE, USUAL):
            polls = runs.exporter(Workload(calls, kind))["polls"]
            counts = [each["requests"] for each in polls]
            p99 = quantile(counts, 0.99)
            mean, received = fmean(counts), fmean(each["bytes"] for each in polls)
            means[kind].append((calls, mean))
            sizes[kind].append((calls, received))
            rows.append(
                (
                    f"{calls:,}",
                    kind,
                    f"{mean:.2f}",
                    f"{p99:.0f}",
                    f"{max(counts)}",
                    (
                        f"{MAX_REQUESTS:.0f}: {met_or_missed(mean, MAX_REQUESTS)}, "
                        f"p99 {met_or_missed(p99, MAX_REQUESTS)}"
                    ),
                    bytes_text(received),
                    f"{naive['requests']:,}",
                    bytes_text(naive["bytes"]),
                )
            )
    return Section(
        "Requests and bytes a poll",
        (
            "calls in the window",
            "rows",
            "requests, mean",
            "p99",
            "max",
            "goal",
            "bytes",
            "naive exporter: requests",
            "naive exporter: bytes",
        ),
        rows,
        f"{runs.sizes.polls} polls, 30 s apart, 5 new calls between two polls, pages of 100. Bytes "
        "are those of the answers' bodies on the wire (gzip). The lower bound sends the same "
        "requests as pearl-exporter, so it has the same figures.",
        (
            Plot(
                "requests",
                "Requests a poll",
                "calls in the window",
                "requests",
                (
                    Line("pearl-exporter", means[USUAL]),
                    Line("pearl-exporter, stable rows", means[STABLE]),
                    Line(
                        "naive exporter", [(calls, each["requests"]) for calls, each in naive_polls]
                    ),
                ),
                goal=MAX_REQUESTS,
            ),
            Plot(
                "bytes",
                "Bytes a poll",
                "calls in the window",
                "bytes",
                (
                    Line("pearl-exporter", sizes[USUAL]),
                    Line("pearl-exporter, stable rows", sizes[STABLE]),
                    Line("naive exporter", [(calls, each["bytes"]) for calls, each in naive_polls]),
                ),
            ),
        ),
    )


def cpu(runs: Runs) -> Section:
    """Measure the CPU of a poll once the first read is done."""
    rows = []
    lines: dict[str, list[tuple[float, float]]] = {
        "pearl-exporter": [],
        "lower bound": [],
        "naive exporter": [],
    }
    for calls in runs.sizes.windows:
        exporter, bound, naive = poll_cpu_seconds(runs, Workload(calls))
        for name, seconds in zip(lines, (exporter, bound, naive), strict=True):
            lines[name].append((calls, seconds * 1000))
        times = naive / exporter
        goal = ""
        if calls == runs.sizes.steady:
            outcome = met_or_missed(MIN_TIMES_BELOW_NAIVE, times)
            goal = f"{MIN_TIMES_BELOW_NAIVE:.0f}: {outcome}"
        rows.append(
            (
                f"{calls:,}",
                seconds_text(exporter),
                seconds_text(bound),
                seconds_text(naive),
                f"{times:.3g}",
                goal,
            )
        )
    return Section(
        "CPU a poll at steady state",
        (
            "calls in the window",
            "pearl-exporter",
            "lower bound",
            "naive exporter",
            "times below the naive exporter",
            "goal",
        ),
        rows,
        f"Mean over {runs.sizes.polls} polls of usual rows. pearl-exporter's includes the commit "
        "to its SQLite state. One poll of the naive exporter: each is a whole read.",
        (
            Plot(
                "cpu-a-poll",
                "CPU a poll at steady state",
                "calls in the window",
                "CPU, ms",
                [Line(name, points) for name, points in lines.items()],
            ),
        ),
    )


def poll_cpu_seconds(runs: Runs, workload: Workload) -> tuple[float, float, float]:
    """Return CPU seconds a poll of the exporter, the lower bound and the naive exporter."""
    polls: list[Figures] = runs.exporter(workload)["polls"]
    bound = runs.lower_bound(workload, POLLS)["cpu"] / len(polls)
    naive: float = runs.naive(workload)["polls"][0]["cpu"]
    return fmean(each["cpu"] for each in polls), bound, naive
