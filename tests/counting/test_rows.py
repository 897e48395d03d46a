"""Rows column by column behave as a dict of rows by id does."""

from hypothesis import given
from hypothesis import strategies as st

from pearl_exporter.counting.calls import Call
from pearl_exporter.counting.compact_ids import full_id
from pearl_exporter.counting.rows import Rows

T0 = 1_790_000_000_000
IDS = st.sampled_from(["a", "b", "65f1c0ffee65f1c0ffee0001", "65F1C0FFEE65F1C0FFEE0001", "c" * 24])
CALLS = st.builds(
    Call,
    IDS,
    st.integers(T0, T0 + 3),
    st.sampled_from([None, 100, 500]),
    st.sampled_from([None, 4]),
    st.sampled_from([0.0, 12.5]),
    st.sampled_from([(), ("vip",), ("vip", "b")]),
)
PAGES = st.lists(st.lists(CALLS, max_size=6), max_size=6)


def taken(pages: list[list[Call]]) -> tuple[Rows, dict[str, Call]]:
    rows, oracle = Rows(), dict[str, Call]()
    for page in pages:
        rows.extend(page)
        oracle.update((call.id, call) for call in page)
    return rows, oracle


@given(PAGES)
def test_a_row_that_comes_again_replaces_the_first(pages: list[list[Call]]) -> None:
    rows, oracle = taken(pages)
    assert list(rows) == list(oracle.values())
    assert len(rows) == len(oracle)
    assert all(key in rows for key in oracle)
    assert "never seen" not in rows


@given(PAGES)
def test_rows_are_the_rows_in_the_order_of_their_starts(pages: list[list[Call]]) -> None:
    rows, oracle = taken(pages)
    ids, starts, numbers, values = rows.by_start()
    assert list(starts) == sorted(starts)
    columns = {
        full_id(compact): Call(full_id(compact), start, *values[number])
        for compact, start, number in zip(ids, starts, numbers, strict=True)
    }
    assert columns == oracle
    assert len(ids) == len(oracle)


@given(PAGES, st.integers(T0, T0 + 4))
def test_what_starts_before_an_instant_can_be_let_go(pages: list[list[Call]], start: int) -> None:
    rows, oracle = taken(pages)
    assert list(rows.from_start(start)) == [call for call in oracle.values() if call.start >= start]


@given(PAGES)
def test_some_of_the_columns(pages: list[list[Call]]) -> None:
    columns = taken(pages)[0].by_start()
    places = list(range(0, len(columns.ids), 2))
    some = columns.at(places)
    assert list(some.ids) == [columns.ids[place] for place in places]
    assert list(some.starts) == [columns.starts[place] for place in places]
    assert list(some.numbers) == [columns.numbers[place] for place in places]
