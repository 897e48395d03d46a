"""A compact id stands for exactly one id; those of the platform take half the memory."""

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
other_ids = st.sampled_from(
    ["call-1", "ABCDEF" * 4, "abcdeF" * 4, " " * 24, "a" * 22 + " 1", "é" * 24, "a" * 256, "a" * 48]
)
ids = st.one_of(hex_ids, other_ids, st.text())


@given(ids=st.lists(ids))
def test_many_ids_are_compacted_as_each_alone(ids):
    compacts = compact_ids(ids)
    assert compacts == [compact_id(each) for each in ids]
    assert [full_id(compact) for compact in compacts] == ids
    assert len(set(compacts)) == len(set(ids))


@given(ids=st.lists(hex_ids, min_size=1))
def test_the_platform_s_ids_are_saved_as_joined_bytes(ids):
    compacts = compact_ids(ids)
    assert all(isinstance(compact, bytes) for compact in compacts)
    assert sys.getsizeof(compacts[0]) <= 48 < sys.getsizeof(ids[0])
    joined = saved_ids(compacts)
    assert isinstance(joined, bytes)
    assert loaded_ids(joined) == compacts


@given(ids=st.lists(ids), other=other_ids)
def test_one_other_id_saves_all_as_they_are(ids, other):
    assert saved_ids(compact_ids([*ids, other])) == [*ids, other]


def test_half_an_id_is_refused():
    with pytest.raises(ValueError, match="whole number"):
        loaded_ids(bytes(23))
