"""How likely a number of bad calls is, where the share itself varies. Pure.

The share of bad calls is a draw from a Beta distribution, and each call is bad with that share. The
number of bad calls then has the beta-binomial distribution (J. G. Skellam, "A probability
distribution derived from the binomial distribution by regarding the probability of success as
variable between the sets of trials", Journal of the Royal Statistical Society B, 1948)::

    P(bad of calls) = C(calls, bad) B(bad + a, calls - bad + b) / B(a, b)

with ``a = mean * concentration`` and ``b = (1 - mean) * concentration``. The larger the
concentration, the less the share varies; without bound it is the binomial distribution.
"""

from collections.abc import Iterable
from math import exp, lgamma, log

MAX_CONCENTRATION = 1e7
"""From here on the share is as good as fixed, and the logarithms still have seven digits."""

MIN_CONCENTRATION = 1.0


def concentration_of(mean: float, scatter: float) -> float:
    """Return the concentration of a share that varies by some standard deviation of its logit.

    To first order the share's variance is ``(mean (1 - mean) scatter)**2``, and a Beta
    distribution's is ``mean (1 - mean) / (concentration + 1)``.

    Args:
        mean: The share's mean, between 0 and 1.
        scatter: The standard deviation of ``log(share / (1 - share))``; 0 for a fixed share.
    """
    variance = mean * (1 - mean) * scatter**2
    if variance * MAX_CONCENTRATION <= 1:
        return MAX_CONCENTRATION
    return max(MIN_CONCENTRATION, 1 / variance - 1)


class BetaBinomial:
    """The distribution of the number of bad calls."""

    __slots__ = ("_a", "_b", "_constant", "_sum")

    def __init__(self, mean: float, concentration: float) -> None:
        """Build the distribution of a share.

        Args:
            mean: The share's mean, between 0 and 1, without both.
            concentration: How little the share varies; see the module's text.
        """
        self._sum = concentration
        self._a, self._b = mean * concentration, (1 - mean) * concentration
        self._constant = lgamma(self._sum) - lgamma(self._a) - lgamma(self._b)

    def log_likelihood(self, bad: float, calls: float) -> float:
        """Return ``log P(bad of calls)`` but for the binomial coefficient, in nats.

        Differences between two distributions do not have that coefficient.
        """
        return (
            self._constant
            + lgamma(self._a + bad)
            + lgamma(self._b + calls - bad)
            - lgamma(self._sum + calls)
        )


class Mixture:
    """One of some beta-binomial distributions, drawn by weight."""

    __slots__ = ("_parts",)

    def __init__(self, parts: Iterable[tuple[float, BetaBinomial]]) -> None:
        """Build the mixture of distributions with their weights, whose sum is 1."""
        self._parts = [(log(weight), part.log_likelihood) for weight, part in parts]

    def log_likelihood(self, bad: float, calls: float) -> float:
        """Return ``log P(bad of calls)`` but for the binomial coefficient, in nats."""
        logs = [weight + of(bad, calls) for weight, of in self._parts]
        # the largest is taken out, so that no exponential underflows to 0
        highest = max(logs)
        return highest + log(sum([exp(each - highest) for each in logs]))


def with_odds(share: float, odds: float) -> float:
    """Return the share whose odds are those of ``share`` times ``odds``."""
    return share * odds / (1 - share + share * odds)
