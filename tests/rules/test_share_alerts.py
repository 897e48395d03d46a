"""Error and unreachable share: when their alerts fire, and what must not make them fire or resolve.

Nothing here has a past, so the usual share is the assumed one: 10% and 60%.
"""

from collections.abc import Callable, Iterable
from functools import partial

import pytest

from tests.rules.promtool import (
    ORDER,
    Make,
    Scenario,
    absent,
    counter,
    failures,
    firing,
    gauge,
    quiet,
    run,
    series,
    target,
)
from tests.rules.world import (
    LONG_AGO,
    api_outage,
    counted,
    exporter_outage,
    shares,
    spring,
    steady,
    well,
)

pytestmark = pytest.mark.slow

NAMES = {
    "error": ("PearlErrorSpike", "PearlErrorShareRaised"),
    "unreachable": ("PearlUnreachableSpike", "PearlUnreachableShareRaised"),
}
USUAL = {"error": 0.05, "unreachable": 0.3}
RAISED = {"error": 0.6, "unreachable": 0.97}
CALM = {"started": 20.0, "error": 0.6, "unreachable": 6.0, "complete": 13.4}
BAD = {"started": 20.0, "error": 12.0, "unreachable": 6.0, "complete": 2.0}

SCENARIOS: dict[str, Make] = {}


def scenario(make: Callable[[str], Scenario]) -> Callable[[str], Scenario]:
    SCENARIOS[make.__name__] = make
    return make


def for_each_share(make: Callable[[str, str], Scenario]) -> Callable[[str, str], Scenario]:
    for status in NAMES:
        SCENARIOS[f"{make.__name__}_{status}"] = partial(make, status)
    return make


def for_errors(make: Callable[[str, str], Scenario]) -> Callable[[str, str], Scenario]:
    SCENARIOS[make.__name__] = partial(make, "error")
    return make


def never(name: str, minutes: Iterable[float], alerts: Iterable[str]) -> list:
    return [quiet(minute, alert, spring(name)) for alert in alerts for minute in minutes]


@for_each_share
def a_rise_fires_within_minutes_and_resolves(status: str, name: str) -> Scenario:
    fast, _ = NAMES[status]
    calls = shares(
        (20, 20, USUAL[status]), (12, 20, RAISED[status]), (48, 20, USUAL[status]), status=status
    )
    fired = partial(firing, alert=fast, of=spring(name), status=status, speed="fast")
    asked = [quiet(19.75, fast, spring(name)), fired(26), fired(36), quiet(75, fast, spring(name))]
    return Scenario(well(name, 80, calls), asked)


@for_each_share
def the_usual_share_is_quiet(status: str, name: str) -> Scenario:
    calls = shares((45, 20, USUAL[status]), status=status)
    return Scenario(well(name, 45, calls), never(name, (5, 30, 44), NAMES[status]))


@for_each_share
def a_night_with_two_calls_both_bad_is_quiet(status: str, name: str) -> Scenario:
    calls = shares((20, 0, 0), (40, 2 / 40, 1.0), status=status)
    return Scenario(well(name, 60, calls), never(name, range(20, 60, 4), NAMES[status]))


@for_errors
def fewer_bad_calls_than_the_floor_are_quiet(status: str, name: str) -> Scenario:
    calls = shares((20, 20, USUAL[status]), (25, 0.35, 1.0), status=status)
    return Scenario(well(name, 45, calls), never(name, range(20, 45, 2), NAMES[status]))


@scenario
def a_dozen_unreachable_leads_in_minutes_page_nobody(name: str) -> Scenario:
    """They start some seconds before they count, so a window of few calls holds others' ends."""
    calls = shares((20, 20, 0.3), (22, 0, 0), (17, 0.9, 1.0), status="unreachable")
    fast, _ = NAMES["unreachable"]
    return Scenario(well(name, 59, calls), never(name, range(20, 59), [fast]))


@for_errors
def no_calls_are_quiet(status: str, name: str) -> Scenario:
    calls = shares((30, 0, 0), status=status)
    return Scenario(well(name, 30, calls), never(name, (5, 29), NAMES[status]))


