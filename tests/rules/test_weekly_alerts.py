"""What compares with a past of days: the usual shares, the success rate, and silence.

Seven days at 15 seconds would take minutes, so these scenarios have a sample every 20 minutes and
begin where the windows are recorded already: the rates of one minute are empty at such a step.
"""

from collections.abc import Callable
from functools import partial

import pytest

from tests.rules.promtool import (
    ORDER,
    Make,
    Scenario,
    Series,
    absent,
    failures,
    firing,
    quiet,
    series,
    target,
)
from tests.rules.world import LONG_AGO, spring

DAYS = 9
NOW = 8 * 24  # the hour at which things happen
STEPS_AN_HOUR = 3

SCENARIOS: dict[str, Make] = {}


def scenario(make: Callable[[str], Scenario]) -> Callable[[str], Scenario]:
    SCENARIOS[make.__name__] = make
    return make


def hours(*spells: tuple[float, float | None]) -> str:
    """A value for so many hours, then the next; None is absent."""
    words = []
    for lasting, value in spells:
        steps = round(lasting * STEPS_AN_HOUR) - 1
        words.append(f"{'_' if value is None else format(value, 'g')}x{steps}")
    return " ".join(words)


def steady(name: str, catching_up: str = hours((DAYS * 24, 0))) -> Series:
    labels = spring(name)
    return [
        series("up", hours((DAYS * 24, 1)), target(name)),
        series("pearl_outbound_catching_up", catching_up, labels),
        series("pearl_outbound_caught_up_timestamp_seconds", hours((DAYS * 24, LONG_AGO)), labels),
        series("pearl_calls_started_total", f"0+100x{DAYS * 24 * STEPS_AN_HOUR}", labels),
    ]


def at(hour: float) -> float:
    return hour * 60


# The usual share


def windows(name: str, status: str, bad: str, seen: str = hours((DAYS * 24, 200))) -> Series:
    """Calls in each stretch of 40 minutes, and how many of them were bad."""
    labels = {**spring(name), "window": "40m", "speed": "slow"}
    return [
        series("outbound_status:pearl_calls:increase", bad, labels, status=status),
        series("outbound:pearl_calls_seen:increase", seen, labels),
    ]


@scenario
def a_share_of_four_times_the_own_past_fires_below_the_assumed_share(name: str) -> Scenario:
    bad = hours((NOW, 5), (4, 20), (20, 5))
    alert, labels = "PearlErrorShareRaised", spring(name)
    asked = [
        quiet(at(NOW - 1), alert, labels),
        firing(at(NOW + 2), alert, labels, status="error", speed="slow"),
        quiet(at(NOW + 6), alert, labels),
    ]
    return Scenario([*steady(name), *windows(name, "error", bad)], asked)


@scenario
def an_outbound_that_always_fails_often_is_quiet(name: str) -> Scenario:
    world = [*steady(name), *windows(name, "error", hours((DAYS * 24, 90)))]
    asked = [quiet(at(hour), "PearlErrorShareRaised", spring(name)) for hour in (60, 120, NOW)]
    return Scenario(world, asked)


@scenario
def an_unreachable_share_that_moves_by_itself_is_quiet(name: str) -> Scenario:
    """37% where 22% is usual: 4.7 standard deviations by chance alone, on a morning of redials."""
    bad = hours((NOW, 44), (2, 74), (2, 110), (20, 44))
    alert, labels = "PearlUnreachableShareRaised", spring(name)
    asked = [quiet(at(NOW + hour), alert, labels) for hour in (1, 4 / 3, 5 / 3)]
    asked += [firing(at(NOW + 3), alert, labels, status="unreachable", speed="slow")]
    return Scenario([*steady(name), *windows(name, "unreachable", bad)], asked)


@scenario
def a_slow_drift_is_quiet(name: str) -> Scenario:
    """From 2.5% to 4.5% in nine days."""
    bad = " ".join(f"{5 + day * 0.5:g}x{24 * STEPS_AN_HOUR - 1}" for day in range(DAYS))
    asked = [quiet(at(hour), "PearlErrorShareRaised", spring(name)) for hour in range(12, 216, 4)]
    return Scenario([*steady(name), *windows(name, "error", bad)], asked)


