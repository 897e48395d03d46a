"""A range is read whole and exactly, however the API leaves its own behaviour open."""

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pearl_exporter.counting.calls import Call
from pearl_exporter.errors import Inconsistent
from pearl_exporter.polling.plan_runner import drive
from pearl_exporter.reading.range_read import MAX_READS, RangeRead
from pearl_exporter.reading.search import Page, Search
from tests.support.table import Table, by_id, read_range, read_whole

START, END = 1_000, 2_000
"""The range that the tests read, in milliseconds."""


def calls_at(*starts: int) -> list[Call]:
    return [Call(f"call-{index:03d}", start) for index, start in enumerate(starts)]


def table_of(*starts: int, **behaviour: object) -> Table:
    table = Table(**behaviour)
    table.put(*calls_at(*starts))
    return table


def inside(table: Table) -> dict[str, Call]:
    return {key: call for key, call in table.rows.items() if START <= call.start < END}


starts = st.lists(st.integers(START - 50, END + 50), max_size=60)
crowded = st.lists(st.integers(START - 2, START + 8), max_size=60)
page_sizes = st.integers(1, 12)


@given(
    starts=st.one_of(starts, crowded),
    limit=page_sizes,
    clamp=page_sizes,
    inclusive_start=st.booleans(),
    inclusive_end=st.booleans(),
    coarse_ms=st.sampled_from([1, 1, 1, 10, 1000]),
)
@example(
    starts=[START - 1] * 4,
    limit=2,
    clamp=1,
    inclusive_start=True,
    inclusive_end=False,
    coarse_ms=1,
)
def test_a_quiet_table_is_read_exactly(
    starts, limit, clamp, inclusive_start, inclusive_end, coarse_ms
):
    table = table_of(
        *starts,
        clamp=clamp,
        inclusive_start=inclusive_start,
        inclusive_end=inclusive_end,
        coarse_ms=coarse_ms,
    )
    visible = inside(table)
    if coarse_ms > 1:  # nobody can read what the server leaves out of the whole range
        shown = replace(table, clamp=1000).answer(next(RangeRead(START, END, 1000).searches()))
        visible = {call.id: call for call in shown.calls if START <= call.start < END}
    assert read_whole(RangeRead(START, END, limit), table) == visible


@given(
    starts=starts, limit=st.integers(8, 12), key=st.sampled_from([hash, lambda call: call.start])
)
def test_an_order_of_the_servers_own_is_read_by_offset(starts, limit, key):
    """Pages of a few rows may happen to look newest first; those of eight hardly ever do."""
    table = table_of(*starts, order=key)
    result = read_range(RangeRead(START, END, limit), table)
    assert by_id(result.calls) == inside(table)
    again = read_range(RangeRead(START, END, limit, by_offset=result.by_offset), table)
    assert by_id(again.calls) == inside(table)
    assert again.by_offset == result.by_offset


def test_a_shift_within_the_oldest_millisecond_loses_no_row():
    """By offset within one millisecond, a page that reaches the range's start proves nothing."""
    table = table_of(START + 1, START - 1, START, START)

    def delete_the_newest(table: Table) -> None:
        if len(table.searches) == 2:
            del table.rows["call-000"]

    table.on_search = delete_the_newest
    assert read_whole(RangeRead(START, END, 2), table).items() >= inside(table).items()


@given(data=st.data(), starts=starts, limit=page_sizes.filter(lambda size: size > 1))
def test_shifting_rows_are_neither_lost_nor_doubled(data, starts, limit):
    """Whatever appears, changes or goes meanwhile, the rows that stayed are all there."""
    table = table_of(*starts)
    before = inside(table)
    versions = {key: [call] for key, call in table.rows.items()}
    touched = set()

    def disturb(table: Table) -> None:
        for _ in range(data.draw(st.integers(0, 2))):
            key = f"call-{data.draw(st.integers(0, len(starts) + 5)):03d}"
            touched.add(key)
            if data.draw(st.booleans()):
                table.rows.pop(key, None)
            else:
                table.put(
                    Call(
                        key,
                        data.draw(st.integers(START, END - 1)),
                        status=data.draw(st.integers(0, 3)),
                    )
                )
                versions.setdefault(key, []).append(table.rows[key])

    table.on_search = disturb
    try:
        found = read_whole(RangeRead(START, END, limit), table)
    except Inconsistent:
        return
    for key, call in before.items():
        if key not in touched:
            assert found[key] == call
    for key, call in found.items():
        assert call in versions[key]


