"""The other alerts: each fires, does not, resolves, outlasts a restart, needs its series."""

from collections.abc import Callable

import pytest

from tests.rules.promtool import (
    Make,
    Scenario,
    absent,
    alerts,
    counter,
    failures,
    firing,
    gauge,
    quiet,
    series,
    target,
)
from tests.rules.world import spring, steady

SCENARIOS: dict[str, Make] = {}
LENGTH = 60
"""Minutes that all of them last."""


def scenario(make: Callable[[str], Scenario]) -> Callable[[str], Scenario]:
    SCENARIOS[make.__name__] = make
    return make


# The campaign and the account


@scenario
def calls_stuck(name: str) -> Scenario:
    """The oldest call began at -9,000 s, so it is three hours old at minute 30."""
    labels, alert = spring(name), "PearlCallsStuck"
    start = gauge((45, -9_000), (15, 2_400))
    world = [series("pearl_oldest_live_call_start_timestamp_seconds", start, labels)]
    asked = [quiet(29, alert, labels), quiet(35, alert, labels), firing(42, alert, labels)]
    return Scenario(world, [*asked, quiet(57, alert, labels)])


@scenario
def calls_stuck_through_a_restart(name: str) -> Scenario:
    labels, alert = spring(name), "PearlCallsStuck"
    start = f"{gauge((20, -20_000))} {absent(5)} {gauge((35, -20_000))}"
    world = [series("pearl_oldest_live_call_start_timestamp_seconds", start, labels)]
    return Scenario(world, [firing(minute, alert, labels) for minute in (19, 22, 25, 27, 35)])


@scenario
def no_credit(name: str) -> Scenario:
    labels, alert = target(name), "PearlNoCredit"
    world = [series("pearl_account_credit_balance", gauge((20, 3), (20, 0), (20, 50)), labels)]
    asked = [quiet(19, alert, labels), firing(30, alert, labels), quiet(45, alert, labels)]
    return Scenario(world, asked)


@scenario
def no_credit_through_a_restart(name: str) -> Scenario:
    labels, alert = target(name), "PearlNoCredit"
    balance = f"{gauge((20, 0))} {absent(2)} {gauge((38, 0))}"
    world = [series("pearl_account_credit_balance", balance, labels)]
    return Scenario(world, [firing(minute, alert, labels) for minute in (19, 21, 23, 30)])


# The exporter


@scenario
def exporter_down(name: str) -> Scenario:
    labels, alert = target(name), "PearlExporterDown"
    world = [series("up", gauge((20, 1), (20, 0), (20, 1)), labels)]
    asked = [quiet(19, alert, labels), quiet(24, alert, labels), firing(26, alert, labels)]
    return Scenario(world, [*asked, firing(39, alert, labels), quiet(41, alert, labels)])


@scenario
def exporter_down_in_a_job_of_another_name(name: str) -> Scenario:
    labels, alert = {**target(name), "job": "calls"}, "PearlExporterDown"
    build = f"{gauge((20, 1))} {absent(40)}"
    world = [
        series("up", gauge((20, 1), (40, 0)), labels),
        series("pearl_exporter_build_info", build, labels, version="1", python_version="3"),
    ]
    return Scenario(world, [quiet(19, alert, labels), firing(26, alert, labels)])


@scenario
def another_program_down(name: str) -> Scenario:
    labels, alert = {**target(name), "job": "node"}, "PearlExporterDown"
    world = [series("up", gauge((60, 0)), labels)]
    return Scenario(world, [quiet(minute, alert, labels) for minute in (5, 59)])


@scenario
def exporter_restarted(name: str) -> Scenario:
    labels = target(name)
    world = [series("up", gauge((20, 1), (1, 0), (39, 1)), labels)]
    asked = [quiet(minute, "PearlExporterDown", labels) for minute in (20, 21, 22, 25)]
    return Scenario(world, asked)


