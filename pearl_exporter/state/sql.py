"""Load and commit the durable state, through SQLAlchemy Core: one code for every engine.

A poll is one transaction. It runs in one worker thread, so that the event loop never waits for a
disk. SQLite runs in WAL mode with ``synchronous=FULL``: without it a power cut could take back
commits that were published already, and Prometheus would read the lower counters as a reset.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection, Engine, bindparam, create_engine, event, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import Table

from pearl_exporter.counting.calls import Instant
from pearl_exporter.counting.saved import (
    Delta,
    Progress,
    SavedOutbound,
    decode_progress,
    encode_progress,
)
from pearl_exporter.errors import STATE_UNCHANGED_HINT, StateError
from pearl_exporter.state.records import DiscoveredOutbound
from pearl_exporter.state.schema import blocks, discovered, journal, migrate, outbounds, signals
from pearl_exporter.state.sqlite import SqliteFile, as_state_errors, configure_connection

CHECKPOINT_SECONDS = 300.0
"""How often SQLite's log is copied into the state file.

By itself SQLite does it once the log has 1000 pages, which of few outbounds takes a day. What is in
the log alone is lost with it, if somebody removes it.
"""

_log = logging.getLogger(__name__)

Result = TypeVar("Result")

Upsert = Callable[[Connection, Sequence[tuple[object, ...]]], None]


def open_sql_store(url: str) -> "SqlStore":
    """Open or make the state at ``url``, a URL of SQLAlchemy.

    Raises:
        StateError: As `open_store`.
    """
    file = SqliteFile(make_url(url).database or "")
    with as_state_errors(file.path):
        file.take()
        engine = create_engine(url, hide_parameters=True)
        event.listen(engine, "connect", configure_connection)
        event.listen(engine, "connect", file.forget_log)
        try:
            with engine.connect() as connection:
                # In this order: a damaged or foreign file must be refused before any write, and
                # switching to WAL mode is a write.
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
    """The state in one database. Made by `open_sql_store`; the methods are those of `Store`."""

    def __init__(self, engine: Engine, file: SqliteFile) -> None:
        self._engine = engine
        self._file = file
        self._checkpoint_at = time.monotonic() + CHECKPOINT_SECONDS
        # One worker: transactions never overlap, so they never wait for each other's lock.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="state")
        self._upsert_blocks = _upsert(engine, blocks, ("outbound", "key"))
        self._upsert_signals = _upsert(engine, signals, ("outbound", "hour"))

    async def load_progress(self, outbound_id: str) -> Progress | None:
        """Return the counters as last committed; see `Store`."""
        found = await self._in_thread(lambda connection: _find(connection, outbound_id))
        return None if found is None else found[1]

    async def load(self, outbound_id: str) -> SavedOutbound | None:
        """Return counters and calls as last committed; see `Store`."""
        return await self._in_thread(lambda connection: _load(connection, outbound_id))

    async def commit(self, outbound_id: str, delta: Delta) -> None:
        """Save what one poll changed in one transaction; see `Store`."""
        await self._in_thread(lambda connection: self._commit(connection, outbound_id, delta))

    async def known(self) -> frozenset[str]:
        """Return the ids of all outbounds of which something was committed; see `Store`."""
        find = select(outbounds.c.id)
        return await self._in_thread(lambda connection: frozenset(connection.scalars(find)))

    async def load_discovered(self) -> tuple[DiscoveredOutbound, ...]:
        """Return the discovered outbounds as last saved; see `Store`."""
        find = select(discovered.c.id, discovered.c.name).order_by(discovered.c.id)
        return await self._in_thread(
            lambda connection: tuple(DiscoveredOutbound(*row) for row in connection.execute(find))
        )

    async def save_discovered(self, outbounds: Sequence[DiscoveredOutbound]) -> None:
        """Save the outbounds in place of those saved before; see `Store`."""
        rows = [each._asdict() for each in outbounds]

        def save(connection: Connection) -> None:
            connection.execute(discovered.delete())
            if rows:
                connection.execute(discovered.insert(), rows)

        await self._in_thread(save)

    async def aclose(self) -> None:
        """Wait for the transaction that has begun, close the database and release its lock."""
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)
        self._file.keep_damage_out()
        self._engine.dispose()
        self._file.release()

    async def _in_thread(self, work: Callable[[Connection], Result]) -> Result:
        """Run ``work`` in one transaction in the worker thread; raise `StateError` if it fails.

        Once it runs, a cancelled caller does not stop it: it commits all or nothing all the same.
        """

        def run() -> Result:
            with as_state_errors(self._file.path):
                self._file.check_place()
                try:
                    with self._engine.begin() as connection:
                        result = work(connection)
                    self._checkpoint_if_due()
                finally:
                    self._file.note_log()
                return result

        return await asyncio.get_running_loop().run_in_executor(self._thread, run)

    def _checkpoint_if_due(self) -> None:
        now = time.monotonic()
        if now < self._checkpoint_at:
            return
        self._checkpoint_at = now + CHECKPOINT_SECONDS
        try:
            with self._engine.connect() as connection:
                self._file.checkpoint(connection)
        except DBAPIError as error:  # the transaction before is committed all the same
            extra = {"state": self._file.path, "error": str(error.orig)}
            _log.warning("the state's log can't be copied into its file", extra=extra)

    def _commit(self, connection: Connection, outbound_id: str, delta: Delta) -> None:
        number = _save_progress(connection, outbound_id, delta.progress)
        _save(connection, number, delta.blocks, blocks, self._upsert_blocks)
        _save(connection, number, delta.signals, signals, self._upsert_signals)
        if delta.journal is not None:
            entry = {
                "outbound": number,
                "polled_at": delta.progress.polled_at,
                "entries": delta.journal,
            }
            connection.execute(journal.insert().inline(), entry)
        # Also after a poll without entries: the ids of an idle outbound must go with its calls.
        is_old = journal.c.polled_at < delta.journal_from
        connection.execute(journal.delete().where(journal.c.outbound == number, is_old))


def _load(connection: Connection, outbound_id: str) -> SavedOutbound | None:
    found = _find(connection, outbound_id)
    if found is None:
        return None
    number, progress = found
    find = select(blocks.c.key, blocks.c.calls).where(blocks.c.outbound == number)
    find_signals = select(signals.c.hour, signals.c.bins).where(signals.c.outbound == number)
    return SavedOutbound(
        progress,
        dict(map(tuple, connection.execute(find))),
        dict(map(tuple, connection.execute(find_signals))),
    )


def _find(connection: Connection, outbound_id: str) -> tuple[int, Progress] | None:
    """Return the outbound's number and progress, None if nothing was committed of it."""
    row = connection.execute(select(outbounds).where(outbounds.c.id == outbound_id)).first()
    try:
        return None if row is None else (row.number, decode_progress(row.progress))
    except ValueError as error:
        raise StateError(
            f"the progress of outbound {outbound_id} is damaged; {STATE_UNCHANGED_HINT}"
        ) from error