@for_each_share
def few_calls_over_hours_fire_the_slow_alert_alone(status: str, name: str) -> Scenario:
    fast, slow = NAMES[status]
    calls = shares((30, 0.5, USUAL[status]), (90, 0.4, 1.0), (35, 20, 0.01), status=status)
    asked = [
        quiet(35, slow, spring(name)),
        firing(115, slow, spring(name), status=status, speed="slow"),
        quiet(115, fast, spring(name)),
        quiet(150, slow, spring(name)),
    ]
    return Scenario(well(name, 155, calls), asked)


@scenario
def a_ramp_up_in_which_failures_settle_first_is_quiet(name: str) -> Scenario:
    """Of 60 calls a minute 10% fail at once; conversations settle four minutes later."""
    calls = {
        "started": [(20, 0), (25, 60)],
        "error": [(20, 0), (25, 6)],
        "complete": [(24, 0), (21, 54)],
    }
    return Scenario(well(name, 45, calls), never(name, range(20, 45), NAMES["error"]))


@scenario
def a_stop_after_which_failures_still_settle_is_quiet(name: str) -> Scenario:
    """Failures settle for a minute after the last start, conversations for four."""
    calls = {
        "started": [(20, 60), (30, 0)],
        "error": [(21, 6), (29, 0)],
        "complete": [(24, 54), (26, 0)],
    }
    return Scenario(well(name, 50, calls), never(name, range(18, 50), NAMES["error"]))


@for_errors
def a_restart_that_counts_what_failed_meanwhile_is_quiet(status: str, name: str) -> Scenario:
    world = exporter_outage(name, (20, 1, 30), CALM, {"started": 300, status: 300})
    return Scenario(world, never(name, (20, 21, 22, 23, 24, 26, 30, 40, 50), NAMES[status]))


@for_each_share
def the_catch_up_of_a_long_exporter_outage_is_quiet(status: str, name: str) -> Scenario:
    world = exporter_outage(name, (20, 15, 30), CALM, {"started": 900, status: 900})
    return Scenario(world, never(name, (30, 34, 35, 36, 37, 39, 45, 64), NAMES[status]))


@for_errors
def the_catch_up_of_an_api_outage_is_quiet(status: str, name: str) -> Scenario:
    world = api_outage(name, (20, 15, 30), CALM, {"started": 900, status: 900})
    return Scenario(world, never(name, (30, 34, 35, 36, 37, 39, 45, 64), NAMES[status]))


@scenario
def a_restart_does_not_resolve(name: str) -> Scenario:
    return Scenario(exporter_outage(name, (20, 2, 30), BAD, BAD), fires_all_along(name, 2))


@scenario
def an_exporter_outage_of_half_an_hour_does_not_resolve(name: str) -> Scenario:
    return Scenario(exporter_outage(name, (20, 30, 30), BAD, BAD), fires_all_along(name, 30))


@scenario
def an_api_outage_of_half_an_hour_does_not_resolve(name: str) -> Scenario:
    return Scenario(api_outage(name, (20, 30, 30), BAD, BAD), fires_all_along(name, 30))


def fires_all_along(name: str, down: int) -> list:
    minutes = [*range(19, 20 + down, 3), *range(20 + down, 50 + down)]
    labels = {"status": "error", "speed": "fast"}
    return [firing(minute, "PearlErrorSpike", spring(name), **labels) for minute in minutes]


@scenario
def what_ended_during_an_outage_resolves_after_it(name: str) -> Scenario:
    """The incident is over when the exporter is back, 20 minutes later."""
    labels = spring(name)
    up = gauge((20, 1), (20, 0), (60, 1))
    rates = {"started": (20, 20), "error": (12, 0.6), "complete": (8, 19.4)}
    values = {
        key: f"{counter((20, bad))} {absent(20)} {counter((60, calm), start=5_000)}"
        for key, (bad, calm) in rates.items()
    }
    since = f"{gauge((20, LONG_AGO))} {absent(20)} {gauge((60, 40 * 60))}"
    world = [
        series("up", up, target(name)),
        series("pearl_outbound_catching_up", f"{gauge((20, 0))} {absent(20)} 0x240", labels),
        series("pearl_outbound_caught_up_timestamp_seconds", since, labels),
        *counted(labels, values),
    ]
    fired = partial(firing, alert="PearlErrorSpike", of=labels, status="error", speed="fast")
    return Scenario(world, [fired(19), fired(39), fired(41), quiet(60, "PearlErrorSpike", labels)])


