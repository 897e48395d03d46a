"""Many new calls begun at once give what they give one by one: counts, journal and saved bytes."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from pearl_exporter.counting.calls import Call
from pearl_exporter.counting.labels import TagRules
from pearl_exporter.counting.tracker import Applied, Tracker
from tests.support.saving import RULES, T0, apply_rows

ONE_BY_ONE, AT_ONCE = 1_000_000, 1
MINUTE = 60_000
BEFORE_2020 = 1_577_836_799_999

keys = st.integers(0, 30)
ages = st.sampled_from([0, 1, 25_000, 31_000, 119_000, 121_000, 2_000_000, 3_599_999, 3_600_001])
starts = st.one_of(ages.map(lambda age: T0 - age), st.sampled_from([T0 + 1, T0 + MINUTE]))
calls = st.builds(
    Call,
    keys.map("{:024x}".format) | keys.map("call-{}".format),
    starts | st.just(BEFORE_2020),
    st.sampled_from([None, 1, 40, 100, 150, 777]),
    st.sampled_from([None, 3, 4, 7, 100, 12]),
    st.sampled_from([0.0, 3.0, 61.0]),
    st.sampled_from([(), ("vip",), ("late", "vip"), ("third",)]),
)
reads = st.lists(st.lists(calls, max_size=40), min_size=1, max_size=3)


def history(reads: list[list[Call]], block_calls: int, max_tags: int, bulk: int) -> list[object]:
    """What came of each poll, and what is saved after it."""
    rules = structs.replace(RULES, tags=TagRules(max_tags=max_tags))
    tracker = Tracker(rules, min_bulk_rows=bulk, block_calls=block_calls)
    found: list[object] = []
    for turn, rows in enumerate(reads):
        now = T0 + turn * MINUTE
        applied: Applied = apply_rows(tracker, rows, ranges=[(T0 - 4_000_000, now + 1)], now=now)
        found += [applied, tracker.saved(), tracker.calls.between(0, 2 * T0), tracker.unsettled()]
    return found


@given(reads=reads, block_calls=st.sampled_from([1, 2, 3, 256]), max_tags=st.integers(0, 3))
def test_many_calls_at_once_are_as_each_of_them_alone(reads, block_calls, max_tags):
    wanted = history(reads, block_calls, max_tags, ONE_BY_ONE)
    assert history(reads, block_calls, max_tags, AT_ONCE) == wanted


@given(count=st.integers(0, 700), apart=st.sampled_from([0, 1, 2, 7]), block=st.integers(1, 300))
def test_blocks_are_cut_where_single_calls_would_cut_them(count, apart, block):
    """Runs of calls of one millisecond are never cut, be they longer than a block or not."""
    rows = [Call(f"{n:024x}", T0 - 500_000 + (n // 5) * apart, 100, 4, 5.0) for n in range(count)]
    assert history([rows], block, 3, AT_ONCE) == history([rows], block, 3, ONE_BY_ONE)
