"""The tables of the durable state, the same for every database engine, and their migrations.

No table has a column for a phone number, and tags are kept as the labels they were given.
"""

from collections.abc import Callable, Sequence

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

from pearl_exporter.errors import StateError

metadata = MetaData()

schema_version = Table(
    "pearl_exporter_schema",
    metadata,
    Column("version", Integer, nullable=False),
    comment="One row: the version of the tables.",
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

signals = Table(
    "signals",
    metadata,
    Column("outbound", Integer, ForeignKey(outbounds.c.number), primary_key=True),
    Column("hour", BigInteger, primary_key=True, autoincrement=False),
    Column("bins", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
    comment="How many calls of a week were bad, an hour of starts a row; see detection.saved.",
)

FIRST_VERSION = 4
"""The first version that was released. The tables 1 to 3 exist on developers' machines only."""

Migration = Callable[[Connection], None]


def _add_signals(connection: Connection) -> None:
    """Add the table of what is learned; an older state has learned nothing."""
    signals.create(connection)


MIGRATIONS: tuple[Migration, ...] = (_add_signals,)
"""The first one brings a state from `FIRST_VERSION` to the next version, and so on.

Never change a migration that was released. The tables above are always those of the newest version.
"""

NEWEST_VERSION = FIRST_VERSION + len(MIGRATIONS)


def migrate(connection: Connection, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Bring the state to the newest version, within the transaction that has begun.

    An empty database gets the newest tables at once, without any migration.

    Args:
        connection: A connection to the state, in a transaction that takes the write lock.
        migrations: As `MIGRATIONS`.

    Raises:
        StateError: The state is of a newer version, of one that was never released, or the database
            belongs to another program. Nothing was changed.
    """
    newest = FIRST_VERSION + len(migrations)
    version = read_version(connection)
    if version is None:
        metadata.create_all(connection)
    elif version > newest:
        raise StateError(
            f"it was written by a newer pearl-exporter (schema {version}, this version knows up to "
            f"{newest}): install that version, or set another state.url"
        )
    elif version < FIRST_VERSION:
        raise StateError(
            f"it was written by a pearl-exporter that was never released (schema {version}, the "
            f"first released one is {FIRST_VERSION}); file left unchanged: move it away to start "
            "over, or set another state.url"
        )
    elif version == newest:
        return
    else:
        for migration in migrations[version - FIRST_VERSION :]:
            migration(connection)
    connection.execute(schema_version.delete())
    connection.execute(schema_version.insert().values(version=newest))


def read_version(connection: Connection) -> int | None:
    """Return the version of the state's tables, None if the database is empty.

    Raises:
        StateError: The database belongs to another program.
    """
    tables = inspect(connection).get_table_names()
    if schema_version.name in tables:
        return connection.scalar(select(schema_version.c.version)) or 0
    if tables:
        raise StateError("it is the database of another program: set another state.url")
    return None
