"""Counts that contradict the rows."""

import pytest

from tests.simulator.test_server import search


@pytest.mark.parametrize(
    ("fault", "counted"),
    [
        ("count_off", lambda rows, _page: rows + 1),
        ("count_off:by=-3", lambda rows, _page: rows - 3),
        ("count_off:by=-1000000", lambda _rows, _page: 0),
        ("count_capped:limit=50", lambda _rows, _page: 50),
        ("count_of_page", lambda _rows, page: page),
        ("count_page_size", lambda _rows, _page: 30),
        ("count_fixed", lambda _rows, _page: 10**12),
    ],
)
async def test_the_count_is_wrong_and_the_rows_are_right(client, on, rows, fault, counted):
    on(fault)
    answer = (await search(client, limit=30, skip=len(rows) - 7)).json()
    assert answer == {"count": counted(len(rows), 7), "results": rows[-7:]}


async def test_a_count_that_jumps_is_another_each_time(client, on, rows):
    on("count_jumping:by=4")
    counts = [(await search(client)).json()["count"] for _ in range(40)]
    assert 4 < len(set(counts)) <= 9
    assert all(abs(count - len(rows)) <= 4 for count in counts)


async def test_results_are_null_though_rows_are_counted(client, on, rows):
    on("results_null")
    assert (await search(client)).json() == {"count": len(rows), "results": None}


async def test_every_so_many_rows_one_is_missing_by_its_place(client, on, rows):
    on("rows_missing:every=3,which=place")
    answer = (await search(client, limit=9)).json()
    assert answer["count"] == len(rows)
    assert answer["results"] == [row for at, row in enumerate(rows[:9], 1) if at % 3]


async def test_the_same_rows_are_always_missing(client, on, rows):
    on("rows_missing:every=3")
    found = (await search(client, limit=1000)).json()["results"]
    assert len(found) == pytest.approx(2 / 3 * min(1000, len(rows)), rel=0.1)
    again = (await search(client, limit=1000, skip=1)).json()["results"]
    left = [row for row in found if row != rows[0]]
    assert again[: len(left)] == left


async def test_pages_that_have_no_end(client, on, rows):
    on("endless")
    before = len(rows) - 10
    answers = [(await search(client, skip=before + 30 * n, limit=30)).json() for n in range(3)]
    assert [each["count"] - before - 30 * n for n, each in enumerate(answers)] == [60] * 3
    results = [row for each in answers for row in each["results"]]
    assert results[:10] == rows[-10:]
    assert len({row["id"] for row in results}) == 90
