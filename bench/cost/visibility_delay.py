"""The visibility delay: the time from a call's settling until its count is in a scrape.

A real `serve` with many outbounds polls the simulated API in real time and is scraped twice a
second. The k-th settling moment of an outbound is matched with the first scrape that counts k
calls. The oracle of the tests says when each simulated call settles.
"""

import math
import subprocess
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench.cost.runs import Runs
from bench.cost.sizes import Sizes
from bench.support.process_stats import cpu_seconds, rss_bytes
from bench.support.processes import PEARL, Figures, free_port, progress, run_measured, running
from bench.support.report import Line, Plot, Section, bytes_text, quantile, seconds_text
from bench.support.scrape import fetch, sums_by_outbound
from bench.support.simulated_api import DAY_MS, STABLE, SimulatedApi, Workload, simulated_api
from pearl_exporter.counting.settlement import CountingRules
from pearl_exporter.simulator import Campaign
from tests.support.oracle import Recount, simulated_polls

SCRAPE_SECONDS = 0.5
_CALLS_A_DAY = 1_200_000
"""Of all outbounds together: 833 a minute."""


@dataclass
class Observed:
    """What the scrapes have shown, by the name of the outbound.

    Attributes:
        counted: Each new number of settled calls, as (end of the scrape in ms, calls).
        polls: T of each poll, in ms.
        shown_after: Seconds from T of a poll until a scrape showed it.
        lateness: The lateness that each scrape showed, in seconds.
        scrapes: The duration of each scrape, in seconds.
        text: The last scrape.
    """

    counted: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    polls: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    shown_after: list[float] = field(default_factory=list)
    lateness: list[float] = field(default_factory=list)
    scrapes: list[float] = field(default_factory=list)
    text: str = ""

    def scrape(self, url: str, *, is_first: bool) -> None:
        """Scrape once. ``is_first``: how long a scrape could have shown its polls is not known."""
        began = time.monotonic()
        self.text = fetch(f"{url}/metrics")
        ended_ms = time.time() * 1000
        self.scrapes.append(time.monotonic() - began)
        counted = sums_by_outbound(self.text, "pearl_calls_total")
        moments = sums_by_outbound(self.text, "pearl_outbound_data_timestamp_seconds")
        for name, at in moments.items():
            at_ms = round(at * 1000)
            if self.polls[name] and self.polls[name][-1] == at_ms:
                continue
            self.polls[name].append(at_ms)
            self.counted[name].append((ended_ms, counted[name]))
            if not is_first:
                self.shown_after.append(ended_ms / 1000 - at)
        if not is_first:
            late = sums_by_outbound(self.text, "pearl_outbound_poll_lateness_seconds")
            self.lateness.extend(late.values())


@dataclass(frozen=True)
class _Delays:
    """The delays in seconds, and how many calls settled by the oracle but were not counted."""

    exporter: list[float]
    naive: list[float]
    not_counted: int


def workload_of(sizes: Sizes) -> Workload:
    """Return many outbounds with 250 calls in the window each, whose rows are stable."""
    calls_a_day = _CALLS_A_DAY / sizes.outbounds
    return Workload(250, STABLE, calls_a_day, outbounds=sizes.outbounds, history_ms=1_800_000)


def rules_of(sizes: Sizes, workload: Workload) -> CountingRules:
    """Return how calls are counted: as `_configuration` says, and by default."""
    return CountingRules(
        window_ms=math.ceil(workload.window_seconds) * 1000,
        settle_ms=sizes.settle * 1000,
        settle_unanswered_ms=min(30, sizes.settle) * 1000,
        follow_ms=DAY_MS,
        catch_up_ms=DAY_MS,
        scan_every_ms=DAY_MS,
        buckets=(),
    )