@scenario
def exporter_gone(name: str) -> Scenario:
    """Its target is no longer scraped from minute 20 to 45."""
    labels, alert = {**target(name), "job": name}, "PearlExporterGone"
    seen = f"{gauge((20, 1))} {absent(25)} {gauge((15, 1))}"
    world = [
        series("up", seen, labels),
        series("pearl_exporter_build_info", seen, labels, version="1", python_version="3"),
    ]
    job = {"job": name}
    asked = [quiet(19, alert, job), quiet(22, alert, job), firing(26, alert, job)]
    return Scenario(world, [*asked, firing(44, alert, job), quiet(47, alert, job)])


@scenario
def never_there(name: str) -> Scenario:
    job = {"job": name, "instance": name}
    world = [series("up", gauge((60, 1)), job)]
    return Scenario(world, [quiet(59, "PearlExporterGone", job)])


# Polls that fail


def failing(name: str, reason: str, *, after: float, lasting: float, every: float) -> Scenario:
    """Polls fail for this reason from ``after`` on, once in so many minutes."""
    labels = spring(name)
    rest = LENGTH - after - lasting
    up = gauge((after, 1), (lasting, 0), (rest, 1))
    failures_ = counter((after, 0), (lasting, 1 / every), (rest, 0))
    others = {"auth", "not_found", "rate_limited", "timeout"} - {reason}
    world = [
        series("pearl_outbound_up", up, labels),
        series("pearl_exporter_poll_failures_total", failures_, labels, reason=reason),
        *(
            series("pearl_exporter_poll_failures_total", gauge((LENGTH, 0)), labels, reason=each)
            for each in sorted(others)
        ),
    ]
    return Scenario(world, [])


REASONS = {
    "auth": "PearlTokenRefused",
    "not_found": "PearlOutboundNotFound",
    "rate_limited": "PearlRateLimited",
    "timeout": "PearlOutboundFailing",
}


def add_failures() -> None:
    for reason, alert in REASONS.items():

        def fails(name: str, reason: str = reason, alert: str = alert) -> Scenario:
            """Through the longest backoff, of five minutes, it goes on firing."""
            labels = spring(name)
            asked = [
                quiet(9, alert, labels),
                *(firing(m, alert, labels, reason=reason) for m in (18, 22, 26, 34)),
                quiet(37, alert, labels),
                *(quiet(30, each, labels) for each in REASONS.values() if each != alert),
            ]
            made = failing(name, reason, after=10, lasting=25, every=5)
            return Scenario(made.world, asked)

        def fails_once(name: str, reason: str = reason, alert: str = alert) -> Scenario:
            made = failing(name, reason, after=10, lasting=0.5, every=0.5)
            return Scenario(made.world, [quiet(m, alert, spring(name)) for m in (10, 11, 13, 20)])

        def fails_through_a_restart(
            name: str, reason: str = reason, alert: str = alert
        ) -> Scenario:
            """The counter begins at 0 again, as the exporter's own counters do."""
            labels = spring(name)
            again = f"{counter((20, 2))} {absent(1)} {counter((39, 2))}"
            world = [
                series("pearl_outbound_up", f"{gauge((20, 0))} {absent(1)} 0x155", labels),
                series("pearl_exporter_poll_failures_total", again, labels, reason=reason),
            ]
            return Scenario(world, [firing(m, alert, labels, reason=reason) for m in (19, 30)])

        def failures_without_up(name: str, reason: str = reason, alert: str = alert) -> Scenario:
            world = [
                series(
                    "pearl_exporter_poll_failures_total",
                    counter((60, 2)),
                    spring(name),
                    reason=reason,
                )
            ]
            return Scenario(world, [quiet(30, alert, spring(name))])

        def refused_to_another(name: str) -> Scenario:
            """The token is refused, and another outbound asks: this one has no failure."""
            labels = spring(name)
            refused = gauge((10, 0), (25, 1), (LENGTH - 35, 0))
            world = [series("pearl_outbound_token_refused", refused, labels)]
            token = "PearlTokenRefused"
            asked = [quiet(9, token, labels), quiet(37, token, labels)]
            asked += [firing(m, token, labels, reason="auth") for m in (12, 34)]
            return Scenario(world, asked)

        if reason == "auth":
            SCENARIOS["auth_refused_to_another"] = refused_to_another

        for make in (fails, fails_once, fails_through_a_restart, failures_without_up):
            SCENARIOS[f"{reason}_{make.__name__}"] = make


add_failures()


