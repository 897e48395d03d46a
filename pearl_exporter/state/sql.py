"""The durable state, through SQLAlchemy Core: SQLite now, written so that PostgreSQL can follow.

One transaction a poll, in one worker thread, so that the event loop never waits for a disk. SQLite
runs in WAL mode with ``synchronous=FULL``: a counter that slipped back after a power cut would be
read by Prometheus as a reset, worse than losing it.
"""

import asyncio
import errno
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import msgspec
from sqlalchemy import Connection, Engine, bindparam, create_engine, event, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import Table

from pearl_exporter.counting.calls import Instant
from pearl_exporter.counting.saved import Delta, Progress, SavedOutbound
from pearl_exporter.errors import LEFT, MAY_WRITE, DiskError, StateError
from pearl_exporter.state.records import Saved as Discovered
from pearl_exporter.state.schema import blocks, discovered, journal, migrate, outbounds
from pearl_exporter.state.sqlite_file import SqliteFile, remedy

Result = TypeVar("Result")

_decode_progress = msgspec.msgpack.Decoder(Progress).decode
_encode = msgspec.msgpack.encode


def open_sql_store(url: str) -> "SqlStore":
    """Opens or makes the state at ``url``; raises `StateError` as `open_store` says."""
    file = SqliteFile(make_url(url).database or "")
    with _as_state_errors(file.path):
        file.take()
        engine = create_engine(url, hide_parameters=True)
        event.listen(engine, "connect", _set_up_sqlite)
        try:
            with engine.connect() as connection:
                file.check(connection)
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                migrate(connection)
                connection.commit()
                file.use_wal(connection)
        except BaseException:
            engine.dispose()
            file.release()
            raise
    return SqlStore(engine, file)


class SqlStore:
    """The state in one database. See `open_sql_store`."""

    def __init__(self, engine: Engine, file: SqliteFile) -> None:
        self._engine = engine
        self._file = file
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="state")
        self._upsert_blocks = _executemany(engine, blocks, ("outbound", "key"))

    async def load_progress(self, outbound_id: str) -> Progress | None:
        """The counters that were committed so far; see `Store`."""
        found = await self._in_thread(lambda connection: _find(connection, outbound_id))
        return None if found is None else found[1]

    async def load(self, outbound_id: str) -> SavedOutbound | None:
        """What was committed so far; see `Store`."""
        return await self._in_thread(lambda connection: self._load(connection, outbound_id))

    async def commit(self, outbound_id: str, delta: Delta) -> None:
        """Saves what one poll changed in one transaction; see `Store`."""
        await self._in_thread(lambda connection: self._commit(connection, outbound_id, delta))

    async def load_discovered(self) -> tuple[Discovered, ...]:
        """The discovered outbounds as last saved; see `Store`."""
        find = select(discovered.c.id, discovered.c.name).order_by(discovered.c.id)
        return await self._in_thread(
            lambda connection: tuple(Discovered(*row) for row in connection.execute(find))
        )

    async def save_discovered(self, outbounds: Sequence[Discovered]) -> None:
        """Saves them in the place of those before; see `Store`."""
        rows = [each._asdict() for each in outbounds]

        def save(connection: Connection) -> None:
            connection.execute(discovered.delete())
            if rows:
                connection.execute(discovered.insert(), rows)

        await self._in_thread(save)

    async def aclose(self) -> None:
        """Ends the transaction under way, closes the database and gives up its lock."""
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)
        self._engine.dispose()
        self._file.release()

    async def _in_thread(self, work: Callable[[Connection], Result]) -> Result:
        def run() -> Result:
            with _as_state_errors(self._file.path):
                self._file.check_place()
                with self._engine.begin() as connection:
                    return work(connection)

        return await asyncio.get_running_loop().run_in_executor(self._thread, run)

    def _load(self, connection: Connection, outbound_id: str) -> SavedOutbound | None:
        found = _find(connection, outbound_id)
        if found is None:
            return None
        number, progress = found
        find = select(blocks.c.key, blocks.c.calls).where(blocks.c.outbound == number)
        return SavedOutbound(progress, dict(map(tuple, connection.execute(find))))

    def _commit(self, connection: Connection, outbound_id: str, delta: Delta) -> None:
        number = self._save_progress(connection, outbound_id, delta.progress)
        changed = [(number, key, calls) for key, calls in delta.blocks.items() if calls is not None]
        gone = [key for key, calls in delta.blocks.items() if calls is None]
        if changed:
            self._upsert_blocks(connection, changed)
        if gone:
            _delete_blocks(connection, number, gone)
        if delta.journal is not None:
            connection.execute(
                journal.insert().inline(),
                {
                    "outbound": number,
                    "polled_at": delta.progress.polled_at,
                    "entries": delta.journal,
                },
            )
        # also where nothing is to be told: an idle outbound's ids are to go with its calls
        is_old = journal.c.polled_at < delta.journal_from
        connection.execute(journal.delete().where(journal.c.outbound == number, is_old))

    def _save_progress(self, connection: Connection, outbound_id: str, progress: Progress) -> int:
        # looked up each time: a number remembered from a transaction that failed would be nobody's
        find = select(outbounds.c.number).where(outbounds.c.id == outbound_id)
        number: int | None = connection.scalar(find)
        if number is None:
            connection.execute(
                outbounds.insert().values(id=outbound_id, progress=_encode(progress))
            )
            number = connection.scalar(find)
        else:
            changed = outbounds.update().where(outbounds.c.number == number)
            connection.execute(changed.values(progress=_encode(progress)))
        assert number is not None  # noqa: S101 - it was inserted just now
        return number


