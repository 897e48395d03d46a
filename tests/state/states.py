"""States to test with: what is committed to them, and what another program does to them."""

import sqlite3
from contextlib import closing
from pathlib import Path

from pearl_exporter.counting.calls import Call
from pearl_exporter.counting.saved import SavedOutbound
from pearl_exporter.counting.tracker import Applied, Tracker
from tests.support.saving import RULES, T0, apply_rows, calls_of


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def plain(saved: SavedOutbound) -> tuple:
    """What is saved of an outbound, in a form that can be compared."""
    return saved.progress, calls_of(saved)


def some_calls() -> list[Call]:
    return [
        Call("live", T0 - 5_000, status=40, call_status=3),
        Call("done", T0 - 9_000, 100, 4, 3.5, ("vip", "zurück\nrufen", "🎉")),
        Call("odd", T0 - 7_000, status=777, call_status=-12),
        Call("old", T0 - 3_000_000, None, None),
    ]


def polled_tracker() -> tuple[Tracker, Applied]:
    """A tracker after its first poll, of `some_calls`, and what that poll came to."""
    tracker = Tracker(RULES)
    return tracker, apply_rows(tracker, some_calls(), ranges=[(T0 - 3_600_000, T0 + 1)], now=T0)


async def commit(store, applied: Applied, outbound_id: str = "outbound") -> None:
    await store.commit(outbound_id, applied.delta)


def run_sql(path: Path, statement: str) -> list[tuple]:
    """Run one statement as another program would, beside an exporter or without one."""
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(statement).fetchall()
