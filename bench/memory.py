"""Memory for each tracked call, of a large table: after a first read, and after a restart."""

from bench.lab import FIRST_READ, Lab
from bench.processes import Figures
from bench.report import Line, Plot, Section, bytes_text, verdict

GOAL_BYTES = 200.0


def memory(lab: Lab) -> Section:
    table = lab.large
    read = lab.ours(table)
    limit = lab.limit(table, FIRST_READ, keep=True)
    cases = (
        ("ours, after a first read", read, read["calls"], GOAL_BYTES),
        ("ours, after a restart", lab.restarted(table), read["calls"], GOAL_BYTES),
        ("limit, keeping its rows", limit, limit["rows"], None),
        ("naive peer, after a poll", lab.peer(table), lab.peer(table)["calls"], None),
    )
    rows = [_row(*case) for case in cases]
    bars = [
        (name.partition(", ")[2], _bytes_a_call(figures, calls))
        for name, figures, calls, _ in cases
    ]
    return Section(
        f"Memory a call, at {table.calls:,} calls",
        ("what", "bytes a call", "goal", "RSS before", "RSS after", "most"),
        rows,
        "Resident memory (RSS) after less before, by the calls that are tracked. Before: imports "
        "done, state opened, nothing read. What the allocator keeps of a read is in it.",
        (
            Plot(
                "memory",
                f"Memory a call, at {table.calls:,} calls",
                "",
                "bytes a call",
                (Line("ours", bars[:2]), Line("limit", bars[2:3]), Line("naive peer", bars[3:])),
                goal=GOAL_BYTES,
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
        "" if goal is None else f"{goal:.0f}: {verdict(each, goal)}",
        bytes_text(figures["rss_before"]),
        bytes_text(figures["rss_after"]),
        bytes_text(figures["rss_peak"]),
    )


def _bytes_a_call(figures: Figures, calls: float) -> float:
    more: float = figures["rss_after"] - figures["rss_before"]
    return more / calls
