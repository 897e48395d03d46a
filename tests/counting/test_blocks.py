"""Saved blocks hold their calls exactly, and a damaged block is refused."""

from array import array

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearl_exporter.counting.blocks import decode_block, encode_block
from pearl_exporter.counting.calls import Call
from pearl_exporter.counting.compact_ids import CompactId, compact_id, compact_ids, full_id
from pearl_exporter.counting.packing import KindTable
from pearl_exporter.counting.start_index import Block
from pearl_exporter.counting.tracked_call import (
    GONE,
    UNSETTLED,
    CallPhase,
    TrackedCall,
    entry_of,
    tracked_of,
)

T0 = 1_795_000_000_000

hex_ids = st.integers(0, 2**96 - 1).map(lambda number: f"{number:024x}")
ids = st.one_of(hex_ids, st.sampled_from(["call-1", "ABCDEF" * 4, " " * 24, "é" * 24, "a" * 256]))
codes = st.one_of(st.none(), st.sampled_from([1, 40, 100, 500, 777, -3, 2**31 - 1]))
calls = st.builds(
    Call,
    ids,
    st.one_of(st.integers(T0 - 10**8, T0), st.sampled_from([-5, 0, 10**14])),
    codes,
    codes,
    st.sampled_from([0.0, 1.0, 59.25, 7200.0]),
    st.sampled_from([(), ("vip",), ("_other", "zurück")]),
)
tracked = st.builds(
    lambda call, phase, seen, in_window, missing_since, unknown_codes: TrackedCall(
        call, phase, seen if phase in UNSETTLED else None, in_window, missing_since, unknown_codes
    ),
    calls,
    st.sampled_from(CallPhase),
    st.none() | st.integers(T0, T0 + 10**6),
    st.booleans(),
    st.none() | st.just(GONE) | st.integers(T0, T0 + 10**6),
    st.integers(0, 3),
)


def block_of(listed: list[TrackedCall]) -> Block[CompactId]:
    listed.sort(key=lambda each: each.call.start)
    starts = array("q", [each.call.start for each in listed])
    return Block(starts[0], starts, compact_ids([each.call.id for each in listed]))


@given(listed=st.lists(tracked, min_size=1, max_size=30, unique_by=lambda each: each.call.id))
def test_what_is_saved_is_what_is_loaded(listed):
    block, kinds = block_of(listed), KindTable()
    entries = {compact_id(each.call.id): entry_of(each, kinds) for each in listed}
    content = encode_block(block, entries.get, kinds)
    theirs = KindTable()
    starts, loaded = decode_block(block.key, content, theirs)
    assert starts == block.starts
    found = [tracked_of(full_id(compact), entry, theirs) for compact, entry in loaded.items()]
    assert sorted(found, key=repr) == sorted(listed, key=repr)
    assert [each.call.start for each in found] == list(starts)


def test_calls_of_before_they_could_be_missing_are_read():
    """A state of schema version 4 may hold objects with ``is_absent`` and all other fields."""
    call = {"id": "call", "start": T0, "status": 40, "call_status": 3, "duration": 0.0, "tags": []}
    saved = {"call": call, "phase": 1, "seen_live_at": T0, "in_window": True, "is_absent": False}
    content = msgspec.msgpack.encode([[], b"", [[], [], b""], [{**saved, "odd_codes": 2}]])
    _, entries = decode_block(T0, content, KindTable())
    wanted = TrackedCall(Call("call", T0, 40, 3), CallPhase.LIVE, T0, True, None, 2)
    assert entries == {"call": wanted}


def test_an_id_of_the_platform_takes_half_its_length():
    listed = [
        TrackedCall(Call(f"{n:024x}", T0 + n, 100, 4, 5.0), CallPhase.SETTLED) for n in range(1000)
    ]
    block, kinds = block_of(listed), KindTable()
    entries = {compact_id(each.call.id): entry_of(each, kinds) for each in listed}
    assert len(encode_block(block, entries.get, kinds)) < 20 * len(listed)


def a_block() -> tuple[int, bytes]:
    listed = [
        TrackedCall(Call(f"{n:024x}", T0 + n, 100, 4, n % 3), CallPhase.SETTLED) for n in range(20)
    ]
    block, kinds = block_of(listed), KindTable()
    entries = {compact_id(each.call.id): entry_of(each, kinds) for each in listed}
    return block.key, encode_block(block, entries.get, kinds)


@given(data=st.data())
def test_any_damage_to_a_block_is_a_value_error(data):
    """Or it is not noticed, and the block is still consistent in itself."""
    key, content = a_block()
    place = data.draw(st.integers(0, len(content) - 1))
    damaged = content[:place] + data.draw(st.binary(max_size=3)) + content[place + 1 :]
    try:
        starts, entries = decode_block(key, damaged, KindTable())
    except ValueError:
        return
    assert len(starts) == len(entries)


def test_an_id_that_stands_twice_is_damage():
    twice = [TrackedCall(Call("a" * 24, T0 + n, 100, 4, 5.0), CallPhase.SETTLED) for n in range(2)]
    block, kinds = block_of(twice), KindTable()
    content = encode_block(block, {compact_id("a" * 24): entry_of(twice[0], kinds)}.get, kinds)
    with pytest.raises(ValueError, match="damaged"):
        decode_block(block.key, content, kinds)


@pytest.mark.parametrize("content", [b"", b"\x94", b"not a block", a_block()[1][:-7]])
def test_what_is_no_block_is_refused(content):
    with pytest.raises(ValueError, match="damaged"):
        decode_block(T0, content, KindTable())
