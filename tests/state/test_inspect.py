"""A look at a state where an exporter starts at that very moment."""

import asyncio

import pytest

from pearl_exporter.counting.calls import Call
from pearl_exporter.counting.tracker import Tracker
from pearl_exporter.errors import StateError
from pearl_exporter.state import inspect as look
from pearl_exporter.state.inspect import look_for
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


@pytest.fixture
def during_a_look(monkeypatch):
    """Has something happen while the state is being read, so many times."""

    def happens(what, times):
        read, left = look._known, list(range(times))

        def interrupted(connection, call_id):
            known = [*read(connection, call_id)]
            if left:
                left.pop()
                what()
            return known

        monkeypatch.setattr(look, "_known", interrupted)

    return happens


def test_what_an_exporter_writes_meanwhile_is_found(state, during_a_look):
    during_a_look(lambda: asyncio.run(play(state, (T0 + MINUTE, [LATE]))), times=1)
    (known,) = look_for(str(state), "late")
    assert known.call is not None


def test_the_log_of_an_exporter_that_runs_meanwhile_is_read(state, during_a_look):
    """Its file is as it was: what it wrote is in the log beside it alone."""
    before = state.read_bytes()
    with asyncio.Runner() as runner:
        stores = []

        def starts():
            stores.append(open_store(f"sqlite:///{state}"))
            tracker = Tracker(RULES)
            applied = apply_rows(tracker, [LATE], ranges=[(T0, T0 + MINUTE)], now=T0 + MINUTE)
            runner.run(stores[0].commit("outbound", applied.delta))

        during_a_look(starts, times=1)
        (known,) = look_for(str(state), "late")
        assert state.read_bytes() == before
        runner.run(stores[0].aclose())
    assert known.call is not None


def test_a_state_that_never_holds_still_is_told(state, during_a_look):
    seen = iter(range(1, 1000))

    def writes():
        asyncio.run(play(state, (T0 + next(seen) * MINUTE, [])))

    during_a_look(writes, times=1000)
    with pytest.raises(StateError, match=r"state\.db: it changed with every look at it.*Ask again"):
        look_for(str(state), "late")


def test_what_looks_damaged_while_it_changes_is_looked_at_again(state, during_a_look):
    def tears():
        asyncio.run(play(state, (T0 + MINUTE, [LATE])))
        raise ValueError("torn")

    during_a_look(tears, times=1)
    (known,) = look_for(str(state), "late")
    assert known.call is not None


def test_a_state_at_rest_that_is_damaged_is_told_at_once(state, during_a_look):
    def tears():
        raise ValueError("torn")

    during_a_look(tears, times=1)
    with pytest.raises(StateError, match="it is damaged"):
        look_for(str(state), "late")
