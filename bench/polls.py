"""What a poll costs in requests, bytes and CPU, against the size of the window."""

from statistics import fmean

from bench.lab import POLLS, Lab
from bench.processes import Figures, quantile
from bench.report import Line, Plot, Section, bytes_text, seconds_text, verdict
from bench.world import CALM, USUAL, Table

GOAL_REQUESTS = 3.0
GOAL_TIMES_BELOW_PEER = 100.0


def requests(lab: Lab) -> Section:
    """Requests and bytes a poll, of ours over a calm and a usual table, and of the peer."""
    rows = []
    means: dict[str, list[tuple[float, float]]] = {CALM: [], USUAL: []}
    sizes: dict[str, list[tuple[float, float]]] = {CALM: [], USUAL: []}
    peers = []
    for calls in lab.sizes.windows:
        peer = lab.peer(Table(calls))["polls"][0]
        peers.append((calls, peer))
        for kind in (CALM, USUAL):
            polls = lab.ours(Table(calls, kind))["polls"]
            asked = [each["requests"] for each in polls]
            most = quantile(asked, 0.99)
            mean, received = fmean(asked), fmean(each["bytes"] for each in polls)
            means[kind].append((calls, mean))
            sizes[kind].append((calls, received))
            rows.append(
                (
                    f"{calls:,}",
                    kind,
                    f"{mean:.2f}",
                    f"{most:.0f}",
                    f"{max(asked)}",
                    (
                        f"{GOAL_REQUESTS:.0f}: {verdict(mean, GOAL_REQUESTS)}, "
                        f"p99 {verdict(most, GOAL_REQUESTS)}"
                    ),
                    bytes_text(received),
                    f"{peer['requests']:,}",
                    bytes_text(peer["bytes"]),
                )
            )
    return Section(
        "Requests and bytes a poll",
        (
            "calls in the window",
            "table",
            "requests, mean",
            "p99",
            "most",
            "goal",
            "bytes",
            "peer: requests",
            "peer: bytes",
        ),
        rows,
        f"{lab.sizes.polls} polls, 30 s apart, 5 new calls between two, pages of 100. Bytes are "
        "those of the answers' bodies as they went over the wire (gzip). The limit makes the same "
        "requests as ours, so it has the same figures.",
        (
            Plot(
                "requests",
                "Requests a poll",
                "calls in the window",
                "requests",
                (
                    Line("ours", means[USUAL]),
                    Line("ours, calm", means[CALM]),
                    Line("naive peer", [(calls, peer["requests"]) for calls, peer in peers]),
                ),
                goal=GOAL_REQUESTS,
            ),
            Plot(
                "bytes",
                "Bytes a poll",
                "calls in the window",
                "bytes",
                (
                    Line("ours", sizes[USUAL]),
                    Line("ours, calm", sizes[CALM]),
                    Line("naive peer", [(calls, peer["bytes"]) for calls, peer in peers]),
                ),
            ),
        ),
    )


def cpu(lab: Lab) -> Section:
    """CPU a poll at steady state, of ours, of the limit and of the peer."""
    rows = []
    lines: dict[str, list[tuple[float, float]]] = {"ours": [], "limit": [], "naive peer": []}
    for calls in lab.sizes.windows:
        ours, limit, peer = poll_cpu(lab, Table(calls))
        for name, seconds in (("ours", ours), ("limit", limit), ("naive peer", peer)):
            lines[name].append((calls, seconds * 1000))
        times = peer / ours
        goal = ""
        if calls == lab.sizes.steady:
            missed = verdict(GOAL_TIMES_BELOW_PEER, times)
            goal = f"{GOAL_TIMES_BELOW_PEER:.0f}: {missed}"
        rows.append(
            (
                f"{calls:,}",
                seconds_text(ours),
                seconds_text(limit),
                seconds_text(peer),
                f"{times:.3g}",
                goal,
            )
        )
    return Section(
        "CPU a poll at steady state",
        (
            "calls in the window",
            "ours",
            "limit",
            "naive peer",
            "times below the peer",
            "goal",
        ),
        rows,
        f"Mean over {lab.sizes.polls} polls of the usual table; ours with the commit to its SQLite "
        "state. One poll of the peer: each is a whole read.",
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


def poll_cpu(lab: Lab, table: Table) -> tuple[float, float, float]:
    """Seconds a poll: ours, the limit's, the peer's."""
    polls: list[Figures] = lab.ours(table)["polls"]
    limit = lab.limit(table, POLLS)["cpu"] / len(polls)
    peer: float = lab.peer(table)["polls"][0]["cpu"]
    return fmean(each["cpu"] for each in polls), limit, peer