def visibility_delay(runs: Runs) -> Section:
    """Measure the delay of the exporter and of the naive exporter."""
    sizes, workload = runs.sizes, workload_of(runs.sizes)
    now_ms = int(time.time() * 1000)
    progress(f"generating {sizes.outbounds} outbounds")
    with simulated_api(workload, now_ms, is_running=True) as api:
        api.set_time(int(time.time() * 1000), running=True)
        observed, cost = _observe(runs, api, workload)
        progress(f"naive exporter: {sizes.outbounds} outbounds for {sizes.seconds} s")
        naive = run_measured(
            "bench.cost.naive_process",
            url=api.url,
            outbounds=api.outbounds,
            window=workload.window_seconds,
            interval=sizes.interval,
            seconds=sizes.seconds,
        )
    rules = rules_of(sizes, workload)
    exporter_delays, not_counted = [], 0
    for campaign in workload.campaigns(now_ms):
        name = campaign.profile.name
        polls, counted = observed.polls[name], observed.counted[name]
        if not polls:
            continue  # on a slow machine a short run may end before the first poll of all outbounds
        moments = settling_moments(campaign, polls, rules)
        exporter_delays += delays(moments, counted)
        not_counted += len(moments) - int(counted[-1][1])
    naive_delays = _naive_delays(workload, now_ms, naive)
    return _section(
        sizes, observed, cost, _Delays(exporter_delays, naive_delays, not_counted), naive
    )


def settling_moments(campaign: Campaign, polls: Sequence[int], rules: CountingRules) -> list[int]:
    """Return the moments (ms), in order, at which calls settled while the campaign was polled.

    Args:
        campaign: A campaign whose rows are stable.
        polls: T of each poll, in ms. What settled before the first poll is not counted.
        rules: How calls are counted.
    """
    calls = campaign.calls(polls[0] - max(rules.window_ms, rules.follow_ms), polls[-1])
    recount = Recount(list(simulated_polls(calls, polls, rules)), rules)
    return sorted(each.settled_at for each in recount.settled)


def delays(moments: list[int], counted: list[tuple[float, float]]) -> list[float]:
    """Return the seconds from the k-th moment to the first scrape that counts k calls."""
    found, place = [], 0
    for number, moment in enumerate(moments, 1):
        while place < len(counted) and counted[place][1] < number:
            place += 1
        if place < len(counted):
            found.append((counted[place][0] - moment) / 1000)
    return found


def _configuration(runs: Runs, api: SimulatedApi, workload: Workload, port: int) -> str:
    sizes = runs.sizes
    outbounds = "".join(
        f"  - {{id: {each}, name: outbound-{number}}}\n"
        for number, each in enumerate(api.outbounds, 1)
    )
    return (
        f"api: {{url: '{api.url}', token: bench, rate_limit: 1000, concurrency: 8}}\n"
        f"poll: {{interval: {sizes.interval}s, window: {math.ceil(workload.window_seconds)}s, "
        f"settle: {sizes.settle}s}}\n"
        f"state: {{url: 'sqlite:///{runs.folder}/many.db'}}\n"
        f"web: {{listen: '127.0.0.1:{port}'}}\n"
        f"outbounds:\n{outbounds}"
    )


def _observe(runs: Runs, api: SimulatedApi, workload: Workload) -> tuple[Observed, Figures]:
    """Run `serve` and scrape it. Return what was seen, and the CPU and memory it took."""
    sizes, port = runs.sizes, free_port()
    config, log = runs.folder / "many.yml", runs.folder / "many.log"
    config.write_text(_configuration(runs, api, workload, port))
    progress(f"pearl-exporter: {sizes.outbounds} outbounds for {sizes.interval + sizes.seconds} s")
    with running(*PEARL, "serve", "--config", str(config), log=log) as serve:
        url = f"http://127.0.0.1:{port}"
        _wait_until_listening(url, serve, log)
        observed, began = Observed(), time.monotonic()
        while time.monotonic() - began < sizes.interval + 1:
            observed.scrape(url, is_first=True)
            time.sleep(SCRAPE_SECONDS)
        cpu, began = cpu_seconds(serve.pid), time.monotonic()
        while time.monotonic() - began < sizes.seconds:
            observed.scrape(url, is_first=False)
            time.sleep(SCRAPE_SECONDS)
        cost = {
            "cpu_share": (cpu_seconds(serve.pid) - cpu) / (time.monotonic() - began),
            "rss": rss_bytes(serve.pid),
        }
    return observed, cost


