"""The scrapes that Prometheus would make every 15 seconds, as OpenMetrics text for each day."""

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import NamedTuple

from bench.alerts.closed_form import (
    INTERVAL_MS,
    PUBLISHED_AFTER_MS,
    STARTED,
    CounterIncrements,
)
from bench.alerts.scenario import Scenario

SCRAPE_MS = 15_000
SCRAPE_OFFSET_MS = 4_000
TARGET = 'job="pearl",instance="x"'
_SPARSE = 4
"""A series that does not change is written for one of this many scrapes."""

AFTERWARDS_MS = 180_000
"""For this long after a downtime every scrape is written."""

LISTED_EVERY_MS = 300_000
"""How often the exporter requests the platform's list of running outbounds."""

Moment = int
Moments = list[tuple[Moment, bool]]
"""The scrapes, and whether a scrape is written with the health of polls."""


class Sample(NamedTuple):
    """A series and its value. None means no sample: the exporter is down or does not publish it."""

    series: str
    value: float | None


class OutboundExposition:
    """What the exporter publishes of one outbound at any moment."""

    def __init__(self, name: str, counted: CounterIncrements, scenario: Scenario) -> None:
        self.name = name
        self.polls = counted.polls
        self._scenario = scenario
        lost = None if scenario.lost_state_at is None else self.polls.find(scenario.lost_state_at)
        labels = f'{{{TARGET},outbound="{name}"}}'
        self._counters = [
            (
                f"pearl_calls_started_total{labels}"
                if status == STARTED
                else f'pearl_calls_total{labels[:-1]},status="{status}"}}',
                _totals(increments, lost),
            )
            for status, increments in counted.increments.items()
        ]
        self._health = [
            f"pearl_outbound_catching_up{labels}",
            f"pearl_outbound_caught_up_timestamp_seconds{labels}",
            f"pearl_outbound_up{labels}",
            f"pearl_outbound_data_timestamp_seconds{labels}",
            f'pearl_exporter_poll_failures_total{labels[:-1]},reason="server_error"}}',
            f"pearl_outbound_poll_interval_seconds{labels}",
        ]
        self._failed = array("l", accumulate(1 - good for good in self.polls.good))
        started = [end for _, end in scenario.restarts]
        self._started = sorted(
            started + ([scenario.lost_state_at] if scenario.lost_state_at else [])
        )

    def samples(self, at: Moment, *, health: bool = True) -> Iterator[Sample]:
        """Yield all series of the outbound at a moment, always in the same order.

        Args:
            at: The moment, in milliseconds.
            health: Whether the series about its polls are included.
        """
        polls = self.polls
        if any(start <= at < end for start, end in self._scenario.restarts):
            names = [name for name, _ in self._counters] + (self._health if health else [])
            yield from (Sample(name, None) for name in names)
            return
        number = (at - PUBLISHED_AFTER_MS - polls.first) // INTERVAL_MS
        number = max(-1, min(number, polls.count - 1))
        last = polls.last_good[number + 1]
        for series, totals in self._counters:
            yield Sample(series, totals[last] if last >= 0 else 0)
        if health:
            values = self._health_at(at, number, last)
            yield from map(Sample, self._health, values)

    def _health_at(self, at: Moment, number: int, last: int) -> tuple[float | None, ...]:
        polls = self.polls
        place = bisect_right(self._started, at)
        first = polls.find(self._started[place - 1]) if place else polls.find(0)
        is_failing = number >= 0 and not polls.good[number]
        is_waiting = number < first  # for the first poll since the start
        failed = self._failed[number] - (self._failed[first - 1] if first > 0 else 0)
        return (
            float(is_failing or (is_waiting and last >= 0)),
            None if is_waiting else self._caught_up(last, first) / 1000,
            float(not (is_failing or is_waiting)),
            None if last < 0 else polls.at(last) / 1000,
            max(0, failed) if number >= 0 else 0,
            INTERVAL_MS / 1000,
        )

    def _caught_up(self, last: int, first: int) -> Moment:
        """Return when counting last caught up: at the first good poll after the last failed one."""
        good = self.polls.good
        while last > first and good[last - 1]:
            last -= 1
        return self.polls.at(last) + PUBLISHED_AFTER_MS


def _totals(increments: "array[int]", lost: int | None) -> "array[int]":
    if lost is None:
        return array("l", accumulate(increments))
    before = array("l", accumulate(increments[:lost]))
    before.extend(accumulate(increments[lost:]))
    return before


def day_text(
    expositions: Mapping[str, OutboundExposition], scenario: Scenario, span: tuple[Moment, Moment]
) -> Iterator[str]:
    """Yield the OpenMetrics text of one day, one series after the other.

    Health that does not change has one sample a minute; Prometheus' lookback fills the rest.
    """
    down = sorted((*scenario.restarts, *scenario.api_outages))
    if scenario.lost_state_at is not None:
        down = [*down, (scenario.lost_state_at, scenario.lost_state_at)]
    moments = [
        (at, number % _SPARSE == 0 or any(s <= at <= e + AFTERWARDS_MS for s, e in down))
        for number, at in enumerate(range(span[0] + SCRAPE_OFFSET_MS, span[1], SCRAPE_MS))
    ]
    yield from _target(scenario, moments)
    for outbound in expositions.values():
        yield from _lines(outbound, moments)
    yield "# EOF\n"


def _target(scenario: Scenario, moments: Moments) -> Iterator[str]:
    def is_down(at: Moment) -> bool:
        return any(start <= at < end for start, end in scenario.restarts)

    yield "".join(f"up{{{TARGET}}} {int(not is_down(at))} {at / 1000:.0f}\n" for at, _ in moments)
    build = f'pearl_exporter_build_info{{{TARGET},version="0",python_version="3"}}'
    yield "".join(
        f"{build} 1 {at / 1000:.0f}\n" for at, dense in moments if dense and not is_down(at)
    )


def _lines(outbound: OutboundExposition, moments: Moments) -> Iterator[str]:
    columns: dict[str, list[str]] = {}
    for at, dense in moments:
        second = at // 1000
        for series, value in outbound.samples(at, health=dense):
            if value is not None:
                line = f"{series} {value:.15g} {second}\n"
                try:
                    columns[series].append(line)
                except KeyError:
                    columns[series] = [line]
    for lines in columns.values():
        yield "".join(lines)


def running_text(scenario: Scenario, span: tuple[Moment, Moment]) -> Iterator[str]:
    """Yield the samples of ``pearl_outbound_running`` of one day, one a minute."""
    for outbound in scenario.outbounds:
        series = f'pearl_outbound_running{{{TARGET},outbound="{outbound.name}"}}'
        for at in range(span[0] + SCRAPE_OFFSET_MS, span[1], _SPARSE * SCRAPE_MS):
            if not any(start <= at < end for start, end in scenario.restarts):
                listed_at = at - at % LISTED_EVERY_MS
                is_paused = any(start <= listed_at < end for start, end in outbound.pauses)
                yield f"{series} {int(not is_paused)} {at // 1000}\n"
    yield "# EOF\n"
