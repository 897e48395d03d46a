"""The sum of all changes is each call once, with the values of its last row."""

from collections import Counter
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearl_exporter.counting.calls import Call, CallValues
from pearl_exporter.counting.row_changes import STEP_MS, RowChanges, outline
from pearl_exporter.counting.tracker import Tracker
from tests.support.saving import RULES, T0, apply_rows

MINUTE = 60_000
START = T0 - T0 % STEP_MS - MINUTE


def call(key: str = "a", start: int = START, status: int | None = 100, seconds: float = 20.0):
    return Call(key, start, status, 4, seconds, ("vip",))


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.0, 0.0), (0.5, 6.0), (6.0, 6.0), (6.5, inf), (900.0, inf)]
)
def test_an_outline_says_whether_a_call_is_answered_and_short(seconds, shown):
    assert outline(call(seconds=seconds)) == CallValues(100, 4, shown, ())


def test_a_call_whose_row_differs_is_taken_away_and_added():
    tracker = Tracker(RULES)
    live = Call("a", START + 1, 40, 3)

    def changes(row: Call, now: int):
        return apply_rows(tracker, [row], ranges=[(T0 - MINUTE, now)], now=now).changes

    assert changes(live, T0) == {(START, CallValues(40, 3, 0.0, ())): 1}
    assert changes(live, T0 + 1) == {}
    ended = call(start=START + 1)
    assert changes(ended, T0 + 2) == {
        (START, CallValues(40, 3, 0.0, ())): -1,
        (START, CallValues(100, 4, inf, ())): 1,
    }
    # neither its tags nor the seconds of its duration matter
    assert changes(call(start=START + 1, seconds=30.0), T0 + 3) == {}


def test_changes_are_taken_once():
    changes = RowChanges()
    changes.add(call())
    assert changes.take() == {(START, outline(call())): 1}
    assert changes.take() == {}


rows = st.builds(
    Call,
    st.integers(0, 9).map("{:024x}".format),
    st.integers(T0 - 30 * MINUTE, T0),
    st.sampled_from([None, 40, 100, 150, 777]),
    st.sampled_from([None, 3, 4, 7]),
    st.sampled_from([0.0, 3.0, 61.0]),
    st.sampled_from([(), ("vip",)]),
)


@given(reads=st.lists(st.lists(rows, max_size=20), max_size=6), bulk=st.sampled_from([1, 10**6]))
def test_the_sum_of_all_changes_is_the_last_row_of_each_call(reads, bulk):
    tracker, last, total = Tracker(RULES, min_bulk_rows=bulk), {}, Counter()
    for turn, read in enumerate(reads):
        now = T0 + turn * MINUTE
        applied = apply_rows(tracker, read, ranges=[(T0 - 40 * MINUTE, now + 1)], now=now)
        total.update(applied.changes)
        last |= {row.id: row for row in read}
    starts = ((row.start - row.start % STEP_MS, outline(row)) for row in last.values())
    assert {key: calls for key, calls in total.items() if calls} == Counter(starts)
