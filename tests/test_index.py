"""The index of tracked calls answers as a plain list would, after any history of changes."""

from hypothesis import given
from hypothesis import strategies as st

from pearl_exporter.index import StartIndex

keys = st.sampled_from("abcdefghij")
instants = st.integers(0, 12)
ranges = st.tuples(instants, instants).map(sorted)
steps = st.lists(
    st.tuples(st.sampled_from(["add", "remove", "move", "vanish", "appear"]), keys, instants),
    max_size=60,
)


@given(steps=steps, range_=ranges)
def test_it_is_a_sorted_list_with_some_items_absent(steps, range_):
    start, end = range_
    index: StartIndex[str] = StartIndex()
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
        elif step == "vanish":
            index.vanish(key, plain[key])
            absent.add(key)
        elif step == "appear":
            index.appear(key)
            absent.discard(key)
    inside = {key for key, at in plain.items() if start <= at < end}
    assert len(index) == len(plain)
    assert {item.lower() for item in index} == set(plain)
    between = index.between(start, end)
    assert {item.lower() for item in between} == inside
    assert [plain[item.lower()] for item in between] == sorted(plain[key] for key in inside)
    assert index.present(start, end) == len(inside - absent)
    assert all((key in index) == (key in plain) for key in "abcdefghij")
    assert all(index.is_absent(key) == (key in absent) for key in plain)


@given(starts=st.lists(instants, max_size=30), range_=ranges)
def test_halfway_leaves_something_on_either_side_if_that_can_be(starts, range_):
    start, end = range_
    index: StartIndex[int] = StartIndex()
    index.fill((f"call-{n}", at, n) for n, at in enumerate(starts))
    inside = {at for at in starts if start <= at < end}
    middle = index.halfway(start, end)
    if len(inside) < 2:
        assert middle == start or index.present(start, middle) == 0
    else:
        assert 0 < index.present(start, middle) < index.present(start, end)
