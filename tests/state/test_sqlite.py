"""The state's SQLite file: made, locked, checked, and left unchanged where it can't be used."""

import asyncio
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from pearl_exporter.counting.calls import Call
from pearl_exporter.counting.tracker import Tracker
from pearl_exporter.errors import StateError
from pearl_exporter.state.inspect import find_call
from pearl_exporter.state.sql import CHECKPOINT_SECONDS
from pearl_exporter.state.store import open_store
from pearl_exporter.state.wal import is_log_sound
from tests.state.states import commit, plain, polled_tracker, run_sql, url_of
from tests.support.saving import RULES, T0, apply_rows


async def test_a_folder_that_is_missing_is_made(tmp_path):
    store = open_store(url_of(tmp_path / "new" / "folder" / "state.db"))
    assert await store.load("outbound") is None
    await store.aclose()
    assert (tmp_path / "new" / "folder" / "state.db").exists()


@pytest.fixture
def connections():
    """The driver's connections that are opened meanwhile."""
    opened = []

    def remember(connection, _record):
        opened.append(connection)

    event.listen(Engine, "connect", remember)
    yield opened
    event.remove(Engine, "connect", remember)


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("secure_delete", 1)],
)
async def test_it_is_in_wal_mode_and_synchronous(path, connections, pragma, value):
    store = open_store(url_of(path))
    (connection,) = connections
    assert connection.execute(f"PRAGMA {pragma}").fetchone() == (value,)
    await store.aclose()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"hello, this is no database", "is no SQLite database"),
        (b"SQLite format 3\0" + b"\xff" * 5000, "."),
    ],
    ids=["text", "garbage behind the header"],
)
def test_a_damaged_file_is_refused_and_left_unchanged(path, content, said):
    path.write_bytes(content)
    with pytest.raises(StateError, match=said) as refused:
        open_store(url_of(path))
    assert str(path) in str(refused.value)
    assert path.read_bytes() == content


async def saved_state(path: Path) -> None:
    store = open_store(url_of(path))
    tracker = Tracker(RULES)
    calls = [Call(f"call-{n:05d}", T0 - n, 100, 4, 5.0) for n in range(3000)]
    applied = apply_rows(tracker, calls, ranges=[(T0 - 3_600_000, T0 + 1)], now=T0)
    await commit(store, applied)
    await store.aclose()


def damaged_state(path: Path) -> bytes:
    asyncio.run(saved_state(path))
    content = bytearray(path.read_bytes())
    content[20_000:40_000] = os.urandom(20_000)
    path.write_bytes(content)
    return bytes(content)


def test_torn_pages_are_refused_and_left_unchanged(path):
    content = damaged_state(path)
    with pytest.raises(StateError, match=r"damaged|malformed"):
        open_store(url_of(path))
    assert path.read_bytes() == content


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StateError, match="file"):
        open_store(url_of(tmp_path / "file" / "state.db"))


@pytest.fixture
def nobody(monkeypatch, tmp_path):
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
def test_missing_write_access_is_an_error_with_a_remedy(path, said):
    with pytest.raises(StateError) as refused:
        open_store(f"sqlite:///{path}")
    assert str(refused.value) == (
        f"{said}; the user that runs this must be able to write the file and its folder"
    )


def test_a_second_exporter_on_the_same_state_is_refused(path):
    url = url_of(path)
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


async def test_a_link_to_the_state_is_the_same_state(path, tmp_path):
    """Also for who only looks: SQLite's log lies beside the file that is meant."""
    (tmp_path / "link.db").symlink_to(path)
    store = open_store(url_of(path))
    _, applied = polled_tracker()
    await commit(store, applied)
    with pytest.raises(StateError, match="in use"):
        open_store(url_of(tmp_path / "link.db"))
    assert [each.outbound_id for each in find_call(str(tmp_path / "link.db"), "id")] == ["outbound"]
    await store.aclose()
    await open_store(url_of(tmp_path / "link.db")).aclose()


