"""The call table answers as a plain dict would, and every change of it can be saved."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pearl_exporter.counting.call_table import CallTable
from pearl_exporter.counting.calls import Call
from pearl_exporter.counting.compact_ids import full_id
from pearl_exporter.counting.tracked_call import GONE, UNSETTLED, CallPhase, TrackedCall

T0 = 1_795_000_000_000
END = T0 + 100

keys = st.sampled_from([*"abcd", *(f"{number:024x}" for number in range(4))])
tracked_calls = st.builds(
    TrackedCall,
    st.builds(
        Call,
        keys,
        st.integers(T0, T0 + 12),
        st.sampled_from([40, 100, 150]),
        st.just(4),
        st.sampled_from([0.0, 5.0]),
        st.sampled_from([(), ("vip",)]),
    ),
    st.sampled_from(CallPhase),
    in_window=st.booleans(),
    missing_since=st.sampled_from([None, None, GONE, T0]),
)
# a call is added, or replaced by another value; None forgets all that is done
steps = st.lists(st.none() | tracked_calls, max_size=40)


def in_order(found):
    return sorted(found, key=lambda tracked: (tracked.call.start, tracked.call.id))


@given(
    steps=steps,
    range_=st.tuples(st.integers(T0, T0 + 13), st.integers(T0, T0 + 13)).map(sorted),
    block_calls=st.sampled_from([1, 2, 256]),
    max_unused_kinds=st.sampled_from([0, 10_000]),
)
def test_it_answers_as_a_plain_dict_would(steps, range_, block_calls, max_unused_kinds):
    table = CallTable(block_calls=block_calls, max_unused_kinds=max_unused_kinds)
    plain: dict[str, TrackedCall] = {}
    saved: dict[int, bytes | None] = {}
    for step in steps:
        if step is None:
            done = {key for key, each in plain.items() if each.phase not in UNSETTLED}
            assert {*map(full_id, table.forget(END))} == done
            plain = {key: each for key, each in plain.items() if key not in done}
        elif (old := table.get(step.call.id)) is not None:
            table.replace(old, step)
            plain[step.call.id] = step
        else:
            new = replace(step, missing_since=None)
            table.add(new)
            plain[step.call.id] = new
        saved |= table.take_changes()
        assert table.present(T0, END) == sum(not each.is_absent for each in plain.values())
    start, end = range_
    inside = [each for each in plain.values() if start <= each.call.start < end]
    assert len(table) == len(plain)
    assert {key: table.get(key) for key in plain} == plain
    assert in_order(table.between(start, end)) == in_order(inside)
    assert table.present(start, end) == sum(not each.is_absent for each in inside)
    wanted = [each for each in plain.values() if each.phase in UNSETTLED]
    assert in_order(table.unsettled()) == in_order(wanted)
    missing = [each for each in plain.values() if each.missing_since == T0]
    assert in_order(table.missing()) == in_order(missing)
    expected = [each for each in inside if each.missing_since != GONE]
    assert in_order(table.missed(start, end, ())) == in_order(expected)
    shown = [each.call for each in inside if each.in_window and not each.is_absent]
    starts = [call.start for call in shown if call.status == 100]
    codes = frozenset({100})
    assert table.starts_in_window(start, end, codes=codes, but=()) == sorted(starts)
    # what was taken as changed, step by step, adds up to all
    assert {key: each for key, each in saved.items() if each is not None} == table.saved()


@given(steps=steps)
def test_a_loaded_table_is_the_one_that_was_saved(steps):
    table = CallTable(block_calls=2)
    for step in steps:
        if step is not None and table.get(step.call.id) is None:
            table.add(new := replace(step, missing_since=None))
            table.replace(new, step)
    loaded = CallTable(block_calls=2)
    in_window = loaded.load(table.saved())
    assert in_order(loaded.between(0, END)) == in_order(table.between(0, END))
    assert in_order(loaded.unsettled()) == in_order(table.unsettled())
    assert in_order(loaded.missing()) == in_order(table.missing())
    assert loaded.present(0, END) == table.present(0, END)
    calls = sum(each.in_window for each in table.between(0, END))
    assert sum(in_window.kinds.values()) + len(in_window.objects) == calls
    assert loaded.take_changes() == {}


def test_an_equal_value_is_no_change():
    table = CallTable()
    tracked = TrackedCall(Call("call", T0, 100, 4, 5.0), CallPhase.SETTLED)
    table.add(tracked)
    table.take_changes()
    table.replace(tracked, replace(tracked))
    assert table.take_changes() == {}


def test_a_tracked_call_cannot_be_changed():
    tracked = TrackedCall(Call("call", T0), CallPhase.LIVE)
    with pytest.raises(AttributeError):
        tracked.phase = CallPhase.SETTLED
