"""How long from a call's settling moment until its count is visible, with many outbounds.

A real `serve` over the simulated API in real time, scraped twice a second. The k-th settling moment
of an outbound is matched with the first scrape that counts k calls.
"""

import math
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench.lab import Lab, Sizes
from bench.processes import (
    PEARL,
    Figures,
    child,
    cpu_seconds,
    fetch,
    free_port,
    progress,
    quantile,
    rss_bytes,
    running,
    samples,
)
from bench.report import Line, Plot, Section, bytes_text, seconds_text
from bench.truth import Settling, settling_moments
from bench.world import CALM, Api, Table, api_over

SCRAPE_SECONDS = 0.5
_CALLS_A_DAY = 1_200_000
"""Of all outbounds together: 833 a minute."""


@dataclass
class Watched:
    """What scrapes have shown, by outbound."""

    counted: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    """Each new number of settled calls, with the scrape's end in ms."""
    polls: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    """The moments of the polls, in ms."""
    shown_after: list[float] = field(default_factory=list)
    """Seconds from a poll's moment until a scrape showed it."""
    lateness: list[float] = field(default_factory=list)
    scrapes: list[float] = field(default_factory=list)
    text: str = ""

    def scrape(self, url: str, *, is_first: bool) -> None:
        """One scrape. Of the first ones it is not known since when they would have shown it."""
        began = time.monotonic()
        self.text = fetch(f"{url}/metrics")
        ended_ms = time.time() * 1000
        self.scrapes.append(time.monotonic() - began)
        counted = samples(self.text, "pearl_calls_total")
        for name, at in samples(self.text, "pearl_outbound_data_timestamp_seconds").items():
            at_ms = round(at * 1000)
            if self.polls[name] and self.polls[name][-1] == at_ms:
                continue
            self.polls[name].append(at_ms)
            self.counted[name].append((ended_ms, counted[name]))
            if not is_first:
                self.shown_after.append(ended_ms / 1000 - at)
        if not is_first:
            late = samples(self.text, "pearl_outbound_poll_lateness_seconds")
            self.lateness.extend(late.values())


def table_of(sizes: Sizes) -> Table:
    """Many outbounds of 250 calls in the window each, without late, changed or deleted rows."""
    each = _CALLS_A_DAY / sizes.outbounds
    return Table(250, CALM, each, outbounds=sizes.outbounds, history_ms=1_800_000)


def settling_of(sizes: Sizes) -> Settling:
    """As configured; of unanswered calls by the default."""
    return Settling(sizes.settle * 1000, min(30, sizes.settle) * 1000)


def visible(lab: Lab) -> Section:
    sizes, table = lab.sizes, table_of(lab.sizes)
    now_ms = int(time.time() * 1000)
    progress(f"making {sizes.outbounds} outbounds")
    with api_over(table, now_ms, is_running=True) as api:
        api.set_time(int(time.time() * 1000), running=True)
        watched, cost = _watch(lab, api, table)
        progress(f"peer: {sizes.outbounds} outbounds for {sizes.seconds} s")
        swept = child(
            "peer",
            url=api.url,
            outbounds=api.outbounds,
            window=table.window_seconds,
            interval=sizes.interval,
            seconds=sizes.seconds,
        )
    moments = {
        campaign.outbound_id: settling_moments(
            campaign, watched.polls[campaign.profile.name], settling_of(sizes)
        )
        for campaign in table.campaigns(now_ms)
    }
    names = {f"outbound-{number}": id_ for number, id_ in enumerate(api.outbounds, 1)}
    ours, missing = [], 0
    for name, id_ in names.items():
        found = delays(moments[id_], watched.counted[name])
        missing += len(moments[id_]) - int(watched.counted[name][-1][1])
        ours += found
    peer = _peer_delays(table, now_ms, swept)
    return _section(sizes, watched, cost, _Delays(ours, peer, missing), swept)


@dataclass(frozen=True)
class _Delays:
    """Seconds, and how many calls more should have been counted than were."""

    ours: list[float]
    peer: list[float]
    missing: int


def delays(moments: list[int], counted: list[tuple[float, float]]) -> list[float]:
    """Seconds from the k-th moment to the first scrape that counts k calls."""
    found, place = [], 0
    for number, moment in enumerate(moments, 1):
        while place < len(counted) and counted[place][1] < number:
            place += 1
        if place < len(counted):
            found.append((counted[place][0] - moment) / 1000)
    return found


def _watch(lab: Lab, api: Api, table: Table) -> tuple[Watched, Figures]:
    sizes, port = lab.sizes, free_port()
    config = lab.folder / "many.yml"
    outbounds = "".join(
        f"  - {{id: {each}, name: outbound-{number}}}\n"
        for number, each in enumerate(api.outbounds, 1)
    )
    config.write_text(
        f"api: {{url: '{api.url}', token: bench, rate_limit: 1000, concurrency: 8}}\n"
        f"poll: {{interval: {sizes.interval}s, window: {math.ceil(table.window_seconds)}s, "
        f"settle: {sizes.settle}s}}\n"
        f"state: {{url: 'sqlite:///{lab.folder}/many.db'}}\n"
        f"web: {{listen: '127.0.0.1:{port}'}}\n"
        f"outbounds:\n{outbounds}"
    )
    progress(f"ours: {sizes.outbounds} outbounds for {sizes.interval + sizes.seconds} s")
    command = (*PEARL, "serve", "--config", str(config))
    with running(*command, log=lab.folder / "many.log") as serve:
        url = f"http://127.0.0.1:{port}"
        _wait_until_listening(url, serve.poll, lab.folder / "many.log")
        watched, began = Watched(), time.monotonic()
        while time.monotonic() - began < sizes.interval + 1:
            watched.scrape(url, is_first=True)
            time.sleep(SCRAPE_SECONDS)
        cpu, began = cpu_seconds(serve.pid), time.monotonic()
        while time.monotonic() - began < sizes.seconds:
            watched.scrape(url, is_first=False)
            time.sleep(SCRAPE_SECONDS)
        cost = {
            "cpu_share": (cpu_seconds(serve.pid) - cpu) / (time.monotonic() - began),
            "rss": rss_bytes(serve.pid),
        }
    return watched, cost