@scenario
def the_incident_itself_is_not_its_own_past_for_six_hours(name: str) -> Scenario:
    bad = hours((NOW, 5), (6, 25), (18, 5))
    asked = [
        firing(at(NOW + hour), "PearlErrorShareRaised", spring(name), status="error", speed="slow")
        for hour in (1, 3, 5, 17 / 3)
    ]
    return Scenario([*steady(name), *windows(name, "error", bad)], asked)


# The success rate


def conversations(name: str, success: str, decided: str) -> Series:
    labels = spring(name)
    past = [
        series("outbound:pearl_calls_success:increase40m", success, labels),
        series("outbound:pearl_calls_decided:increase40m", decided, labels),
    ]
    return past + [
        each
        for window in ("80m", "320m")
        for each in (
            series("outbound:pearl_calls_success:increase", success, labels, window=window),
            series("outbound:pearl_calls_decided:increase", decided, labels, window=window),
        )
    ]


FALLEN = "PearlSuccessRateFallen"
ALWAYS = hours((DAYS * 24, 200))


@scenario
def a_success_rate_that_halves_fires_and_resolves(name: str) -> Scenario:
    success = hours((NOW, 60), (4, 30), (20, 60))
    labels = spring(name)
    asked = [
        quiet(at(NOW - 1), FALLEN, labels),
        firing(at(NOW + 2), FALLEN, labels),
        quiet(at(NOW + 6), FALLEN, labels),
    ]
    return Scenario([*steady(name), *conversations(name, success, ALWAYS)], asked)


@scenario
def a_success_rate_that_falls_a_little_is_quiet(name: str) -> Scenario:
    success = hours((NOW, 60), (24, 48))
    asked = [quiet(at(NOW + hour), FALLEN, spring(name)) for hour in (1, 3, 9)]
    return Scenario([*steady(name), *conversations(name, success, ALWAYS)], asked)


@scenario
def few_conversations_without_success_are_quiet(name: str) -> Scenario:
    success, decided = hours((NOW, 6), (24, 0)), hours((NOW, 20), (24, 8))
    asked = [quiet(at(NOW + hour), FALLEN, spring(name)) for hour in (1, 3, 9)]
    return Scenario([*steady(name), *conversations(name, success, decided)], asked)


@scenario
def without_a_success_definition_it_is_quiet(name: str) -> Scenario:
    nothing = hours((DAYS * 24, 0))
    asked = [quiet(at(hour), FALLEN, spring(name)) for hour in (1, 100, NOW)]
    return Scenario([*steady(name), *conversations(name, nothing, nothing)], asked)


@scenario
def without_a_past_it_is_quiet(name: str) -> Scenario:
    success, decided = hours((1, 60), (4, 0)), hours((5, 200))
    asked = [quiet(at(hour), FALLEN, spring(name)) for hour in (1, 2, 4)]
    return Scenario([*steady(name), *conversations(name, success, decided)], asked)


@scenario
def a_catch_up_neither_resolves_nor_fires_a_fallen_rate(name: str) -> Scenario:
    success = hours((NOW, 60), (3, 20), (21, 60))
    catching_up = hours((NOW + 1, 0), (4, 1), (19, 0))
    labels = spring(name)
    asked = [
        *(firing(at(NOW + hour), FALLEN, labels) for hour in (2 / 3, 1, 2, 4)),
        quiet(at(NOW + 6), FALLEN, labels),
    ]
    return Scenario([*steady(name, catching_up), *conversations(name, success, ALWAYS)], asked)


# Silence


SILENT = "PearlOutboundSilent"


def started(name: str, values: str) -> Series:
    return [series("outbound:pearl_calls_started:increase40m", values, spring(name))]


def fires_from(name: str, hour: float) -> list:
    labels = spring(name)
    return [quiet(at(hour - 1 / 3), SILENT, labels), firing(at(hour + 1), SILENT, labels)]