@pytest.mark.parametrize("is_replaced", [False, True])
async def test_commits_fail_while_the_file_is_gone(path, is_replaced, tmp_path):
    """Else all would be written to a file that no start finds again."""
    aside = tmp_path / "aside.db"
    store, (tracker, applied) = open_store(url_of(path)), polled_tracker()
    path.rename(aside)
    if is_replaced:
        path.write_bytes(aside.read_bytes())
    with pytest.raises(StateError, match="removed or replaced while it was in use"):
        await store.commit("outbound", applied.delta)
    aside.replace(path)
    await store.commit("outbound", applied.delta)
    await store.aclose()
    again = open_store(url_of(path))
    assert plain(await again.load("outbound")) == plain(tracker.saved())
    await again.aclose()


def test_a_state_with_a_second_name_is_refused(path, tmp_path):
    """SQLite's log lies beside one of the names: opened by the other, the state is an older one."""
    asyncio.run(open_store(url_of(path)).aclose())
    other = tmp_path / "other" / "state.db"
    other.parent.mkdir()
    other.hardlink_to(path)
    for name in (path, other):
        with pytest.raises(StateError, match=r"it has 2 names \(hard links\)"):
            open_store(url_of(name))
    other.unlink()
    asyncio.run(open_store(url_of(path)).aclose())


OPEN = """
import sys
from pearl_exporter.errors import StateError
from pearl_exporter.state.store import open_store
try: open_store(sys.argv[1])
except StateError as error: print(error)
"""


def said_by_another_process(*command: str) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    return ended.stdout


async def test_the_lock_is_on_the_file_by_whatever_path(path, tmp_path):
    """A bind mount of the file alone has a folder, and so a lock beside it, of its own."""
    store = open_store(url_of(path))
    other = tmp_path / "container" / "state.db"
    other.parent.mkdir()
    other.touch()
    script = 'mount --bind "$0" "$1" && exec "$2" -c "$3" "sqlite:///$1"'
    command = ["sh", "-c", script, str(path), str(other), sys.executable, OPEN]
    said = await asyncio.to_thread(said_by_another_process, "unshare", "-rm", *command)
    assert "in use by another pearl-exporter" in said
    await store.aclose()


async def test_sqlites_own_locks_stay_while_the_state_is_in_use(path):
    """Closing a descriptor of the state would drop them, and a log in use would be removed."""
    store = open_store(url_of(path))
    await commit(store, polled_tracker()[1])
    assert run_sql(path, "SELECT count(*) FROM outbounds") == [(1,)]
    assert path.with_name("state.db-wal").exists()
    await commit(store, polled_tracker()[1])
    await store.aclose()


# --- the log


def removed(log: Path) -> None:
    log.unlink()


def replaced(log: Path) -> None:
    other = log.with_suffix(".other")
    other.write_bytes(log.read_bytes())
    other.replace(log)


def emptied(log: Path) -> None:
    log.write_bytes(b"")


