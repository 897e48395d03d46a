"""A look at the state beside the exporter that writes it: takes no lock and changes nothing."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import msgspec

from pearl_exporter.counting.blocks import decode_block
from pearl_exporter.counting.calls import Instant
from pearl_exporter.counting.compact_ids import compact_id, may_hold
from pearl_exporter.counting.journal import CallHistory, history_of
from pearl_exporter.counting.labels import is_unicode
from pearl_exporter.counting.packing import KindTable
from pearl_exporter.counting.saved import Progress
from pearl_exporter.counting.tracked_call import TrackedCall, tracked_of
from pearl_exporter.errors import StateError
from pearl_exporter.state.schema import MIGRATIONS
from pearl_exporter.state.sqlite_file import A_FOLDER, beside

_decode_progress = msgspec.msgpack.Decoder(Progress).decode


LOOKS = 5
"""So often it is looked again where the state changes meanwhile."""


class _Stamp(NamedTuple):
    """What tells whether a file changed, and whether there is SQLite's log beside it."""

    has_log: bool
    inode: int
    size: int
    modified_ns: int


class Known(NamedTuple):
    """What one outbound's state tells of a call.

    Attributes:
        outbound_id: The outbound's id.
        name: Its name if discovery added it, None otherwise.
        progress: How far it was polled.
        call: What is tracked of the call, None if it is not tracked.
        told: What the journal tells of it.
        journal_since: T up to which the journal tells nothing, as an older version polled it.
    """

    outbound_id: str
    name: str | None
    progress: Progress
    call: TrackedCall | None
    told: CallHistory
    journal_since: Instant | None


def look_for(path: str, call_id: str) -> list[Known]:
    """What the state at ``path`` tells of a call, outbound by outbound.

    Raises `StateError` if there is no state, or one that this version can't read as it is.
    """
    file = Path(path)
    try:
        _check_that_it_is_there(file)
        return _settled(file, call_id)
    except sqlite3.Error as error:
        raise StateError(f"{path}: {error}; may you read it, and the files beside it?") from None
    except OSError as error:
        raise StateError(f"{path}: {error.strerror}: run it as the exporter's user") from None
    except (ValueError, msgspec.MsgspecError):
        raise StateError(f"{path}: it is damaged") from None
    except StateError as error:
        raise StateError(f"{path}: {error}") from None


def _check_that_it_is_there(file: Path) -> None:
    if file.is_dir():
        raise StateError(A_FOLDER)
    if not file.is_file():
        raise StateError("there is no such file: no exporter has kept a state there yet")


def _settled(file: Path, call_id: str) -> list[Known]:
    """What one look finds, if nothing changed under it.

    Where an exporter runs there is a log beside the file, by which SQLite shows one moment of it.
    Where none runs a reader would make that log, so SQLite is told that the file never changes,
    and whether that held is looked at afterwards: an exporter may start meanwhile.
    """
    for _ in range(LOOKS):
        before = _stamp(file)
        try:
            known = _look(file, call_id, is_at_rest=not before.has_log)
        except (sqlite3.Error, ValueError, msgspec.MsgspecError, StateError):
            if before.has_log or _stamp(file) == before:
                raise
        else:
            if before.has_log or _stamp(file) == before:
                return known
    raise StateError("it changed with every look at it, does an exporter start there? Ask again")


def _stamp(file: Path) -> _Stamp:
    found = file.stat()
    has_log = beside(file, "-wal").exists()
    return _Stamp(has_log, found.st_ino, found.st_size, found.st_mtime_ns)


def _look(file: Path, call_id: str, *, is_at_rest: bool) -> list[Known]:
    mode = "mode=ro&immutable=1" if is_at_rest else "mode=ro"
    uri = f"file:{quote(str(file.absolute()))}?{mode}"
    with closing(sqlite3.connect(uri, uri=True, timeout=1, isolation_level=None)) as connection:
        connection.execute("BEGIN")  # all of one moment
        _check_version(connection)
        return [*_known(connection, call_id)]


def _check_version(connection: sqlite3.Connection) -> None:
    found = connection.execute(
        "SELECT 1 FROM sqlite_master WHERE name = 'pearl_exporter_schema'"
    ).fetchone()
    if found is None:
        raise StateError("it is no state of pearl-exporter")
    row = connection.execute("SELECT version FROM pearl_exporter_schema").fetchone()
    version = 0 if row is None else row[0]
    if version == len(MIGRATIONS):
        return
    age = "an older" if version < len(MIGRATIONS) else "a newer"
    raise StateError(
        f"it was written by {age} pearl-exporter (its schema is {version}, that of this version "
        f"is {len(MIGRATIONS)}): explain by the version that serves"
    )


def _known(connection: sqlite3.Connection, call_id: str) -> Iterator[Known]:
    names = dict(connection.execute("SELECT id, name FROM discovered"))
    outbounds = connection.execute("SELECT number, id, progress FROM outbounds").fetchall()
    for number, outbound_id, progress in outbounds:
        entries = "FROM journal WHERE outbound = ? ORDER BY number"
        told = history_of(
            call_id, connection.execute(f"SELECT polled_at, entries {entries}", (number,))
        )
        since = connection.execute(
            "SELECT polled_at FROM journal WHERE outbound = ? AND entries = x''", (number,)
        ).fetchone()
        yield Known(
            outbound_id,
            names.get(outbound_id),
            _decode_progress(progress),
            _tracked(connection, number, call_id),
            told,
            since and since[0],
        )


def _tracked(connection: sqlite3.Connection, number: int, call_id: str) -> TrackedCall | None:
    if not is_unicode(call_id):
        return None
    rows = connection.execute("SELECT key, calls FROM blocks WHERE outbound = ?", (number,))
    for key, content in rows:
        if may_hold(content, call_id):
            kinds = KindTable()
            entry = decode_block(key, content, kinds).entries.get(compact_id(call_id))
            if entry is not None:
                return tracked_of(call_id, entry, kinds)
    return None
