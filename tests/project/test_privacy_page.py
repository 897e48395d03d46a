"""docs/privacy.md says what is kept: every table, column, saved value and decoded field."""

import re
import sqlite3
from pathlib import Path

import msgspec
import pytest

from pearl_exporter.api import decode_calls as decode
from pearl_exporter.counting.calls import Call
from pearl_exporter.counting.saved import Progress
from pearl_exporter.counting.tracker import Tracker
from pearl_exporter.state.schema import metadata
from pearl_exporter.state.store import open_store
from tests.state.test_forgetting import NOON, RULES, SECOND
from tests.support.saving import apply_rows

PAGE = (Path(__file__).parents[2] / "docs" / "privacy.md").read_text()
PERSONAL = {"from", "to", "phone", "searchInput", "name", "lead"}


def rows(first_header: str) -> list[list[str]]:
    """The cells of the table whose head begins so."""
    (table,) = re.findall(rf"^\| {first_header} \|.*\n\|[-| ]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def code(cell: str) -> list[str]:
    return re.findall(r"`(\w+)`", cell)


def test_exactly_the_tables_and_columns_are_named():
    listed = [(*code(table), *code(column)) for table, column, *_ in rows("table")]
    real = [
        (table.name, column.name) for table in metadata.tables.values() for column in table.columns
    ]
    assert sorted(listed) == sorted(real)
    assert all(what and until for _, _, what, until in rows("table"))


def test_exactly_the_values_of_the_progress_are_named():
    listed = [name for names, _ in rows("key") for name in code(names)]
    assert sorted(listed) == sorted(Progress.__struct_encode_fields__)


def test_every_field_that_is_decoded_is_named_and_no_other():
    listed = [name for cell, _ in rows("field") for name in code(cell)]
    assert listed == list(decode._Row.__struct_fields__)
    assert not PERSONAL & {*listed}


@pytest.mark.parametrize("lenient", [False, True])
def test_what_a_row_says_of_people_is_not_decoded(lenient):
    """Neither by the fast way nor, where a row has a wrong type somewhere, by the lenient one."""
    row = {
        "id": "65f1c0ffee65f1c0ffee0001",
        "startTime": "2026-11-23T09:40:00Z",
        "from": "+4915150777001",
        "to": "+4915150777002",
        "lead": {"name": "Jane", "phone": "+4915150777003"},
    }
    rows_told = [row, {**row, "duration": "ten"}] if lenient else [row]
    page = decode.decode_page(msgspec.json.encode({"count": 1, "results": rows_told}))
    told = repr(page)
    assert page.calls
    assert "1515077" not in told
    assert "Jane" not in told


async def test_erasing_an_outbound_leaves_all_of_the_others(tmp_path):
    path = tmp_path / "state.db"
    ids = {"65f1c0ffee": "call-of-the-erased", "65f1c0fff0": "call-of-the-other"}
    store = open_store(f"sqlite:///{path}")
    for outbound, call in ids.items():
        tracker = Tracker(RULES)
        ranges, now = [(NOON, NOON + SECOND)], NOON + SECOND
        applied = apply_rows(tracker, [Call(call, NOON, 40)], ranges=ranges, now=now)
        await store.commit(outbound, applied.delta)
    await store.aclose()
    (statements,) = re.findall(r'sqlite3 data/pearl-exporter.db "([^"]+)"', PAGE)
    connection = sqlite3.connect(path)
    connection.executescript(statements)
    connection.close()
    content = path.read_bytes()
    assert {call for call in ids.values() if call.encode() in content} == {"call-of-the-other"}
    store = open_store(f"sqlite:///{path}")
    assert await store.load("65f1c0ffee") is None
    assert (await store.load("65f1c0fff0")).progress.live == 1
    await store.aclose()
