"""The durable state: what was committed is there after any end, and a bad file is left alone."""

import asyncio
import json
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pearl_exporter.counting.calls import Call
from pearl_exporter.counting.journal import CallHistory
from pearl_exporter.counting.saved import SavedOutbound
from pearl_exporter.counting.tracker import Tracker
from pearl_exporter.errors import StateError
from pearl_exporter.state.inspect import look_for
from pearl_exporter.state.records import Saved as Discovered
from pearl_exporter.state.store import MemoryStore, open_store
from tests.support.saving import RULES, T0, calls_of


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def plain(saved: SavedOutbound) -> tuple:
    return saved.progress, calls_of(saved)


def some_calls() -> list[Call]:
    return [
        Call("live", T0 - 5_000, status=40, call_status=3),
        Call("done", T0 - 9_000, 100, 4, 3.5, ("vip", "zurück\nrufen", "🎉")),
        Call("odd", T0 - 7_000, status=777, call_status=-12),
        Call("old", T0 - 3_000_000, None, None),
    ]


async def commit(store, tracker: Tracker, outbound_id: str = "outbound") -> None:
    delta = tracker.take_delta()
    assert delta is not None
    await store.commit(outbound_id, delta)


def test_what_was_committed_is_loaded(tmp_path):
    async def story():
        store = open_store(url_of(tmp_path / "state.db"))
        tracker = Tracker(RULES)
        tracker.apply(some_calls(), ranges=[(T0 - 3_600_000, T0 + 1)], now=T0)
        await commit(store, tracker)
        tracker.apply(some_calls()[1:], ranges=[(T0 - 3_570_000, T0 + 30_000 + 1)], now=T0 + 30_000)
        await commit(store, tracker)
        await store.aclose()
        again = open_store(url_of(tmp_path / "state.db"))
        assert plain(await again.load("outbound")) == plain(tracker.saved())
        assert await again.load("another") is None
        await again.aclose()

    asyncio.run(story())


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
def test_any_row_of_commits_adds_up_to_the_tracker(tmp_path_factory, polls):
    async def story():
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
            tracker.apply(calls.values(), ranges=[(T0 - 1, now + 1)], now=now)
            await commit(store, tracker)
        await store.aclose()
        store = open_store(url_of(path))
        saved = await store.load("outbound")
        assert (saved and plain(saved)) == (tracker.saved() and plain(tracker.saved()))
        await store.aclose()

    asyncio.run(story())


VERSION_1 = """
CREATE TABLE pearl_exporter_schema (version INTEGER NOT NULL);
INSERT INTO pearl_exporter_schema VALUES (1);
CREATE TABLE outbounds (
    number INTEGER NOT NULL, id VARCHAR NOT NULL, progress BLOB NOT NULL,
    PRIMARY KEY (number), UNIQUE (id)
);
CREATE TABLE calls (
    outbound INTEGER NOT NULL, id VARCHAR NOT NULL, start BIGINT NOT NULL, status INTEGER,
    call_status INTEGER, duration FLOAT NOT NULL, tags TEXT, phase SMALLINT NOT NULL,
    seen_live_at BIGINT, in_window BOOLEAN NOT NULL, is_absent BOOLEAN NOT NULL,
    odd_codes SMALLINT NOT NULL,
    PRIMARY KEY (outbound, id), FOREIGN KEY (outbound) REFERENCES outbounds (number)
) WITHOUT ROWID;
"""
"""What the first version made of an empty file."""


