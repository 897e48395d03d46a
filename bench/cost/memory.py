"""Memory for each tracked call of a large window: after a first read, and after a restart."""

from bench.cost.runs import FIRST_READ, Runs
from bench.support.processes import Figures
from bench.support.report import Line, Plot, Section, bytes_text, met_or_missed

MAX_BYTES = 200.0


def memory(runs: Runs) -> Section:
    """Measure the resident memory for each call, in bytes."""
    workload = runs.large
    read = runs.exporter(workload)
    bound = runs.lower_bound(workload, FIRST_READ, keep=True)
    naive = runs.naive(workload)
    cases = (
        ("pearl-exporter, after a first read", read, read["calls"], MAX_BYTES),
        (
            "pearl-exporter, after a restart",
            runs.exporter_restart(workload),
            read["calls"],
            MAX_BYTES,
        ),
        ("lower bound, keeping its rows", bound, bound["rows"], None),
        ("naive exporter, after a poll", naive, naive["calls"], None),
    )
    rows = [_row(*case) for case in cases]
    bars = [
        (name.partition(", ")[2], _bytes_a_call(figures, calls))
        for name, figures, calls, _ in cases
    ]
    return Section(
        f"Memory a call, at {workload.calls:,} calls",
        ("what", "bytes a call", "goal", "RSS before", "RSS after", "peak"),
        rows,
        "Resident memory (RSS) after less RSS before, divided by the tracked calls. Before: "
        "imports done, state opened, nothing read. It includes what the allocator keeps after a "
        "read.",
        (
            Plot(
                "memory",
                f"Memory a call, at {workload.calls:,} calls",
                "",
                "bytes a call",
                (
                    Line("pearl-exporter", bars[:2]),
                    Line("lower bound", bars[2:3]),
                    Line("naive exporter", bars[3:]),
                ),
                goal=MAX_BYTES,
                is_bars=True,
                is_logarithmic=False,
            ),
        ),
    )


def _row(name: str, figures: Figures, calls: float, goal: float | None) -> tuple[str, ...]:
    each = _bytes_a_call(figures, calls)
    return (
        name,
        f"{each:.0f}",
        "" if goal is None else f"{goal:.0f}: {met_or_missed(each, goal)}",
        bytes_text(figures["rss_before"]),
        bytes_text(figures["rss_after"]),
        bytes_text(figures["rss_peak"]),
    )


def _bytes_a_call(figures: Figures, calls: float) -> float:
    more: float = figures["rss_after"] - figures["rss_before"]
    return more / calls
