"""The checks at the end of a soak, against an exporter that polls the same campaigns."""

from dataclasses import dataclass

import msgspec
import pytest

from bench.soak.configuration import (
    FOLLOW_SECONDS,
    INTERVAL_SECONDS,
    SCAN_SECONDS,
    SETTLE_SECONDS,
    SETTLE_UNANSWERED_SECONDS,
    WINDOW_SECONDS,
    counting_rules,
)
from bench.soak.counter_check import counter_failures, recount_of, wanted_counters
from bench.soak.final_checks import max_gap_seconds
from bench.soak.recorded_polls import RecordedPoll, RecordingStore, read_polls, recording_trackers
from bench.soak.row_check import SimulatedRows, Span, row_failures, span_of
from bench.soak.window_check import window_figures
from bench.support.simulated_api import STABLE, USUAL, Workload
from pearl_exporter.polling.snapshot import OutboundSnapshot
from pearl_exporter.simulator import Campaign, truth
from pearl_exporter.simulator.call_life import CallLife
from pearl_exporter.state.store import MemoryStore
from tests.support.oracle import live, row_of
from tests.support.virtual_time import run_virtually
from tests.support.world import DAWN_MS, World

RUN_SECONDS = 1500
END_MS = DAWN_MS + (RUN_SECONDS + SCAN_SECONDS) * 1000
FOLLOW_MS = FOLLOW_SECONDS * 1000
WINDOW_MS = WINDOW_SECONDS * 1000


@dataclass(frozen=True)
class Polled:
    """An exporter's polls of one campaign, and what it publishes in the end."""

    campaign: Campaign
    polls: list[RecordedPoll]
    snapshot: OutboundSnapshot

    @property
    def rows(self) -> SimulatedRows:
        return SimulatedRows(self.campaign, DAWN_MS - FOLLOW_MS, END_MS)


def campaigns(kind: str, number: int) -> list[Campaign]:
    workload = Workload(30, kind, 7200.0, outbounds=number, history_ms=7_200_000)
    return workload.campaigns(DAWN_MS)


