"""Which share of bad calls is usual for an outbound, and how far it moves by itself. Pure.

The calls of the past week are taken in blocks of at least `BLOCK_CALLS`. The number of bad calls in
a block has a beta-binomial distribution (see `beta_binomial`): its mean is the usual share, and its
*scatter* is how far the share moves from block to block, beyond chance.

Incidents of the past must not become usual. So the first guess is the median block, which an
incident of less than half of the calls does not move. In the first day of an outbound it is what
its siblings have. Blocks that are far above the guess are left out, the guess is made again from
the others, and so on.

Little is known from a few calls. So the mean is drawn towards that of the siblings, and the scatter
towards what campaigns are known to have. Of the scatters that fit, one of the larger is taken: a
scatter that is too small raises false alarms, one that is too large delays true ones a little.
"""

from collections.abc import Iterable, Sequence
from math import exp, log, sqrt
from typing import NamedTuple

from pearl_exporter.counting.calls import Instant
from pearl_exporter.detection.beta_binomial import (
    BetaBinomial,
    Mixture,
    concentration_of,
    with_odds,
)
from pearl_exporter.detection.bins import DAY_MS, HOUR_MS, Bin

BLOCK_CALLS, BLOCK_BAD_CALLS, MAX_BLOCK_CALLS = 100, 10, 400
"""A block has at least this many calls, and bad ones; the last number of calls is always enough."""

GAP_MS = 2 * HOUR_MS
"""Calls before and after a gap of this length are not of one piece: another list, another day."""

MIN_USUAL_CALLS = 100
"""From fewer calls of its own, and without siblings, nothing is known."""

MIN_MEAN = 0.001
MAX_MEAN = 0.999

SCATTERS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7, 1.0)
"""The scatters that are compared, as standard deviations of the logit."""

SCATTER_PRIOR = (0.12, 0.12, 0.13, 0.14, 0.14, 0.11, 0.1, 0.07, 0.04, 0.02, 0.01)
"""How likely each of them is before anything is known."""

QUANTILE = 0.9
"""The scatter is taken that is at least the true one with this probability."""

MAX_BLOCKS = 150
"""The scatter is learned from at most this many blocks, evenly spread: more cost time only."""

EFFECTIVE_BLOCKS = 60
"""Blocks of a day are not independent: no number of them says more than this many that are."""

MAX_PRIOR_CALLS = 30.0
"""What siblings say counts at most as much as this many calls of the outbound's own."""

_OUTLIER_NATS = 6.0
"""From this much evidence on a block is part of an incident."""

_INCREDIBLE_NATS = 11.0
"""From this much evidence on a share is out of all proportion to what siblings have."""

_OUTLIER_ODDS = (2.0, 4.0, 12.0)

_RAISED_ODDS = 1.3
"""A block beside an incident is part of it from these odds on."""

_FIRST_SCATTER = 0.3
"""Blocks are left out by this scatter first, and by no larger one later."""

_ROUNDS = 6


class Prior(NamedTuple):
    """What is known of an outbound's share before it has calls.

    Attributes:
        mean: The expected share.
        calls: How many calls of the outbound's own this counts as much as.
    """

    mean: float
    calls: float


class Usual(NamedTuple):
    """What is usual.

    Attributes:
        mean: The usual share of bad calls.
        scatter: How far the share moves by itself, as a standard deviation of its logit.
        calls: How many calls of the outbound's own that is known from.
        weight: The same with what siblings say, in calls.
    """

    mean: float
    scatter: float
    calls: int
    weight: float


def distribution_of(usual: Usual, odds: float, scatter: float) -> BetaBinomial:
    """Return the distribution of the bad calls among the next calls.

    Args:
        usual: What is usual.
        odds: By what the odds of a bad call are multiplied; 1 for usual calls.
        scatter: How far the share moves by itself.
    """
    mean = with_odds(usual.mean, odds)
    # two variances add up: the share moves, and its mean is known from a number of calls
    varies = concentration_of(mean, scatter)
    return BetaBinomial(mean, 1 / (1 / varies + 1 / usual.weight))


class _Block(NamedTuple):
    """Calls of one piece."""

    start: Instant
    calls: int
    bad: int


def prior_of(siblings: Iterable[Usual]) -> Prior | None:
    """Return what the usual shares of other outbounds say of a new one; None without any.

    The shares are taken as draws from a Beta distribution, whose mean and concentration have the
    shares' own mean and variance (method of moments).
    """
    means = [each.mean for each in siblings]
    if not means:
        return None
    mean = sum(means) / len(means)
    # one sibling more, far off: a few that agree by chance do not make the next one certain
    variance = (sum((each - mean) ** 2 for each in means) + mean * (1 - mean) / 2) / len(means)
    calls = mean * (1 - mean) / variance - 1
    return Prior(mean, min(MAX_PRIOR_CALLS, max(1.0, calls)))


