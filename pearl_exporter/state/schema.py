"""The tables of the durable state, for every engine alike, and how they came to be.

No table has a column for a phone number, and tags are kept as the labels they were given.
"""

from collections.abc import Callable

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    inspect,
    select,
)

from pearl_exporter.counting.saved import polled_at
from pearl_exporter.errors import StateError
from pearl_exporter.state import version_1

metadata = MetaData()

schema_version = Table(
    "pearl_exporter_schema",
    metadata,
    Column("version", Integer, nullable=False),
    comment="One row: the number of the last migration that was run.",
)

outbounds = Table(
    "outbounds",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("progress", LargeBinary, nullable=False),
    comment="One row an outbound: its counters and how far it was polled, as MessagePack.",
)

blocks = Table(
    "blocks",
    metadata,
    Column("outbound", Integer, ForeignKey(outbounds.c.number), primary_key=True),
    Column("key", BigInteger, primary_key=True, autoincrement=False),
    Column("calls", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
    comment="The tracked calls, some hundred neighbours by start a row; see counting.blocks.",
)

discovered = Table(
    "discovered",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    comment="The outbounds that discovery added, with their names where these may be shown.",
)

journal = Table(
    "journal",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("outbound", Integer, ForeignKey(outbounds.c.number), nullable=False),
    Column("polled_at", BigInteger, nullable=False),
    Column("entries", LargeBinary, nullable=False),
    Index("journal_by_poll", "outbound", "polled_at"),
    comment="What became of calls in one poll, until forgotten; see counting.journal.",
)


def _first_tables(connection: Connection) -> None:
    version_1.metadata.create_all(connection)


def _calls_in_blocks(connection: Connection) -> None:
    blocks.create(connection)
    known = select(outbounds.c.number, outbounds.c.progress)
    for number, progress in connection.execute(known).all():
        changed = version_1.with_newest(connection, number, progress)
        connection.execute(
            outbounds.update().where(outbounds.c.number == number).values(progress=changed)
        )
        saved = version_1.blocks_of(connection, number)
        rows = [{"outbound": number, "key": key, "calls": content} for key, content in saved]
        if rows:
            connection.execute(blocks.insert(), rows)
    version_1.calls.drop(connection)


def _discovered_outbounds(connection: Connection) -> None:
    discovered.create(connection)


def _journal_of_calls(connection: Connection) -> None:
    journal.create(connection)
    known = select(outbounds.c.number, outbounds.c.progress)
    for number, progress in connection.execute(known).all():
        # nothing is told of the polls up to this one
        begins = {"outbound": number, "polled_at": polled_at(progress), "entries": b""}
        connection.execute(journal.insert(), begins)


MIGRATIONS: tuple[Callable[[Connection], None], ...] = (
    _first_tables,
    _calls_in_blocks,
    _discovered_outbounds,
    _journal_of_calls,
)
"""What brings a state from version n to n + 1, by n. Never change one that was released."""


def migrate(connection: Connection) -> None:
    """Brings the state to the newest version, in the transaction under way.

    Raises `StateError` for a state of a newer version or of another program.
    """
    version = _version(connection)
    if version > len(MIGRATIONS):
        raise StateError(
            f"it was written by a newer pearl-exporter (its schema is {version}, the newest known "
            f"here is {len(MIGRATIONS)}): install that version, or name another state.url"
        )
    if version == len(MIGRATIONS):
        return
    for migration in MIGRATIONS[version:]:
        migration(connection)
    connection.execute(schema_version.delete())
    connection.execute(schema_version.insert().values(version=len(MIGRATIONS)))


def _version(connection: Connection) -> int:
    tables = inspect(connection).get_table_names()
    if schema_version.name in tables:
        version = connection.scalar(select(schema_version.c.version))
        return 0 if version is None else int(version)
    if tables:
        raise StateError("it is the database of another program: name another state.url")
    return 0
