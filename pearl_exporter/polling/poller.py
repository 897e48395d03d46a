"""One poll of one outbound: load, read, apply and commit, publish.

This is the shell around the pure packages. A poll is all or nothing: what could not be read whole
is not counted, and nothing is published that was not committed to the store before.
"""

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from pearl_exporter.api.budget import Budget
from pearl_exporter.api.client import PearlClient
from pearl_exporter.api.deadline import Deadline, now
from pearl_exporter.api.session import Session
from pearl_exporter.config import OutboundSettings
from pearl_exporter.counting.calls import Instant
from pearl_exporter.counting.saved import SavedOutbound
from pearl_exporter.counting.settlement import CountingRules
from pearl_exporter.counting.tracker import Applied, Tracker, snapshot_of
from pearl_exporter.errors import BadResponseError, PollError, TokenBlockedError
from pearl_exporter.polling.committed_tracker import (
    COMMIT_SECONDS,
    LARGE_READ_ROWS,
    CommittedTracker,
    NewTracker,
)
from pearl_exporter.polling.context import PollContext
from pearl_exporter.polling.idle_interval import Idle
from pearl_exporter.polling.log import PollLog
from pearl_exporter.polling.outcome import PollOutcome, PollSuccess
from pearl_exporter.polling.plan_runner import PlanRunner
from pearl_exporter.polling.poll_health import Health
from pearl_exporter.polling.poll_history import Asked, PollRecord, findings_between, with_poll
from pearl_exporter.polling.signal_readings import read_signals
from pearl_exporter.polling.snapshot import OutboundSnapshot, PollTimings
from pearl_exporter.polling.unusable_fields import UnusableFields
from pearl_exporter.reading.contradictions import MAX_UNREADABLE, outside
from pearl_exporter.reading.cost import PlanLimits, catch_up_requests
from pearl_exporter.reading.plan import PlanState, PollResult
from pearl_exporter.reading.search import Page, ReadProgress, Search


