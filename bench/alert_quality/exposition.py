"""What Prometheus would have scraped every 15 seconds: OpenMetrics text, one day at a time."""

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import NamedTuple

from bench.alert_quality.counting import (
    PUBLISHED_AFTER_MS,
    STARTED,
    Counted,
)
from bench.alert_quality.world import World

SCRAPE_MS = 15_000
SCRAPE_OFFSET_MS = 4_000
TARGET = 'job="pearl",instance="exporter:10042"'
_SELDOM = 4
"""Of a series that never changes, a sample in so many scrapes will do."""

Moment = int


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
        lost = None
        if world.lost_state_at is not None:
            lost = self.polls.find(world.lost_state_at)
        self._totals = {
            status: _totals(increments, lost) for status, increments in counted.increments.items()
        }
        self._failed = array("l", accumulate(1 - good for good in self.polls.good))
        self._restarted = sorted(end for _, end in world.restarts)
        if world.lost_state_at is not None:
            self._restarted = sorted([*self._restarted, world.lost_state_at])

    def samples(self, at: Moment) -> Iterator[Sample]:
        """All series of the outbound, always in the same order."""
        polls = self.polls
        number = (at - PUBLISHED_AFTER_MS - polls.first) // 30_000
        number = max(-1, min(number, polls.count - 1))
        last = polls.last_good[number + 1]
        down = any(start <= at < end for start, end in self._world.restarts)
        since = self._restarted[: bisect_right(self._restarted, at)][-1:] or [0]
        first = polls.find(since[0])
        behind = number >= 0 and not polls.good[number]
        waiting = number < first
        labels = f'{{{TARGET},outbound="{self.name}"}}'
        for status, totals in self._totals.items():
            series = (
                f"pearl_calls_started_total{labels}"
                if status == STARTED
                else f'pearl_calls_total{labels[:-1]},status="{status}"}}'
            )
            yield Sample(series, None if down else totals[last] if last >= 0 else 0)
        catching_up = float(behind or (waiting and last >= 0))
        yield Sample(f"pearl_outbound_catching_up{labels}", None if down else catching_up)
        yield Sample(
            f"pearl_outbound_caught_up_timestamp_seconds{labels}",
            None if down or waiting else self._caught_up(last, first) / 1000,
        )
        yield Sample(f"pearl_outbound_up{labels}", None if down else float(not (behind or waiting)))
        yield Sample(
            f"pearl_outbound_data_timestamp_seconds{labels}",
            None if down or last < 0 else polls.at(last) / 1000,
        )
        failed = self._failed[number] - (self._failed[first - 1] if first > 0 else 0)
        yield Sample(
            f'pearl_exporter_poll_failures_total{labels[:-1]},reason="server_error"}}',
            None if down else max(0, failed) if number >= 0 else 0,
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
    """The OpenMetrics text of one day: all samples of a series, then those of the next."""
    moments = range(span[0] + SCRAPE_OFFSET_MS, span[1], SCRAPE_MS)
    yield from _target(world, moments)
    for outbound in shown.values():
        yield from _lines(outbound, moments)
        series = f'pearl_outbound_poll_interval_seconds{{{TARGET},outbound="{outbound.name}"}}'
        yield "".join(f"{series} 30 {at / 1000}\n" for at in moments[::_SELDOM])
    yield "# EOF\n"


def _target(world: World, moments: range) -> Iterator[str]:
    def down(at: Moment) -> bool:
        return any(start <= at < end for start, end in world.restarts)

    yield "".join(f"up{{{TARGET}}} {int(not down(at))} {at / 1000}\n" for at in moments)
    build = f'pearl_exporter_build_info{{{TARGET},version="0",python_version="3"}}'
    yield "".join(f"{build} 1 {at / 1000}\n" for at in moments[::_SELDOM] if not down(at))


def _lines(outbound: Shown, moments: range) -> Iterator[str]:
    columns: dict[str, list[str]] = {}
    for at in moments:
        for series, value in outbound.samples(at):
            lines = columns.setdefault(series, [])
            if value is not None:
                lines.append(f"{series} {value:.15g} {at / 1000}\n")
    for lines in columns.values():
        yield "".join(lines)
