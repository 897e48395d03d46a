"""The checks at the end of a soak, over all outbounds, and how much they have compared."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from bench.soak.configuration import FOLLOW_SECONDS, counting_rules
from bench.soak.counter_check import (
    counter_failures,
    published_counters,
    recount_of,
    wanted_counters,
)
from bench.soak.environment import Environment
from bench.soak.recorded_polls import RecordedPoll, read_polls
from bench.soak.row_check import SimulatedRows, Span, row_failures, span_of
from bench.soak.scrape_monitor import ScrapeMonitor
from bench.soak.window_check import Standstill, polled_at_ms, stop_clock, window_failures
from tests.support.oracle import Recount


@dataclass
class FinalChecks:
    """What the checks have found.

    Attributes:
        failures: Everything that is wrong, one line each.
        rows: Number of rows that were compared.
        counters: Number of counters that were compared.
        started: Calls started, by the oracle.
        uncounted: Calls never counted, by the oracle.
        missing: Calls that the API has deleted and that are still shown, as two reads have not
            missed them yet.
        max_gap_seconds: The longest time between two polls of an outbound.
    """

    failures: list[str] = field(default_factory=list)
    rows: int = 0
    counters: int = 0
    started: int = 0
    uncounted: int = 0
    missing: int = 0
    max_gap_seconds: float = 0.0

    def counts(self) -> dict[str, str]:
        """Return the figures for the report."""
        return {
            "rows read that were compared with the simulated calls": f"{self.rows:,}",
            "counters that were compared with the oracle": f"{self.counters:,}",
            "calls started": f"{self.started:,}",
            "calls never counted": f"{self.uncounted:,}",
            "deleted calls still shown as missing": f"{self.missing:,}",
            "longest time between two good polls of an outbound": f"{self.max_gap_seconds:.0f} s",
        }


def run_final_checks(environment: Environment, monitor: ScrapeMonitor) -> FinalChecks:
    """Stop the API's clock, and compare windows, rows and counters of every outbound."""
    checks = FinalChecks()
    try:
        standstill = stop_clock(environment)
    except TimeoutError as error:
        checks.failures.append(str(error))
        return checks
    monitor.check(standstill.scrape)
    recorded = read_polls(environment.recorded_polls)
    published = published_counters(standstill.scrape)
    campaigns = environment.workload.campaigns(environment.api.now_ms)
    for (name, id_), campaign in zip(environment.ids_by_name.items(), campaigns, strict=True):
        assert campaign.outbound_id == id_
        last = polled_at_ms(standstill, name)
        # the exporter polls on while this runs
        polls = [poll for poll in recorded[id_] if poll.now <= last]
        first_ms = polls[0].now - max(FOLLOW_SECONDS * 1000, polls[0].window_ms)
        rows = SimulatedRows(campaign, first_ms, standstill.at_ms)
        recount = recount_of(polls, counting_rules())
        wanted = wanted_counters(recount)
        missing = [call for call in recount.window if call.id in recount.missing]
        found = [
            *window_failures(environment, standstill, name, missing),
            *_row_failures(rows, polls, standstill),
            *_stale_rows(rows, recount, standstill),
            *counter_failures(published[name], wanted),
        ]
        checks.failures += [f"{name}: {each}" for each in found]
        checks.rows += sum(len(poll.rows) for poll in polls)
        checks.counters += len({*published[name], *wanted})
        checks.started += recount.started
        checks.uncounted += sum(recount.uncounted.values())
        checks.missing += len(recount.missing)
        checks.max_gap_seconds = max(checks.max_gap_seconds, max_gap_seconds(polls))
    return checks


def max_gap_seconds(polls: Sequence[RecordedPoll]) -> float:
    """Return the longest time between two polls in a row."""
    return max((after.now - before.now for before, after in pairwise(polls)), default=0) / 1000


def _row_failures(
    rows: SimulatedRows, polls: list[RecordedPoll], standstill: Standstill
) -> Iterator[str]:
    for poll in polls:
        yield from row_failures(rows, poll, span_of(poll, standstill.paused_ms, standstill.at_ms))


def _stale_rows(rows: SimulatedRows, recount: Recount, standstill: Standstill) -> Iterator[str]:
    """Yield a line for every unsettled or missing call whose state is not the API's in the end.

    The counters would still equal the oracle's if the exporter stopped to read such a call.
    """
    now = Span(standstill.at_ms, standstill.at_ms)
    for row in recount.unsettled.values():
        if row.id not in recount.missing and not rows.was(row, now):
            yield f"an unsettled call was not read in the end: {row}"
    for id_ in recount.missing:
        if rows.has(id_, standstill.at_ms):
            yield f"the API has the call {id_}, which is missing"