def _find(connection: Connection, outbound_id: str) -> tuple[int, Progress] | None:
    row = connection.execute(select(outbounds).where(outbounds.c.id == outbound_id)).first()
    try:
        return None if row is None else (row.number, _decode_progress(row.progress))
    except (msgspec.MsgspecError, ValueError) as error:
        raise StateError(f"the progress of outbound {outbound_id} is damaged; {LEFT}") from error


def _executemany(
    engine: Engine, table: Table, key: tuple[str, ...]
) -> Callable[[Connection, Sequence[tuple[object, ...]]], None]:
    """An upsert for many rows at once, in the table's order of columns.

    Prepared once and handed to the driver as it is: through the usual path a thousand rows cost
    eight times as much.
    """
    if engine.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert  # noqa: PLC0415
    else:
        from sqlalchemy.dialects.sqlite import insert  # type: ignore[assignment]  # noqa: PLC0415
    names = [column.name for column in table.columns]
    new = insert(table)
    others = {name: new.excluded[name] for name in names if name not in key}
    statement = new.on_conflict_do_update(index_elements=key, set_=others)
    sql = str(statement.compile(dialect=engine.dialect, column_keys=names))

    def upsert(connection: Connection, rows: Sequence[tuple[object, ...]]) -> None:
        connection.exec_driver_sql(sql, list(rows))

    return upsert


def _delete_blocks(connection: Connection, number: int, keys: Iterable[Instant]) -> None:
    gone = blocks.delete().where(blocks.c.outbound == number, blocks.c.key == bindparam("gone"))
    connection.execute(gone, [{"gone": key} for key in keys])


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    # What is forgotten is overwritten, and not only marked as free: a file that is copied or read
    # without SQLite tells nothing of it. It costs a third more bytes written, and no time.
    connection.execute("PRAGMA secure_delete=ON")
    # less than a stop may take: another program may hold the database for longer
    connection.execute("PRAGMA busy_timeout=1000")


_FULL_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EIO}


@contextmanager
def _as_state_errors(path: str) -> Iterator[None]:
    """A database's errors as ours: the driver's own words, never the values of a statement."""
    try:
        yield
    except DBAPIError as error:
        raise _state_error(path, error.orig) from None
    except sqlite3.Error as error:
        raise _state_error(path, error) from None
    except OSError as error:
        kind = DiskError if error.errno in _FULL_DISK else StateError
        raise kind(f"{path}: {error.strerror or error}{remedy(error)}") from None
    except StateError as error:
        raise type(error)(f"{path}: {error}") from None


def _state_error(path: str, error: BaseException | None) -> StateError:
    """What a driver said, and for the likely ones what to do."""
    name, said = getattr(error, "sqlite_errorname", ""), _one_line(error)
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
        return DiskError(f"{path}: {said}: is the disk full? Make room, or name another state.url")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        said = f"it is damaged ({said}); {LEFT}"
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        said = f"{said}; {MAY_WRITE}"
    return StateError(f"{path}: {said}")


def _one_line(error: BaseException | None) -> str:
    return " ".join(str(error).split())
