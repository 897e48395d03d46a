"""A state is read as of one moment, also where an exporter starts at that very moment."""

import asyncio
import os
import sqlite3
from contextlib import chdir, closing
from pathlib import Path

import pytest
from sqlalchemy import Connection

from pearl_exporter.counting.calls import Call
from pearl_exporter.counting.tracker import Tracker
from pearl_exporter.errors import StateError
from pearl_exporter.state.inspect import CallRecord, call_records, find_call, read_state
from pearl_exporter.state.store import open_store
from tests.counting.test_journal import play
from tests.support.saving import RULES, T0, apply_rows

MINUTE = 60_000
LATE = Call("late", T0 + 1000, 40, 3)


@pytest.fixture
def state(tmp_path):
    path = tmp_path / "state.db"
    asyncio.run(play(path, (T0, [])))
    return path


def find_late(state: Path, meanwhile, times: int) -> list[CallRecord]:
    """Find the call `LATE`; ``meanwhile`` happens at the end of each of the first reads."""
    left = list(range(times))

    def read(connection: Connection) -> list[CallRecord]:
        records = call_records(connection, "late")
        if left:
            left.pop()
            meanwhile()
        return records

    return read_state(str(state), read)


def test_what_an_exporter_writes_meanwhile_is_found(state):
    (record,) = find_late(state, lambda: asyncio.run(play(state, (T0 + MINUTE, [LATE]))), times=1)
    assert record.call is not None


def test_the_log_of_an_exporter_that_starts_meanwhile_is_read(state):
    """Its file is as it was: what it wrote is in the log beside it alone."""
    before = state.read_bytes()
    with asyncio.Runner() as runner:
        stores = []

        def starts():
            stores.append(open_store(f"sqlite:///{state}"))
            tracker = Tracker(RULES)
            applied = apply_rows(tracker, [LATE], ranges=[(T0, T0 + MINUTE)], now=T0 + MINUTE)
            runner.run(stores[0].commit("outbound", applied.delta))

        (record,) = find_late(state, starts, times=1)
        assert state.read_bytes() == before
        runner.run(stores[0].aclose())
    assert record.call is not None


def test_a_state_that_keeps_changing_is_an_error(state):
    seen = iter(range(1, 1000))

    def writes():
        asyncio.run(play(state, (T0 + next(seen) * MINUTE, [])))

    with pytest.raises(StateError, match=r"state\.db: it changed at every attempt .*Try again"):
        find_late(state, writes, times=1000)


def test_what_looks_damaged_while_it_changes_is_read_again(state):
    def tears():
        asyncio.run(play(state, (T0 + MINUTE, [LATE])))
        raise ValueError("torn")

    (record,) = find_late(state, tears, times=1)
    assert record.call is not None


def test_damage_in_a_state_at_rest_is_reported_at_once(state):
    def tears():
        raise ValueError("torn")

    with pytest.raises(StateError, match="it is damaged"):
        find_late(state, tears, times=1)


def test_a_damaged_file_is_an_error(state):
    state.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    with pytest.raises(StateError, match=r"state\.db: it is damaged \(.*\)$"):
        find_call(str(state), "late")


def test_a_file_that_may_not_be_read_says_what_to_do(state):
    state.chmod(0)
    state.parent.chmod(0o755)
    is_root = os.geteuid() == 0
    message = "state.db: unable to open database file: run it as a user that can read the file"
    with chdir(state.parent):
        try:
            if is_root:
                os.seteuid(65534)
            with pytest.raises(StateError, match=message):
                find_call("state.db", "late")
        finally:
            if is_root:
                os.seteuid(0)


def test_an_empty_database_is_no_state(state):
    state.write_bytes(b"")
    with pytest.raises(StateError, match="it is no state of pearl-exporter"):
        find_call(str(state), "late")


def test_the_database_of_another_program_is_refused(tmp_path):
    path = tmp_path / "theirs.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    with pytest.raises(StateError, match=r"theirs\.db: it is the database of another program"):
        find_call(str(path), "late")
