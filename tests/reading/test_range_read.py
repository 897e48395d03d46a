"""A range is read whole and exactly, however the API leaves its own behaviour open."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearl_exporter.counting.calls import Call
from pearl_exporter.counting.settlement import CountingRules
from pearl_exporter.counting.tracker import Tracker
from pearl_exporter.errors import Inconsistent
from pearl_exporter.reading.range_read import MAX_READS, RangeRead, read_start, unread
from pearl_exporter.reading.search import Page
from tests.support.table import Table, read_whole

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
    if coarse_ms > 1:  # nobody can read what the server does not show for the whole range
        shown = replace(table, clamp=1000).answer(RangeRead(START, END, 1000).next_search())
        visible = {call.id: call for call in shown.calls if START <= call.start < END}
    assert read_whole(RangeRead(START, END, limit), table) == visible


@given(
    starts=starts, limit=st.integers(8, 12), key=st.sampled_from([hash, lambda call: call.start])
)
def test_an_order_of_the_servers_own_is_read_by_offset(starts, limit, key):
    """Pages of a few rows may happen to look newest first; those of eight hardly ever do."""
    table = table_of(*starts, order=key)
    read = RangeRead(START, END, limit)
    assert read_whole(read, table) == inside(table)
    again = RangeRead(START, END, limit, by_offset=read.by_offset)
    assert read_whole(again, table) == inside(table)
    assert again.by_offset == read.by_offset


def test_a_row_that_shifts_within_the_oldest_millisecond_is_not_lost():
    """By offset within one millisecond, a page that reaches the range's start proves nothing."""
    table = table_of(START + 1, START - 1, START, START)

    def delete_the_newest(table: Table) -> None:
        if len(table.searches) == 2:
            del table.rows["call-000"]

    table.on_search = delete_the_newest
    assert read_whole(RangeRead(START, END, 2), table).items() >= inside(table).items()


@given(data=st.data(), starts=starts, limit=page_sizes.filter(lambda size: size > 1))
def test_rows_that_shift_under_the_read_are_neither_lost_nor_doubled(data, starts, limit):
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


def test_rows_that_shift_within_a_millisecond_are_noticed_though_the_count_stays():
    """A page by offset begins with the last row of the page before it, or rows have shifted."""
    table = table_of(START + 3, START, START + 2, START + 2, START + 2)

    def move_the_newest(table: Table) -> None:
        if len(table.searches) == 2:
            table.put(Call("call-000", START))

    table.on_search = move_the_newest
    assert read_whole(RangeRead(START, END, 2), table) == inside(table)


@pytest.mark.parametrize("bad", [None, 1, 9])
def test_a_shift_by_offset_shows_beside_rows_that_cannot_be_used(bad):
    """One row goes and another comes, so that the count stays."""
    rows = [(f"call-{number:03d}", START + number) for number in range(12)]
    read = RangeRead(START, END, 4, by_offset=True)
    while (search := read.next_search()) is not None:
        if read.pages == 1:
            rows = [*rows[1:], ("late", START + 50)]
        page = rows[search.skip : search.skip + search.limit]
        calls = [Call(*each) for each in page if each[1] != START + (bad or -1)]
        rejected = len(page) - len(calls)
        ends_usably = bool(calls) and calls[-1].id == page[-1][0]
        read.apply(Page(len(rows), calls, rejected, ends_usably=ends_usably))
    usable = {key for key, at in rows if at != START + (bad or -1)}
    assert {call.id for call in read.calls} == usable


def test_downward_reading_takes_a_request_a_page():
    table = table_of(*range(START, END))
    read = RangeRead(START, END, 100)
    read_whole(read, table)
    assert len(table.searches) == 11
    assert all(search.skip == 0 for search in table.searches)


def test_more_calls_of_one_millisecond_than_a_page_holds():
    table = table_of(*[START + 5] * 25, START + 1, START + 9, *[START] * 7)
    assert read_whole(RangeRead(START, END, 4), table) == inside(table)


def test_a_row_at_either_end_of_the_range():
    table = table_of(START - 1, START, END - 1, END)
    found = read_whole(RangeRead(START, END, 10), table)
    assert sorted(call.start for call in found.values()) == [START, END - 1]


def test_an_empty_range_is_one_request():
    table = table_of()
    read = RangeRead(START, END, 10)
    assert read_whole(read, table) == {}
    assert read.pages == 1


def test_rejected_rows_count_towards_the_total_and_their_ids_are_told():
    table = table_of(*range(START, START + 30), rejected=frozenset({"call-003", "call-029"}))
    read = RangeRead(START, END, 7)
    found = read_whole(read, table)
    assert set(found) == set(table.rows) - table.rejected
    assert read.rejected_ids == table.rejected


def test_rows_that_a_first_page_left_out_by_chance_are_found_beside_rejected_ones():
    """Three usable rows of four look newest first, though the server ignores the order."""
    at = {"a": 90, "bad": 95, "b": 50, "c": 10, "d": 80, "e": 70, "f": 60}
    table = Table(order=lambda call: list(at).index(call.id), rejected=frozenset({"bad"}))
    table.put(*(Call(key, START + offset) for key, offset in at.items()))
    read = RangeRead(START, END, 4)
    assert set(read_whole(read, table)) == set(at) - {"bad"}
    assert read.by_offset


