"""CPU of a first read for each call: the exporter with its state, the limit, the peer."""

from statistics import median

from bench.lab import FIRST_READ, Lab
from bench.report import Line, Plot, Section, verdict
from bench.world import Table

GOAL_TIMES_LIMIT = 1.3
_LONG = 200_000
"""From so many calls on one run is enough: it is long."""


def first_read(lab: Lab) -> Section:
    rows = []
    lines: dict[str, list[tuple[str, float]]] = {"ours": [], "limit": [], "naive peer": []}
    for calls in lab.sizes.first_reads:
        repeats = 1 if calls > _LONG else lab.sizes.repeats
        each = [_one(lab, Table(calls), number) for number in range(repeats)]
        ours, limit, simple, peer = (median(figures) for figures in zip(*each, strict=True))
        times = median(ours / limit for ours, limit, *_ in each)
        for name, value in (("ours", ours), ("limit", limit), ("naive peer", peer)):
            lines[name].append((f"{calls:,} calls", value))
        rows.append(
            (
                f"{calls:,}",
                f"{ours:.1f} µs",
                f"{limit:.1f} µs",
                f"{simple:.1f} µs",
                f"{peer:.1f} µs",
                f"{times:.2f}",
                f"{GOAL_TIMES_LIMIT}: {verdict(times, GOAL_TIMES_LIMIT)}",
                verdict(ours, peer),
                f"{repeats}",
            )
        )
    return Section(
        "CPU of a first read, a call",
        (
            "calls",
            "ours",
            "limit",
            "limit, blocking",
            "naive peer",
            "ours / limit",
            "goal",
            "below the peer",
            "runs",
        ),
        rows,
        "Medians over runs that took turns. CPU of the reading process alone, all its threads, "
        "imports apart; ours with start and commit to a SQLite state. The limit is that of httpx' "
        "asynchronous client, by which ours reads; the peer reads by the blocking one.",
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


def _one(lab: Lab, table: Table, number: int) -> tuple[float, float, float, float]:
    """Microseconds a call."""
    ours = lab.ours_again(table, number)
    limit = lab.limit(table, FIRST_READ, number=number)
    simple = lab.limit(table, FIRST_READ, number=number, blocking=True)
    peer = lab.peer(table, number=number)
    return (
        ours["first"]["cpu"] / ours["calls"] * 1e6,
        limit["cpu"] / limit["rows"] * 1e6,
        simple["cpu"] / simple["rows"] * 1e6,
        peer["polls"][0]["cpu"] / peer["calls"] * 1e6,
    )
