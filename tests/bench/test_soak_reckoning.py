"""A soak's reckoning of every counter, against an exporter that polls the same campaigns."""

import pytest

from bench.soak.fates import FOLLOW_MS, NEVER_SEEN, WINDOW_MS, Tracking, fates_of
from bench.soak.lab import (
    FOLLOW_SECONDS,
    INTERVAL_SECONDS,
    SCAN_SECONDS,
    SETTLE_SECONDS,
    UNANSWERED_SECONDS,
    WINDOW_SECONDS,
)
from bench.soak.reckoning import Reckoned, bounds_of, compare
from bench.world import CALM, USUAL, Table
from pearl_exporter.polling.snapshot import OutboundSnapshot
from pearl_exporter.simulator import Campaign
from pearl_exporter.simulator.call_life import CallLife
from pearl_exporter.simulator.truth import live
from tests.support.virtual_time import run_virtually
from tests.support.world import DAWN_MS, World

RUN_SECONDS = 1500
TRACKING = Tracking(
    first=DAWN_MS,
    since=DAWN_MS,
    paused=DAWN_MS + RUN_SECONDS * 1000,
    at=DAWN_MS + (RUN_SECONDS + SCAN_SECONDS) * 1000,
    until=DAWN_MS + (RUN_SECONDS + SCAN_SECONDS) * 1000,
    gap=INTERVAL_SECONDS * 1000,
)


def campaigns(kind: str, number: int) -> list[Campaign]:
    return Table(30, kind, 7200.0, outbounds=number, history_ms=7_200_000).campaigns(DAWN_MS)


def polled(campaign: Campaign) -> OutboundSnapshot:
    """What is published after the run of a soak, and its last poll."""

    async def story() -> OutboundSnapshot:
        waits = {"settle": SETTLE_SECONDS, "settle_unanswered": UNANSWERED_SECONDS}
        world = World(
            [campaign],
            frozen=True,
            poll={"follow": FOLLOW_SECONDS, "window": WINDOW_SECONDS},
            outbound={"window": WINDOW_SECONDS, "interval": INTERVAL_SECONDS, **waits},
        )
        await world.app.start(polling=False)
        poller = world.app.pollers[0]
        for wait in [0] + [INTERVAL_SECONDS] * (RUN_SECONDS // INTERVAL_SECONDS) + [SCAN_SECONDS]:
            await world.wait(wait)
            assert await poller.poll() is None
        await world.app.stop()
        return poller.snapshot

    return run_virtually(story())


def counters(snapshot: OutboundSnapshot) -> dict[tuple[str, str], float]:
    ledger = snapshot.calls.ledger
    by_label = {
        "pearl_calls_total": ledger.by_status,
        "pearl_telephony_calls_total": ledger.by_call_status,
        "pearl_tagged_calls_total": ledger.by_tag,
        "pearl_calls_uncounted_total": ledger.uncounted,
        "pearl_call_duration_seconds_count": {
            status: sum(each.counts) for status, each in ledger.durations.items()
        },
        "pearl_call_duration_seconds_sum": {
            status: each.total_seconds for status, each in ledger.durations.items()
        },
    }
    found = {(name, key): n for name, told in by_label.items() for key, n in told.items()}
    return found | {
        ("pearl_calls_started_total", ""): ledger.started,
        ("pearl_untagged_calls_total", ""): ledger.untagged,
    }


def reckoned(campaign: Campaign, published: dict[tuple[str, str], float]) -> Reckoned:
    calls = campaign.calls(DAWN_MS - FOLLOW_MS, TRACKING.at)
    bounds = bounds_of([fates_of(campaign, call, TRACKING) for call in calls])
    found = Reckoned()
    compare(found, "it", published, bounds)
    return found


def older_unsettled(campaign: Campaign, *, are_live: bool) -> list[CallLife]:
    """Calls not settled at T0 that began before the window that is read then."""
    calls = campaign.calls(DAWN_MS - FOLLOW_MS, DAWN_MS - WINDOW_MS - 1)
    rows = [(call, campaign.row(call, DAWN_MS)) for call in calls]
    return [
        call
        for call, row in rows
        if live(row) is are_live
        and (are_live or call.start + (row["duration"] + SETTLE_SECONDS) * 1000 > DAWN_MS)
    ]


@pytest.fixture(scope="module")
def calm() -> Campaign:
    """One whose rows keep what they say, with older unsettled calls of both kinds at T0."""
    made = campaigns(CALM, 200)
    return next(
        each
        for each in made
        if older_unsettled(each, are_live=False) and older_unsettled(each, are_live=True)
    )


@pytest.fixture(scope="module")
def published(calm) -> dict[tuple[str, str], float]:
    return counters(polled(calm))


def test_calls_whose_rows_keep_what_they_say_leave_the_counters_one_value(calm, published):
    found = reckoned(calm, published)
    assert (found.faults, found.bounded) == ([], 0)
    assert found.exact > 20


def test_calls_that_change_leave_them_a_range():
    campaign = campaigns(USUAL, 10)[-1]
    found = reckoned(campaign, counters(polled(campaign)))
    assert found.faults == []
    assert found.bounded
    assert found.uncounted
    assert found.width < found.started / 20


@pytest.mark.parametrize("are_live", [False, True], ids=["ended", "live"])
def test_of_calls_older_than_the_first_window_those_count_that_are_live(calm, are_live):
    """One that has ended is found by no search of the first poll, though it has not settled."""
    for call in older_unsettled(calm, are_live=are_live):
        is_never_seen = fates_of(calm, call, TRACKING) == {NEVER_SEEN}
        assert is_never_seen is not are_live


@pytest.mark.parametrize("change", [1, -1])
def test_one_call_more_or_less_than_the_truth_is_told(calm, published, change):
    series = ("pearl_calls_total", "success")
    found = reckoned(calm, {**published, series: published[series] + change})
    assert [each.split(":")[1] for each in found.faults] == [" pearl_calls_total success"]
