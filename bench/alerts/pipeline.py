"""The steps from a scenario to the alerts that fired in it."""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from bench.alerts import prometheus
from bench.alerts.closed_form import (
    INTERVAL_MS,
    CounterIncrements,
    PollTimes,
    count_calls,
    days_of,
)
from bench.alerts.evaluation import STEP_SECONDS, FiredAlert, RunResult, fired_alerts
from bench.alerts.exposition import OutboundExposition, day_text, running_text
from bench.alerts.rules import RuleFiles, alert_query
from bench.alerts.scenario import START_MS, Outbound, Scenario

SILENT = "PearlOutboundSilent"
ALERTS = (
    "PearlErrorSpike",
    "PearlErrorShareRaised",
    "PearlUnreachableSpike",
    "PearlUnreachableShareRaised",
    "PearlSuccessRateFallen",
    SILENT,
    "PearlExporterDown",
    "PearlOutboundFailing",
    "PearlDataStale",
)
Log = Callable[[str], None]


def run(
    scenario: Scenario, folder: Path, *, workers: int = 2, log: Log = lambda _: None
) -> RunResult:
    """Simulate, store and evaluate a scenario.

    Args:
        scenario: What is simulated.
        folder: For its files, some GB a month.
        workers: Number of processes.
        log: Gets a line after each step.
    """
    counted = count_all(scenario, workers, log)
    store_history(scenario, counted, folder, workers, log)
    start, end = START_MS // 1000, scenario.end // 1000
    prometheus.store_recorded(folder, list(days_of(scenario)), workers, log=log)
    with prometheus.prometheus(folder) as server:
        fired = [each for name in ALERTS for each in fired_in(server, name, start, end)]
    log(f"{len(fired)} alerts fired")
    # the alert on silence once more, with the metric that knows of pauses
    for span in days_of(scenario):
        prometheus.store_text(folder, f"running-{span[0]}", running_text(scenario, span))
    with prometheus.prometheus(folder) as server:
        silent = fired_in(server, SILENT, start, end)
    log("alerts on silence were evaluated with pearl_outbound_running")
    return RunResult(counted, sorted(fired, key=lambda each: each.start), silent)


def count_all(scenario: Scenario, workers: int, log: Log) -> dict[str, CounterIncrements]:
    """Count the calls of all outbounds, the largest first."""
    places = sorted(
        range(len(scenario.outbounds)),
        key=lambda place: -scenario.outbounds[place].profile.calls_a_day,
    )
    outbounds = [scenario.outbounds[place] for place in places]
    with ProcessPoolExecutor(workers) as pool:
        made = pool.map(partial(_count, scenario), places, outbounds)
        counted = {each.name: own for each, own in zip(outbounds, made, strict=True)}
    log(f"{sum(each.calls for each in counted.values()):,} calls of {len(counted)} outbounds")
    return {each.name: counted[each.name] for each in scenario.outbounds}


def _count(scenario: Scenario, place: int, outbound: Outbound) -> CounterIncrements:
    offset = INTERVAL_MS * place // len(scenario.outbounds)
    return count_calls(outbound, scenario, PollTimes(scenario, offset))


def store_history(
    scenario: Scenario,
    counted: dict[str, CounterIncrements],
    folder: Path,
    workers: int,
    log: Log,
) -> None:
    """Write the scrapes of all days into blocks of Prometheus."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    days = list(days_of(scenario))
    global _expositions, _scenario  # noqa: PLW0603 - forked workers inherit them without a copy
    _scenario = scenario
    _expositions = {
        name: OutboundExposition(name, each, scenario) for name, each in counted.items()
    }
    with ProcessPoolExecutor(workers) as pool:
        list(pool.map(partial(_store_day, folder), days))
    log(f"{len(days)} days stored")


_expositions: dict[str, OutboundExposition] = {}
_scenario: Scenario | None = None


def _store_day(folder: Path, span: tuple[int, int]) -> None:
    assert _scenario is not None
    prometheus.store_text(folder, f"day-{span[0]}", day_text(_expositions, _scenario, span))


def fired_in(server: prometheus.Prometheus, name: str, start: int, end: int) -> list[FiredAlert]:
    """Return when one alert fired between two Unix times, for each of its label sets."""
    rules = RuleFiles()
    times = server.times_with_value(alert_query(rules, name), start, end, STEP_SECONDS)
    return [
        each
        for labels, seconds in times.items()
        for each in fired_alerts(
            name, rules.alerts[name], seconds, dict(labels).get("outbound", "")
        )
    ]
