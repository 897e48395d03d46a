"""What Prometheus would have scraped every 15 seconds: OpenMetrics text, one day at a time."""

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import NamedTuple

from bench.alert_quality.counting import (
    INTERVAL_MS,
    PUBLISHED_AFTER_MS,
    STARTED,
    Counted,
)
from bench.alert_quality.world import World

SCRAPE_MS = 15_000
SCRAPE_OFFSET_MS = 4_000
TARGET = 'job="pearl",instance="x"'
_SELDOM = 4
"""Of a series that never changes, a sample in so many scrapes will do."""

AFTERWARDS_MS = 180_000

LISTED_EVERY_MS = 300_000
"""How often the exporter asks the platform which outbounds run."""

Moment = int
Moments = list[tuple[Moment, bool]]
"""The scrapes, and whether health is among what is written of one."""


class Sample(NamedTuple):
    """A series and its value; None is no sample: the exporter is down, or shows none."""

    series: str
    value: float | None


class Shown:
    """What the exporter shows of one outbound at any moment."""

    def __init__(self, name: str, counted: Counted, world: World) -> None:
        self.name = name
        self.polls = counted.polls
        self._world = world
        lost = None if world.lost_state_at is None else self.polls.find(world.lost_state_at)
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
        started = [end for _, end in world.restarts]
        self._started = sorted(started + ([world.lost_state_at] if world.lost_state_at else []))

    def samples(self, at: Moment, *, health: bool = True) -> Iterator[Sample]:
        """All series of the outbound, always in the same order; ``health`` those of its polls."""
        polls = self.polls
        if any(start <= at < end for start, end in self._world.restarts):
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
        failing = number >= 0 and not polls.good[number]
        waiting = number < first
        failed = self._failed[number] - (self._failed[first - 1] if first > 0 else 0)
        return (
            float(failing or (waiting and last >= 0)),
            None if waiting else self._caught_up(last, first) / 1000,
            float(not (failing or waiting)),
            None if last < 0 else polls.at(last) / 1000,
            max(0, failed) if number >= 0 else 0,
            INTERVAL_MS / 1000,
        )

    def _caught_up(self, last: int, first: int) -> Moment:
        """When counting last caught up: at the first good poll after the last bad one."""
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
    shown: Mapping[str, Shown], world: World, span: tuple[Moment, Moment]
) -> Iterator[str]:
    """The OpenMetrics text of one day: all samples of a series, then those of the next.

    Health that does not change has a sample a minute, which Prometheus takes for one every time.
    """
    away = sorted((*world.restarts, *world.api_outages))
    if world.lost_state_at is not None:
        away = [*away, (world.lost_state_at, world.lost_state_at)]
    moments = [
        (at, number % _SELDOM == 0 or any(s <= at <= e + AFTERWARDS_MS for s, e in away))
        for number, at in enumerate(range(span[0] + SCRAPE_OFFSET_MS, span[1], SCRAPE_MS))
    ]
    yield from _target(world, moments)
    for outbound in shown.values():
        yield from _lines(outbound, moments)
    yield "# EOF\n"


def _target(world: World, moments: Moments) -> Iterator[str]:
    def down(at: Moment) -> bool:
        return any(start <= at < end for start, end in world.restarts)

    yield "".join(f"up{{{TARGET}}} {int(not down(at))} {at / 1000:.0f}\n" for at, _ in moments)
    build = f'pearl_exporter_build_info{{{TARGET},version="0",python_version="3"}}'
    yield "".join(f"{build} 1 {at / 1000:.0f}\n" for at, dense in moments if dense and not down(at))


def _lines(outbound: Shown, moments: Moments) -> Iterator[str]:
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


def running_text(world: World, span: tuple[Moment, Moment]) -> Iterator[str]:
    """What one day would show of `pearl_outbound_running`, a sample a minute."""
    for outbound in world.outbounds:
        series = f'pearl_outbound_running{{{TARGET},outbound="{outbound.name}"}}'
        for at in range(span[0] + SCRAPE_OFFSET_MS, span[1], _SELDOM * SCRAPE_MS):
            if not any(start <= at < end for start, end in world.restarts):
                asked = at - at % LISTED_EVERY_MS
                paused = any(start <= asked < end for start, end in outbound.pauses)
                yield f"{series} {int(not paused)} {at // 1000}\n"
    yield "# EOF\n"