def test_a_shift_within_a_millisecond_is_noticed():
    """The count is the same, but a page must begin with the last row of the page before it."""
    table = table_of(START + 3, START, START + 2, START + 2, START + 2)

    def move_the_newest(table: Table) -> None:
        if len(table.searches) == 2:
            table.put(Call("call-000", START))

    table.on_search = move_the_newest
    assert read_whole(RangeRead(START, END, 2), table) == inside(table)


@pytest.mark.parametrize("bad", [None, 1, 9])
def test_a_shift_by_offset_shows_beside_unusable_rows(bad):
    """One row is deleted and another added, so that the count is the same."""
    table = table_of(*range(START, START + 12), without_ids=True)
    table.rejected = frozenset() if bad is None else frozenset({f"call-{bad:03d}"})

    def shift_once(table: Table) -> None:
        if len(table.searches) == 1:
            del table.rows["call-000"]
            table.put(Call("late", START + 50))

    table.on_search = shift_once
    found = read_whole(RangeRead(START, END, 4, by_offset=True), table)
    assert set(found) == set(table.rows) - table.rejected


def test_downward_reading_takes_a_request_a_page():
    table = table_of(*range(START, END))
    read_whole(RangeRead(START, END, 100), table)
    assert len(table.searches) == 11
    assert all(search.skip == 0 for search in table.searches)


def test_more_calls_of_one_millisecond_than_a_page_holds():
    table = table_of(*[START + 5] * 25, START + 1, START + 9, *[START] * 7)
    assert read_whole(RangeRead(START, END, 4), table) == inside(table)


def test_a_row_at_either_end_of_the_range():
    table = table_of(START - 1, START, END - 1, END)
    found = read_whole(RangeRead(START, END, 10), table)
    assert sorted(call.start for call in found.values()) == [START, END - 1]


def test_a_range_of_more_rows_than_wanted_is_given_up():
    table = table_of(*range(START, START + 100))
    result = read_range(RangeRead(START, END, 10, max_rows=99), table)
    assert not result.is_whole
    assert (result.pages, result.expected) == (1, 100)
    assert read_range(RangeRead(START, END, 10, max_rows=100), table).is_whole


def test_answers_with_other_statuses_end_a_read_by_status():
    table = table_of(*range(START, START + 5), ignores_statuses=True)
    assert not read_range(RangeRead(START, END, 10, statuses=(1, 20)), table).is_whole
    assert len(table.searches) == 1


def test_an_empty_range_is_one_request():
    table = table_of()
    assert read_whole(RangeRead(START, END, 10), table) == {}
    assert len(table.searches) == 1


def test_rejected_rows_count_and_their_ids_are_returned():
    table = table_of(*range(START, START + 30), rejected=frozenset({"call-003", "call-029"}))
    result = read_range(RangeRead(START, END, 7), table)
    assert set(by_id(result.calls)) == set(table.rows) - table.rejected
    assert result.unreadable_ids == table.rejected


def test_an_ignored_order_shows_beside_rejected_rows():
    """Three usable rows of four look newest first, though the server ignores the order."""
    at = {"a": 90, "bad": 95, "b": 50, "c": 10, "d": 80, "e": 70, "f": 60}
    table = Table(order=lambda call: list(at).index(call.id), rejected=frozenset({"bad"}))
    table.put(*(Call(key, START + offset) for key, offset in at.items()))
    result = read_range(RangeRead(START, END, 4), table)
    assert set(by_id(result.calls)) == set(at) - {"bad"}
    assert result.by_offset


def test_a_page_of_rejected_rows_does_not_stop_the_read():
    table = table_of(
        *range(START, START + 10), rejected=frozenset(f"call-00{n}" for n in range(3, 8))
    )
    assert set(read_whole(RangeRead(START, END, 2), table)) == set(table.rows) - table.rejected


