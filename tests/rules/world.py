"""What an exporter shows of one outbound, minute by minute. Numbers are calls a minute."""

from collections.abc import Mapping, Sequence

from tests.rules.promtool import Labels, Series, Spell, absent, counter, gauge, series, target

LONG_AGO = -1_000_000.0

Calls = Mapping[str, Sequence[Spell]]
"""Spells of calls that started (``started``) and that settled, by outcome."""


def spring(name: str) -> dict[str, str]:
    """The labels of the one outbound of a scenario's exporter."""
    return {**target(name), "outbound": "spring"}


def well(name: str, minutes: float, calls: Calls) -> Series:
    """An outbound that is polled well all the time."""
    return [
        series("up", gauge((minutes, 1)), target(name)),
        *steady(spring(name), minutes),
        *counted(spring(name), {key: counter(*spells) for key, spells in calls.items()}),
    ]


def steady(labels: Labels, minutes: float) -> Series:
    return [
        series("pearl_outbound_up", gauge((minutes, 1)), labels),
        series("pearl_outbound_catching_up", gauge((minutes, 0)), labels),
        series("pearl_outbound_caught_up_timestamp_seconds", gauge((minutes, LONG_AGO)), labels),
    ]


def counted(labels: Labels, values: Mapping[str, str]) -> Series:
    return [
        series("pearl_calls_started_total", text, labels)
        if status == "started"
        else series("pearl_calls_total", text, labels, status=status)
        for status, text in values.items()
    ]


def shares(*spells: tuple[float, float, float], status: str) -> Calls:
    """Spells of minutes, calls a minute, and the share of them that ends in ``status``."""
    return {
        "started": [(minutes, rate) for minutes, rate, _ in spells],
        status: [(minutes, rate * share) for minutes, rate, share in spells],
        "complete": [(minutes, rate * (1 - share)) for minutes, rate, share in spells],
    }


def exporter_outage(
    name: str, spells: Sequence[float], rates: Mapping[str, float], burst: Mapping[str, float]
) -> Series:
    """Minutes before, down and after. Then a restart with saved state counts ``burst`` at once."""
    before, down, after = spells
    labels, caught_up = spring(name), (before + down + 0.5) * 60

    def values(key: str) -> str:
        first = before * rates[key]
        resumed = counter((after - 0.5, rates[key]), start=first + burst.get(key, 0))
        restored = counter((0.5, 0), start=first)
        return f"{counter((before, rates[key]))} {absent(down)} {restored} {resumed}"

    def health(was: float, back: str) -> str:
        return f"{gauge((before, was))} {absent(down)} {back}"

    catching_up = health(0, gauge((0.5, 1), (after - 0.5, 0)))
    since = health(LONG_AGO, f"_x2 {gauge((after - 0.5, caught_up))}")
    return [
        series("up", gauge((before, 1), (down, 0), (after, 1)), target(name)),
        series("pearl_outbound_up", health(1, gauge((after, 1))), labels),
        series("pearl_outbound_catching_up", catching_up, labels),
        series("pearl_outbound_caught_up_timestamp_seconds", since, labels),
        *counted(labels, {key: values(key) for key in rates}),
    ]


def api_outage(
    name: str, spells: Sequence[float], rates: Mapping[str, float], burst: Mapping[str, float]
) -> Series:
    """Minutes before, without a good poll, and after; the first good one counts ``burst``."""
    before, down, after = spells
    labels, caught_up = spring(name), (before + down) * 60

    def values(key: str) -> str:
        first = before * rates[key]
        back = counter((after, rates[key]), start=first + burst.get(key, 0))
        return f"{counter((before, rates[key]), (down, 0))} {back}"

    since = gauge((before + down, LONG_AGO), (after, caught_up))
    return [
        series("up", gauge((before + down + after, 1)), target(name)),
        series("pearl_outbound_up", gauge((before, 1), (down, 0), (after, 1)), labels),
        series("pearl_outbound_catching_up", gauge((before, 0), (down, 1), (after, 0)), labels),
        series("pearl_outbound_caught_up_timestamp_seconds", since, labels),
        *counted(labels, {key: values(key) for key in rates}),
    ]
