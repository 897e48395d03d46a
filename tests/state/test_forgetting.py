"""What is forgotten is gone: from memory, from the exemplars, and from the file's bytes."""

import sqlite3

import pytest

from pearl_exporter.counting.calls import Call
from pearl_exporter.counting.settlement import CountingRules
from pearl_exporter.counting.tracker import Applied, Tracker
from pearl_exporter.state.sqlite import configure_connection
from pearl_exporter.state.store import open_store
from tests.support.saving import apply_rows

SECOND = 1000
NOON = 1_795_000_000_000
RULES = CountingRules(
    window_ms=600 * SECOND,
    settle_ms=SECOND,
    settle_unanswered_ms=SECOND,
    follow_ms=600 * SECOND,
    catch_up_ms=600 * SECOND,
    scan_every_ms=900 * SECOND,
    buckets=(5.0,),
)
POLLS = 60
CALLS_A_POLL = 20


def call_id(number: int, form: str) -> str:
    return form.format(f"{number:014x}")


def poll(tracker: Tracker, turn: int, form: str) -> Applied:
    """Thirty seconds later: as many calls have come, all over."""
    start, now = NOON + turn * 30 * SECOND, NOON + (turn + 1) * 30 * SECOND
    rows = [
        Call(call_id(turn * CALLS_A_POLL + number, form), start + number * SECOND, 100, 4, 3.0)
        for number in range(CALLS_A_POLL)
    ]
    return apply_rows(tracker, rows, ranges=[(start, now)], now=now)


@pytest.mark.parametrize("form", ["65f1c0ffee{0}", "call-{0}"])
async def test_a_call_that_left_the_window_is_nowhere_in_the_file(tmp_path, form):
    path = tmp_path / "state.db"
    store, tracker = open_store(f"sqlite:///{path}"), Tracker(RULES)
    for turn in range(POLLS):
        applied = poll(tracker, turn, form)
        await store.commit("outbound", applied.delta)
    await store.aclose()
    content = path.read_bytes()
    tracked = {
        number for number in range(POLLS * CALLS_A_POLL) if tracker.calls.get(call_id(number, form))
    }
    assert 300 < len(tracked) < 500
    found = {number for number in range(POLLS * CALLS_A_POLL) if is_in(content, number, form)}
    journaled = set(range(min(tracked) - CALLS_A_POLL, min(tracked)))
    assert found <= tracked | journaled, "the journal goes by polls: an interval later"
    assert len(found & tracked) > len(tracked) - 20, "but for those that lie across two pages"
    assert not list(tmp_path.glob("state.db-*")), "the log is gone with the last connection"


def is_in(content: bytes, number: int, form: str) -> bool:
    text = call_id(number, form)
    forms = [text.encode()]
    if not set(text) - set("0123456789abcdef"):
        forms.append(bytes.fromhex(text))
    return any(each in content for each in forms)


def test_forgotten_bytes_are_overwritten_by_any_sqlite():
    connection = sqlite3.connect(":memory:")
    connection.execute("PRAGMA secure_delete=OFF")
    configure_connection(connection)
    assert connection.execute("PRAGMA secure_delete").fetchone() == (1,)
    connection.close()


def test_an_exemplar_goes_with_its_call_and_its_count_stays():
    tracker = Tracker(RULES)
    # too late to be history: tracking began just before
    apply_rows(tracker, [], ranges=[(NOON - SECOND, NOON)], now=NOON)
    poll(tracker, 0, "65f1c0ffee{0}")
    durations = tracker.snapshot().ledger.durations["success"]
    assert durations.exemplars[0] == (call_id(CALLS_A_POLL - 1, "65f1c0ffee{0}"), 3.0)
    much_later = NOON + 3600 * SECOND
    apply_rows(tracker, [], ranges=[(much_later - 600 * SECOND, much_later)], now=much_later)
    durations = tracker.snapshot().ledger.durations["success"]
    assert durations.exemplars == (None, None)
    assert durations.counts == (CALLS_A_POLL, 0)
