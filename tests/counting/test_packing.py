"""A packed call tells all that is known of it, and is compared with a row in one step."""

from hypothesis import given
from hypothesis import strategies as st

from pearl_exporter.counting.calls import Call
from pearl_exporter.counting.packing import (
    IN_WINDOW,
    KindTable,
    can_be_packed,
    flags_of,
    is_unchanged,
    kind_number_of,
    pack,
    start_of,
    unknown_codes,
)

T0 = 1_795_000_000_000
values = st.tuples(
    st.sampled_from([None, 40, 100, 777]),
    st.sampled_from([None, 3, 4, 100, 12]),
    st.sampled_from([0.0, 5.0]),
    st.sampled_from([(), ("vip",)]),
)
starts = st.integers(T0 - 10**9, T0 + 10**9)
flags = st.integers(0, 127)


@given(all_values=st.lists(values, min_size=1, max_size=20), start=starts, flags=flags)
def test_packing_loses_nothing(all_values, start, flags):
    kinds = KindTable()
    for each in all_values:
        kind = kinds.of(each)
        packed = pack(kind, start, flags)
        assert (kind_number_of(packed), start_of(packed), flags_of(packed)) == (
            kind.number,
            start,
            flags,
        )
        assert kinds[kind.number].values == each
        assert kinds.call("id", packed) == Call("id", start, *each)


@given(one=values, other=values, start=starts, later=st.sampled_from([0, 1, 60_000]))
def test_two_packed_calls_is_unchanged_if_a_row_tells_no_difference(one, other, start, later):
    kinds = KindTable()
    counted = pack(kinds.of(one), start, 0b1100011 | IN_WINDOW)
    read = pack(kinds.of(other), start + later, IN_WINDOW)
    assert is_unchanged(counted, read) == (one == other and later == 0)
    assert not is_unchanged(counted, pack(kinds.of(one), start, 0))


def test_equal_values_are_of_one_kind():
    kinds = KindTable()
    assert kinds.of((100, 4, 5.0, ())) is kinds.of((100, 4, 5.0, ()))
    assert kinds.of((100, 4, 6.0, ())).number == 1
    assert len(kinds) == 2


def test_which_starts_can_be_packed():
    assert can_be_packed(1_577_836_800_000)
    assert can_be_packed(T0)
    assert not can_be_packed(1_577_836_799_999)
    assert not can_be_packed(1_577_836_800_000 + 2**39)


def test_a_code_of_the_other_table_is_not_odd_in_telephony():
    assert unknown_codes(100, 100) == 0
    assert unknown_codes(4, 4) == 1
    assert unknown_codes(None, 77) == 2
    assert unknown_codes(777, 777) == 3