def test_a_state_of_version_1_goes_on_where_it_was(tmp_path):
    trackers = {"a": Tracker(RULES), "b": Tracker(RULES)}
    trackers["a"].apply(some_calls(), ranges=[(T0 - 3_600_000, T0 + 1)], now=T0)
    trackers["a"].apply(some_calls()[:3], ranges=[(T0 - 3_570_000, T0 + 9)], now=T0 + 8)
    trackers["b"].apply(
        [Call(f"{n:024x}", T0 - n, 100, 4, 5.0) for n in range(700)],
        ranges=[(T0 - 3_600_000, T0 + 1)],
        now=T0,
    )
    path = tmp_path / "state.db"
    with sqlite3.connect(path) as connection:
        connection.executescript(VERSION_1)
        for number, (outbound_id, tracker) in enumerate(trackers.items(), 1):
            progress = msgspec.to_builtins(tracker.saved().progress)
            del progress["newest"], progress["tag_rules"]  # that version knew of neither
            progress = msgspec.msgpack.encode(progress)
            connection.execute(
                "INSERT INTO outbounds VALUES (?, ?, ?)", (number, outbound_id, progress)
            )
            for each in calls_of(tracker.saved()).values():
                call = each.call
                connection.execute(
                    f"INSERT INTO calls VALUES ({', '.join('?' * 12)})",
                    (
                        number,
                        call.id,
                        call.start,
                        call.status,
                        call.call_status,
                        call.duration,
                        json.dumps(call.tags) if call.tags else None,
                        int(each.phase),
                        each.seen_live_at,
                        each.in_window,
                        each.is_absent,
                        each.unknown_codes,
                    ),
                )
    connection.close()

    async def story():
        store = open_store(url_of(path))
        for outbound_id, tracker in trackers.items():
            progress, calls = plain(await store.load(outbound_id))
            wanted, calls_wanted = plain(tracker.saved())
            assert calls == calls_wanted
            # as late as it may have been, so that no clock that steps back makes a call count twice
            newest = max(wanted.low_watermark, wanted.newest)
            assert progress == msgspec.structs.replace(wanted, newest=newest, tag_rules="")
        await store.aclose()

    asyncio.run(story())
    with sqlite3.connect(path) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        names = {name for (name,) in tables}
        assert names == {"pearl_exporter_schema", "outbounds", "blocks", "discovered", "journal"}
    connection.close()


def test_damaged_calls_are_told_from_good_ones(tmp_path):
    async def story():
        store = open_store(url_of(tmp_path / "state.db"))
        tracker = Tracker(RULES)
        tracker.apply(some_calls(), ranges=[(T0 - 3_600_000, T0 + 1)], now=T0)
        await commit(store, tracker)
        await store._in_thread(
            lambda connection: connection.exec_driver_sql("UPDATE blocks SET calls = x'94'")
        )
        saved = await store.load("outbound")
        with pytest.raises(ValueError, match="damaged"):
            Tracker(RULES, saved)
        await store.aclose()

    asyncio.run(story())


def test_outbounds_are_kept_apart(tmp_path):
    async def story():
        store = open_store(url_of(tmp_path / "state.db"))
        for outbound_id, status in (("a", 100), ("b", 150)):
            tracker = Tracker(RULES)
            tracker.apply([Call("same id", T0, status, 4)], ranges=[(T0 - 1, T0 + 1)], now=T0)
            await commit(store, tracker, outbound_id)
        loaded = {key: calls_of(await store.load(key))["same id"].call.status for key in ("a", "b")}
        assert loaded == {"a": 100, "b": 150}
        await store.aclose()

    asyncio.run(story())


def test_a_folder_that_is_missing_is_made(tmp_path):
    async def story():
        store = open_store(url_of(tmp_path / "new" / "folder" / "state.db"))
        assert await store.load("outbound") is None
        await store.aclose()

    asyncio.run(story())
    assert (tmp_path / "new" / "folder" / "state.db").exists()


def test_it_is_in_wal_mode_and_synchronous(tmp_path):
    async def story():
        store = open_store(url_of(tmp_path / "state.db"))
        modes = await store._in_thread(
            lambda connection: [
                connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous")
            ]
        )
        assert modes == ["wal", 2]
        await store.aclose()

    asyncio.run(story())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"hello, this is no database", "is no SQLite database"),
        (b"SQLite format 3\0" + b"\xff" * 5000, "."),
    ],
    ids=["text", "garbage behind the header"],
)
def test_a_damaged_file_is_refused_and_left_as_it_was(tmp_path, content, said):
    path = tmp_path / "state.db"
    path.write_bytes(content)
    with pytest.raises(StateError, match=said) as refused:
        open_store(url_of(path))
    assert str(path) in str(refused.value)
    assert path.read_bytes() == content


def damaged_state(path: Path) -> bytes:
    async def story():
        store = open_store(url_of(path))
        tracker = Tracker(RULES)
        calls = [Call(f"call-{n:05d}", T0 - n, 100, 4, 5.0) for n in range(3000)]
        tracker.apply(calls, ranges=[(T0 - 3_600_000, T0 + 1)], now=T0)
        await commit(store, tracker)
        await store.aclose()

    asyncio.run(story())
    content = bytearray(path.read_bytes())
    content[20_000:40_000] = os.urandom(20_000)
    path.write_bytes(content)
    return bytes(content)


def test_a_state_with_torn_pages_is_refused_and_left_as_it_was(tmp_path):
    path = tmp_path / "state.db"
    content = damaged_state(path)
    with pytest.raises(StateError, match=r"damaged|malformed"):
        open_store(url_of(path))
    assert path.read_bytes() == content