# Old data, the budget, tags, configuration


@scenario
def data_stale(name: str) -> Scenario:
    """The last good poll was at minute 10; the next is at minute 40."""
    labels, alert = spring(name), "PearlDataStale"
    at = f"0+15x39 600x119 {40 * 60}+15x79"
    world = [
        series("pearl_outbound_data_timestamp_seconds", at, labels),
        series("pearl_outbound_poll_interval_seconds", gauge((60, 30)), labels),
    ]
    asked = [quiet(9, alert, labels), quiet(24, alert, labels), firing(28, alert, labels)]
    return Scenario(world, [*asked, firing(39, alert, labels), quiet(42, alert, labels)])


@scenario
def data_of_an_outbound_that_is_polled_every_ten_minutes(name: str) -> Scenario:
    labels = spring(name)
    at = " ".join(f"{minute * 60}x79" for minute in (0, 20, 40))
    world = [
        series("pearl_outbound_data_timestamp_seconds", at, labels),
        series("pearl_outbound_poll_interval_seconds", gauge((60, 600)), labels),
    ]
    return Scenario(world, [quiet(m, "PearlDataStale", labels) for m in (16, 19, 39, 59)])


@scenario
def data_stale_through_a_restart_without_a_good_poll(name: str) -> Scenario:
    """The saved timestamp is shown again, and is as old as it was."""
    labels, alert = spring(name), "PearlDataStale"
    world = [
        series(
            "pearl_outbound_data_timestamp_seconds",
            f"{gauge((25, 0))} {absent(0.5)} {gauge((34.5, 0))}",
            labels,
        ),
        series("pearl_outbound_poll_interval_seconds", gauge((60, 30)), labels),
    ]
    return Scenario(world, [firing(minute, alert, labels) for minute in (24, 27, 59)])


@scenario
def data_never_there(name: str) -> Scenario:
    labels = spring(name)
    world = [series("pearl_outbound_poll_interval_seconds", gauge((60, 30)), labels)]
    return Scenario(world, [quiet(59, "PearlDataStale", labels)])


def requests(name: str, *spells: tuple[float, float]) -> list:
    """Requests a minute, of two codes; 120 are allowed."""
    halves = counter(*((minutes, rate / 2) for minutes, rate in spells))
    return [
        series("pearl_exporter_api_rate_limit", gauge((LENGTH, 2)), target(name)),
        series("pearl_exporter_api_requests_total", halves, target(name), code="200"),
        series("pearl_exporter_api_requests_total", halves, target(name), code="429"),
    ]


@scenario
def budget_exceeded(name: str) -> Scenario:
    labels, alert = target(name), "PearlRequestBudgetExceeded"
    world = requests(name, (10, 60), (25, 119), (25, 60))
    asked = [quiet(9, alert, labels), firing(33, alert, labels), quiet(50, alert, labels)]
    return Scenario(world, asked)


@scenario
def budget_used_by_a_catch_up(name: str) -> Scenario:
    catching_up = series("pearl_outbound_catching_up", gauge((60, 1)), spring(name))
    asked = [quiet(m, "PearlRequestBudgetExceeded", target(name)) for m in (30, 59)]
    return Scenario([*requests(name, (60, 119)), catching_up], asked)


@scenario
def budget_through_a_restart(name: str) -> Scenario:
    labels, alert = target(name), "PearlRequestBudgetExceeded"
    world = requests(name, (60, 60))[:1]
    again = f"{counter((30, 119))} {absent(0.5)} {counter((29.5, 119))}"
    world.append(series("pearl_exporter_api_requests_total", again, labels, code="200"))
    return Scenario(world, [firing(m, alert, labels) for m in (29, 32, 45)])


@scenario
def budget_without_a_limit(name: str) -> Scenario:
    world = requests(name, (60, 119))[1:]
    return Scenario(world, [quiet(50, "PearlRequestBudgetExceeded", target(name))])


@scenario
def polls_skipped(name: str) -> Scenario:
    labels, alert = spring(name), "PearlRequestBudgetExceeded"
    skipped = counter((10, 0), (20, 1), (30, 0))
    world = [series("pearl_exporter_polls_skipped_total", skipped, labels)]
    asked = [quiet(9, alert, labels), firing(29, alert, labels), quiet(50, alert, labels)]
    return Scenario(world, asked)


