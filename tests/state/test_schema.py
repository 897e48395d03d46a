"""Versions of the state: which are migrated, which are refused, and that these are unchanged."""

import asyncio

import pytest
from sqlalchemy import Connection, create_engine

from pearl_exporter.errors import StateError
from pearl_exporter.state.schema import FIRST_VERSION, MIGRATIONS, NEWEST_VERSION, metadata, migrate
from pearl_exporter.state.store import open_store
from tests.state.states import commit, plain, polled_tracker, run_sql, url_of


@pytest.fixture
async def saved(path):
    """What a state at ``path`` holds of one outbound after its first poll."""
    store, (tracker, applied) = open_store(url_of(path)), polled_tracker()
    await commit(store, applied)
    await store.aclose()
    return plain(tracker.saved())


def set_version(path, version) -> bytes:
    """Give a state another version; return the content of its file."""
    run_sql(path, f"UPDATE pearl_exporter_schema SET version = {version}")
    return path.read_bytes()


def test_a_newer_version_is_refused_and_left_unchanged(path, saved):
    content = set_version(path, NEWEST_VERSION + 1)
    with pytest.raises(StateError, match="newer pearl-exporter") as refused:
        open_store(url_of(path))
    assert "\n" not in str(refused.value)
    assert path.read_bytes() == content


@pytest.mark.parametrize("version", range(FIRST_VERSION))
def test_an_unreleased_version_is_refused_and_left_unchanged(path, saved, version):
    content = set_version(path, version)
    with pytest.raises(StateError) as refused:
        open_store(url_of(path))
    assert str(refused.value) == (
        f"{path}: it was written by a pearl-exporter that was never released (schema {version}, "
        "the first released one is 4); file left unchanged: move it away to start over, or set "
        "another state.url"
    )
    assert path.read_bytes() == content


def test_another_programs_database_is_left_unchanged(path):
    run_sql(path, "CREATE TABLE theirs (x)")
    content = path.read_bytes()
    with pytest.raises(StateError, match="another program"):
        open_store(url_of(path))
    assert path.read_bytes() == content


def test_a_new_state_has_the_tables_of_the_schema_and_no_others(path):
    asyncio.run(open_store(url_of(path)).aclose())
    assert version_of(path) == NEWEST_VERSION
    tables = {name for (name,) in run_sql(path, "SELECT name FROM sqlite_master WHERE sql > ''")}
    indexes = {index.name for table in metadata.tables.values() for index in table.indexes}
    assert tables == metadata.tables.keys() | indexes


# A version to come, which adds a column to one table


def add_column(connection: Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE discovered ADD COLUMN colour VARCHAR")


def version_of(path) -> int:
    ((version,),) = run_sql(path, "SELECT version FROM pearl_exporter_schema")
    return version


def columns_of(path) -> list[str]:
    return [name for _, name, *_ in run_sql(path, "PRAGMA table_info(discovered)")]


def migrate_file(path, *migrations) -> None:
    engine = create_engine(url_of(path))
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            migrate(connection, migrations)
            connection.commit()
    finally:
        engine.dispose()


def test_a_migration_brings_an_older_state_to_its_version(path, saved):
    migrate_file(path, *MIGRATIONS, add_column)
    assert version_of(path) == NEWEST_VERSION + 1
    assert columns_of(path) == ["id", "name", "colour"]


async def test_a_migrated_state_keeps_what_was_saved(path, saved):
    migrate_file(path, *MIGRATIONS, add_column)
    set_version(path, NEWEST_VERSION)
    store = open_store(url_of(path))
    assert plain(await store.load("outbound")) == saved
    await store.aclose()


def test_a_migration_is_run_once_and_each_one_in_turn(path, saved):
    ran = []
    first, second = (lambda _connection, n=n: ran.append(n) for n in (1, 2))
    migrate_file(path, *MIGRATIONS, first)
    migrate_file(path, *MIGRATIONS, first, second)
    migrate_file(path, *MIGRATIONS, first, second)
    assert ran == [1, 2]
    assert version_of(path) == NEWEST_VERSION + 2


def test_a_migration_that_fails_changes_nothing(path, saved):
    def fail(_connection: Connection) -> None:
        raise StateError("no room")

    with pytest.raises(StateError, match="no room"):
        migrate_file(path, *MIGRATIONS, add_column, fail)
    assert version_of(path) == NEWEST_VERSION
    assert columns_of(path) == ["id", "name"]


def test_an_empty_database_gets_the_newest_tables_at_once(path):
    ran = []
    migrate_file(path, *MIGRATIONS, ran.append)
    assert (version_of(path), ran) == (NEWEST_VERSION + 1, [])


async def test_a_state_from_before_signals_keeps_its_counters(path, saved):
    run_sql(path, "DROP TABLE signals")
    set_version(path, FIRST_VERSION)
    store = open_store(url_of(path))
    assert plain(await store.load("outbound")) == saved
    assert (await store.load("outbound")).signals == {}
    await store.aclose()
    assert version_of(path) == NEWEST_VERSION
