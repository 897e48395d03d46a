"""The detector of one outbound: takes its calls, and says which of its shares are unusual. Pure."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from pearl_exporter.counting.calls import CallValues, Instant
from pearl_exporter.counting.row_changes import Changes
from pearl_exporter.detection.bins import DAY_MS, EPOCH_MS, Bins, epoch_of
from pearl_exporter.detection.evidence import AT_LEAST_BAD_CALLS, ChangePointTest, Stretch
from pearl_exporter.detection.signals import Population, Signal, marks_of
from pearl_exporter.detection.usual import GAP_MS, Prior, Usual, usual_of

REACH_MS = DAY_MS
"""A stretch begins at most this long ago."""

LEARN_AFTER_MS = EPOCH_MS
"""Calls say what is usual once they started this long before the last full half hour."""


_NAMES = frozenset(signal.value for signal in Signal)


class Assessment(NamedTuple):
    """What the detector says of one signal.

    Attributes:
        usual: What is usual; None if too little is known.
        stretch: The newest calls that are the strongest evidence; None if there are no calls of the
            last two hours, or if nothing is known to be usual.
    """

    usual: Usual | None
    stretch: Stretch | None


class SavedDetector(NamedTuple):
    """All that a detector needs to go on.

    Attributes:
        bins: The counts of each bin by its start, in the order of `bins.COLUMNS`.
        ended: When the last incident of a signal ended, in milliseconds.
    """

    bins: Mapping[Instant, Sequence[int]]
    ended: Mapping[str, Instant]


class Detector:
    """The calls of one outbound, and what they say of its signals."""

    def __init__(self, saved: SavedDetector | None = None) -> None:
        """Go on from what was saved, or from nothing.

        Args:
            saved: What `saved` returned.

        Raises:
            ValueError: What was saved is damaged.
        """
        bins, ended = saved or SavedDetector({}, {})
        self._bins = Bins(bins)
        for signal, at in ended.items():
            if signal not in _NAMES or not isinstance(at, int):
                raise ValueError(
                    f"saved ends of incidents are damaged: got {at!r} for {signal!r},"
                    " wanted milliseconds for a signal"
                )
        # no stretch begins before the end of an incident: an end is found once and remembered,
        # since the calls that prove it are a small part of those that come later
        self._ended = {Signal(signal): at for signal, at in ended.items()}
        self._taken_ends: Mapping[str, Instant] = dict(ended)
        self._tests: dict[Signal, ChangePointTest | None] = {}
        self._learned_at: Instant | None = None

    def saved(self) -> SavedDetector:
        """Return all that a detector needs to go on."""
        return SavedDetector(
            self._bins.saved(), {signal.value: at for signal, at in self._ended.items()}
        )

    def take_changes(
        self,
    ) -> tuple[Mapping[Instant, Mapping[Instant, Sequence[int]]], Mapping[str, Instant] | None]:
        """Return what has changed since the last call of this.

        Returns:
            The bins of each hour that has changed, and the ends of incidents; None if they have not
            changed.
        """
        ends = {signal.value: at for signal, at in self._ended.items()}
        is_changed, self._taken_ends = ends != self._taken_ends, ends
        return self._bins.take_changed_hours(), ends if is_changed else None

    def add(self, changes: Changes, now: Instant) -> None:
        """Add what a poll has changed.

        Args:
            changes: The calls that it has added and taken away.
            now: T of the poll.
        """
        self._bins.advance(now)
        for (start, values), calls in changes.items():
            self._bins.add(start, _columns_of(values), calls)

    def assess(
        self,
        signal: Signal,
        now: Instant,
        *,
        prior: Callable[[], Prior | None] = lambda: None,
        at_least_bad: int = AT_LEAST_BAD_CALLS,
    ) -> Assessment:
        """Return what the calls until now say of a signal.

        Args:
            signal: The signal.
            now: The present.
            prior: Returns what the other outbounds say; see `usual.prior_of`. It is asked for only
                when what is usual is learned, twice an hour.
            at_least_bad: Fewer bad calls are no evidence.
        """
        self._bins.advance(now)
        test = self._learn(signal, now, prior)
        if test is None:
            return Assessment(None, None)
        while True:
            since = max(now - REACH_MS, self._ended.get(signal, now - REACH_MS))
            recent = self._bins.newest_first(signal, since)
            if not recent or now - recent[0][0] > GAP_MS:
                return Assessment(test.usual, None)
            stretch = test.best_stretch(recent, at_least_bad)
            ended = stretch and test.end_of(stretch, recent, now)
            if ended is None:
                return Assessment(test.usual, stretch)
            # it is later than the start of the stretch, so that this comes to an end
            self._ended[signal] = ended

    def _learn(
        self, signal: Signal, now: Instant, prior: Callable[[], Prior | None]
    ) -> ChangePointTest | None:
        """Return the test against what is usual as of the last full half hour."""
        epoch = epoch_of(now)
        if self._learned_at != epoch:
            self._tests, self._learned_at = {}, epoch
        if self._tests.get(signal) is None:  # siblings may know by now
            until = epoch - LEARN_AFTER_MS
            past = [each for each in self._bins.newest_first(signal, 0) if each[0] < until]
            usual = usual_of(past, prior())
            self._tests[signal] = None if usual is None else ChangePointTest(usual)
        return self._tests[signal]


@lru_cache(maxsize=1024)
def _columns_of(values: CallValues) -> tuple[Population | Signal, ...]:
    """Return the columns in which a call with these values is counted."""
    marks = marks_of(values)
    if marks is None:  # it is going on
        return (Population.ALL,)
    return (Population.ALL, *marks.populations, *marks.bad)