def _wait_until_listening(url: str, ended: object, log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            fetch(f"{url}/-/healthy")
        except OSError:
            if time.monotonic() > deadline or (callable(ended) and ended() is not None):
                raise RuntimeError(f"serve does not listen: {log.read_text()[-2000:]}") from None
            time.sleep(0.1)
        else:
            return


def _peer_delays(table: Table, now_ms: int, swept: Figures) -> list[float]:
    """Seconds from when a call could settle to the end of the first read that began after it."""
    reads: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for outbound, began, shown in swept["shown"]:
        reads[outbound].append((began, shown))
    found = []
    for campaign in table.campaigns(now_ms):
        mine = reads[campaign.outbound_id]
        first, last = mine[0][0], mine[-1][0]
        for call in campaign.calls(campaign.start_ms, int(last)):
            final = max(call.written, call.start + call.duration * 1000)
            if first < final <= last:
                shown = next(shown for began, shown in mine if began >= final)
                found.append((shown - final) / 1000)
    return found


def _section(
    sizes: Sizes, watched: Watched, cost: Figures, delays_: _Delays, swept: Figures
) -> Section:
    def total(name: str) -> float:
        return sum(samples(watched.text, name).values())

    late, shown = watched.lateness, watched.shown_after
    rows = [
        ("delay, median", *_delay(sizes, delays_, 0.5)),
        ("delay, p99", *_delay(sizes, delays_, 0.99)),
        ("delay, most", *_delay(sizes, delays_, 1.0)),
        ("calls that settled", f"{len(delays_.ours):,}", "", ""),
        ("settled by the contract, not counted", f"{delays_.missing:,}", "", ""),
        ("a poll's moment until a scrape shows it, median", _cut(shown, 0.5), "", ""),
        ("the same, p99", _cut(shown, 0.99), "", ""),
        ("lateness of a poll, median", _cut(late, 0.5), "", ""),
        ("lateness of a poll, most", _cut(late, 1.0), "", ""),
        ("polls", f"{total('pearl_exporter_polls_total'):,.0f}", "", f"{len(swept['shown']):,}"),
        ("polls that failed", f"{total('pearl_exporter_poll_failures_total'):.0f}", "", ""),
        ("polls that were skipped", f"{total('pearl_exporter_polls_skipped_total'):.0f}", "", ""),
        ("one round of all outbounds", "", "", seconds_text(median(swept["sweeps"]))),
        ("a scrape", bytes_text(len(watched.text)), "", ""),
        ("a scrape, median", seconds_text(median(watched.scrapes)), "", ""),
        ("CPU, of one core", f"{cost['cpu_share']:.1%}", "", f"{swept['cpu_share']:.1%}"),
        ("memory (RSS)", bytes_text(cost["rss"]), "", ""),
    ]
    return Section(
        f"From settling to /metrics, with {sizes.outbounds} outbounds",
        ("what", "ours", "limit", "naive peer"),
        rows,
        f"Polled every {sizes.interval} s, so half of that is the mean delay that no exporter of "
        "this interval is below: the limit is that of polls and scrapes that take no time, spread "
        "evenly over the interval. A call that a poll saw live ended, by the contract, not before "
        "that poll, so that it settles on the moment of a later one where settle is a multiple of "
        "the interval: such calls are shown at once, which brings the median below the limit's. "
        f"Scraped every {SCRAPE_SECONDS} s, which is in the delay as "
        "well. The peer settles nothing; its delay is that from a call's last change to the end "
        "of the first read that began after it. Nobody scrapes it, so its CPU is without scrapes.",
        (
            Plot(
                "visible",
                "Delay from settling to /metrics",
                "seconds",
                "share of the calls",
                (
                    Line("ours", _distribution(delays_.ours)),
                    Line("limit", [(0.0, 0.0), (float(sizes.interval), 1.0)]),
                    Line("naive peer", _distribution(delays_.peer)),
                ),
                is_logarithmic=False,
            ),
        ),
    )


def _delay(sizes: Sizes, delays_: _Delays, share: float) -> tuple[str, str, str]:
    limit = f"{share * sizes.interval:.2f} s"
    return _cut(delays_.ours, share), limit, _cut(delays_.peer, share)


def _cut(values: list[float], share: float) -> str:
    return f"{quantile(values, share):.2f} s" if values else ""


def _distribution(values: list[float]) -> list[tuple[float, float]]:
    return [(quantile(values, share / 100), share / 100) for share in range(101)]