def _wait_until_listening(url: str, serve: subprocess.Popen[str], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            fetch(f"{url}/-/healthy")
        except OSError:
            if time.monotonic() > deadline or serve.poll() is not None:
                raise RuntimeError(f"serve does not listen: {log.read_text()[-2000:]}") from None
            time.sleep(0.1)
        else:
            return


def _naive_delays(workload: Workload, now_ms: int, naive: Figures) -> list[float]:
    """Return the seconds from a call's last change to the end of the first read begun after it."""
    reads: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for outbound, began, ended in naive["reads"]:
        reads[outbound].append((began, ended))
    found = []
    for campaign in workload.campaigns(now_ms):
        own = reads[campaign.outbound_id]
        first, last = own[0][0], own[-1][0]
        for call in campaign.calls(campaign.start_ms, int(last)):
            final = max(call.written, call.start + call.duration * 1000)
            if first < final <= last:
                shown = next(ended for began, ended in own if began >= final)
                found.append((shown - final) / 1000)
    return found


def _section(
    sizes: Sizes, observed: Observed, cost: Figures, measured: _Delays, naive: Figures
) -> Section:
    def total(name: str) -> str:
        return f"{sum(sums_by_outbound(observed.text, name).values()):,.0f}"

    late, shown = observed.lateness, observed.shown_after
    rows = [
        ("delay, median", *_delay_cells(sizes, measured, 0.5)),
        ("delay, p99", *_delay_cells(sizes, measured, 0.99)),
        ("delay, max", *_delay_cells(sizes, measured, 1.0)),
        ("calls that settled", f"{len(measured.exporter):,}", "", ""),
        ("settled by the contract, not counted", f"{measured.not_counted:,}", "", ""),
        ("T of a poll until a scrape shows it, median", _quantile_text(shown, 0.5), "", ""),
        ("the same, p99", _quantile_text(shown, 0.99), "", ""),
        ("lateness of a poll, median", _quantile_text(late, 0.5), "", ""),
        ("lateness of a poll, max", _quantile_text(late, 1.0), "", ""),
        ("polls", total("pearl_exporter_polls_total"), "", f"{len(naive['reads']):,}"),
        ("polls that failed", total("pearl_exporter_poll_failures_total"), "", ""),
        ("polls that were skipped", total("pearl_exporter_polls_skipped_total"), "", ""),
        ("one round of all outbounds", "", "", seconds_text(median(naive["rounds"]))),
        ("a scrape", bytes_text(len(observed.text)), "", ""),
        ("a scrape, median", seconds_text(median(observed.scrapes)), "", ""),
        ("CPU, of one core", f"{cost['cpu_share']:.1%}", "", f"{naive['cpu_share']:.1%}"),
        ("memory (RSS)", bytes_text(cost["rss"]), "", ""),
    ]
    return Section(
        f"From settling to /metrics, with {sizes.outbounds} outbounds",
        ("what", "pearl-exporter", "lower bound", "naive exporter"),
        rows,
        f"Polled every {sizes.interval} s. The lower bound is that of polls and scrapes that take "
        "no time, with calls that settle evenly over the interval: half an interval on average. "
        "A call that a poll saw live ended, by the contract, not before that poll. Where settle is "
        "a multiple of the interval such a call settles exactly at a later poll and is shown at "
        "once, which puts the median below the lower bound's. The delay includes that of the "
        f"scrapes, one every {SCRAPE_SECONDS} s. The naive exporter settles nothing: its delay is "
        "from a call's last change to the end of the first read that began after it. It is not "
        "scraped, so its CPU is without scrapes.",
        (
            Plot(
                "visible",
                "Delay from settling to /metrics",
                "seconds",
                "share of the calls",
                (
                    Line("pearl-exporter", _distribution(measured.exporter)),
                    Line("lower bound", [(0.0, 0.0), (float(sizes.interval), 1.0)]),
                    Line("naive exporter", _distribution(measured.naive)),
                ),
                is_logarithmic=False,
            ),
        ),
    )


def _delay_cells(sizes: Sizes, measured: _Delays, share: float) -> tuple[str, str, str]:
    bound = f"{share * sizes.interval:.2f} s"
    return _quantile_text(measured.exporter, share), bound, _quantile_text(measured.naive, share)


def _quantile_text(values: list[float], share: float) -> str:
    return f"{quantile(values, share):.2f} s" if values else ""


def _distribution(values: list[float]) -> list[tuple[float, float]]:
    shares = [share / 100 for share in range(101)] if values else []
    return [(quantile(values, share), share) for share in shares]