@scenario
def one_poll_skipped(name: str) -> Scenario:
    labels = spring(name)
    skipped = counter((10, 0), (1, 1), (49, 0))
    world = [series("pearl_exporter_polls_skipped_total", skipped, labels)]
    return Scenario(world, [quiet(m, "PearlRequestBudgetExceeded", labels) for m in (15, 25)])


@scenario
def tags_folded(name: str) -> Scenario:
    labels, alert = spring(name), "PearlTagsFolded"
    folded = f"{gauge((10, 0), (15, 4))} {absent(1)} {gauge((19, 4), (15, 0))}"
    world = [series("pearl_exporter_folded_tags", folded, labels)]
    asked = [quiet(9, alert, labels), firing(22, alert, labels), firing(40, alert, labels)]
    return Scenario(world, [*asked, quiet(50, alert, labels)])


@scenario
def time_uncounted(name: str) -> Scenario:
    """Ten minutes are lost at a restart at minute 20: the counter is saved, so it only jumps."""
    labels, alert = spring(name), "PearlTimeUncounted"
    lost = f"{gauge((20, 0))} {absent(1)} {gauge((39, 600))}"
    world = [series("pearl_outbound_uncounted_seconds_total", lost, labels)]
    return Scenario(world, [quiet(19, alert, labels), firing(23, alert, labels)])


@scenario
def time_uncounted_long_ago(name: str) -> Scenario:
    labels = spring(name)
    world = [series("pearl_outbound_uncounted_seconds_total", gauge((60, 600)), labels)]
    return Scenario(world, [quiet(m, "PearlTimeUncounted", labels) for m in (1, 59)])


@scenario
def configuration_refused(name: str) -> Scenario:
    labels, alert = target(name), "PearlConfigReloadFailed"
    ok = f"{gauge((10, 1), (20, 0))} {absent(1)} {gauge((29, 1))}"
    world = [series("pearl_exporter_config_last_reload_successful", ok, labels)]
    asked = [quiet(9, alert, labels), firing(16, alert, labels), firing(29, alert, labels)]
    return Scenario(world, [*asked, quiet(35, alert, labels)])


@scenario
def the_list_cannot_be_read(name: str) -> Scenario:
    """An hour of health: up to minute 10 well, then not, but for a restart, then well."""
    labels, alert = target(name), "PearlDiscoveryFailing"
    up = f"{gauge((10, 1), (20, 0))} {absent(1)} {gauge((4, 0), (25, 1))}"
    asked = [quiet(9, alert, labels), quiet(20, alert, labels), firing(27, alert, labels)]
    asked += [firing(minute, alert, labels) for minute in (30, 31, 33)]
    return Scenario([series("pearl_discovery_up", up, labels)], [*asked, quiet(45, alert, labels)])


@scenario
def a_list_that_fails_for_a_while_alone(name: str) -> Scenario:
    labels, alert = target(name), "PearlDiscoveryFailing"
    up = gauge((10, 1), (10, 0), (40, 1))
    asked = [quiet(minute, alert, labels) for minute in (9, 15, 19, 25, 50)]
    return Scenario([series("pearl_discovery_up", up, labels)], asked)


# What the API's answers contradict


@scenario
def calls_deleted_before_they_settled(name: str) -> Scenario:
    """Twenty at minute 10, and five, as are usual, at minute 46.

    The counter is saved, so the restart at minute 40 changes nothing.
    """
    labels, alert = spring(name), "PearlCallsUncounted"
    lost = f"{gauge((10, 0), (30, 20))} {absent(1)} {gauge((5, 20), (14, 25))}"
    world = [
        series("pearl_calls_uncounted_total", lost, labels, reason="deleted"),
        series("pearl_calls_uncounted_total", counter((60, 1)), labels, reason="follow_expired"),
    ]
    asked = [quiet(9, alert, labels), *(quiet(m, alert, labels) for m in (30, 42, 55))]
    asked += [firing(m, alert, labels, reason="deleted") for m in (12, 22)]
    return Scenario(world, asked)


