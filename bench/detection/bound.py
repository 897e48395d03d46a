"""How soon an incident can be found at all."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from bench.detection.world import Incident, OutboundMonth, Step
from pearl_exporter.detection.beta_binomial import BetaBinomial, concentration_of
from pearl_exporter.detection.evidence import AT_LEAST_BAD_CALLS

FALSE_EVERY_MONTHS = 20
"""The goal is 0.05 false pages in an outbound-month: one in 20."""


class Bound(NamedTuple):
    """When an incident can be found.

    Attributes:
        at: The start of the call that decides, in milliseconds.
        nats: The evidence that is needed.
    """

    at: int
    nats: float


def nats_needed(looks_a_month: float) -> float:
    """Return ``ln ARL`` for the number of times that a test looks at new calls in a month."""
    return math.log(FALSE_EVERY_MONTHS * looks_a_month)


def bound_of(
    month: OutboundMonth, incident: Incident, steps: Sequence[Step], needed: float
) -> int | None:
    """Return until when calls must be known to find an incident; None if it is over before that.

    Args:
        month: The outbound.
        incident: The incident.
        steps: The calls since its start.
        needed: How many nats a test with few enough false alarms needs.
    """
    usual = BetaBinomial(month.mean, concentration_of(month.mean, month.scatter))
    calls, bad, likelihood = 0, 0.0, 0.0
    for step in steps:
        if step.start >= incident.end:
            return None
        share = min(1 - 1e-9, step.share)
        calls += step.calls
        bad += step.calls * share
        likelihood += step.calls * (share * math.log(share) + (1 - share) * math.log(1 - share))
        if bad < AT_LEAST_BAD_CALLS:
            continue
        if likelihood - usual.log_likelihood(bad, calls) >= needed:
            return step.start
    return None