def _save_progress(connection: Connection, outbound_id: str, progress: Progress) -> int:
    """Save the counters and return the outbound's number."""
    # The number is looked up each time: one remembered from a transaction that was rolled back
    # could be another outbound's by now.
    find = select(outbounds.c.number).where(outbounds.c.id == outbound_id)
    number: int | None = connection.scalar(find)
    content = encode_progress(progress)
    if number is None:
        connection.execute(outbounds.insert().values(id=outbound_id, progress=content))
        number = connection.scalar(find)
    else:
        changed = outbounds.update().where(outbounds.c.number == number)
        connection.execute(changed.values(progress=content))
    assert number is not None  # noqa: S101 - it was inserted just now
    return number


def _save(
    connection: Connection,
    number: int,
    changes: Mapping[Instant, bytes | None],
    table: Table,
    upsert: Upsert,
) -> None:
    """Save the pieces of an outbound that have changed, and delete those that are gone.

    Args:
        connection: In the transaction of the commit.
        number: The outbound's number.
        changes: The pieces by key; None for one that is gone.
        table: Its columns are the outbound, the key and the content.
        upsert: As `_upsert` returned it for the table.
    """
    if changed := [(number, key, content) for key, content in changes.items() if content]:
        upsert(connection, changed)
    if gone := [key for key, content in changes.items() if not content]:
        outbound, key, _ = table.columns
        statement = table.delete().where(outbound == number, key == bindparam("gone"))
        connection.execute(statement, [{"gone": each} for each in gone])


def _upsert(engine: Engine, table: Table, key: tuple[str, ...]) -> Upsert:
    """Return a function that inserts rows, or replaces those with the same key.

    The statement is compiled once and passed to the driver as text: through SQLAlchemy's usual path
    a thousand rows cost eight times as much.

    Args:
        engine: Decides the dialect of the statement.
        table: Where the rows go; a row has the table's columns in their order.
        key: The columns of the primary key.
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