def cut(log: Path) -> None:
    os.truncate(log, log.stat().st_size // 2)


def overwritten(log: Path) -> None:
    log.write_bytes(os.urandom(log.stat().st_size))


DAMAGE = (removed, replaced, emptied, cut, overwritten)


@pytest.mark.parametrize("damage", DAMAGE)
async def test_commits_fail_once_the_log_was_changed_by_another(path, damage):
    store, (_, applied) = open_store(url_of(path)), polled_tracker()
    await store.commit("outbound", applied.delta)
    await asyncio.sleep(0.02)  # longer than the kernel's clock for files stands still
    damage(path.with_name("state.db-wal"))
    for _ in range(2):
        with pytest.raises(StateError, match=r"its log \(state.db-wal\) was (removed|damaged)"):
            await store.commit("outbound", applied.delta)
    await store.aclose()


@pytest.mark.parametrize("damage", DAMAGE)
async def test_a_changed_log_costs_no_more_than_what_was_in_it(path, damage, monkeypatch):
    """The next start finds a sound state: at worst that of the last checkpoint."""
    monkeypatch.setattr("pearl_exporter.state.sql.CHECKPOINT_SECONDS", 0.0)
    store, (tracker, applied) = open_store(url_of(path)), polled_tracker()
    await store.commit("a", applied.delta)
    copied = tracker.saved()
    store._checkpoint_at = float("inf")
    _, other = polled_tracker()
    await store.commit("b", other.delta)
    await asyncio.sleep(0.02)
    damage(path.with_name("state.db-wal"))
    with pytest.raises(StateError, match="its log"):
        await store.commit("c", other.delta)
    await store.aclose()
    again = open_store(url_of(path))
    assert plain(await again.load("a")) == plain(copied)
    if damage in (removed, replaced):  # SQLite still had the log itself, and has copied it
        assert await again.load("b") is not None
    assert await again.load("c") is None
    await again.aclose()


async def test_the_log_is_copied_into_the_file_every_few_minutes(path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("pearl_exporter.state.sql.time.monotonic", lambda: clock[0])
    store, (_, applied) = open_store(url_of(path)), polled_tracker()
    for at, is_in_the_file in ((1.0, False), (CHECKPOINT_SECONDS, True)):
        clock[0] = at
        await store.commit(f"at-{at}", applied.delta)
        assert (f"at-{at}".encode() in path.read_bytes()) == is_in_the_file
    await store.aclose()


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT count(*) FROM blocks",
        "PRAGMA wal_checkpoint(PASSIVE)",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "CREATE TABLE other (a)",
    ],
)
async def test_what_sqlite_itself_writes_is_sound(path, statement):
    """Also if another program does it, such as one that replicates the state."""
    store, (tracker, applied) = open_store(url_of(path)), polled_tracker()
    for _ in range(3):
        await store.commit("outbound", applied.delta)
        await asyncio.sleep(0.02)
        run_sql(path, statement.replace("other", f"t{os.urandom(4).hex()}"))
        assert is_log_sound(path.with_name("state.db-wal"), path.with_name("state.db-shm"))
    await store.commit("outbound", applied.delta)
    await store.aclose()
    again = open_store(url_of(path))
    assert plain(await again.load("outbound")) == plain(tracker.saved())
    await again.aclose()


@pytest.mark.parametrize("place", [0, 8, 40, 52, 2000, -1])
async def test_a_byte_of_the_log_that_is_wrong_is_noticed(path, place):
    """In the header, in a frame's head, and in pages."""
    store, (_, applied) = open_store(url_of(path)), polled_tracker()
    await store.commit("outbound", applied.delta)
    log = path.with_name("state.db-wal")
    content = bytearray(log.read_bytes())
    content[place] ^= 1
    await asyncio.sleep(0.02)
    log.write_bytes(content)
    with pytest.raises(StateError, match="was damaged by another program"):
        await store.commit("outbound", applied.delta)
    await store.aclose()


async def test_readers_and_a_copy_by_another_program_change_nothing(path, tmp_path):
    store, (_, applied) = open_store(url_of(path)), polled_tracker()
    await store.commit("outbound", applied.delta)
    for _ in range(3):
        await asyncio.sleep(0.02)
        assert find_call(str(path), "done")
        assert run_sql(path, "SELECT count(*) FROM blocks")
        (tmp_path / "backup.db").unlink(missing_ok=True)
        run_sql(path, f"VACUUM INTO '{tmp_path / 'backup.db'}'")
        await store.commit("outbound", applied.delta)
    await store.aclose()


def test_a_truncated_state_says_what_to_do(path):
    content = damaged_state(path)[:9_000]
    path.write_bytes(content)
    with pytest.raises(StateError, match="restore a backup, or move it away"):
        open_store(url_of(path))
    assert path.read_bytes() == content


def test_the_state_is_readable_by_its_owner_alone(path):
    asyncio.run(open_store(url_of(path)).aclose())
    assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
