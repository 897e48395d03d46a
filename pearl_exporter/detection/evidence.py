"""How strongly the newest calls say that a share is not usual any more, and since when. Pure.

The newest calls since some moment are a *stretch*. Its evidence is the logarithm of a likelihood
ratio: of a mixture of raised odds, to what is usual (Page's test in its likelihood form; see the
package's text). In both the stretch has one draw of the share, so that it is beta-binomial. The
best stretch of all moments is taken. It has raised odds up to the present.

An incident has *ended* at the moment since which calls are far more likely under what is usual than
with the stretch's own share. No stretch begins before such a moment.
"""

from collections.abc import Sequence
from typing import NamedTuple

from pearl_exporter.counting.calls import Instant
from pearl_exporter.detection.beta_binomial import (
    BetaBinomial,
    Mixture,
    concentration_of,
    with_odds,
)
from pearl_exporter.detection.bins import MINUTE_MS, Bin
from pearl_exporter.detection.usual import GAP_MS, MAX_MEAN, Usual, distribution_of

ODDS = (2.0, 4.0, 10.0, 30.0)
"""By what an incident multiplies the odds of a bad call."""

ODDS_SCATTER = 0.3
"""How far an incident's odds are from those that are tried, at least: the sd of their logarithm."""

AT_LEAST_BAD_CALLS = 10
"""The default of ``signals.*.at_least_bad_calls``: fewer bad calls are never evidence."""

END_NATS = 4.0
"""From this much evidence on that the share is usual again, an incident has ended."""

MATURE_AFTER_MS = 2 * MINUTE_MS
"""Younger calls may not have their outcome yet. So they do not say that an incident has ended."""

_LEAST_ODDS = 1.23
"""A stretch whose odds are not above the usual ones by this factor is not evaluated."""

_LEAST_DEVIATIONS = 2.0
"""Nor is one that is above the usual share by less than this many standard deviations of chance."""

_GROWTH = 1.08
"""From one stretch that is evaluated to the next longer one, calls grow by this factor at least."""


class Limits(NamedTuple):
    """The evidence from which on there is an alarm, in nats.

    Attributes:
        warning: For a warning.
        page: For a page.
    """

    warning: float
    page: float


LIMITS = {
    "low": Limits(warning=10.0, page=14.0),
    "normal": Limits(warning=7.0, page=10.0),
    "high": Limits(warning=6.0, page=8.0),
}
"""The limits of each ``signals.*.sensitivity``."""


class Stretch(NamedTuple):
    """The newest calls, since a moment.

    Attributes:
        start: When the first bin of the stretch begins, in milliseconds.
        calls: How many calls it has.
        bad: How many of them are bad.
        evidence: How much more likely they are under raised odds than under usual ones, in nats;
            0 if they are not.
    """

    start: Instant
    calls: int
    bad: int
    evidence: float


class ChangePointTest:
    """The test of new calls against what is usual."""

    def __init__(self, usual: Usual) -> None:
        """Prepare the distributions of usual calls and of raised odds."""
        self.usual = usual
        self._scatter = max(usual.scatter, ODDS_SCATTER)
        self._normal = distribution_of(usual, 1.0, usual.scatter)
        self._raised = Mixture(
            (1 / len(ODDS), distribution_of(usual, odds, self._scatter)) for odds in ODDS
        )

    def evidence(self, bad: int, calls: int) -> float:
        """Return how much more likely calls are under raised odds, in nats; it may be negative."""
        raised = self._raised.log_likelihood(bad, calls)
        return raised - self._normal.log_likelihood(bad, calls)

    def best_stretch(
        self, newest_first: Sequence[Bin], at_least_bad: int = AT_LEAST_BAD_CALLS
    ) -> Stretch | None:
        """Return the stretch with the most evidence; None without calls.

        Without any evidence it is the newest bin.

        Args:
            newest_first: The bins of a signal.
            at_least_bad: Fewer bad calls are no evidence.
        """
        if not newest_first:
            return None
        best = Stretch(*newest_first[0], evidence=0.0)
        mean = self.usual.mean
        least_share = with_odds(mean, _LEAST_ODDS)
        least_variance = mean * (1 - mean) * _LEAST_DEVIATIONS**2
        calls = bad = 0
        next_calls = 0.0
        newer = best.start
        for start, more_calls, more_bad in newest_first:
            # an incident goes on after a night if the calls since then say so by themselves
            if newer - start > GAP_MS and self.evidence(bad, calls) < END_NATS:
                break
            newer = start
            calls += more_calls
            bad += more_bad
            if bad < at_least_bad or bad <= least_share * calls or calls < next_calls:
                continue
            # cheap, and true for most: such calls have at most two nats of evidence
            if (bad - mean * calls) ** 2 < least_variance * calls:
                continue
            # a logarithmic number of lengths: thousands of calls take some dozen ratios
            next_calls = calls * _GROWTH
            evidence = self.evidence(bad, calls)
            if evidence > best.evidence:
                best = Stretch(start, calls, bad, evidence)
        return best

    def end_of(self, stretch: Stretch, newest_first: Sequence[Bin], now: Instant) -> Instant | None:
        """Return when the incident of a stretch ended; None if it goes on, or is none.

        Args:
            stretch: The stretch.
            newest_first: The bins of the signal.
            now: The present.
        """
        if stretch.evidence < END_NATS:
            return None
        share = min(MAX_MEAN, stretch.bad / stretch.calls)
        incident = BetaBinomial(share, concentration_of(share, self._scatter))
        calls = bad = 0
        best, ended = END_NATS, None
        for start, more_calls, more_bad in newest_first:
            if start <= stretch.start:
                break
            if start >= now - MATURE_AFTER_MS:
                continue
            calls += more_calls
            bad += more_bad
            usual = self._normal.log_likelihood(bad, calls)
            evidence = usual - incident.log_likelihood(bad, calls)
            if evidence > best:
                best, ended = evidence, start
        return ended
