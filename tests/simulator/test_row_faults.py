"""Rows whose fields have another form than the API promises."""

import pytest

from pearl_exporter.simulator.row_faults import FIELDS
from tests.simulator.test_server import iso, search
from tests.simulator.worlds import MINUTE, NOW

FORMS = {
    ("id", "renamed"): lambda row, value, _own: "id" not in row and len(row["callId"]) == 24,
    ("id", "absent"): lambda row, value, _own: "id" not in row and "callId" not in row,
    ("id", "number"): lambda row, value, _own: type(value) is int,
    ("start_time", "null"): lambda row, value, _own: value is None,
    ("start_time", "number"): lambda row, value, _own: value > 1_700_000_000_000,
    ("conversation_status", "word"): lambda row, value, _own: value == "Complete",
    ("status", "quoted"): lambda _row, value, own: value == str(own),
    ("duration", "quoted"): lambda _row, value, own: value == str(own),
    ("duration", "word"): lambda row, value, _own: value == "a minute",
    ("tags", "word"): lambda row, value, _own: value == "a tag",
    ("tags", "number"): lambda row, value, _own: type(value) is int,
    ("tags", "object"): lambda row, value, _own: value.keys() == {"value"},
}


@pytest.mark.parametrize(("field", "form"), FORMS)
async def test_a_field_has_another_form(client, on, rows, field, form):
    on(f"odd_field:field={field},form={form}")
    name = FIELDS[field]
    for odd, row in zip((await search(client)).json()["results"], rows, strict=False):
        assert FORMS[field, form](odd, odd.get(name), row[name])
        others = odd.keys() & row.keys() - {name}
        assert {key: odd[key] for key in others} == {key: row[key] for key in others}


async def test_ids_change_with_each_answer(client, on, rows):
    on("changing_ids")
    first, again = [(await search(client)).json()["results"] for _ in range(2)]
    assert {row["id"] for row in first}.isdisjoint(row["id"] for row in again)
    assert [row | {"id": None} for row in first] == [row | {"id": None} for row in again]
    assert [row["startTime"] for row in first] == [row["startTime"] for row in rows[:100]]


async def test_a_share_of_the_rows_is_odd_always_the_same_ones(client, on, rows):
    on("odd_field:share=0.3,form=null")
    first, again = [(await search(client, limit=1000)).json()["results"] for _ in range(2)]
    assert first == again
    nulls = sum(row["id"] is None for row in first)
    assert nulls == pytest.approx(0.3 * len(first), rel=0.2)


@pytest.mark.parametrize("hours", [3, -5, 5.5, 0])
async def test_starts_are_in_local_time(client, on, simulator, hours):
    campaign = next(iter(simulator.campaigns.values()))
    calls = [call for call in campaign.calls(0, NOW) if campaign.visible(call, NOW)][::-1][:100]
    on(f"local_time:hours={hours}")
    expected = [iso(call.start + round(hours * 60 * MINUTE))[:-1] for call in calls]
    assert [row["startTime"] for row in (await search(client)).json()["results"]] == expected


async def test_summer_time_begins_in_the_middle(client, on, simulator):
    campaign = next(iter(simulator.campaigns.values()))
    calls = [call for call in campaign.calls(0, NOW) if campaign.visible(call, NOW)][::-1][:100]
    change = calls[50].start
    on(f"local_time:hours=1,then=2,change={iso(change)}")
    expected = [
        iso(call.start + (120 if call.start >= change else 60) * MINUTE)[:-1] for call in calls
    ]
    assert [row["startTime"] for row in (await search(client)).json()["results"]] == expected
