"""Bins lose no call, whenever and in whatever order calls come."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearl_exporter.detection.bins import (
    COLUMNS,
    DAY_MS,
    EPOCH_MS,
    HOUR_MS,
    MINUTE_MS,
    WEEK_MS,
    Bins,
)
from pearl_exporter.detection.signals import Population, Signal

NOW = 1_780_272_000_000 + 12 * HOUR_MS
CALLS = st.lists(st.tuples(st.integers(0, WEEK_MS - HOUR_MS), st.booleans()), max_size=60)
"""Ages of calls in milliseconds, and whether they are bad."""


def add(bins: Bins, start: int, *, is_bad: bool, times: int = 1) -> None:
    bad = (Signal.ERROR,) if is_bad else ()
    bins.add(start, (Population.ALL, *bad), times)


def total(bins: Bins, since: int = 0) -> tuple[int, int]:
    found = bins.newest_first(Signal.ERROR, since)
    return sum(each[1] for each in found), sum(each[2] for each in found)


@given(CALLS, st.lists(st.integers(0, 24 * HOUR_MS), max_size=8))
def test_merging_loses_no_call(calls, steps):
    bins, now = Bins(), NOW
    bins.advance(now)
    for age, is_bad in calls:
        add(bins, NOW - age, is_bad=is_bad)
    for step in steps:
        now += step
        bins.advance(now)
        young = [(age, bad) for age, bad in calls if NOW - age >= now - WEEK_MS + HOUR_MS]
        found = total(bins)
        assert found[0] >= len(young)
        assert found[1] >= sum(bad for _, bad in young)
        assert found[0] <= len(calls)
    if now - NOW < HOUR_MS:
        assert total(bins) == (len(calls), sum(bad for _, bad in calls))


@given(CALLS, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(calls, random):
    shuffled = [*calls]
    random.shuffle(shuffled)
    one, other = Bins(), Bins()
    for age, is_bad in calls:
        add(one, NOW - age, is_bad=is_bad)
    other.advance(NOW)
    for age, is_bad in shuffled:
        add(other, NOW - age, is_bad=is_bad)
    one.advance(NOW + HOUR_MS)
    other.advance(NOW + HOUR_MS)
    assert one.saved() == other.saved()


@given(CALLS, st.integers(EPOCH_MS, 48 * HOUR_MS))
def test_saved_bins_go_on_as_if_nothing_happened(calls, later):
    bins = Bins()
    bins.advance(NOW)
    for age, is_bad in calls:
        add(bins, NOW - age, is_bad=is_bad)
    restored = Bins(bins.saved())
    for each in (bins, restored):
        each.advance(NOW + later)
    assert restored.saved() == bins.saved()


@given(CALLS, st.integers(0, 8 * DAY_MS))
def test_bins_that_are_merged_stay_as_they_are(calls, later):
    bins = Bins()
    for age, is_bad in calls:
        add(bins, NOW - age, is_bad=is_bad)
    bins.advance(NOW + later)
    restored = Bins(bins.saved())
    restored.advance(NOW + later)
    assert restored.saved() == bins.saved()


def test_newest_bins_are_a_quarter_of_a_minute_long():
    bins = Bins()
    bins.advance(NOW)
    for second in (0, 14, 15, 29):
        add(bins, NOW + second * 1000, is_bad=False)
    assert bins.newest_first(Signal.ERROR, 0) == [(NOW + 15_000, 2, 0), (NOW, 2, 0)]


@pytest.mark.parametrize(
    ("hours", "length"),
    [(0.1, MINUTE_MS // 4), (1.5, MINUTE_MS), (20, 10 * MINUTE_MS), (30, HOUR_MS)],
)
def test_bins_are_longer_the_older_they_are(hours, length):
    bins = Bins()
    first = NOW - round(hours * HOUR_MS)
    first -= first % HOUR_MS if length == HOUR_MS else first % length
    add(bins, first, is_bad=True)
    add(bins, first + length - 1, is_bad=False)
    bins.advance(NOW)
    assert bins.newest_first(Signal.ERROR, 0) == [(first, 2, 1)]


def test_an_hour_of_many_calls_stays_in_ten_minutes():
    """Else the share of a segment, and how far it moves, would be averaged away."""
    bins = Bins()
    hour = NOW - 30 * HOUR_MS
    for minute in range(0, 60, 10):
        add(bins, hour + minute * MINUTE_MS, is_bad=False, times=500)
    bins.advance(NOW)
    assert len(bins.newest_first(Signal.ERROR, 0)) == 6


def test_a_week_is_forgotten():
    bins = Bins()
    add(bins, NOW, is_bad=True)
    bins.advance(NOW + WEEK_MS)
    assert total(bins) == (1, 1)
    bins.advance(NOW + WEEK_MS + HOUR_MS)
    assert total(bins) == (0, 0)
    add(bins, NOW, is_bad=True)
    assert total(bins) == (0, 0)


def test_a_clock_that_goes_back_changes_nothing():
    bins = Bins()
    add(bins, NOW, is_bad=True)
    bins.advance(NOW)
    before = bins.saved()
    bins.advance(NOW - DAY_MS)
    assert bins.saved() == before


def test_a_signal_is_a_share_of_its_own_calls():
    bins = Bins()
    bins.add(NOW, (Population.ALL, Population.ANSWERED, Signal.SHORT), 3)
    bins.add(NOW, (Population.ALL, Signal.UNANSWERED), 5)
    assert [each[1:] for each in bins.newest_first(Signal.SHORT, 0)] == [(3, 3)]
    assert [each[1:] for each in bins.newest_first(Signal.UNANSWERED, 0)] == [(8, 5)]
    assert bins.newest_first(Signal.NOT_SUCCESSFUL, 0) == []


GOOD = [0] * len(COLUMNS)


@pytest.mark.parametrize(
    "damaged",
    [
        {"1": GOOD},
        {1: GOOD[1:]},
        {1: [*GOOD, 0]},
        {1: [-1, *GOOD[1:]]},
        {1: [1.5, *GOOD[1:]]},
        {1: None},
        {1: [*GOOD[:-1], 1]},
    ],
)
def test_damaged_bins_are_named(damaged):
    with pytest.raises(ValueError, match=re.escape("saved bins are damaged: got ")):
        Bins(damaged)


def test_calls_that_were_never_added_can_be_taken_away():
    """They are of a state from before there were bins; a bin stays one that can be loaded."""
    bins, start = Bins(), 1_780_272_000_000
    bins.advance(start)
    bins.add(start, (Population.ALL, Signal.ERROR))
    bins.add(start, (Population.ALL,), -1)
    bins.add(start, (Population.ALL, Signal.ERROR))
    assert bins.newest_first(Signal.ERROR, 0) == [(start, 2, 2)]
    assert Bins(bins.saved()).saved() == bins.saved()
