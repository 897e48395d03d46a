"""CPU of a first read per call: of the exporter with its state, and of what it is compared with."""

from statistics import median

from bench.cost.runs import FIRST_READ, Runs
from bench.support.report import Line, Plot, Section, met_or_missed
from bench.support.simulated_api import Workload

MAX_TIMES_LOWER_BOUND = 1.3
_LONG_READ = 200_000
"""Above this number of calls a first read is long enough to be measured once."""


def first_read(runs: Runs) -> Section:
    """Measure the CPU of a first read, in microseconds per call."""
    rows = []
    lines: dict[str, list[tuple[str, float]]] = {
        "pearl-exporter": [],
        "lower bound": [],
        "naive exporter": [],
    }
    for calls in runs.sizes.first_reads:
        repeats = 1 if calls > _LONG_READ else runs.sizes.repeats
        each = [_one(runs, Workload(calls), number) for number in range(repeats)]
        exporter, bound, blocking, naive = (median(figures) for figures in zip(*each, strict=True))
        times = median(exporter / bound for exporter, bound, *_ in each)
        for name, value in zip(lines, (exporter, bound, naive), strict=True):
            lines[name].append((f"{calls:,} calls", value))
        rows.append(
            (
                f"{calls:,}",
                f"{exporter:.1f} µs",
                f"{bound:.1f} µs",
                f"{blocking:.1f} µs",
                f"{naive:.1f} µs",
                f"{times:.2f}",
                f"{MAX_TIMES_LOWER_BOUND}: {met_or_missed(times, MAX_TIMES_LOWER_BOUND)}",
                met_or_missed(exporter, naive),
                f"{repeats}",
            )
        )
    return Section(
        "CPU of a first read, a call",
        (
            "calls",
            "pearl-exporter",
            "lower bound",
            "lower bound, blocking",
            "naive exporter",
            "times the lower bound",
            "goal",
            "below the naive exporter",
            "runs",
        ),
        rows,
        "Medians over alternating runs. CPU of the reading process, all its threads, without "
        "imports. pearl-exporter's includes start and commit to a SQLite state. The lower bound "
        "uses httpx' asynchronous client, as pearl-exporter does. The naive exporter uses the "
        "blocking client.",
        (
            Plot(
                "first-read",
                "CPU of a first read",
                "",
                "µs a call",
                [Line(name, points) for name, points in lines.items()],
                is_bars=True,
                is_logarithmic=False,
            ),
        ),
    )


def _one(runs: Runs, workload: Workload, number: int) -> tuple[float, float, float, float]:
    """Return microseconds a call: exporter, lower bound, the same blocking, naive exporter."""
    exporter = runs.exporter_first_read(workload, number)
    bound = runs.lower_bound(workload, FIRST_READ, number=number)
    blocking = runs.lower_bound(workload, FIRST_READ, number=number, blocking=True)
    naive = runs.naive(workload, number=number)
    return (
        exporter["first"]["cpu"] / exporter["calls"] * 1e6,
        bound["cpu"] / bound["rows"] * 1e6,
        blocking["cpu"] / blocking["rows"] * 1e6,
        naive["polls"][0]["cpu"] / naive["calls"] * 1e6,
    )
