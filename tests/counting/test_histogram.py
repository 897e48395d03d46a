"""Durations in buckets: inclusive bounds, exact sums, the latest call of each bucket."""

from hypothesis import given
from hypothesis import strategies as st

from pearl_exporter.counting.histogram import Histogram, HistogramSnapshot

BOUNDS = (5.0, 10.0, 30.0)
DURATIONS = st.integers(0, 100_000).map(lambda milliseconds: milliseconds / 1000)


def test_an_empty_one_has_every_bucket_at_0() -> None:
    assert Histogram(BOUNDS).snapshot() == HistogramSnapshot(
        BOUNDS, (0, 0, 0, 0), 0.0, (None, None, None, None)
    )


def test_a_bound_belongs_to_its_bucket() -> None:
    histogram = Histogram(BOUNDS)
    for duration in (0.001, 5.0, 5.001, 10.0, 30.0, 30.001):
        histogram.add(duration)
    assert histogram.snapshot().counts == (2, 2, 1, 1)


def test_without_bounds_there_is_one_bucket_for_all() -> None:
    histogram = Histogram(())
    histogram.add(7.0)
    assert histogram.snapshot() == HistogramSnapshot((), (1,), 7.0, (None,))


def test_the_exemplar_of_a_bucket_is_its_latest_call() -> None:
    histogram = Histogram(BOUNDS)
    histogram.add(3.0, "first")
    histogram.add(4.0, "second")
    histogram.add(60.0, "long")
    histogram.add(1.0)
    assert histogram.snapshot().exemplars == (("second", 4.0), None, None, ("long", 60.0))


def test_a_snapshot_does_not_change_with_what_comes_after_it() -> None:
    histogram = Histogram(BOUNDS)
    histogram.add(3.0, "a")
    before = histogram.snapshot()
    histogram.add(3.0, "b")
    assert before == HistogramSnapshot(BOUNDS, (1, 0, 0, 0), 3.0, (("a", 3.0), None, None, None))


@given(st.lists(DURATIONS, max_size=50))
def test_it_counts_as_a_brute_force_recount_does(durations: list[float]) -> None:
    histogram = Histogram(BOUNDS)
    for duration in durations:
        histogram.add(duration)
    found = histogram.snapshot()
    for index, bound in enumerate((*BOUNDS, float("inf"))):
        assert sum(found.counts[: index + 1]) == sum(each <= bound for each in durations)
    assert found.total_seconds == sum(round(each * 1000) for each in durations) / 1000


@given(st.lists(DURATIONS, max_size=30), st.lists(DURATIONS, max_size=30), st.randoms())
def test_what_was_added_can_be_taken_out_in_any_order(stay, go, random) -> None:
    wanted = Histogram(BOUNDS)
    for duration in stay:
        wanted.add(duration)
    histogram = Histogram(BOUNDS)
    both = [*stay, *go]
    random.shuffle(both)
    for duration in both:
        histogram.add(duration)
    random.shuffle(go)
    for duration in go:
        histogram.remove(duration)
    assert histogram.snapshot() == wanted.snapshot()


@given(st.lists(st.tuples(DURATIONS, st.text(max_size=5)), max_size=20), st.integers(0, 20))
def test_saved_and_loaded_it_goes_on_where_it_stopped(calls, cut: int) -> None:
    whole, before = Histogram(BOUNDS), Histogram(BOUNDS)
    for duration, call_id in calls:
        whole.add(duration, call_id)
    for duration, call_id in calls[:cut]:
        before.add(duration, call_id)
    after = Histogram(BOUNDS, before.snapshot())
    for duration, call_id in calls[cut:]:
        after.add(duration, call_id)
    assert after.snapshot() == whole.snapshot()
