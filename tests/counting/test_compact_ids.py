"""A short id is its id, whatever that is, and as short as can be."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearl_exporter.counting.compact_ids import (
    compact_id,
    compact_ids,
    full_id,
    loaded_ids,
    saved_ids,
)

hex_ids = st.integers(0, 2**96 - 1).map(lambda number: f"{number:024x}")
odd_ids = st.sampled_from(
    ["call-1", "ABCDEF" * 4, "abcdeF" * 4, " " * 24, "a" * 22 + " 1", "é" * 24, "a" * 256, "a" * 48]
)
ids = st.one_of(hex_ids, odd_ids, st.text())


@given(ids=st.lists(ids))
def test_many_are_as_each_alone_and_none_is_lost(ids):
    shorts = compact_ids(ids)
    assert shorts == [compact_id(each) for each in ids]
    assert [full_id(short) for short in shorts] == ids
    assert len(set(shorts)) == len(set(ids))


@given(ids=st.lists(hex_ids, min_size=1))
def test_those_of_the_platform_are_bytes_that_can_be_joined(ids):
    shorts = compact_ids(ids)
    assert all(isinstance(short, bytes) for short in shorts)
    assert sys.getsizeof(shorts[0]) <= 48 < sys.getsizeof(ids[0])
    joined = saved_ids(shorts)
    assert isinstance(joined, bytes)
    assert loaded_ids(joined) == shorts


@given(ids=st.lists(ids), odd=odd_ids)
def test_among_odd_ones_all_are_kept_as_they_are(ids, odd):
    assert saved_ids(compact_ids([*ids, odd])) == [*ids, odd]


def test_half_an_id_is_refused():
    with pytest.raises(ValueError, match="whole number"):
        loaded_ids(bytes(23))