def test_a_state_of_a_newer_version_is_refused_and_left_as_it_was(tmp_path):
    path = tmp_path / "state.db"
    asyncio.run(open_store(url_of(path)).aclose())
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE pearl_exporter_schema SET version = 99")
    connection.close()
    content = path.read_bytes()
    with pytest.raises(StateError, match="newer pearl-exporter"):
        open_store(url_of(path))
    assert path.read_bytes() == content


def test_the_database_of_another_program_is_refused_and_left_as_it_was(tmp_path):
    path = tmp_path / "state.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    content = path.read_bytes()
    with pytest.raises(StateError, match="another program"):
        open_store(url_of(path))
    assert path.read_bytes() == content


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StateError, match="file"):
        open_store(url_of(tmp_path / "file" / "state.db"))


@pytest.fixture
def nobody(tmp_path, monkeypatch):
    """A user who may read the working directory and what is in it, and write nothing new there."""
    monkeypatch.chdir(tmp_path)
    asyncio.run(open_store("sqlite:///state.db").aclose())
    for file in tmp_path.iterdir():
        file.chmod(0o666)
    tmp_path.chmod(0o555)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    yield
    if is_root:
        os.seteuid(0)
    tmp_path.chmod(0o755)


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("state.db", "state.db: unable to open database file"),
        ("new.db", "new.db: Permission denied"),
        ("new/state.db", "new/state.db: its folder new can't be made: Permission denied"),
    ],
    ids=["folder", "file", "folder in it"],
)
def test_what_may_not_be_written_is_refused_with_what_to_do(path, said):
    with pytest.raises(StateError) as refused:
        open_store(f"sqlite:///{path}")
    assert str(refused.value) == (
        f"{said}; the user that runs this must be able to write the file and its folder"
    )


def test_a_second_exporter_on_the_same_state_is_refused(tmp_path):
    url = url_of(tmp_path / "state.db")
    store = open_store(url)
    code = (
        "import sys\n"
        "from pearl_exporter.errors import StateError\n"
        "from pearl_exporter.state.store import open_store\n"
        "try: open_store(sys.argv[1])\n"
        "except StateError as error: print(error)\n"
    )
    second = subprocess.run(
        [sys.executable, "-c", code, url], capture_output=True, text=True, check=True
    )
    assert "in use by another pearl-exporter" in second.stdout
    with pytest.raises(StateError, match="in use"):
        open_store(url)
    asyncio.run(store.aclose())
    asyncio.run(open_store(url).aclose())


def test_a_link_to_the_state_is_the_same_state(tmp_path):
    """Also for who only looks: SQLite's log lies beside the file that is meant."""
    (tmp_path / "link.db").symlink_to(tmp_path / "state.db")

    async def story():
        store = open_store(url_of(tmp_path / "state.db"))
        tracker = Tracker(RULES)
        tracker.apply(some_calls(), ranges=[(T0 - 3_600_000, T0 + 1)], now=T0)
        await commit(store, tracker)
        with pytest.raises(StateError, match="in use"):
            open_store(url_of(tmp_path / "link.db"))
        assert [each.outbound_id for each in look_for(str(tmp_path / "link.db"), "id")] == [
            "outbound"
        ]
        await store.aclose()

    asyncio.run(story())
    asyncio.run(open_store(url_of(tmp_path / "link.db")).aclose())


def test_a_commit_that_fails_saves_nothing_of_itself(tmp_path):
    async def story():
        store = open_store(url_of(tmp_path / "state.db"))
        tracker = Tracker(RULES)
        tracker.apply(some_calls(), ranges=[(T0 - 3_600_000, T0 + 1)], now=T0)
        await commit(store, tracker)
        before = plain(await store.load("outbound"))
        await store._in_thread(
            lambda connection: connection.exec_driver_sql(
                "CREATE TRIGGER full BEFORE DELETE ON blocks "
                "BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END"
            )
        )
        tracker.apply([], ranges=[(T0, T0 + 200_000_000 + 1)], now=T0 + 200_000_000)
        with pytest.raises(StateError, match="disk is full"):
            await commit(store, tracker)
        assert plain(await store.load("outbound")) == before
        await store.aclose()

    asyncio.run(story())