class Poller:
    """Polls one outbound, and keeps what is published of it."""

    def __init__(  # noqa: PLR0913 - its parts are given to it
        self,
        outbound: OutboundSettings,
        rules: CountingRules,
        client: PearlClient,
        context: PollContext,
        *,
        page_size: int,
        max_unreadable: float = MAX_UNREADABLE,
        large_read_rows: int = LARGE_READ_ROWS,
        commit_seconds: float = COMMIT_SECONDS,
        new_runner: Callable[..., PlanRunner] = PlanRunner,
        new_tracker: NewTracker = Tracker,
    ) -> None:
        """Build a poller that has loaded and published nothing.

        Args:
            outbound: Which outbound to poll, and when.
            rules: How its calls are counted.
            client: The API as seen with the outbound's token.
            context: What all pollers share.
            page_size: Rows to ask for in one request.
            max_unreadable: The share of the rows that may be counted and not given.
            large_read_rows: From here on calls are loaded and applied in a thread.
            commit_seconds: How long a cancelled poll may go on committing.
            new_runner: Builds what reads, from `PlanRunner`'s arguments.
            new_tracker: Builds what counts, from `Tracker`'s arguments.
        """
        self.outbound = outbound
        self._rules = rules
        self._client = client
        self._context = context
        self._page_size = page_size
        self._max_unreadable = max_unreadable
        self._new_runner = new_runner
        self._log = PollLog(outbound.name)
        self._unusable_fields = UnusableFields()
        self._tracker = CommittedTracker(
            outbound.id,
            rules,
            context,
            self._log,
            large_read_rows=large_read_rows,
            commit_seconds=commit_seconds,
            new_tracker=new_tracker,
        )
        self._idle = Idle(outbound.interval, outbound.idle_interval)
        self._idle_until = 0.0
        self._snapshot = OutboundSnapshot(
            name=outbound.name,
            outbound_id=outbound.id,
            labels=outbound.labels,
            window_seconds=outbound.window,
            stale_after_seconds=outbound.stale_after,
            spans=PollTimings(
                outbound.interval,
                outbound.idle_interval,
                outbound.settle,
                outbound.settle_unanswered,
            ),
            health=Health(interval_seconds=outbound.interval),
            calls=Tracker(rules).snapshot(),
        )

    # --- before any poll

    @property
    def snapshot(self) -> OutboundSnapshot:
        """What is published of the outbound."""
        return self._snapshot

    @property
    def budget(self) -> Budget:
        """What the outbound's token may send right now."""
        return self._client.budget

    @property
    def plan_state(self) -> PlanState:
        """What the last good poll leaves to the plan of the next."""
        return self._tracker.plan_state

    def saved(self) -> SavedOutbound | None:
        """Return what is tracked and counted; None if the next poll has to load it."""
        return self._tracker.saved()

    def polls(
        self,
        outbound: OutboundSettings,
        rules: CountingRules,
        client: PearlClient,
        *,
        page_size: int,
        max_unreadable: float,
    ) -> bool:
        """Return whether a poller built of these arguments would be like this one."""
        own = (self.outbound, self._rules, self._client, self._page_size, self._max_unreadable)
        return own == (outbound, rules, client, page_size, max_unreadable)

    async def start(self) -> None:
        """Publish the saved counters, or zeros, before any poll; raise `StateError`.

        The calls themselves are loaded by the first poll, so that a scrape need not wait for them.
        """
        await self.prepare()
        self.show()

    async def prepare(self) -> None:
        """Load what was counted, and publish nothing yet; raise `StateError`."""
        progress = await self._context.store.load_progress(self.outbound.id)
        if progress is not None:
            calls = snapshot_of(progress, self._rules)
            health = replace(self._snapshot.health, catching_up=True)
            self._snapshot = replace(self._snapshot, calls=calls, health=health)

    async def load(self) -> None:
        """Load all that was saved, and publish nothing yet; raise `StateError`."""
        await self.prepare()
        await self._tracker.load()

    def show(self) -> None:
        """Publish what is known."""
        self._context.publish(self._snapshot)

    def resume_from(self, old: "Poller") -> None:
        """Go on where another poller of the same outbound stopped, by this one's settings.

        What is published of its calls stays as it is until the first poll of this one.
        """
        self._tracker.resume_from(old._tracker)  # noqa: SLF001 - of this class
        self._unusable_fields = old._unusable_fields  # noqa: SLF001
        before = old.snapshot
        self._set(
            calls=before.calls,
            signals=before.signals,
            polls=before.polls,
            window_seconds=before.window_seconds,
            health=replace(before.health, interval_seconds=self.outbound.interval),
        )

    # --- when to poll

    def may_poll(self) -> bool:
        """Return whether a poll that is due now may start.

        It may not if its requests were refused lately, or if nothing has happened for long. A token
        that has changed since is tried at once.
        """
        allowed_at = max(self._client.next_allowed_at(self.outbound.id), self._idle_until)
        return self._context.clock.monotonic() >= allowed_at

    @property
    def seconds_until_allowed(self) -> float:
        """How long until a poll may start, if the token stays as it is."""
        until = max(self._client.breaker_state(self.outbound.id).retry_at, self._idle_until)
        return max(0.0, until - self._context.clock.monotonic())

    @property
    def waits_for_token(self) -> bool:
        """Whether the API refuses the outbound's token, as far as is known."""
        return self._client.breaker_state(self.outbound.id).is_token_refused

    def skip(self) -> None:
        """Count a poll that fell due while the previous poll was still running."""
        self._set(health=self._snapshot.health.skipped_one())

    def skip_blocked(self) -> None:
        """Show why a poll that is due may not start, if a refused token is why."""
        if self.waits_for_token:
            self._publish_blocked()

    # --- one poll

    async def poll(self, lateness_seconds: float = 0.0) -> PollError | None:
        """Poll once and publish what came of it.

        Args:
            lateness_seconds: How long after it was due this is called.

        Returns:
            Why the poll failed; None if it succeeded.
        """
        try:
            return await self._poll(lateness_seconds)
        finally:
            # only now, when the frame is gone that held the rows
            await self._tracker.trim_memory()

    async def _poll(self, lateness_seconds: float) -> PollError | None:
        began, began_in_loop = self._context.clock.monotonic(), now()
        session = self._client.session(self.outbound.id, Deadline(self.outbound.give_up))
        asked = Asked()
        success: PollSuccess | None = None
        error: PollError | None = None
        try:
            async with session:
                tracker = await self._tracker.load()
                polled_at, result = await self._read(tracker, session, asked)
                applied = await self._tracker.apply_and_commit(
                    tracker, result, now=polled_at, max_gap_ms=self._max_gap_ms
                )
            success = self._succeeded(applied, result, polled_at, due=began - lateness_seconds)
            if self._snapshot.calls.polled_at is not None and success.unread is None:
                # a usual poll: a first one, or one that catches up, says nothing about the others
                self._client.record_demand(self.outbound.id, asked.requests)
        except TokenBlockedError as blocked:
            self._publish_blocked()
            return blocked
        except PollError as failure:
            # without its traceback: that names this frame, which names the error, so that both
            # would live on until the garbage collector finds the circle
            error = failure.with_traceback(None)
        except Exception as bug:  # noqa: BLE001 - a bug in one poll must not end all polls
            self._log.internal_error()
            name = type(bug).__name__
            error = BadResponseError(f"internal error: {name} (traceback in the log)")
        first_sent = began_in_loop if session.first_sent_at is None else session.first_sent_at
        self._publish(
            PollOutcome(
                ended=self._context.api_clock.now(),
                asked=asked,
                duration_seconds=self._context.clock.monotonic() - began,
                lateness_seconds=lateness_seconds + first_sent - began_in_loop,
                interval_seconds=self._interval_after(error),
                success=success if error is None else None,
                error=error,
            )
        )
        return error

    async def _read(
        self, tracker: Tracker, session: Session, asked: Asked
    ) -> tuple[Instant, PollResult]:
        """Read what this poll must read, as of the API's present; nothing is changed by it."""
        rate, state = self._client.budget.rate, self._client.breaker_state(self.outbound.id)
        to_spare = catch_up_requests(rate, self.outbound.interval, state.outbounds)
        runner = self._new_runner(
            session.search,
            self._context,
            self._log,
            PlanLimits(self._page_size, to_spare, max_unreadable=self._max_unreadable),
            asked=asked,
            on_page=self._note_page,
            on_read_progress=self._show_read_progress,
        )
        return await runner.read(tracker, self.plan_state)

    def _note_page(self, search: Search, page: Page) -> None:
        observer = self._context.observer
        observer.read_rows(page.received, page.rejected)
        if strays := outside(page.calls, search.start, search.end):
            observer.read_rows_outside(len(strays))
        for field, calls in self._unusable_fields.count(page.unusable).items():
            observer.met_unusable_fields(field, calls)
        if not self._snapshot.was_tried:
            self._set(health=replace(self._snapshot.health, had_page=True))

    def _show_read_progress(self, progress: ReadProgress) -> None:
        if progress != self._snapshot.read_progress:
            self._set(read_progress=progress)

    def _succeeded(
        self, applied: Applied, result: PollResult, polled_at: Instant, *, due: float
    ) -> PollSuccess:
        """Return what a committed poll read and changed; set the interval that follows it.

        Args:
            applied: What the tracker made of the rows.
            result: What was read.
            polled_at: T, the moment as of which it was read.
            due: The monotonic second at which the poll was due.
        """
        before, missed = self._snapshot.calls, result.missed
        gap_ms = 0 if before.polled_at is None else polled_at - before.polled_at
        success = PollSuccess(
            polled_at=polled_at,
            rows=len(result.observation.rows),
            calls=applied.snapshot,
            found=findings_between(before.ledger, applied),
            scanned=result.scanned,
            missed=gap_ms > self._max_gap_ms,
            unreadable_rows=result.state.unreadable_count,
            reads_by_offset=result.state.by_offset,
            unread=result.observation.unread,
            many_missed=((len(missed.newly), missed.present) if missed.is_many_to_log else None),
            signals=read_signals(
                self._tracker.detector, self.outbound, self._context.usual_shares, polled_at
            ),
        )
        self._idle.polled(success.calls, is_behind=success.unread is not None, at=due)
        if self._idle.interval > self.outbound.interval:
            # half an interval early, so that the poll that falls due just then is not missed
            self._idle_until = due + self._idle.interval - self.outbound.interval / 2
        return success

    def _interval_after(self, error: PollError | None) -> float:
        if error is None:
            return self._idle.interval
        return self._client.breaker_state(self.outbound.id).interval

    @property
    def _max_gap_ms(self) -> int:
        """How far apart two good polls may be with none missed between them."""
        return round(2000 * self._idle.interval)

    # --- publishing

    def _publish(self, outcome: PollOutcome) -> None:
        """Log, remember and publish what came of a poll."""
        before = self._snapshot
        self._log.ended(
            outcome,
            last_reason=before.health.last_reason,
            polled_at=before.calls.polled_at,
            now=self._context.clock.monotonic(),
        )
        if outcome.success is not None:
            self._snapshot = replace(
                before,
                calls=outcome.success.calls,
                signals=outcome.success.signals,
                window_seconds=self.outbound.window,
            )
        self._set(
            health=before.health.after(outcome),
            polls=self._polls_with(outcome),
            read_progress=None,
        )

    def _polls_with(self, outcome: PollOutcome) -> tuple[PollRecord, ...]:
        try:
            return with_poll(self._snapshot.polls, outcome.record)
        except Exception:  # noqa: BLE001 - the poll itself is over, and must be published
            self._log.internal_error()
            return self._snapshot.polls

    def _publish_blocked(self) -> None:
        """Show that the outbound is not polled while the API refuses the token."""
        state = self._client.breaker_state(self.outbound.id)
        health = self._snapshot.health.blocked(
            interval_seconds=state.interval, outbounds=state.outbounds
        )
        if health != self._snapshot.health or self._snapshot.read_progress is not None:
            self._set(health=health, read_progress=None)

    def _set(self, **changes: Any) -> None:
        """Change the snapshot and publish it; it is immutable, so a scrape sees all or nothing."""
        self._snapshot = replace(self._snapshot, **changes)
        self._context.publish(self._snapshot)