def window(name: str, calls: str, started: str, seconds: float = 3600) -> list:
    labels = spring(name)
    return [
        *steady(labels, LENGTH),
        series("pearl_window_calls", calls, labels, status="success"),
        series("pearl_window_calls", gauge((LENGTH, 0)), labels, status="error"),
        series("pearl_window_seconds", gauge((LENGTH, seconds)), labels),
        series("pearl_calls_started_total", started, labels),
    ]


@scenario
def a_window_that_is_empty_while_calls_start(name: str) -> Scenario:
    """From minute 20 to 40; it is absent in between, as after a restart."""
    labels, alert = spring(name), "PearlWindowEmptied"
    calls = f"{gauge((20, 50), (10, 0))} {absent(1)} {gauge((9, 0), (20, 50))}"
    asked = [quiet(m, alert, labels) for m in (19, 21, 50)]
    asked += [firing(m, alert, labels) for m in (24, 29, 31, 35, 39, 44)]
    return Scenario(window(name, calls, counter((60, 4))), asked)


@scenario
def a_window_that_is_empty_since_nothing_starts(name: str) -> Scenario:
    world = window(name, gauge((30, 50), (30, 0)), counter((20, 4), (40, 0)))
    return Scenario(world, [quiet(m, "PearlWindowEmptied", spring(name)) for m in (19, 29, 33, 59)])


@scenario
def a_short_window_is_empty_between_calls(name: str) -> Scenario:
    world = window(name, gauge((60, 0)), counter((60, 4)), seconds=60)
    return Scenario(world, [quiet(m, "PearlWindowEmptied", spring(name)) for m in (19, 59)])


@scenario
def a_window_is_not_compared_with_what_a_catch_up_counts(name: str) -> Scenario:
    labels = spring(name)
    world = [
        each
        for each in window(name, gauge((60, 0)), counter((60, 4)))
        if not each["series"].startswith("pearl_outbound_catching_up")
    ]
    world.append(series("pearl_outbound_catching_up", gauge((60, 1)), labels))
    return Scenario(world, [quiet(m, "PearlWindowEmptied", labels) for m in (19, 59)])


def rows(name: str, rejected: str) -> list:
    return [
        series("pearl_exporter_rows_total", counter((LENGTH, 1000)), target(name)),
        series("pearl_exporter_rows_rejected_total", rejected, target(name)),
    ]


@scenario
def rows_without_id_or_start(name: str) -> Scenario:
    labels, alert = target(name), "PearlRowsUnusable"
    asked = [quiet(m, alert, labels) for m in (9, 11, 55)]
    asked += [firing(m, alert, labels) for m in (20, 29)]
    return Scenario(rows(name, counter((10, 0), (20, 100), (30, 0))), asked)


@scenario
def a_few_rows_without_id_or_start(name: str) -> Scenario:
    asked = [quiet(m, "PearlRowsUnusable", target(name)) for m in (20, 59)]
    return Scenario(rows(name, counter((60, 5))), asked)


@scenario
def rows_without_id_or_start_through_a_restart(name: str) -> Scenario:
    labels, alert = target(name), "PearlRowsUnusable"
    world = [
        series(f"pearl_exporter_rows{kind}_total", again, labels)
        for kind, rate in (("", 1000), ("_rejected", 100))
        for again in (f"{counter((30, rate))} {absent(1)} {counter((29, rate))}",)
    ]
    return Scenario(world, [firing(m, alert, labels) for m in (29, 31, 40)])


@scenario
def rejected_rows_without_rows(name: str) -> Scenario:
    asked = [quiet(m, "PearlRowsUnusable", target(name)) for m in (20, 59)]
    return Scenario(rows(name, counter((60, 100)))[1:], asked)


@scenario
def rows_outside_the_range(name: str) -> Scenario:
    labels, alert = target(name), "PearlRowsOutsideRange"
    outside = f"{counter((10, 0), (15, 100))} {absent(1)} {counter((34, 0))}"
    world = [
        series("pearl_exporter_rows_total", counter((LENGTH, 1000)), labels),
        series("pearl_exporter_rows_outside_range_total", outside, labels),
    ]
    asked = [quiet(m, alert, labels) for m in (9, 12, 55)]
    return Scenario(world, [*asked, *(firing(m, alert, labels) for m in (20, 25.5, 28))])