def test_a_first_commit_that_fails_does_not_spoil_the_next(tmp_path):
    async def story():
        store = open_store(url_of(tmp_path / "state.db"))
        await store._in_thread(
            lambda connection: connection.exec_driver_sql(
                "CREATE TRIGGER full BEFORE INSERT ON blocks "
                "BEGIN SELECT RAISE(FAIL, 'database or disk is full'); END"
            )
        )
        tracker = Tracker(RULES)
        tracker.apply(some_calls(), ranges=[(T0 - 3_600_000, T0 + 1)], now=T0)
        with pytest.raises(StateError, match="disk is full"):
            await commit(store, tracker)
        assert await store.load("outbound") is None
        await store._in_thread(lambda connection: connection.exec_driver_sql("DROP TRIGGER full"))
        tracker = Tracker(RULES)
        tracker.apply(some_calls(), ranges=[(T0 - 3_600_000, T0 + 1)], now=T0)
        await commit(store, tracker)
        assert plain(await store.load("outbound")) == plain(tracker.saved())
        await store.aclose()

    asyncio.run(story())


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_file_that_is_taken_away_fails_the_commits_until_it_is_back(tmp_path, is_replaced):
    """Else all would be written to a file that no start finds again."""

    async def story():
        path, aside = tmp_path / "state.db", tmp_path / "aside.db"
        store, tracker = open_store(url_of(path)), Tracker(RULES)
        tracker.apply(some_calls(), ranges=[(T0 - 3_600_000, T0 + 1)], now=T0)
        delta = tracker.take_delta()
        path.rename(aside)
        if is_replaced:
            path.write_bytes(aside.read_bytes())
        with pytest.raises(StateError, match="removed or replaced while it was in use"):
            await store.commit("outbound", delta)
        aside.replace(path)
        await store.commit("outbound", delta)
        await store.aclose()
        again = open_store(url_of(path))
        assert plain(await again.load("outbound")) == plain(tracker.saved())
        await again.aclose()

    asyncio.run(story())


def test_a_truncated_state_says_what_to_do(tmp_path):
    path = tmp_path / "state.db"
    content = damaged_state(path)[:9_000]
    path.write_bytes(content)
    with pytest.raises(StateError, match="restore a copy, or move it away"):
        open_store(url_of(path))
    assert path.read_bytes() == content


def test_no_value_of_a_call_is_in_an_error_text(tmp_path):
    async def story():
        store = open_store(url_of(tmp_path / "state.db"))
        await store._in_thread(lambda connection: connection.exec_driver_sql("DROP TABLE blocks"))
        tracker = Tracker(RULES)
        tracker.apply([Call("secret-id", T0, 100, 4, 5.0)], ranges=[(T0 - 1, T0 + 1)], now=T0)
        with pytest.raises(StateError) as failed:
            await commit(store, tracker)
        assert "secret-id" not in str(failed.value)
        await store.aclose()

    asyncio.run(story())


def test_the_state_is_readable_by_its_owner_alone(tmp_path):
    path = tmp_path / "state.db"
    asyncio.run(open_store(url_of(path)).aclose())
    assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


def test_what_was_discovered_outlasts_a_restart(tmp_path):
    url = url_of(tmp_path / "state.db")
    first = (Discovered("a1", "spring"), Discovered("b2", ""))

    async def story():
        store = open_store(url)
        assert await store.load_discovered() == ()
        await store.save_discovered(first)
        await store.aclose()
        store = open_store(url)
        assert await store.load_discovered() == first
        await store.save_discovered((Discovered("b2", "autumn"),))
        assert await store.load_discovered() == (Discovered("b2", "autumn"),)
        await store.save_discovered(())
        assert await store.load_discovered() == ()
        await store.aclose()

    asyncio.run(story())


def test_a_state_of_version_2_goes_on_where_it_was(tmp_path):
    path = tmp_path / "state.db"

    async def story():
        store = open_store(url_of(path))
        tracker = Tracker(RULES)
        tracker.apply(some_calls(), ranges=[(T0 - 3_600_000, T0 + 1)], now=T0)
        await commit(store, tracker)
        saved = plain(await store.load("outbound"))
        await store.aclose()
        with sqlite3.connect(path) as connection:
            connection.executescript("DROP TABLE discovered; DROP TABLE journal;")
            connection.execute("UPDATE pearl_exporter_schema SET version = 2")
        connection.close()
        store = open_store(url_of(path))
        assert plain(await store.load("outbound")) == saved
        assert await store.load_discovered() == ()
        await store.aclose()

    asyncio.run(story())
    (known,) = look_for(str(path), "done")
    assert (known.told, known.journal_since) == (CallHistory(), T0)


def test_memory_keeps_nothing():
    async def story():
        store = open_store("memory:")
        assert isinstance(store, MemoryStore)
        tracker = Tracker(RULES)
        tracker.apply(some_calls(), ranges=[(T0 - 3_600_000, T0 + 1)], now=T0)
        await commit(store, tracker)
        assert await store.load("outbound") is None
        await store.aclose()

    asyncio.run(story())