def usual_of(bins_newest_first: Iterable[Bin], prior: Prior | None = None) -> Usual | None:
    """Return what is usual by the past; None if too little is known.

    Args:
        bins_newest_first: The bins of the past.
        prior: What siblings say; None if there are none.
    """
    blocks = _blocks(bins_newest_first)
    calls = sum(each.calls for each in blocks)
    if prior is None and calls < MIN_USUAL_CALLS:
        return None
    mean, weight = _first_guess(blocks, calls, prior)
    # without siblings, half a bad call: a share of which no bad call was seen is not 0
    drawn_to = prior or Prior(0.5, 1.0)
    kept, scatter = blocks, _FIRST_SCATTER
    for _ in range(_ROUNDS):
        kept_before, kept = kept, _without_incidents(blocks, Usual(mean, scatter, calls, weight))
        calls = sum(each.calls for each in kept)
        weight = calls + drawn_to.calls
        mean = _inside((sum(each.bad for each in kept) + drawn_to.mean * drawn_to.calls) / weight)
        if len(kept) == len(kept_before):
            break
        scatter = min(_FIRST_SCATTER, _scatter(kept, mean, 0.5))
    days = len({each.start // DAY_MS for each in kept}) or 1
    # the mean is that of some days, and the coming day is one more draw
    scatter = _scatter(kept, mean, QUANTILE) * sqrt(1 + 1 / days)
    return Usual(mean, scatter, calls, weight)


def _blocks(bins_newest_first: Iterable[Bin]) -> list[_Block]:
    """Return neighbouring bins together, in blocks of enough calls, or up to a gap."""
    blocks = []
    start = calls = bad = 0
    for before, more_calls, more_bad in bins_newest_first:
        is_enough = calls >= BLOCK_CALLS and (bad >= BLOCK_BAD_CALLS or calls >= MAX_BLOCK_CALLS)
        if is_enough or (calls and start - before > GAP_MS):
            blocks.append(_Block(start, calls, bad))
            calls = bad = 0
        start, calls, bad = before, calls + more_calls, bad + more_bad
    if calls:
        blocks.append(_Block(start, calls, bad))
    return blocks


def _first_guess(blocks: Sequence[_Block], calls: int, prior: Prior | None) -> tuple[float, float]:
    """Return the share to begin with, and the weight of what says so, in calls.

    In its first day an outbound may differ from its siblings, but not without bounds: a flood of
    errors from its first call on is no chronic share.
    """
    median = _inside(_median_share(blocks))
    if prior is None or (blocks and blocks[0].start - blocks[-1].start >= DAY_MS):
        return median, float(calls)
    siblings = Usual(_inside(prior.mean), _FIRST_SCATTER, 0, prior.calls)
    normal, raised = _alternatives(siblings)
    bad = median * calls
    evidence = raised.log_likelihood(bad, calls) - normal.log_likelihood(bad, calls)
    if not calls or evidence > _INCREDIBLE_NATS:
        return siblings.mean, siblings.weight
    return median, float(calls)


def _inside(share: float) -> float:
    return min(MAX_MEAN, max(MIN_MEAN, share))


def _median_share(blocks: Sequence[_Block]) -> float:
    """Return the share of the block in the middle, by calls."""
    ordered = sorted(blocks, key=lambda each: each.bad / each.calls)
    half = sum(each.calls for each in blocks) / 2
    seen = 0
    for each in ordered:
        seen += each.calls
        if seen >= half:
            return each.bad / each.calls
    return 0.0


def _without_incidents(blocks: Sequence[_Block], usual: Usual) -> list[_Block]:
    """Return the blocks that are not far above what is usual.

    An incident is longer than the blocks that prove it: raised ones beside them belong to it.
    """
    normal, raised = _alternatives(usual)
    least_share = with_odds(usual.mean, _RAISED_ODDS)
    is_raised = [each.bad > least_share * each.calls for each in blocks]
    is_outlier = [
        is_above
        and raised.log_likelihood(each.bad, each.calls)
        > normal.log_likelihood(each.bad, each.calls) + _OUTLIER_NATS
        for each, is_above in zip(blocks, is_raised, strict=True)
    ]
    places = range(len(blocks))
    for forward in (places, reversed(places)):
        is_in_incident = False
        for place in forward:
            is_in_incident = is_outlier[place] or (is_in_incident and is_raised[place])
            is_outlier[place] = is_in_incident
    return [each for each, is_out in zip(blocks, is_outlier, strict=True) if not is_out]


def _alternatives(usual: Usual) -> tuple[BetaBinomial, Mixture]:
    """Return the distributions of usual calls and of an incident's."""
    scatter = max(usual.scatter, _FIRST_SCATTER)
    raised = Mixture(
        (1 / len(_OUTLIER_ODDS), distribution_of(usual, odds, scatter)) for odds in _OUTLIER_ODDS
    )
    return distribution_of(usual, 1.0, usual.scatter), raised


def _scatter(blocks: Sequence[_Block], mean: float, quantile: float) -> float:
    """Return a scatter that is at least the true one with some probability."""
    some = blocks[:: -(-len(blocks) // MAX_BLOCKS) or 1]
    weight = min(1.0, EFFECTIVE_BLOCKS / len(some)) if some else 0.0
    logs = []
    for scatter, prior in zip(SCATTERS, SCATTER_PRIOR, strict=True):
        of = BetaBinomial(mean, concentration_of(mean, scatter)).log_likelihood
        logs.append(log(prior) + weight * sum([of(each.bad, each.calls) for each in some]))
    highest = max(logs)
    weights = [exp(each - highest) for each in logs]
    wanted, seen = quantile * sum(weights), 0.0
    for scatter, each in zip(SCATTERS, weights, strict=True):
        seen += each
        if seen >= wanted:
            return scatter
    return SCATTERS[-1]