def polled(campaign: Campaign) -> Polled:
    """Poll a campaign as a soak does, in virtual time."""
    polls: list[RecordedPoll] = []

    async def story() -> OutboundSnapshot:
        waits = {"settle": SETTLE_SECONDS, "settle_unanswered": SETTLE_UNANSWERED_SECONDS}
        world = World(
            [campaign],
            frozen=True,
            poll={"follow": FOLLOW_SECONDS, "window": WINDOW_SECONDS},
            outbound={"window": WINDOW_SECONDS, "interval": INTERVAL_SECONDS, **waits},
            store=RecordingStore(MemoryStore(), polls.append),
        )
        await world.app.start(polling=False)
        poller = world.app.pollers[0]
        for wait in [0] + [INTERVAL_SECONDS] * (RUN_SECONDS // INTERVAL_SECONDS) + [SCAN_SECONDS]:
            await world.wait(wait)
            assert await poller.poll() is None
        await world.app.stop()
        return poller.snapshot

    with recording_trackers():
        snapshot = run_virtually(story())
    return Polled(campaign, polls, snapshot)


def counters(snapshot: OutboundSnapshot) -> dict[tuple[str, str], float]:
    ledger = snapshot.calls.ledger
    by_label = {
        "pearl_calls_total": ledger.by_status,
        "pearl_telephony_calls_total": ledger.by_call_status,
        "pearl_tagged_calls_total": ledger.by_tag,
        "pearl_calls_uncounted_total": ledger.uncounted,
        "pearl_call_revisions_total": ledger.revisions,
        "pearl_call_duration_seconds_count": {
            status: sum(each.counts) for status, each in ledger.durations.items()
        },
        "pearl_call_duration_seconds_sum": {
            status: each.total_seconds for status, each in ledger.durations.items()
        },
    }
    found = {(name, key): n for name, values in by_label.items() for key, n in values.items()}
    found |= {
        ("pearl_calls_started_total", ""): ledger.started,
        ("pearl_untagged_calls_total", ""): ledger.untagged,
        ("pearl_live_calls", ""): snapshot.calls.live,
        ("pearl_pending_calls", ""): snapshot.calls.pending,
    }
    return {series: number for series, number in found.items() if number}


def wanted(of: Polled) -> dict[tuple[str, str], float]:
    return wanted_counters(recount_of(of.polls, counting_rules()))


def at(poll: RecordedPoll) -> Span:
    """Here the table stands still during a poll."""
    return Span(poll.now, poll.now)


def older_unsettled(campaign: Campaign, *, are_live: bool) -> list[CallLife]:
    """Calls not settled at T0 that began before the window that is read then."""
    calls = campaign.calls(DAWN_MS - FOLLOW_MS, DAWN_MS - WINDOW_MS - 1)
    rows = [(call, row_of(call, DAWN_MS)) for call in calls]
    return [
        call
        for call, row in rows
        if live(row) is are_live
        and (are_live or call.start + (row.duration + SETTLE_SECONDS) * 1000 > DAWN_MS)
    ]


@pytest.fixture(scope="module")
def stable() -> Polled:
    """A campaign of stable rows, with older unsettled calls of both kinds at T0."""
    made = campaigns(STABLE, 200)
    return polled(
        next(
            each
            for each in made
            if older_unsettled(each, are_live=False) and older_unsettled(each, are_live=True)
        )
    )


@pytest.fixture(scope="module")
def changing() -> Polled:
    return polled(campaigns(USUAL, 10)[-1])


def test_counters_of_stable_rows_equal_the_oracle(stable):
    published = counters(stable.snapshot)
    assert counter_failures(published, wanted(stable)) == []
    assert len(published) > 20


def test_counters_of_changing_rows_equal_the_oracle(changing):
    published = counters(changing.snapshot)
    assert counter_failures(published, wanted(changing)) == []
    assert any("uncounted" in metric for metric, _ in published)
    assert any("revisions" in metric for metric, _ in published)


@pytest.mark.parametrize("are_live", [False, True], ids=["ended", "live"])
def test_calls_older_than_the_first_window_are_read_if_live(stable, are_live):
    """A call that has ended is found by no search of the first poll, though it has not settled."""
    read = {row.id for poll in stable.polls for row in poll.rows}
    call_id = stable.campaign.row_writer.call_id
    for call in older_unsettled(stable.campaign, are_live=are_live):
        assert (call_id(call) in read) is are_live


@pytest.mark.parametrize("change", [1, -1])
def test_one_call_more_or_less_than_the_oracle_is_reported(stable, change):
    series = ("pearl_calls_total", "success")
    published = counters(stable.snapshot)
    found = counter_failures({**published, series: published[series] + change}, wanted(stable))
    assert [each.partition(":")[0] for each in found] == ["pearl_calls_total success"]


def test_a_poll_that_is_not_recorded_is_reported(stable):
    """The oracle knows only what the record says."""
    shorter = Polled(stable.campaign, stable.polls[:20], stable.snapshot)
    assert counter_failures(counters(stable.snapshot), wanted(shorter))


@pytest.mark.parametrize("kind", ["stable", "changing"])
def test_every_row_read_is_that_of_the_simulated_call(kind, request):
    of = request.getfixturevalue(kind)
    rows = of.rows
    assert sum(len(poll.rows) for poll in of.polls) > 300
    assert [each for poll in of.polls for each in row_failures(rows, poll, at(poll))] == []


def test_a_row_that_the_api_did_not_have_is_reported(stable):
    poll = stable.polls[-1]
    row = poll.rows[0]
    changed = msgspec.structs.replace(row, duration=row.duration + 1)
    altered = msgspec.structs.replace(poll, rows=[changed, *poll.rows[1:]])
    (found,) = row_failures(stable.rows, altered, at(poll))
    assert row.id in found
    assert "the API had this row never" in found


def test_a_row_that_was_not_read_is_reported(stable):
    poll = stable.polls[-1]
    row = next(row for row in poll.rows if any(a <= row.start < b for a, b in poll.ranges))
    rest = [each for each in poll.rows if each is not row]
    (found,) = row_failures(stable.rows, msgspec.structs.replace(poll, rows=rest), at(poll))
    assert found == f"T {poll.now}: call {row.id} was not read"


def test_a_row_is_right_if_the_poll_could_have_read_it(stable):
    """While a poll sends its requests the table changes."""
    call = next(
        call
        for call in stable.campaign.calls(DAWN_MS, END_MS)
        if call.queued < call.talk < call.written
    )
    before, after = (
        msgspec.structs.replace(row_of(call, moment), id=stable.campaign.row_writer.call_id(call))
        for moment in (call.written - 1, call.written)
    )
    rows = stable.rows
    assert rows.was(before, Span(call.written - 1, call.written + 9))
    assert rows.was(after, Span(call.written - 1, call.written + 9))
    assert not rows.was(before, Span(call.written, call.written + 9))
    assert not rows.was(after, Span(call.written - 9, call.written - 1))


def test_a_poll_may_have_read_after_the_clock_was_moved(stable):
    poll = msgspec.structs.replace(stable.polls[0], read_until=DAWN_MS + 500)
    paused, moved = DAWN_MS + 60_000, DAWN_MS + 180_000
    assert span_of(poll, paused, moved) == Span(DAWN_MS - 7_000, DAWN_MS + 1_500)
    late = msgspec.structs.replace(poll, read_until=paused + 500)
    assert span_of(late, paused, moved).end == moved


def test_a_window_equals_the_simulators_truth(changing):
    found = window_figures(
        msgspec.to_builtins(truth(changing.campaign, END_MS, WINDOW_MS).as_json(), str_keys=True)
    )
    window = changing.snapshot.calls.window
    published = {
        ("pearl_window_calls", "status"): window.by_status,
        ("pearl_window_telephony_calls", "call_status"): window.by_call_status,
        ("pearl_window_tagged_calls", "tag"): window.by_tag,
        ("pearl_window_untagged_calls", ""): {"": window.untagged},
        ("pearl_window_call_duration_seconds_gcount", ""): {"": sum(window.durations.counts)},
        ("pearl_window_call_duration_seconds_gsum", ""): {"": window.durations.total_seconds},
    }
    assert found == {
        key: {value: number for value, number in values.items() if number}
        for key, values in published.items()
    }


def test_a_deleted_call_is_wanted_until_two_reads_missed_it(changing):
    """Its last row counts beside the simulator's truth, which no longer has it."""
    figures = msgspec.to_builtins(
        truth(changing.campaign, END_MS, WINDOW_MS).as_json(), str_keys=True
    )
    over = next(row for row in changing.polls[-1].rows if row.duration and not live(row))
    before, after = window_figures(figures), window_figures(figures, [over])
    status, seconds = ("pearl_window_calls", "status"), "pearl_window_call_duration_seconds_gsum"
    assert sum(after[status].values()) == sum(before[status].values()) + 1
    assert after[seconds, ""][""] == before[seconds, ""][""] + over.duration


def test_the_api_is_asked_whether_a_missing_call_is_deleted(changing):
    deleted, kept = (
        next(call for call in changing.campaign.calls(DAWN_MS, END_MS) if is_it(call))
        for is_it in (
            lambda call: call.appear < call.deleted < END_MS,
            lambda call: call.appear < END_MS < call.deleted,
        )
    )
    id_of, rows = changing.campaign.row_writer.call_id, changing.rows
    assert rows.has(id_of(deleted), deleted.deleted - 1)
    assert not rows.has(id_of(deleted), deleted.deleted)
    assert rows.has(id_of(kept), END_MS)
    assert not rows.has("no such call", END_MS)


def test_the_longest_time_between_two_polls_is_reported(stable):
    moments = (100_000, 115_000, 160_000, 160_000, 175_000)
    polls = [msgspec.structs.replace(stable.polls[0], now=moment) for moment in moments]
    assert max_gap_seconds(polls) == 45
    assert max_gap_seconds(polls[:1]) == 0


def test_records_are_read_back_by_outbound(stable, tmp_path):
    file = tmp_path / "polls.jsonl"
    file.write_bytes(b"".join(msgspec.json.encode(poll) + b"\n" for poll in stable.polls[:3]))
    assert read_polls(file) == {stable.campaign.outbound_id: stable.polls[:3]}
