"""Read-only inspection of a state that another process may be writing.

It takes no lock that an exporter waits for, and makes and changes no file.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar
from urllib.parse import quote

from sqlalchemy import Connection, NullPool, create_engine, select
from sqlalchemy.exc import DBAPIError

from pearl_exporter.counting.blocks import decode_block
from pearl_exporter.counting.compact_ids import compact_id, may_hold
from pearl_exporter.counting.journal import CallHistory, history_of
from pearl_exporter.counting.packing import KindTable
from pearl_exporter.counting.saved import Progress, decode_progress
from pearl_exporter.counting.tracked_call import TrackedCall, tracked_of
from pearl_exporter.errors import StateError
from pearl_exporter.state.schema import (
    NEWEST_VERSION,
    blocks,
    discovered,
    journal,
    outbounds,
    read_version,
)
from pearl_exporter.state.sqlite import FOLDER_MESSAGE, FileStamp, file_beside, is_damage
from pearl_exporter.text import is_unicode

Result = TypeVar("Result")

MAX_ATTEMPTS = 5
"""How often a state that changes while it is read is read again."""


class CallRecord(NamedTuple):
    """What the state holds of one call in one outbound.

    Attributes:
        outbound_id: The outbound's id.
        name: The outbound's name if discovery added it, None otherwise.
        progress: How far the outbound was polled.
        call: What is tracked of the call, None if it is not tracked.
        history: What the journal holds of the call.
    """

    outbound_id: str
    name: str | None
    progress: Progress
    call: TrackedCall | None
    history: CallHistory


def find_call(path: str, call_id: str) -> list[CallRecord]:
    """Return what the state at ``path`` holds of a call, one record for each outbound.

    Raises:
        StateError: As `read_state`.
    """
    return read_state(path, lambda connection: call_records(connection, call_id))


def call_records(connection: Connection, call_id: str) -> list[CallRecord]:
    """Return what a state holds of a call, one record for each outbound.

    Raises:
        ValueError: The state is damaged.
    """
    names = dict(map(tuple, connection.execute(select(discovered.c.id, discovered.c.name))))
    return [
        CallRecord(
            row.id,
            names.get(row.id),
            decode_progress(row.progress),
            _tracked(connection, row.number, call_id),
            _history(connection, row.number, call_id),
        )
        for row in connection.execute(select(outbounds)).all()
    ]


def read_state(path: str, read: Callable[[Connection], Result]) -> Result:
    """Return what ``read`` finds in the state at ``path``, all of it as of one moment.

    Args:
        path: The state's SQLite file.
        read: Reads by the connection that it is given. It is called again if the state changed
            meanwhile, at most `MAX_ATTEMPTS` times in all.

    Raises:
        StateError: There is no state, this version can't read it as it is, or it kept changing.
    """
    file = Path(path)
    try:
        _check_that_it_is_there(file)
        return _read_unchanged(file, read)
    except DBAPIError as error:
        if is_damage(error.orig):
            raise StateError(f"{path}: it is damaged ({error.orig})") from None
        hint = "run it as a user that can read the file and those beside it"
        raise StateError(f"{path}: {error.orig}: {hint}") from None
    except OSError as error:
        raise StateError(f"{path}: {error.strerror}: run it as the exporter's user") from None
    except ValueError:
        raise StateError(f"{path}: it is damaged") from None
    except StateError as error:
        raise StateError(f"{path}: {error}") from None


def _check_that_it_is_there(file: Path) -> None:
    if file.is_dir():
        raise StateError(FOLDER_MESSAGE)
    if not file.is_file():
        raise StateError("there is no such file: no exporter has saved a state there yet")


def _read_unchanged(file: Path, read: Callable[[Connection], Result]) -> Result:
    """Return the result of the first read under which nothing changed.

    While an exporter runs, SQLite's log is beside the file, and a transaction on both sees one
    moment. Without a log, opening the file as usual would make one. So SQLite is then told that the
    file is immutable, for which it takes no lock. Whether that held is checked afterwards, as an
    exporter may have started meanwhile: a torn read looks like damage and is no error.
    """
    for _ in range(MAX_ATTEMPTS):
        before = _stamp(file)
        try:
            with _open_read_only(file, is_immutable=not before.has_log) as connection:
                result = read(connection)
        except (DBAPIError, ValueError, StateError):
            if before.has_log or _stamp(file) == before:
                raise
        else:
            if before.has_log or _stamp(file) == before:
                return result
    raise StateError("it changed at every attempt to read it: is an exporter starting? Try again")


class _Stamp(NamedTuple):
    """Shows whether a file changed, and whether SQLite's log is beside it."""

    has_log: bool
    file: FileStamp


def _stamp(file: Path) -> _Stamp:
    found = FileStamp.of(file.stat())
    return _Stamp(file_beside(file, "-wal").exists(), found)


@contextmanager
def _open_read_only(file: Path, *, is_immutable: bool) -> Iterator[Connection]:
    """Open one read transaction on a state; raise `StateError` if it has another version."""
    mode = "mode=ro&immutable=1" if is_immutable else "mode=ro"
    uri = f"file:{quote(str(file.absolute()))}?{mode}"
    engine = create_engine(
        "sqlite://",
        creator=lambda: sqlite3.connect(uri, uri=True, timeout=1, isolation_level=None),
        poolclass=NullPool,
        hide_parameters=True,
    )
    with engine.connect() as connection:
        # With no isolation level the driver begins no transaction of its own, and one SELECT after
        # the other would each see another moment.
        connection.exec_driver_sql("BEGIN")
        _check_version(connection)
        yield connection


def _check_version(connection: Connection) -> None:
    version = read_version(connection)
    if version is None:
        raise StateError("it is no state of pearl-exporter")
    if version != NEWEST_VERSION:
        age = "an older" if version < NEWEST_VERSION else "a newer"
        raise StateError(
            f"it was written by {age} pearl-exporter (schema {version}, this version reads "
            f"{NEWEST_VERSION}): run explain of the version that serves"
        )


def _history(connection: Connection, outbound: int, call_id: str) -> CallHistory:
    polls = select(journal.c.polled_at, journal.c.entries).where(journal.c.outbound == outbound)
    rows = connection.execute(polls.order_by(journal.c.number))
    return history_of(call_id, map(tuple, rows))


def _tracked(connection: Connection, outbound: int, call_id: str) -> TrackedCall | None:
    if not is_unicode(call_id):
        return None
    find = select(blocks.c.key, blocks.c.calls).where(blocks.c.outbound == outbound)
    for key, content in connection.execute(find):
        if may_hold(content, call_id):
            kinds = KindTable()
            entry = decode_block(key, content, kinds).entries.get(compact_id(call_id))
            if entry is not None:
                return tracked_of(call_id, entry, kinds)
    return None
