"""The beta-binomial distribution against sums and against the binomial."""

from math import comb, exp, isclose, log, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearl_exporter.detection.beta_binomial import (
    MAX_CONCENTRATION,
    BetaBinomial,
    Mixture,
    concentration_of,
    with_odds,
)

SHARES = st.floats(0.001, 0.999)
SCATTERS = st.floats(0.0, 1.0)


def probability(distribution: BetaBinomial | Mixture, bad: int, calls: int) -> float:
    return comb(calls, bad) * exp(distribution.log_likelihood(bad, calls))


@given(SHARES, SCATTERS, st.integers(0, 60))
def test_the_probabilities_of_all_outcomes_add_up_to_1(mean, scatter, calls):
    distribution = BetaBinomial(mean, concentration_of(mean, scatter))
    total = sum(probability(distribution, bad, calls) for bad in range(calls + 1))
    assert isclose(total, 1, abs_tol=1e-5)


@given(SHARES, SCATTERS, st.integers(1, 60))
def test_the_mean_is_the_mean_share(mean, scatter, calls):
    distribution = BetaBinomial(mean, concentration_of(mean, scatter))
    expected = sum(bad * probability(distribution, bad, calls) for bad in range(calls + 1))
    assert isclose(expected / calls, mean, abs_tol=1e-5)


@given(SHARES, st.integers(0, 200), st.data())
def test_without_scatter_it_is_the_binomial_distribution(mean, calls, data):
    bad = data.draw(st.integers(0, calls))
    exact = bad * log(mean) + (calls - bad) * log(1 - mean)
    distribution = BetaBinomial(mean, concentration_of(mean, 0.0))
    assert isclose(distribution.log_likelihood(bad, calls), exact, rel_tol=2e-3, abs_tol=1e-2)


@pytest.mark.parametrize("mean", [0.01, 0.3, 0.9])
@pytest.mark.parametrize("scatter", [0.05, 0.28])
def test_the_scatter_is_the_deviation_of_the_logit(mean, scatter):
    # a share's deviation is that of its logit times mean * (1 - mean), to first order
    deviation = sqrt(mean * (1 - mean) / (concentration_of(mean, scatter) + 1))
    assert isclose(deviation, scatter * mean * (1 - mean), rel_tol=1e-6)


def test_the_concentration_has_bounds():
    assert concentration_of(0.5, 0.0) == MAX_CONCENTRATION
    assert concentration_of(0.5, 100.0) == 1.0


@given(SHARES, st.floats(0.01, 100.0))
def test_odds_are_multiplied(share, odds):
    raised = with_odds(share, odds)
    assert isclose(raised / (1 - raised), odds * share / (1 - share), rel_tol=1e-6)


def test_a_mixture_weighs_likelihoods():
    low, high = BetaBinomial(0.1, 50.0), BetaBinomial(0.5, 50.0)
    mixture = Mixture([(0.25, low), (0.75, high)])
    expected = 0.25 * probability(low, 3, 10) + 0.75 * probability(high, 3, 10)
    assert isclose(probability(mixture, 3, 10), expected)


def test_a_mixture_of_very_unlikely_outcomes_has_a_logarithm():
    mixture = Mixture([(0.5, BetaBinomial(0.001, 1e7)), (0.5, BetaBinomial(0.002, 1e7))])
    assert -40_000 < mixture.log_likelihood(5_000, 5_000) < -20_000
