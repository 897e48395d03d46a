"""When calls settle, by the contract, worked out from the simulated calls themselves.

A call settles ``settle`` after its end, and it ended at start plus duration, or, if a poll saw it
live, not before the last poll that did. So the moment depends on when polls were made, which the
exporter tells (`pearl_outbound_data_timestamp_seconds`).
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from pearl_exporter.simulator import Campaign
from pearl_exporter.simulator.call_life import CallLife
from pearl_exporter.simulator.truth import live


@dataclass(frozen=True)
class Settling:
    """How long after its end a call settles."""

    answered_ms: int
    unanswered_ms: int


def settling_moments(campaign: Campaign, polls: Sequence[int], settling: Settling) -> list[int]:
    """The moments, in order, at which calls of a calm campaign settled while it was polled.

    ``polls`` are the moments of the polls in ms, in order; the first one is where tracking began,
    and what settled until then is not counted.
    """
    first, last = polls[0], polls[-1]
    calls = campaign.calls(campaign.start_ms, last)
    moments = (_settles(campaign, call, polls, settling) for call in calls)
    return sorted(moment for moment in moments if first < moment <= last)


def _settles(campaign: Campaign, call: CallLife, polls: Sequence[int], settling: Settling) -> int:
    end = call.start + call.duration * 1000
    for at in reversed(polls[bisect_left(polls, call.start) : bisect_left(polls, call.written)]):
        if live(campaign.row(call, at)):
            end = max(end, at)
            break
    return end + (settling.answered_ms if call.duration else settling.unanswered_ms)
