"""Tracker and detector of one outbound and their saved state, kept in step: all change, or none.

Both are changed in memory and then committed to the store. In between they are ahead of what is
saved. If the commit fails then, or is not known to have succeeded, they are dropped and loaded from
the store again: what was saved counts. So nothing is counted twice or lost, whenever a poll fails
or is cancelled.
"""

import asyncio
from collections.abc import Callable
from functools import partial

from pearl_exporter.counting.calls import Instant
from pearl_exporter.counting.observation import Observation
from pearl_exporter.counting.saved import SavedOutbound
from pearl_exporter.counting.settlement import CountingRules
from pearl_exporter.counting.tracker import Applied, Tracker
from pearl_exporter.detection.detector import Detector
from pearl_exporter.detection.saved import all_pieces, changed_pieces, joined_pieces
from pearl_exporter.errors import STATE_UNCHANGED_HINT, StateError
from pearl_exporter.polling.context import PollContext
from pearl_exporter.polling.heap import trim_heap
from pearl_exporter.polling.log import PollLog
from pearl_exporter.reading.plan import PlanState, PollResult

COMMIT_SECONDS = 2.0
"""How long a cancelled poll may go on committing: stopping must not take long."""

LARGE_READ_ROWS = 5_000
"""From here on calls are loaded and applied in a thread, so that scrapes need not wait, and the
memory that they took is given back to the system. A tag counts as much as a row."""

BYTES_A_CALL = 35
"""What a usual call takes in the state; one with many tags takes more."""

NewTracker = Callable[[CountingRules, SavedOutbound | None], Tracker]