def test_a_page_of_nothing_but_rejected_rows_does_not_stop_the_read():
    table = table_of(
        *range(START, START + 10), rejected=frozenset(f"call-00{n}" for n in range(3, 8))
    )
    assert set(read_whole(RangeRead(START, END, 2), table)) == set(table.rows) - table.rejected


def test_a_count_that_is_always_wrong_is_overruled_by_two_equal_reads():
    table = table_of(*range(START, START + 5), miscount=3)
    read = RangeRead(START, END, 10)
    assert read_whole(read, table) == inside(table)


@pytest.mark.parametrize("limit", [3, 10])
def test_a_table_that_never_agrees_with_its_count_is_inconsistent(limit):
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
    read = RangeRead(START, START + 1_000, 20)
    assert read_whole(read, table) == table.rows
    assert read.by_offset


def test_one_call_deleted_deep_down_costs_one_more_request_and_no_fall_back():
    table = table_of(*range(START, START + 100))

    def delete_one_once(table: Table) -> None:
        if len(table.searches) == 2:
            del table.rows["call-010"]

    table.on_search = delete_one_once
    read = RangeRead(START, END, 20)
    assert read_whole(read, table) == inside(table)
    assert not read.by_offset
    assert len(table.searches) <= 8


def test_progress_is_told_as_calls_read_of_calls_expected():
    table = table_of(*range(START, START + 100))
    read = RangeRead(START, END, 30)
    told = []
    while (search := read.next_search()) is not None:
        read.apply(table.answer(search))
        told.append((read.received, read.expected))
    assert [received for received, _ in told] == [29, 57, 85, 100]  # all but the ties at the end
    # a row at the very end of a range may be counted twice, nothing more
    assert all(100 <= expected <= 101 for _, expected in told)


def test_a_count_of_no_calls_with_rows_is_read_again():
    read = RangeRead(START, END, 10)
    page = Page(0, calls_at(START + 1))
    for _ in range(2):
        read.apply(page)
        assert read.next_search() is not None
        read.apply(Page(0, ()))
    assert read.next_search() is None
    assert len(read.calls) == 1


@pytest.mark.parametrize("miscount", [-1, -60, -250])
def test_a_count_that_is_too_low_does_not_cut_the_read_short(miscount):
    table = table_of(*range(START, START + 250), miscount=miscount)
    assert read_whole(RangeRead(START, END, 100), table) == table.rows


RULES = CountingRules(
    window_ms=3_600_000,
    settle_ms=120_000,
    settle_unanswered_ms=30_000,
    follow_ms=86_400_000,
    catch_up_ms=21_600_000,
    scan_every_ms=900_000,
    buckets=(10.0,),
)
NOW = 1_795_000_000_000
HOUR = 3_600_000


def polled(*calls: Call, now: int = NOW) -> Tracker:
    tracker = Tracker(RULES)
    tracker.apply(calls, ranges=[(now - HOUR, now + 1)], now=now)
    return tracker


def test_the_first_poll_reads_the_window():
    assert read_start(Tracker(RULES), RULES, NOW) == NOW - HOUR


def test_what_left_the_window_since_the_last_poll_is_read_a_last_time():
    assert read_start(polled(), RULES, NOW + 30_000) == NOW - HOUR


def test_a_live_call_older_than_the_window_does_not_widen_the_read():
    tracker = polled(Call("live", NOW - 5, status=40, call_status=3))
    now = NOW + HOUR
    assert read_start(tracker, RULES, now) == NOW - HOUR


def test_after_an_outage_shorter_than_the_window_all_that_left_it_is_read_a_last_time():
    now = NOW + HOUR
    assert read_start(polled(), RULES, now) == NOW - HOUR
    assert unread(polled(), RULES, now) is None


def test_after_a_longer_outage_the_window_is_read_and_what_has_left_it_is_unread():
    now = NOW + 5 * HOUR
    assert read_start(polled(), RULES, now) == now - HOUR
    assert unread(polled(), RULES, now) == (NOW - HOUR, now - HOUR)


def test_what_is_unread_begins_catch_up_ago():
    now = NOW + 24 * HOUR
    assert unread(polled(), RULES, now) == (now - RULES.catch_up_ms, now - HOUR)


def test_while_catching_up_what_was_read_since_is_not_unread():
    now = NOW + 5 * HOUR
    tracker = polled()
    left = (NOW, now - HOUR)
    tracker.apply([], ranges=[(now - HOUR, now + 1)], now=now, unread=left)
    assert unread(tracker, RULES, now + 30_000) == left
    assert read_start(tracker, RULES, now + 30_000) == now - HOUR


def test_a_second_outage_adds_to_what_is_unread():
    now = NOW + 5 * HOUR
    tracker = polled()
    tracker.apply([], ranges=[(now - HOUR, now + 1)], now=now, unread=(NOW, now - HOUR))
    again = now + 3 * HOUR
    assert unread(tracker, RULES, again) == (NOW, again - HOUR)


def test_a_window_longer_than_catch_up_is_read_whole():
    rules = replace_window(RULES, 12 * HOUR)
    tracker = Tracker(rules)
    tracker.apply([], ranges=[(NOW - 12 * HOUR, NOW + 1)], now=NOW)
    now = NOW + 24 * HOUR
    assert read_start(tracker, rules, now) == now - 12 * HOUR


def replace_window(rules: CountingRules, window_ms: int) -> CountingRules:
    return CountingRules(
        **{name: getattr(rules, name) for name in rules.__struct_fields__}
        | {"window_ms": window_ms}
    )