@scenario
def a_lost_state_is_quiet_and_hides_nothing_later(name: str) -> Scenario:
    """All counters begin at 0 again at minute 20; ten minutes later calls fail."""
    labels = spring(name)
    values = {
        "started": f"{counter((20, 20), start=9000)} {counter((20, 20))}",
        "error": f"{counter((20, 0.6), start=5000)} {counter((10, 0.6), (10, 12))}",
    }
    world = [
        series("up", gauge((40, 1)), target(name)),
        series("pearl_outbound_catching_up", gauge((40, 0)), labels),
        series(
            "pearl_outbound_caught_up_timestamp_seconds", gauge((20, LONG_AGO), (20, 1200)), labels
        ),
        *counted(labels, values),
    ]
    later = firing(36, "PearlErrorSpike", labels, status="error", speed="fast")
    return Scenario(world, [*never(name, range(19, 30), NAMES["error"]), later])


@scenario
def counters_that_began_anew_without_a_word_are_quiet(name: str) -> Scenario:
    """No caught-up timestamp tells of it, so `resets` must."""
    values = {
        "started": f"{counter((20, 20), start=9000)} {counter((20, 20))}",
        "error": f"{counter((20, 0.6), start=5000)} {counter((20, 0.6), start=600)}",
    }
    world = [
        series("up", gauge((40, 1)), target(name)),
        *steady(spring(name), 40),
        *counted(spring(name), values),
    ]
    return Scenario(world, never(name, range(19, 40), NAMES["error"]))


@scenario
def an_outbound_that_is_no_longer_configured_resolves(name: str) -> Scenario:
    calls = well(name, 20, shares((20, 20, 0.5), status="error"))
    gone = [{**each, "values": f"{each['values']} {absent(30)}"} for each in calls[1:]]
    world = [series("up", gauge((50, 1)), target(name)), *gone]
    fired = firing(19, "PearlErrorSpike", spring(name), status="error", speed="fast")
    return Scenario(world, [fired, quiet(40, "PearlErrorSpike", spring(name))])


@for_each_share
def without_its_outcome_it_is_quiet(status: str, name: str) -> Scenario:
    world = well(name, 30, {"started": [(30, 20)], "complete": [(30, 2)]})
    return Scenario(world, never(name, (10, 29), NAMES[status]))


@for_errors
def without_health_it_is_quiet(status: str, name: str) -> Scenario:
    failing = {"started": counter((30, 20)), status: counter((30, 20))}
    return Scenario(counted(spring(name), failing), never(name, (10, 29), NAMES[status]))


@for_errors
def without_calls_started_it_goes_by_those_settled(status: str, name: str) -> Scenario:
    labels = spring(name)
    failing = counted(labels, {status: counter((30, 20))})
    world = [*steady(labels, 30), *failing]
    return Scenario(world, never(name, (10, 29), NAMES[status]))


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What did not come true; the scenarios of hours run by themselves, the others together."""
    folder = tmp_path_factory.mktemp("shares")
    hours = {name: make for name, make in SCENARIOS.items() if "hours" in name}
    minutes = {name: make for name, make in SCENARIOS.items() if name not in hours}
    return failures(folder, hours, only=ORDER) | failures(folder, minutes, only=ORDER)


@pytest.mark.parametrize("name", SCENARIOS)
def test(name: str, failed: dict[str, str]) -> None:
    assert name not in failed, failed[name]


@pytest.mark.parametrize("status", NAMES)
def test_thresholds_without_a_wobble_do(tmp_path, status) -> None:
    made = a_rise_fires_within_minutes_and_resolves(status, "old")
    test = {"input_series": made.world, "promql_expr_test": made.asked}
    assert not run(tmp_path, [test], only=ORDER, missing="wobble")