@pytest.mark.parametrize("miscount", [-3, -1, 1, 2])
def test_two_equal_reads_overrule_a_wrong_count(miscount):
    table = table_of(*range(START, START + 5), miscount=miscount)
    result = read_range(RangeRead(START, END, 10), table)
    assert by_id(result.calls) == inside(table)
    assert result.unreadable_count == max(0, miscount)


@pytest.mark.parametrize(
    ("calls", "missing", "share", "is_good"),
    [
        (5, 3, 0.01, False),
        (300, 3, 0.01, True),
        (300, 4, 0.01, False),
        (300, 30, 0.1, True),
        (5, 2, 0.0, True),
        (0, 310, 1.0, True),
    ],
)
def test_a_shortfall_is_bounded(calls, missing, share, is_good):
    """By two rows, or the share of the rows that is configured."""
    table = table_of(*range(START, START + calls), miscount=missing)
    read = RangeRead(START, END, 100, max_unreadable=share)
    if is_good:
        assert read_range(read, table).unreadable_count == missing
    else:
        with pytest.raises(Inconsistent, match=rf"give {missing} of them.*poll\.max_unreadable"):
            read_range(read, table)


@pytest.mark.parametrize("limit", [3, 10])
def test_a_table_that_never_agrees_is_inconsistent(limit):
    table = table_of(*range(START, START + 5), miscount=3)

    def disturb(table: Table) -> None:
        table.put(Call("call-000", START, status=len(table.searches)))

    table.on_search = disturb
    with pytest.raises(Inconsistent, match=f"{MAX_READS} times"):
        read_whole(RangeRead(START, END, limit), table)


def test_by_offset_a_count_that_changed_is_read_again():
    table = table_of(*range(START, START + 20), order=lambda call: call.start)

    def delete_one_once(table: Table) -> None:
        if len(table.searches) == 3:
            del table.rows["call-000"]

    table.on_search = delete_one_once
    assert read_whole(RangeRead(START, END, 5), table) == inside(table)


def test_dates_cut_to_seconds_lose_no_row():
    """The page below ``p`` would miss the rows of p's own second: the counts betray it."""
    table = table_of(*range(START, START + 900, 10), coarse_ms=100)
    result = read_range(RangeRead(START, START + 1_000, 20), table)
    assert by_id(result.calls) == table.rows
    assert result.by_offset


def test_one_deleted_call_costs_one_request_and_no_fallback():
    """It is deleted from the part that is still to be read."""
    table = table_of(*range(START, START + 100))

    def delete_one_once(table: Table) -> None:
        if len(table.searches) == 2:
            del table.rows["call-010"]

    table.on_search = delete_one_once
    result = read_range(RangeRead(START, END, 20), table)
    assert by_id(result.calls) == inside(table)
    assert not result.by_offset
    assert len(table.searches) <= 8


def test_progress_is_calls_read_of_calls_expected():
    table = table_of(*range(START, START + 100))
    read = RangeRead(START, END, 30)
    seen = []
    table.on_search = lambda _: seen.append(read.progress)
    read_whole(read, table)
    before_any_page, *later = seen
    assert before_any_page is None
    received, expected = zip(*later, read.progress, strict=True)
    assert received == (29, 57, 85, 100)  # all but the ties at the end
    # a row at the very end of a range may be counted twice, nothing more
    assert all(100 <= each <= 101 for each in expected)


async def test_a_count_of_no_calls_with_rows_is_not_believed():
    pages = [Page(0, calls_at(START + 1)), Page(0, ())]

    async def ask(_search: Search) -> Page:
        return pages.pop(0)

    result = await drive(RangeRead(START, END, 10).searches(), ask)
    assert not pages
    assert len(result.calls) == 1


@pytest.mark.parametrize("miscount", [-1, -60, -250])
def test_a_count_that_is_too_low_does_not_cut_the_read_short(miscount):
    table = table_of(*range(START, START + 250), miscount=miscount)
    assert read_whole(RangeRead(START, END, 100), table) == table.rows