@scenario
def few_rows_outside_the_range(name: str) -> Scenario:
    labels = target(name)
    world = [
        series("pearl_exporter_rows_total", counter((LENGTH, 1000)), labels),
        series("pearl_exporter_rows_outside_range_total", counter((LENGTH, 5)), labels),
    ]
    return Scenario(world, [quiet(m, "PearlRowsOutsideRange", labels) for m in (20, 59)])


@scenario
def rows_outside_the_range_without_rows(name: str) -> Scenario:
    labels = target(name)
    world = [series("pearl_exporter_rows_outside_range_total", counter((LENGTH, 100)), labels)]
    return Scenario(world, [quiet(m, "PearlRowsOutsideRange", labels) for m in (20, 59)])


@scenario
def rows_that_are_counted_and_not_listed(name: str) -> Scenario:
    labels, alert = spring(name), "PearlRowsUnreadable"
    rows_ = f"{gauge((10, 2), (20, 30))} {absent(1)} {gauge((9, 30), (20, 2))}"
    world = [series("pearl_outbound_unreadable_rows", rows_, labels)]
    asked = [quiet(m, alert, labels) for m in (9, 24, 50)]
    return Scenario(world, [*asked, *(firing(m, alert, labels) for m in (27, 30.5, 35, 39))])


@scenario
def an_outbound_that_is_read_by_offset(name: str) -> Scenario:
    """From minute 5 to 50; it is absent at minute 40, as in a restart."""
    labels, alert = spring(name), "PearlReadingByOffset"
    by_offset = f"{gauge((5, 0), (35, 1))} {absent(1)} {gauge((9, 1), (10, 0))}"
    world = [series("pearl_outbound_reads_by_offset", by_offset, labels)]
    asked = [quiet(m, alert, labels) for m in (4, 20, 34, 56)]
    return Scenario(world, [*asked, *(firing(m, alert, labels) for m in (36, 40.5, 44, 49, 53))])


@scenario
def an_outbound_that_is_not_read_by_offset_for_long(name: str) -> Scenario:
    """For 25 minutes: after the next start, the API keeps to the order again."""
    labels = spring(name)
    world = [series("pearl_outbound_reads_by_offset", gauge((5, 0), (25, 1), (30, 0)), labels)]
    asked = [quiet(m, "PearlReadingByOffset", labels) for m in (4, 20, 29, 36, 59)]
    return Scenario(world, asked)


@scenario
def log_lines_dropped(name: str) -> Scenario:
    labels, alert = target(name), "PearlLogLinesDropped"
    dropped = f"{counter((10, 0), (5, 10), (10, 0))} {absent(1)} {counter((34, 0))}"
    world = [series("pearl_exporter_log_lines_dropped_total", dropped, labels)]
    asked = [quiet(m, alert, labels) for m in (9, 35, 59)]
    return Scenario(world, [*asked, *(firing(m, alert, labels) for m in (12, 25.5, 28))])


def codes(name: str, status: str, counter_: str = "unknown_codes") -> list:
    labels = {**target(name), "outbound": "spring"}
    other = {**labels, "outbound": "autumn"}
    return [
        series("pearl_calls_started_total", counter((LENGTH, 60)), labels),
        series("pearl_calls_started_total", counter((LENGTH, 40)), other),
        series(f"pearl_exporter_{counter_}_total", status, target(name), field="status"),
        series(
            f"pearl_exporter_{counter_}_total",
            gauge((LENGTH, 0)),
            target(name),
            field="call_status",
        ),
    ]


@scenario
def codes_that_are_not_known(name: str) -> Scenario:
    """Two in a hundred calls of all outbounds, from minute 5 on."""
    labels, alert = target(name), "PearlUnknownCodes"
    asked = [quiet(m, alert, labels) for m in (4, 15)]
    asked += [firing(m, alert, labels, field="status") for m in (40, 59)]
    return Scenario(codes(name, counter((5, 0), (55, 2))), asked)


