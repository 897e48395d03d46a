"""The journal: what each poll noted is found again call by call, and it stays bounded."""

import asyncio
import sqlite3

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from pearl_exporter.counting.calls import Call
from pearl_exporter.counting.compact_ids import compact_id
from pearl_exporter.counting.journal import Absence, CallHistory, Journal, history_of
from pearl_exporter.counting.labels import TagRules
from pearl_exporter.counting.tracker import Tracker
from pearl_exporter.errors import StateError
from pearl_exporter.patterns import Pattern
from pearl_exporter.state.inspect import find_call
from pearl_exporter.state.store import open_store
from tests.support.saving import RULES, T0, apply_rows

IDS = st.one_of(st.integers(0, 9).map("{:024x}".format), st.text(st.characters(codec="utf-8")))


def test_the_journal_has_each_time_for_which_a_call_was_missing():
    entries = []
    for at, add in enumerate(["add_missing", "add_back", "add_missing", "add_back", "add_missing"]):
        journal = Journal()
        for call_id in ("call", "other") if at % 2 else ("call",):
            getattr(journal, add)(call_id)
        entries.append((at, journal.take() or b""))
    wanted = (Absence(0, 1), Absence(2, 3), Absence(4))
    assert history_of("call", entries).absences == wanted
    assert history_of("other", entries).absences == ()


def test_entries_of_before_calls_could_be_missing_are_read():
    """A state of schema version 4 may hold entries without these two columns."""
    entries = msgspec.msgpack.encode([b"", ["call"], {}, []])
    assert history_of("call", [(7, entries)]) == CallHistory(settled_at=7, settled_times=1)


@given(polls=st.lists(st.tuples(st.lists(IDS), st.lists(IDS), st.lists(IDS))), asked=IDS)
def test_what_polls_noted_of_a_call_is_found_again(polls, asked):
    entries = []
    for at, (seen, settled, lost) in enumerate(polls):
        journal = Journal()
        for call_id in settled:
            journal.add_settled(call_id)
        for call_id in lost:
            journal.add_lost(call_id, "deleted")
            journal.add_revision(
                Call(call_id, 0, 100), Call(call_id, 0, 150, tags=("a",)), is_counted=True
            )
        journal.add_seen(map(compact_id, seen))
        if (taken := journal.take()) is not None:
            entries.append((at, taken))
        assert journal.take() is None
    history = history_of(asked, entries)
    assert history.settled_times == sum(settled.count(asked) for _, settled, _ in polls)
    assert history.lost_at == max(
        (at for at, each in enumerate(polls) if asked in each[2]), default=None
    )
    assert len(history.revisions) == sum(lost.count(asked) for _, _, lost in polls)
    first = (at for at, (seen, _, _) in enumerate(polls) if asked in seen)
    assert history.seen_at == next(first, None)


def test_other_tag_rules_relabel_a_call_and_revise_nothing():
    def polled(tracker: Tracker, rows: list[Call], now: int) -> tuple[int, bytes]:
        applied = apply_rows(tracker, rows, ranges=[(now - 3_600_000, now + 1)], now=now)
        return now, applied.delta.journal or b""

    call = Call("call", T0 + 1000, 100, 4, 5.0, ("vip",))
    before = Tracker(structs.replace(RULES, tags=TagRules(exclude=Pattern("vip"))))
    entries = [polled(before, [], T0), polled(before, [call], T0 + 300_000)]
    after = Tracker(RULES, before.saved())
    entries.append(polled(after, [call], T0 + 330_000))
    ((_, change),) = history_of("call", entries).revisions
    assert (change.before[3], change.after[3]) == (("_other",), ("vip",))
    assert not change.is_counted
    assert not any(after.snapshot().ledger.revisions.values())


@pytest.mark.parametrize("content", [b"x", b"\x94", b"abc"])
def test_a_damaged_journal_is_refused(content):
    with pytest.raises(ValueError, match="damaged"):
        history_of("", [(0, content)])


async def play(path, *polls):
    """Commits polls (T, rows) of one outbound as an exporter would."""
    store, tracker = open_store(f"sqlite:///{path}"), Tracker(RULES)
    for now, rows in polls:
        ranges = [(now - RULES.window_ms, now + 1)]
        applied = apply_rows(tracker, rows, ranges=ranges, now=now)
        await store.commit("outbound", applied.delta)
    await store.aclose()


def test_a_call_is_followed_from_first_sight_to_its_revision(tmp_path):
    path, start, minute = tmp_path / "state.db", T0 + 10_000, 60_000
    live = Call("call", start, 40, 3)
    done, revised = Call("call", start, 100, 4, 30.0), Call("call", start, 110, 4, 30.0)
    polls = [(T0, []), *[(T0 + n * minute, [live if n == 1 else done]) for n in range(1, 5)]]
    asyncio.run(play(path, *polls, (T0 + 5 * minute, [revised])))
    (known,) = find_call(str(path), "call")
    assert known.history.seen_at == T0 + minute
    assert (known.history.settled_at, known.history.settled_times) == (T0 + 3 * minute, 1)
    ((at, revision),) = known.history.revisions
    assert (at, revision.before[0], revision.after[0]) == (T0 + 5 * minute, 100, 110)


def test_a_first_read_is_not_journaled_call_by_call(tmp_path):
    path = tmp_path / "state.db"
    asyncio.run(play(path, (T0, [Call("old", T0 - 900_000, 100, 4, 5.0)])))
    (known,) = find_call(str(path), "old")
    assert known.call is not None
    assert known.history == CallHistory()


def test_entries_of_forgotten_calls_are_deleted(tmp_path):
    """The entry of a deleted call stays as long as the call is tracked."""
    path, hour = tmp_path / "state.db", 3_600_000
    rows = [Call(f"{n:024x}", T0 + n * hour, 100, 4, 5.0) for n in range(1, 9)]
    rows[-1] = Call(rows[-1].id, rows[-1].start, 40, 3)
    polls = [(row.start + hour // 6, [row]) for row in rows]
    deleted = polls[-1][0] + 1 + RULES.settle_ms
    missing = (polls[-1][0] + 1, [])
    asyncio.run(play(path, (T0, []), *polls, missing, (deleted, [])))
    with sqlite3.connect(path) as connection:
        kept = [at for (at,) in connection.execute("SELECT polled_at FROM journal")]
    connection.close()
    assert kept == [polls[-1][0], missing[0], deleted]
    (known,) = find_call(str(path), rows[-1].id)
    assert (known.history.lost_as, known.history.lost_at) == ("deleted", deleted)


def test_a_look_makes_no_file_and_waits_for_no_lock(tmp_path):
    missing = tmp_path / "no" / "state.db"
    with pytest.raises(StateError, match="no such file"):
        find_call(str(missing), "call")
    assert not missing.parent.exists()
    path = tmp_path / "state.db"
    asyncio.run(play(path, (T0, [])))
    before = sorted(each.name for each in tmp_path.iterdir()), path.read_bytes()
    find_call(str(path), "call")
    assert (sorted(each.name for each in tmp_path.iterdir()), path.read_bytes()) == before


@pytest.mark.parametrize(("version", "age"), [(2, "an older"), (99, "a newer")])
def test_a_state_of_another_version_is_refused_plainly(tmp_path, version, age):
    path = tmp_path / "state.db"
    asyncio.run(play(path, (T0, [])))
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE pearl_exporter_schema SET version = ?", (version,))
    connection.close()
    with pytest.raises(StateError, match=f"{age} pearl-exporter"):
        find_call(str(path), "call")