class CommittedTracker:
    """The tracker and the detector of one outbound, in step with the store.

    Attributes:
        plan_state: What the last committed poll leaves to the plan of the next.
    """

    def __init__(  # noqa: PLR0913 - its parts are given to it
        self,
        outbound_id: str,
        rules: CountingRules,
        context: PollContext,
        log: PollLog,
        *,
        large_read_rows: int = LARGE_READ_ROWS,
        commit_seconds: float = COMMIT_SECONDS,
        new_tracker: NewTracker = Tracker,
    ) -> None:
        """Build one that has loaded nothing.

        Args:
            outbound_id: Whose calls are tracked.
            rules: How they are counted.
            context: Has the store, and who hears of unknown codes.
            log: The log of the outbound.
            large_read_rows: From this many rows and tags on, calls are loaded and applied in a
                thread.
            commit_seconds: How long a cancelled poll may go on committing.
            new_tracker: Builds the tracker.
        """
        self.plan_state = PlanState()
        self._outbound_id = outbound_id
        self._rules = rules
        self._context = context
        self._log = log
        self._large_read_rows = large_read_rows
        self._commit_seconds = commit_seconds
        self._new_tracker = new_tracker
        self._tracker: Tracker | None = None
        self._detector: Detector | None = None
        self._predecessor: Tracker | None = None
        """What has tracked by other rules until now, where there is no tracker by these yet."""
        self._is_abandoned = False
        """Whether a poll was cancelled before it came to its commit: it must not commit later."""
        self._is_heap_large = False

    def saved(self) -> SavedOutbound | None:
        """Return what is tracked and counted; None if it has to be loaded."""
        tracker = self._tracker or self._predecessor
        return None if tracker is None else _saved(tracker, self._detector)

    @property
    def detector(self) -> Detector:
        """The detector, as of the last committed poll; one that knows nothing if none is loaded."""
        return self._detector or Detector()

    def resume_from(self, old: "CommittedTracker") -> None:
        """Take over what another one of the same outbound has tracked, by this one's rules.

        If the old one's last commit failed there is nothing to take over, and the state is loaded.
        With the same rules its tracker itself is taken over, and with others the next `load` builds
        another one: that takes a second for a million calls, and many outbounds may change at once.
        """
        self.plan_state = old.plan_state
        rules, tracker, predecessor = old._tracked  # noqa: SLF001 - of this class
        self._detector = old._detector  # noqa: SLF001 - it does not depend on the rules
        if rules == self._rules:
            self._tracker, self._predecessor = tracker, predecessor
        else:
            self._predecessor = tracker or predecessor

    @property
    def _tracked(self) -> tuple[CountingRules, Tracker | None, Tracker | None]:
        return self._rules, self._tracker, self._predecessor

    async def load(self) -> Tracker:
        """Return the tracker; load it if there is none; raise `StateError`."""
        if self._tracker is None:
            predecessor = self._predecessor
            if predecessor is not None:
                size = len(predecessor.calls)
                detector = self._detector
                self._tracker = await self._build(lambda: _saved(predecessor, detector), size)
            else:
                saved = await self._context.store.load(self._outbound_id)
                if saved is None:
                    self._tracker = self._tracker_from(None)
                else:
                    self._tracker = await self._build(lambda: saved, _size_of(saved))
            self._predecessor = None
        return self._tracker

    async def _build(self, saved: Callable[[], SavedOutbound | None], size: int) -> Tracker:
        """Return the tracker of what was saved; in a thread where that is of a large size."""
        if size < self._large_read_rows:
            return self._tracker_from(saved())
        self._is_heap_large = True
        return await asyncio.to_thread(lambda: self._tracker_from(saved()))

    def _tracker_from(self, saved: SavedOutbound | None) -> Tracker:
        self._detector = self._detector_from(saved)
        if saved is not None and _has_other_buckets(saved, self._rules):
            self._log.other_buckets()
        try:
            return self._new_tracker(self._rules, saved)
        except ValueError as error:
            raise StateError(
                f"{error} (outbound {self._outbound_id}); {STATE_UNCHANGED_HINT}"
            ) from None

    def _detector_from(self, saved: SavedOutbound | None) -> Detector:
        try:
            return Detector(joined_pieces(() if saved is None else saved.signals.items()))
        except ValueError:
            self._log.damaged_signals()
            return Detector()

    async def apply_and_commit(
        self, tracker: Tracker, result: PollResult, *, now: Instant, max_gap_ms: int
    ) -> Applied:
        """Apply and commit what was read, both or neither, even if the poll is cancelled now.

        A commit that hangs is not waited for.

        Args:
            tracker: What `load` has returned.
            result: What was read.
            now: T, the moment as of which it was read.
            max_gap_ms: How far apart two good polls may be with none missed between them.

        Returns:
            What the tracker made of it.

        Raises:
            StateError: It could not be committed.
        """
        detector = self.detector
        apply = partial(_apply, tracker, detector, result.observation, now, max_gap_ms)
        read = result.observation
        is_large = read.rows.size + len(read.unreadable_ids) >= self._large_read_rows
        self._is_heap_large |= is_large
        working = asyncio.ensure_future(
            self._apply_then_commit(tracker, detector, apply, result.state, in_thread=is_large)
        )
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            done, _ = await asyncio.wait([working], timeout=self._commit_seconds)
            # What goes on in a thread can't be cancelled, but it can be kept from committing.
            self._is_abandoned = not done
            for each in done:
                each.exception()  # nobody else asks for it, and it changes nothing any more
            raise

    async def _apply_then_commit(
        self,
        tracker: Tracker,
        detector: Detector,
        apply: Callable[[], Applied],
        state: PlanState,
        *,
        in_thread: bool,
    ) -> Applied:
        # From here to the end of the commit both are ahead of the store. If anything fails in
        # between, there are none, and the next poll loads what was saved.
        self._tracker = self._detector = None
        applied = await asyncio.to_thread(apply) if in_thread else apply()
        if self._is_abandoned:
            return applied  # another poller has loaded the state meanwhile, and goes on from there
        await self._context.store.commit(self._outbound_id, applied.delta)
        self._tracker, self._detector, self.plan_state = tracker, detector, state
        for field, calls in applied.unknown_code_counts.items():
            self._context.observer.met_unknown_codes(field, calls)
        return applied

    async def trim_memory(self) -> None:
        """Give memory back to the system, if many calls were loaded or applied since the last."""
        if self._is_heap_large:
            self._is_heap_large = False
            # the event loop holds the result of the commit, with all that was saved, until its
            # present step ends
            await asyncio.sleep(0)
            trim_heap()


def _apply(
    tracker: Tracker, detector: Detector, read: Observation, now: Instant, max_gap_ms: int
) -> Applied:
    """Apply what was read to both; return what is to be saved of both."""
    applied = tracker.apply(read, now=now, max_gap_ms=max_gap_ms)
    detector.add(applied.changes, now)
    return applied._replace(delta=applied.delta._replace(signals=changed_pieces(detector)))


def _saved(tracker: Tracker, detector: Detector | None) -> SavedOutbound | None:
    saved = tracker.saved()
    if saved is None or detector is None:
        return saved
    return saved._replace(signals=all_pieces(detector))


def _size_of(saved: SavedOutbound) -> int:
    """Return how many calls were saved, or how many usual ones take as much room."""
    return max(saved.progress.tracked, sum(map(len, saved.blocks.values())) // BYTES_A_CALL)


def _has_other_buckets(saved: SavedOutbound, rules: CountingRules) -> bool:
    durations = saved.progress.ledger.durations.values()
    return any(each.bounds != rules.buckets for each in durations)