@scenario
def codes_that_are_not_known_through_a_restart(name: str) -> Scenario:
    labels, alert = target(name), "PearlUnknownCodes"
    again = f"{counter((30, 5))} {absent(1)} {counter((29, 5))}"
    asked = [firing(m, alert, labels, field="status") for m in (29, 31, 50)]
    return Scenario(codes(name, again), asked)


@scenario
def few_codes_that_are_not_known(name: str) -> Scenario:
    asked = [quiet(m, "PearlUnknownCodes", target(name)) for m in (20, 59)]
    return Scenario(codes(name, counter((60, 0.5))), asked)


@scenario
def unknown_codes_without_calls(name: str) -> Scenario:
    asked = [quiet(m, "PearlUnknownCodes", target(name)) for m in (20, 59)]
    return Scenario(codes(name, counter((60, 5)))[2:], asked)


@scenario
def fields_of_a_wrong_type(name: str) -> Scenario:
    """Two in a hundred calls of all outbounds, from minute 5 on, and a restart."""
    labels, alert = target(name), "PearlFieldsUnusable"
    unusable = f"{counter((5, 0), (25, 4))} {absent(1)} {counter((29, 4))}"
    asked = [quiet(m, alert, labels) for m in (4, 15)]
    asked += [firing(m, alert, labels, field="status") for m in (29, 31, 59)]
    return Scenario(codes(name, unusable, "unusable_fields"), asked)


@scenario
def few_fields_of_a_wrong_type(name: str) -> Scenario:
    world = codes(name, counter((60, 0.5)), "unusable_fields")
    return Scenario(world, [quiet(m, "PearlFieldsUnusable", target(name)) for m in (20, 59)])


def outcomes(name: str, unknown: str, known: str) -> list:
    return [
        series("pearl_window_calls", unknown, spring(name), status="unknown"),
        series("pearl_window_calls", known, spring(name), status="success"),
    ]


@scenario
def outcomes_that_are_missing(name: str) -> Scenario:
    """From minute 10 on, one call in five has none; the exporter is restarted meanwhile."""
    labels, alert = spring(name), "PearlOutcomesMissing"
    unknown = f"{gauge((10, 5), (10, 40))} {absent(1)} {gauge((9, 40), (30, 5))}"
    asked = [quiet(m, alert, labels) for m in (9, 14, 45)]
    asked += [firing(m, alert, labels) for m in (17, 21.5, 28)]
    return Scenario(outcomes(name, unknown, gauge((60, 160))), asked)


@scenario
def few_outcomes_that_are_missing(name: str) -> Scenario:
    """Nine of ten calls are no evidence, and ten of two hundred are usual."""
    asked = [quiet(m, "PearlOutcomesMissing", spring(name)) for m in (20, 59)]
    world = outcomes(name, gauge((30, 9), (30, 10)), gauge((30, 1), (30, 190)))
    return Scenario(world, asked)


@scenario
def clocks_that_differ(name: str) -> Scenario:
    """This machine is behind by three minutes, then a second ahead."""
    labels, alert = target(name), "PearlClockSkewed"
    skew = f"{gauge((10, 1), (12, -180))} {absent(1)} {gauge((12, -180), (25, 1))}"
    world = [series("pearl_exporter_api_clock_skew_seconds", skew, labels)]
    asked = [quiet(m, alert, labels) for m in (9, 15, 45)]
    return Scenario(world, [*asked, *(firing(m, alert, labels) for m in (21, 22.5, 25, 34))])


@scenario
def clocks_that_differ_by_a_minute(name: str) -> Scenario:
    world = [series("pearl_exporter_api_clock_skew_seconds", gauge((60, 60)), target(name))]
    return Scenario(world, [quiet(m, "PearlClockSkewed", target(name)) for m in (20, 59)])


@scenario
def nothing_at_all(name: str) -> Scenario:
    """Only health: no alert has what it needs."""
    return Scenario(
        steady(spring(name), 60), [quiet(59, alert, spring(name)) for alert in sorted(alerts())]
    )


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return failures(tmp_path_factory.mktemp("others"), SCENARIOS)


@pytest.mark.parametrize("name", SCENARIOS)
def test(name: str, failed: dict[str, str]) -> None:
    assert name not in failed, failed[name]
