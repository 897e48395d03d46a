"""The durable state: what was committed is there again after any end of the process."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pearl_exporter.counting.calls import Call
from pearl_exporter.counting.tracker import Tracker
from pearl_exporter.errors import StateError
from pearl_exporter.state.records import DiscoveredOutbound
from pearl_exporter.state.store import MemoryStore, open_store
from tests.state.states import commit, plain, polled_tracker, run_sql, some_calls, url_of
from tests.support.saving import RULES, T0, apply_rows, calls_of


async def test_what_was_committed_is_loaded(path):
    store = open_store(url_of(path))
    tracker, applied = polled_tracker()
    await commit(store, applied)
    applied = apply_rows(
        tracker, some_calls()[1:], ranges=[(T0 - 3_570_000, T0 + 30_000 + 1)], now=T0 + 30_000
    )
    await commit(store, applied)
    await store.aclose()
    again = open_store(url_of(path))
    assert plain(await again.load("outbound")) == plain(tracker.saved())
    assert await again.load("another") is None
    await again.aclose()


@settings(max_examples=30, deadline=None)
@given(
    polls=st.lists(
        st.lists(
            st.tuples(
                st.integers(0, 8), st.sampled_from([1, 40, 100, 150, None]), st.integers(0, 3)
            )
        ),
        max_size=5,
    )
)
async def test_any_sequence_of_commits_adds_up_to_the_tracker(tmp_path_factory, polls):
    path = tmp_path_factory.mktemp("state") / "state.db"
    store = open_store(url_of(path))
    tracker, now = Tracker(RULES), T0
    for rows in polls:
        now += 20 * 60_000
        calls = {
            f"call-{key}": Call(f"call-{key}", T0 + key * 700_000, status, 4, float(duration))
            for key, status, duration in rows
            if T0 + key * 700_000 <= now
        }
        applied = apply_rows(tracker, calls.values(), ranges=[(T0 - 1, now + 1)], now=now)
        await commit(store, applied)
    await store.aclose()
    store = open_store(url_of(path))
    saved = await store.load("outbound")
    assert (saved and plain(saved)) == (tracker.saved() and plain(tracker.saved()))
    await store.aclose()


async def test_what_was_learned_is_saved_by_hour_and_forgotten(path):
    store = open_store(url_of(path))
    _, applied = polled_tracker()
    for signals in ({7: b"a", 8: b"b"}, {8: b"c", 9: b"d"}, {}, {7: None}):
        await store.commit("outbound", applied.delta._replace(signals=signals))
    await store.commit("another", applied.delta._replace(signals={7: b"x"}))
    await store.aclose()
    again = open_store(url_of(path))
    assert (await again.load("outbound")).signals == {8: b"c", 9: b"d"}
    assert (await again.load("another")).signals == {7: b"x"}
    await again.aclose()


async def test_damaged_calls_are_not_loaded(path):
    store = open_store(url_of(path))
    _, applied = polled_tracker()
    await commit(store, applied)
    run_sql(path, "UPDATE blocks SET calls = x'94'")
    saved = await store.load("outbound")
    with pytest.raises(ValueError, match="damaged"):
        Tracker(RULES, saved)
    await store.aclose()


async def test_outbounds_are_kept_apart(path):
    store = open_store(url_of(path))
    for outbound_id, status in (("a", 100), ("b", 150)):
        tracker = Tracker(RULES)
        applied = apply_rows(
            tracker, [Call("same id", T0, status, 4)], ranges=[(T0 - 1, T0 + 1)], now=T0
        )
        await commit(store, applied, outbound_id)
    loaded = {key: calls_of(await store.load(key))["same id"].call.status for key in ("a", "b")}
    assert loaded == {"a": 100, "b": 150}
    await store.aclose()


async def test_a_commit_that_fails_saves_nothing(path):
    store = open_store(url_of(path))
    tracker, applied = polled_tracker()
    await commit(store, applied)
    before = plain(await store.load("outbound"))
    run_sql(
        path,
        "CREATE TRIGGER full BEFORE DELETE ON blocks "
        "BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END",
    )
    applied = apply_rows(tracker, [], ranges=[(T0, T0 + 200_000_000 + 1)], now=T0 + 200_000_000)
    with pytest.raises(StateError, match="disk is full"):
        await commit(store, applied)
    assert plain(await store.load("outbound")) == before
    await store.aclose()


async def test_a_first_commit_may_fail_and_the_next_succeed(path):
    store = open_store(url_of(path))
    run_sql(
        path,
        "CREATE TRIGGER full BEFORE INSERT ON blocks "
        "BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END",
    )
    tracker, applied = polled_tracker()
    with pytest.raises(StateError, match="disk is full"):
        await commit(store, applied)
    assert await store.load("outbound") is None
    run_sql(path, "DROP TRIGGER full")
    tracker, applied = polled_tracker()
    await commit(store, applied)
    assert plain(await store.load("outbound")) == plain(tracker.saved())
    await store.aclose()


async def test_no_value_of_a_call_is_in_an_error_text(path):
    store = open_store(url_of(path))
    run_sql(path, "DROP TABLE blocks")
    tracker = Tracker(RULES)
    applied = apply_rows(
        tracker, [Call("secret-id", T0, 100, 4, 5.0)], ranges=[(T0 - 1, T0 + 1)], now=T0
    )
    with pytest.raises(StateError) as failed:
        await commit(store, applied)
    assert "secret-id" not in str(failed.value)
    await store.aclose()


async def test_discovered_outbounds_survive_a_restart(path):
    url = url_of(path)
    first = (DiscoveredOutbound("a1", "spring"), DiscoveredOutbound("b2", ""))
    store = open_store(url)
    assert await store.load_discovered() == ()
    await store.save_discovered(first)
    await store.aclose()
    store = open_store(url)
    assert await store.load_discovered() == first
    await store.save_discovered((DiscoveredOutbound("b2", "autumn"),))
    assert await store.load_discovered() == (DiscoveredOutbound("b2", "autumn"),)
    await store.save_discovered(())
    assert await store.load_discovered() == ()
    await store.aclose()


async def test_memory_keeps_nothing():
    store = open_store("memory:")
    assert isinstance(store, MemoryStore)
    _, applied = polled_tracker()
    await commit(store, applied)
    assert await store.load("outbound") is None
    await store.aclose()


async def test_it_knows_of_which_outbounds_it_has_something(path):
    store = open_store(url_of(path))
    assert await store.known() == frozenset()
    _, applied = polled_tracker()
    for outbound in ("a", "b"):
        await commit(store, applied, outbound)
    assert await store.known() == {"a", "b"}
    await store.aclose()
    assert await MemoryStore().known() == frozenset()
