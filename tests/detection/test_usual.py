"""What is usual: the share of the past without its incidents, and how far it moves."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pearl_exporter.detection.beta_binomial import with_odds
from pearl_exporter.detection.bins import DAY_MS, HOUR_MS, MINUTE_MS, Bin
from pearl_exporter.detection.usual import Prior, Usual, prior_of, usual_of

START = 1_780_272_000_000


def week(
    share: float, *, scatter: float = 0.0, calls: int = 300, seed: int = 1, days: int = 7
) -> list[Bin]:
    """Ten-minute bins of eight hours a day, newest first; the share moves from hour to hour."""
    random, bins = Random(seed), []
    for day in range(days):
        for minute in range(0, 480, 10):
            if minute % 60 == 0:
                now = with_odds(share, 2.718281828 ** random.gauss(0, scatter))
            bad = sum(random.random() < now for _ in range(calls))
            bins.append((START + day * DAY_MS + minute * MINUTE_MS, calls, bad))
    return bins[::-1]


@pytest.mark.parametrize(("share", "most"), [(0.01, 0.22), (0.05, 0.17), (0.3, 0.06), (0.8, 0.11)])
def test_a_steady_share_is_usual_with_little_scatter(share, most):
    usual = usual_of(week(share))
    assert usual.mean == pytest.approx(share, rel=0.05)
    assert usual.scatter <= most


@pytest.mark.parametrize("scatter", [0.16, 0.28])
def test_the_scatter_is_learned(scatter):
    found = [usual_of(week(0.1, scatter=scatter, seed=seed)).scatter for seed in range(8)]
    assert 0.8 * scatter <= min(found)
    assert max(found) <= 2 * scatter


@pytest.mark.parametrize("odds", [3.0, 10.0, 1000.0])
@pytest.mark.parametrize("hours", [1, 4, 20])
def test_an_incident_does_not_become_usual(odds, hours):
    bins, random = week(0.03), Random(2)
    raised = with_odds(0.03, odds)
    for place in range(6 * hours):
        start, calls, _ = bins[place]
        bins[place] = (start, calls, sum(random.random() < raised for _ in range(calls)))
    assert usual_of(bins).mean == pytest.approx(0.03, rel=0.1)


def test_a_chronic_share_of_30_percent_is_usual():
    assert usual_of(week(0.3)).mean == pytest.approx(0.3, rel=0.03)


def test_nothing_is_assumed_of_few_calls_without_siblings():
    assert usual_of([]) is None
    assert usual_of([(START, 99, 3)]) is None
    assert usual_of([(START, 100, 3)]) is not None


def test_siblings_say_what_is_usual_as_long_as_nothing_else_does():
    assert usual_of([], Prior(0.05, 10.0)).mean == pytest.approx(0.05)
    few = usual_of([(START, 40, 8)], Prior(0.05, 10.0))
    assert 0.05 < few.mean < 0.2
    assert usual_of(week(0.2), Prior(0.05, 10.0)).mean == pytest.approx(0.2, rel=0.02)


def test_a_flood_in_the_first_hours_does_not_become_usual():
    flood = [(START + place * MINUTE_MS, 20, 19) for place in range(120)][::-1]
    assert usual_of(flood, Prior(0.03, 20.0)).mean < 0.1


def test_a_prior_is_the_surer_the_more_its_siblings_agree():
    def prior(*means: float) -> Prior:
        return prior_of([Usual(mean, 0.1, 1000, 1000.0) for mean in means])

    assert prior_of([]) is None
    assert prior(0.05).calls < prior(0.05, 0.05, 0.05).calls
    assert prior(0.02, 0.3, 0.1).calls < prior(0.05, 0.05, 0.05).calls
    assert prior(0.02, 0.04).mean == pytest.approx(0.03)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.integers(1, 400).flatmap(lambda calls: st.tuples(st.just(calls), st.integers(0, calls))),
        max_size=40,
    ),
    st.none() | st.builds(Prior, st.floats(0, 1), st.floats(1, 30)),
)
def test_what_is_usual_is_a_share_whatever_the_past(counts, prior):
    bins = [(START - place * HOUR_MS, calls, bad) for place, (calls, bad) in enumerate(counts)]
    usual = usual_of(bins, prior)
    if usual is None:
        assert prior is None
        return
    assert 0 < usual.mean < 1
    assert 0 <= usual.scatter < 2
    assert 0 <= usual.calls <= sum(calls for calls, _ in counts)
