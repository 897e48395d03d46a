"""Evidence: none for usual calls, more for more bad ones, gone after the end."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pearl_exporter.detection.bins import HOUR_MS, MINUTE_MS, Bin
from pearl_exporter.detection.evidence import LIMITS, ChangePointTest, Stretch
from pearl_exporter.detection.usual import Usual

NOW = 1_780_272_000_000
PAGE = LIMITS["normal"].page
TEST = ChangePointTest(Usual(0.05, 0.1, 10_000, 10_000.0))
USUALS = st.builds(
    Usual, st.floats(0.005, 0.9), st.floats(0, 0.5), st.just(5000), st.floats(100, 50_000)
)


def minutes(*counts: tuple[int, int]) -> list[Bin]:
    """Bins of a minute, given oldest first, returned newest first."""
    first = NOW - len(counts) * MINUTE_MS
    bins = [(first + place * MINUTE_MS, *each) for place, each in enumerate(counts)]
    return bins[::-1]


def test_usual_calls_are_no_evidence():
    stretch = TEST.best_stretch(minutes(*[(40, 2)] * 60))
    assert stretch == Stretch(NOW - MINUTE_MS, 40, 2, 0.0)


def test_without_calls_there_is_no_stretch():
    assert TEST.best_stretch([]) is None


def test_a_stretch_begins_with_the_incident():
    stretch = TEST.best_stretch(minutes(*[(40, 2)] * 60, *[(40, 16)] * 5))
    assert stretch.evidence > PAGE
    assert stretch.start == NOW - 5 * MINUTE_MS
    assert (stretch.calls, stretch.bad) == (200, 80)


@pytest.mark.parametrize(("bad", "is_evidence"), [(9, False), (10, True)])
def test_fewer_bad_calls_than_wanted_are_no_evidence(bad, is_evidence):
    stretch = TEST.best_stretch(minutes(*[(40, 2)] * 60, (10, bad)), at_least_bad=10)
    assert (stretch.evidence > PAGE) is is_evidence


@settings(deadline=None)
@given(USUALS, st.integers(1, 2000), st.data())
def test_evidence_grows_with_each_bad_call(usual, calls, data):
    test = ChangePointTest(usual)
    bad = data.draw(st.integers(0, calls - 1))
    # a share below the usual one says nothing of raised odds, so only above it
    if bad >= usual.mean * calls:
        assert test.evidence(bad + 1, calls) > test.evidence(bad, calls)


@settings(deadline=None)
@given(USUALS, st.integers(1, 20_000))
def test_the_usual_share_is_no_evidence_however_many_calls(usual, calls):
    assert ChangePointTest(usual).evidence(int(usual.mean * calls), calls) <= 0.5


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=40))
def test_the_best_stretch_is_found_whatever_comes_before(counts):
    before = minutes(*[(good + bad, bad) for good, bad in counts if good + bad])
    now = [(NOW, 30, 25)]
    alone, together = TEST.best_stretch(now), TEST.best_stretch([*now, *before])
    assert together.evidence >= alone.evidence > PAGE


def test_scatter_forgives_a_share_that_is_had_now_and_then():
    bins = minutes(*[(400, 32)] * 20)
    steady = ChangePointTest(Usual(0.05, 0.0, 10_000, 1e6)).best_stretch(bins)
    restless = ChangePointTest(Usual(0.05, 0.28, 10_000, 1e6)).best_stretch(bins)
    assert steady.evidence > 50
    assert restless.evidence < LIMITS["normal"].warning


def test_an_incident_ends_with_the_first_usual_calls():
    bins = minutes(*[(40, 2)] * 60, *[(40, 20)] * 10, *[(40, 2)] * 6)
    stretch = TEST.best_stretch(bins)
    assert TEST.end_of(stretch, bins, NOW) == NOW - 6 * MINUTE_MS


def test_an_incident_that_goes_on_has_no_end():
    bins = minutes(*[(40, 2)] * 60, *[(40, 20)] * 10)
    assert TEST.end_of(TEST.best_stretch(bins), bins, NOW) is None


def test_calls_without_an_outcome_yet_end_no_incident():
    bins = minutes(*[(40, 2)] * 60, *[(40, 20)] * 10, (40, 0), (40, 0))
    assert TEST.end_of(TEST.best_stretch(bins), bins, NOW) is None


@pytest.mark.parametrize(("bad", "goes_on"), [(0, False), (8, True)])
def test_after_a_night_an_incident_must_show_again(bad, goes_on):
    evening = [(start - 13 * HOUR_MS, *rest) for start, *rest in minutes(*[(40, 30)] * 10)]
    stretch = TEST.best_stretch([(NOW, 12, bad), *evening])
    assert (stretch.start < NOW) is goes_on
    assert (stretch.evidence > PAGE) is goes_on


def test_sensitivities_are_in_order():
    for limits in LIMITS.values():
        assert limits.warning < limits.page
    low, normal, high = (LIMITS[name] for name in ("low", "normal", "high"))
    assert low > normal > high
