"""Searches that are answered by another range, order or page than was asked for."""

import pytest

from tests.simulator.test_server import ID, search
from tests.simulator.worlds import HOUR, MINUTE, NOW

SPAN = {"from_ms": NOW - 3 * HOUR + 12_345, "to_ms": NOW - HOUR - 23_456}


async def found(client, **asked):
    asked = {"limit": 1000, "isAscending": True, **SPAN, **asked}
    return (await search(client, **asked)).json()


def served(simulator, from_ms, to_ms):
    rows = simulator.campaigns[ID].rows(from_ms, to_ms, NOW)
    return {"count": len(rows), "results": rows}


async def test_an_end_is_ignored(client, on, simulator):
    on("ends_ignored")
    assert await found(client) == served(simulator, SPAN["from_ms"], NOW)
    on("ends_ignored:which=from")
    assert await found(client, from_ms=NOW - MINUTE) == {
        **served(simulator, 0, SPAN["to_ms"]),
        "results": served(simulator, 0, SPAN["to_ms"])["results"][:1000],
    }
    on("ends_ignored:which=both")
    assert (await found(client))["count"] == served(simulator, 0, NOW)["count"]


@pytest.mark.parametrize(
    ("unit", "unit_ms"),
    [("second", 1000), ("minute", MINUTE), ("hour", HOUR), ("day", 24 * HOUR)],
)
async def test_ends_are_cut_to_a_unit(client, on, simulator, unit, unit_ms):
    low, high = (end // unit_ms * unit_ms for end in SPAN.values())
    on(f"coarse_ends:unit={unit},cut=down")
    assert (await found(client))["count"] == served(simulator, low, high)["count"]
    on(f"coarse_ends:unit={unit}")
    assert (await found(client))["count"] == served(simulator, low, high + unit_ms - 1)["count"]


@pytest.mark.parametrize("hours", [1, 1.5, -0.5])
async def test_ends_are_taken_for_local_time(client, on, simulator, hours):
    on(f"local_ends:hours={hours}")
    low, high = (end - round(hours * HOUR) for end in SPAN.values())
    assert await found(client) == served(simulator, low, high)


@pytest.mark.parametrize("kept", ["first", "last"])
async def test_a_long_range_is_shortened(client, on, simulator, kept):
    on(f"range_shortened:hours=0.5,kept={kept}")
    low, high = SPAN.values()
    low, high = (low, low + HOUR // 2) if kept == "first" else (high - HOUR // 2, high)
    assert await found(client) == served(simulator, low, high)
    assert await found(client, from_ms=low + 1) == served(simulator, low + 1, high)


async def test_starts_are_cut_and_equal_ones_shuffled(client, on, simulator):
    on("coarse_starts")
    low, high = -(-SPAN["from_ms"] // MINUTE) * MINUTE, SPAN["to_ms"] // MINUTE * MINUTE
    whole = served(simulator, low, high + MINUTE - 1)
    one, other = await found(client), await found(client)
    assert one["count"] == whole["count"]
    starts = [row["startTime"] for row in one["results"]]
    assert starts == sorted(starts)
    assert all(start.endswith(":00Z") for start in starts)
    assert one != other
    assert {row["id"] for row in one["results"]} == {row["id"] for row in other["results"]}
    assert {row["id"] for row in one["results"]} == {row["id"] for row in whole["results"]}


async def test_rows_are_sorted_by_another_field(client, on, simulator):
    on("sorted_by:field=duration")
    answer = await found(client)
    durations = [row["duration"] for row in answer["results"]]
    assert durations == sorted(durations)
    assert answer["count"] == served(simulator, *SPAN.values())["count"]
    turned = await found(client, isAscending=False)
    assert [row["duration"] for row in turned["results"]] == durations[::-1]


async def test_the_skip_is_ignored(client, on, rows):
    on("skip_ignored")
    assert (await search(client, skip=7)).json()["results"] == rows[:100]