@scenario
def silence_in_usual_hours_fires_and_resolves(name: str) -> Scenario:
    values = hours((NOW, 50), (3, 0), (21, 50))
    asked = [*fires_from(name, NOW), quiet(at(NOW + 4), SILENT, spring(name))]
    return Scenario([*steady(name), *started(name, values)], asked)


@scenario
def silence_through_a_catch_up_is_told_again_after_it(name: str) -> Scenario:
    """While the counters are not steady nothing is known; it is no news of calls either."""
    values = hours((NOW, 50), (24, 0))
    catching_up = hours((NOW + 2, 0), (1, 1), (21, 0))
    labels = spring(name)
    asked = [
        firing(at(NOW + 5 / 3), SILENT, labels),
        quiet(at(NOW + 8 / 3), SILENT, labels),
        firing(at(NOW + 11 / 3), SILENT, labels),
    ]
    return Scenario([*steady(name, catching_up), *started(name, values)], asked)


@scenario
def a_night_is_no_silence(name: str) -> Scenario:
    """Calls from 8 to 20 o'clock."""
    values = " ".join([hours((8, 0), (12, 50), (4, 0))] * DAYS)
    asked = [quiet(at(NOW + hour), SILENT, spring(name)) for hour in range(24)]
    return Scenario([*steady(name), *started(name, values)], asked)


def clocks_changed(shift: int, name: str) -> Scenario:
    """A week ago the calls of 8 to 20 o'clock came an hour earlier, or later."""
    before = hours((8 + shift, 0), (12, 50), (4 - shift, 0))
    since = hours((8, 0), (12, 50), (4, 0))
    values = " ".join([*[before] * 2, *[since] * (DAYS - 2)])
    asked = [quiet(at(NOW - 24 + hour / 3), SILENT, spring(name)) for hour in range(140)]
    return Scenario([*steady(name), *started(name, values)], asked)


SCENARIOS["a_night_after_the_clocks_went_back_is_no_silence"] = partial(clocks_changed, -1)
SCENARIOS["a_night_after_the_clocks_went_forward_is_no_silence"] = partial(clocks_changed, 1)


@scenario
def a_few_calls_a_week_ago_make_no_usual_hour(name: str) -> Scenario:
    values = hours((NOW, 15), (24, 0))
    asked = [quiet(at(NOW + hour), SILENT, spring(name)) for hour in (1, 2, 3)]
    return Scenario([*steady(name), *started(name, values)], asked)


@scenario
def the_first_week_knows_no_usual_hour(name: str) -> Scenario:
    values = hours((72, 50), (24, 0))
    asked = [quiet(at(72 + hour), SILENT, spring(name)) for hour in (1, 5, 20)]
    return Scenario([*steady(name), *started(name, values)], asked)


@scenario
def a_campaign_that_is_known_to_be_paused_is_no_silence(name: str) -> Scenario:
    """Nor is one that was paused until just now: it has not been silent for 40 minutes."""
    values = hours((NOW, 50), (24, 0))
    running = hours((NOW, 1), (3, 0), (21, 1))
    world = [*steady(name), series("pearl_outbound_running", running, spring(name))]
    asked = [quiet(at(NOW + hour), SILENT, spring(name)) for hour in (1, 2, 3, 10 / 3)]
    asked += [firing(at(NOW + 13 / 3), SILENT, spring(name))]
    return Scenario([*world, *started(name, values)], asked)


@scenario
def silence_is_not_told_of_an_exporter_that_is_down(name: str) -> Scenario:
    values = f"{hours((NOW, 50))} {absent(18)}"
    asked = [quiet(at(NOW + hour), SILENT, spring(name)) for hour in (1, 2, 3)]
    return Scenario([*steady(name), *started(name, values)], asked)


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return failures(tmp_path_factory.mktemp("weekly"), SCENARIOS, only=ORDER, step="20m")


@pytest.mark.parametrize("name", SCENARIOS)
def test(name: str, failed: dict[str, str]) -> None:
    assert name not in failed, failed[name]
