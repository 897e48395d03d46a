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
from pearl_exporter.state.store import open_store
from tests.state.states import commit, plain, polled_tracker, url_of
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


def test_a_truncated_state_says_what_to_do(path):
    content = damaged_state(path)[:9_000]
    path.write_bytes(content)
    with pytest.raises(StateError, match="restore a backup, or move it away"):
        open_store(url_of(path))
    assert path.read_bytes() == content


def test_the_state_is_readable_by_its_owner_alone(path):
    asyncio.run(open_store(url_of(path)).aclose())
    assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
