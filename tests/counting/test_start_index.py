"""The index of tracked calls answers as a plain list would, after any history of changes."""

from hypothesis import given
from hypothesis import strategies as st

from pearl_exporter.counting.start_index import StartIndex

keys = st.sampled_from("abcdefghij")
instants = st.integers(0, 12)
ranges = st.tuples(instants, instants).map(sorted)
steps = st.lists(
    st.tuples(
        st.sampled_from(["add", "remove", "move", "mark_absent", "mark_present"]), keys, instants
    ),
    max_size=60,
)


@given(steps=steps, range_=ranges, block_calls=st.sampled_from([1, 2, 3, 256]))
def test_it_is_a_sorted_list_with_some_items_absent(steps, range_, block_calls):
    start, end = range_
    index: StartIndex[str, str] = StartIndex(block_calls)
    plain: dict[str, int] = {}
    absent: set[str] = set()
    for step, key, at in steps:
        if step == "add" and key not in plain:
            index.add(key, at, key.upper())
            plain[key] = at
        elif key not in plain:
            continue
        elif step == "remove":
            index.remove(key, plain.pop(key))
            absent.discard(key)
        elif step == "move":
            index.move(key, plain[key], at)
            plain[key] = at
        elif step == "mark_absent":
            index.mark_absent(key, plain[key])
            absent.add(key)
        elif step == "mark_present":
            index.mark_present(key)
            absent.discard(key)
    inside = {key for key, at in plain.items() if start <= at < end}
    assert len(index) == len(plain)
    items = {key: index.get(key) for key in "abcdefghij"}
    assert items == {key: key.upper() if key in plain else None for key in items}
    assert all(index[key] == key.upper() for key in plain)
    between = index.ids_between(start, end)
    assert set(between) == inside
    assert [plain[key] for key in between] == sorted(plain[key] for key in inside)
    assert index.present(start, end) == len(inside - absent)
    assert index.present(-1, 100) == len(plain) - len(absent)
    check_blocks(index, plain)


def check_blocks(index: StartIndex[str, str], plain: dict[str, int]) -> None:
    """Every call is in the one block that its start belongs to, and every change is recorded."""
    blocks = list(index.blocks())
    keys = [block.key for block in blocks]
    assert keys == sorted(set(keys))
    for block, upper in zip(blocks, [*keys[1:], 10**9], strict=False):
        assert block.ids
        assert list(block.starts) == [plain[key] for key in block.ids]
        assert all(block.key <= at < upper for at in block.starts)
    assert sorted(key for block in blocks for key in block.ids) == sorted(plain)
    changes = index.take_changes()
    assert {key for key, block in changes.items() if block} == set(keys)
    assert index.take_changes() == {}
    for key, at in plain.items():
        index.put(key, at, key.upper())
        (changed,) = index.take_changes().values()
        assert key in changed.ids


@given(
    starts=st.lists(instants, max_size=30), range_=ranges, block_calls=st.sampled_from([1, 3, 256])
)
def test_halfway_leaves_calls_on_both_sides(starts, range_, block_calls):
    """No call starts in the millisecond before, unless there is no such instant."""
    start, end = range_
    index: StartIndex[str, int] = StartIndex(block_calls)
    index.add_all([f"call-{n}" for n in range(len(starts))], sorted(starts), range(len(starts)))
    inside = {at for at in starts if start <= at < end}
    middle = index.halfway(start, end)
    cuts = {at for at in inside if at > min(inside) and at - 1 not in inside}
    if cuts:
        assert middle in cuts
    else:
        assert middle == start
