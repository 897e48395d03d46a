"""How many calls settled with which outcome, step by step over the last hours. Pure.

A call counts in the step of the poll that counted it. A step without a good poll is a *gap*, unless
the polls around it were no further apart than they were meant to be: then nothing settled in it.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from pearl_exporter.counting.calls import Instant

STEP_MS = 300_000
MAX_STEPS = 72
"""Six hours."""


class OutcomeStep(NamedTuple):
    """One step: when it began, and the calls settled in it by outcome; None for a gap."""

    start: Instant
    calls: Mapping[str, int] | None


class OutcomeHistory(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The last steps of one outbound, compact enough to be saved with each poll.

    Attributes:
        labels: The outcomes met so far.
        newest: The number of the newest step, in steps since the epoch.
        counts: Each step's calls in the order of ``labels``, the oldest first; trailing zeros are
            left out, and a gap is None.
    """

    labels: tuple[str, ...] = ()
    newest: int = 0
    counts: tuple[tuple[int, ...] | None, ...] = ()

    def counted(
        self, calls: Mapping[str, int], at: Instant, *, is_contiguous: bool
    ) -> "OutcomeHistory":
        """The history after a good poll at this moment has counted these calls by outcome.

        ``is_contiguous``: no poll was missed since the one before, however long ago it was.
        """
        labels = self.labels
        new = tuple(label for label, number in calls.items() if number and label not in labels)
        labels += new
        step = at // STEP_MS
        counts = self._up_to(step, () if is_contiguous else None)
        now = counts[-1] or ()
        if any(calls.values()):
            now = now + (0,) * (len(labels) - len(now))
            now = tuple(
                number + calls.get(label, 0) for number, label in zip(now, labels, strict=True)
            )
        return OutcomeHistory(labels, step, (*counts[:-1], now))

    def _up_to(
        self, step: int, between: tuple[int, ...] | None
    ) -> tuple[tuple[int, ...] | None, ...]:
        """The steps up to this one: it is the last one, the oldest are dropped."""
        ahead = step - self.newest
        if not self.counts or ahead >= MAX_STEPS or -ahead >= len(self.counts):
            return ((),)
        if ahead <= 0:  # the time polled for may step back
            return self.counts[: len(self.counts) + ahead]
        return (*self.counts, *(between,) * (ahead - 1), ())[-MAX_STEPS:]

    def steps(self) -> Iterator[OutcomeStep]:
        """Every step that is known, the oldest first."""
        first = self.newest - len(self.counts) + 1
        for number, counts in enumerate(self.counts, first):
            calls = None if counts is None else dict(zip(self.labels, counts, strict=False))
            yield OutcomeStep(number * STEP_MS, calls)
