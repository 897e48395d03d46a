"""How many calls settled with which outcome in the last hours, in steps of 5 minutes. Pure.

A call counts in the step of the poll that counted it. A step without a good poll is a *gap*, unless
no poll was missed between the polls around it: then nothing settled in it.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from pearl_exporter.counting.calls import Instant

STEP_MS = 300_000
"""How long a step is: 5 minutes."""

MAX_STEPS = 72
"""How many steps are kept: 6 hours."""


class OutcomeStep(NamedTuple):
    """One step: when it began, and how many calls settled in it by outcome; None for a gap."""

    start: Instant
    calls: Mapping[str, int] | None


class OutcomeHistory(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The last steps of one outbound, small enough to be saved with each poll.

    Attributes:
        labels: The outcomes that calls have had.
        newest: The number of the newest step: how many steps after the epoch it began.
        counts: The steps, oldest first: the calls of each in the order of ``labels``, without
            trailing zeros; None for a gap.
    """

    labels: tuple[str, ...] = ()
    newest: int = 0
    counts: tuple[tuple[int, ...] | None, ...] = ()

    def counted(
        self, calls: Mapping[str, int], at: Instant, *, is_contiguous: bool
    ) -> "OutcomeHistory":
        """Return the history after one more good poll.

        Args:
            calls: How many calls the poll has counted, by outcome.
            at: T of the poll.
            is_contiguous: Whether no poll was missed since the last good one.
        """
        labels = self.labels
        labels += tuple(label for label, number in calls.items() if number and label not in labels)
        step = at // STEP_MS
        *before, newest = self._up_to(step, () if is_contiguous else None)
        newest = newest or ()
        if any(calls.values()):
            newest = newest + (0,) * (len(labels) - len(newest))
            newest = tuple(
                number + calls.get(label, 0) for number, label in zip(newest, labels, strict=True)
            )
        return OutcomeHistory(labels, step, (*before, newest))

    def _up_to(
        self, step: int, between: tuple[int, ...] | None
    ) -> tuple[tuple[int, ...] | None, ...]:
        """Return the steps up to ``step``, at most `MAX_STEPS`; skipped steps hold ``between``."""
        ahead = step - self.newest
        if not self.counts or ahead >= MAX_STEPS or -ahead >= len(self.counts):
            return ((),)
        if ahead <= 0:  # the same step, or an earlier one: T may step back
            return self.counts[: len(self.counts) + ahead]
        return (*self.counts, *(between,) * (ahead - 1), ())[-MAX_STEPS:]

    def steps(self) -> Iterator[OutcomeStep]:
        """Iterate over the steps, oldest first."""
        first = self.newest - len(self.counts) + 1
        for number, counts in enumerate(self.counts, first):
            calls = None if counts is None else dict(zip(self.labels, counts, strict=False))
            yield OutcomeStep(number * STEP_MS, calls)
