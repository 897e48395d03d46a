"""One poll of one outbound: has it read, feeds the tracker, commits, publishes.

The shell around the pure core. A poll is all or nothing: what could not be read whole is not
published, and what is published was committed to the store before.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from msgspec.structs import replace

from pearl_exporter.api.client import PearlClient
from pearl_exporter.api.deadline import Deadline
from pearl_exporter.config import OutboundSettings
from pearl_exporter.counting.calls import Instant
from pearl_exporter.counting.saved import SavedOutbound
from pearl_exporter.counting.settlement import CountingRules
from pearl_exporter.counting.tracker import Applied, Tracker, TrackerSnapshot, snapshot_of
from pearl_exporter.errors import (
    STATE_UNCHANGED_HINT,
    AuthError,
    BadResponseError,
    NotFoundError,
    PollError,
    StateError,
    TokenBlockedError,
)
from pearl_exporter.polling.context import PollContext
from pearl_exporter.polling.heap import trim_heap
from pearl_exporter.polling.idle_interval import Idle
from pearl_exporter.polling.log import PollLog, log_budget
from pearl_exporter.polling.plan_runner import PlanRunner
from pearl_exporter.polling.poll_health import Health
from pearl_exporter.polling.poll_history import (
    Asked,
    PollFindings,
    PollRecord,
    findings_between,
    with_poll,
)
from pearl_exporter.polling.snapshot import OutboundSnapshot, PollTimings
from pearl_exporter.reading.cost import MAX_WHOLE_READ_PAGES, PlanLimits, catch_up_requests
from pearl_exporter.reading.plan import PlanState, PollResult
from pearl_exporter.reading.search import Page, ReadProgress, Search

COMMIT_SECONDS = 2.0
"""How long a poll that is cut short goes on committing: stopping must not take long."""

_LARGE_READ = 5_000
"""Rows from which on the tracker works in a thread, so that scrapes need not wait for it, and the
memory that they took is worth giving back."""


class Assignment(NamedTuple):
    """What one poller polls, and how; two that are equal poll alike."""

    outbound: OutboundSettings
    rules: CountingRules
    page_size: int
    client: PearlClient


class Poller:
    """Polls one outbound, and knows how its polls fare."""

    def __init__(
        self,
        assignment: Assignment,
        surroundings: PollContext,
        *,
        catch_up_requests: Callable[[float, float, int], int] = catch_up_requests,
        max_whole_read_pages: int = MAX_WHOLE_READ_PAGES,
        new_tracker: Callable[[CountingRules, SavedOutbound | None], Tracker] = Tracker,
    ) -> None:
        self.assignment = assignment
        self.outbound, self._rules, self._page_size, self._client = assignment
        self._context = surroundings
        self._catch_up_requests = catch_up_requests
        self._max_whole_read_pages = max_whole_read_pages
        self._new_tracker = new_tracker
        self._tracker: Tracker | None = None
        self.memory = PlanState()
        """What the last good poll leaves to the next one."""
        self._log = PollLog(self.outbound.name)
        self._idle = Idle(self.outbound.interval, self.outbound.idle_interval)
        self._idle_until = 0.0
        self._trim_after_poll = False
        """Whether many calls were read or loaded, and what that took is still the process's."""
        self._is_abandoned = False
        """Whether a poll was cut short before it came to its commit: it must not commit later."""
        self._snapshot = OutboundSnapshot(
            name=self.outbound.name,
            outbound_id=self.outbound.id,
            labels=self.outbound.labels,
            window_seconds=self.outbound.window,
            stale_after_seconds=self.outbound.stale_after,
            spans=PollTimings(
                self.outbound.interval,
                self.outbound.idle_interval,
                self.outbound.settle,
                self.outbound.settle_unanswered,
            ),
            health=Health(interval_seconds=self.outbound.interval),
            calls=Tracker(self._rules).snapshot(),
        )

    @property
    def snapshot(self) -> OutboundSnapshot:
        """What is published of the outbound."""
        return self._snapshot

    async def start(self) -> None:
        """Publishes the saved counters, or zeros, before any poll; raises `StateError`.

        The calls themselves are loaded by the first poll, so that a scrape need not wait for them.
        """
        await self.prepare()
        self.show()

    async def prepare(self) -> None:
        """Reads what was counted, and publishes nothing yet; raises `StateError`."""
        progress = await self._context.store.load_progress(self.outbound.id)
        if progress is not None:
            calls = snapshot_of(progress, self._rules)
            health = replace(self._snapshot.health, catching_up=True)
            self._snapshot = replace(self._snapshot, calls=calls, health=health)

    async def load(self) -> None:
        """Loads all that was saved, and publishes nothing yet; raises `StateError`."""
        await self.prepare()
        await self._loaded()

    def show(self) -> None:
        """Publishes what is known."""
        self._publish(self._snapshot.health)

    def resume_from(self, old: "Poller") -> None:
        """Goes on where another poller of the same outbound stopped, by this one's settings.

        What is published of its calls stays as it is until the first poll of this one. If the other
        one's last commit failed, what was saved counts, and is loaded by the first poll.
        """
        self.memory = old.memory
        if (saved := old.saved()) is not None:
            self._tracker = self._tracker_from(saved)
        self._snapshot = replace(
            self._snapshot,
            calls=old.snapshot.calls,
            polls=old.snapshot.polls,
            window_seconds=old.snapshot.window_seconds,
        )
        self._publish(replace(old.snapshot.health, interval_seconds=self.outbound.interval))

    def saved(self) -> SavedOutbound | None:
        """What it has tracked and counted so far; None if it is to be loaded anew."""
        return None if self._tracker is None else self._tracker.saved()

    def skip(self) -> None:
        """Counts a poll that fell due while the one before was still going on."""
        self._publish(self._snapshot.health.skipped_one())

    def is_held(self) -> bool:
        """Whether a poll that falls due now is passed over.

        It is if what it would ask was refused lately, or if nothing has happened there for long. A
        token that has changed since is tried at once.
        """
        breaker, now = self._client.breaker, self._context.clock.monotonic()
        breaker.use(self._client.token.current())
        return breaker.is_held(self.outbound.id, now) or now < self._idle_until

    @property
    def held_seconds(self) -> float:
        """How long polls are passed over yet, if the token stays as it is."""
        until = max(self._client.breaker.held_until(self.outbound.id), self._idle_until)
        return max(0.0, until - self._context.clock.monotonic())

    @property
    def waits_for_token(self) -> bool:
        """Whether it is the token's fault that polls are passed over."""
        return self._client.breaker.is_token_refused

    def skip_blocked(self) -> None:
        """A poll fell due that `is_held`: shows why, if that is the token's fault."""
        if self.waits_for_token:
            self._publish_withheld()

    async def poll(self, lateness_seconds: float = 0.0) -> PollError | None:
        """Polls once and publishes; gives the error if that failed."""
        breaker, token = self._client.breaker, self._client.token.current()
        breaker.use(token)
        breaker.begin(self.outbound.id)
        try:
            failure = await self._poll(lateness_seconds, token)
            self._show_read_progress(None)
            return failure
        finally:
            breaker.end(self.outbound.id)
            if self._trim_after_poll:
                self._trim_after_poll = False
                trim_heap()

    async def _poll(self, lateness_seconds: float, token: str) -> PollError | None:
        began, began_in_loop = self._context.clock.monotonic(), asyncio.get_running_loop().time()
        deadline = Deadline(self.outbound.give_up)
        failure: PollError | None = None
        calls: TrackerSnapshot | None = None
        found: PollFindings | None = None
        asked = Asked()
        runner = self._new_runner(deadline, asked)
        try:
            tracker = await self._loaded()
            now, reading = await runner.read(tracker, self.memory)
            is_first = tracker.polled_at is None
            self._trim_after_poll |= len(reading.observation.rows) >= _LARGE_READ
            applied = await self._take(tracker, reading, now)
            if not is_first and reading.observation.unread is None:
                self._note_demand(asked)
            calls = applied.snapshot
            found = findings_between(self._snapshot.calls.ledger, applied)
            health = self._succeeded(now, reading, calls, began - lateness_seconds)
            self._log.catching_up(reading, self._context.clock.monotonic())
            self._log.polled(len(reading.observation.rows))
        except TokenBlockedError as error:
            self._publish_withheld()
            return error
        except PollError as error:
            # without its traceback, which would name this frame, which names the failure
            failure, calls = error.with_traceback(None), None
            health = self._failed(error, token)
        except Exception as error:  # noqa: BLE001 - one poll's bug must not end all polls
            self._log.bug()
            failure, calls = BadResponseError(f"met a bug: {type(error).__name__}"), None
            health = self._failed(failure, token)
        took = self._context.clock.monotonic() - began
        self._remember(asked, took, None if failure else found, failure)
        first_turn = (deadline.first_sent_at or began_in_loop) - began_in_loop
        self._publish(
            replace(
                health,
                polls=health.polls + 1,
                duration_seconds=took,
                lateness_seconds=lateness_seconds + first_turn,
            ),
            calls,
        )
        return failure

    def _remember(
        self, asked: Asked, took: float, found: PollFindings | None, failure: PollError | None
    ) -> None:
        """Adds the poll to those that the next snapshot shows; a bug in that costs no more."""
        try:
            record = PollRecord(
                at=self._context.api_clock.now(),
                asked=asked,
                duration_seconds=took,
                found=found,
                reason=failure.reason if failure else None,
                message=str(failure) if failure else None,
            )
            self._snapshot = replace(self._snapshot, polls=with_poll(self._snapshot.polls, record))
        except Exception:  # noqa: BLE001 - the poll itself is over, and must be published
            self._log.bug()

    def _note_demand(self, asked: Asked) -> None:
        self._client.demand.polled(self.outbound.id, asked.requests)
        log_budget(self._client.demand, self._client.limiter.configured_rate)

    async def _loaded(self) -> Tracker:
        if self._tracker is None:
            saved = await self._context.store.load(self.outbound.id)
            if saved is not None and saved.progress.tracked >= _LARGE_READ:
                self._trim_after_poll = True
                self._tracker = await asyncio.to_thread(self._tracker_from, saved)
            else:
                self._tracker = self._tracker_from(saved)
        return self._tracker

    def _tracker_from(self, saved: SavedOutbound | None) -> Tracker:
        if saved is not None and _has_other_buckets(saved, self._rules):
            self._log.other_buckets()
        try:
            return self._new_tracker(self._rules, saved)
        except ValueError as error:
            raise StateError(
                f"{error} (outbound {self.outbound.id}); {STATE_UNCHANGED_HINT}"
            ) from None

    def _new_runner(self, deadline: Deadline, asked: Asked) -> PlanRunner:
        async def ask(search: Search) -> Page:
            return await self._client.search(self.outbound.id, search, deadline)

        return PlanRunner(
            ask,
            self._context,
            self._log,
            PlanLimits(
                self._page_size,
                self._catch_up_requests(
                    self._client.limiter.rate, self.outbound.interval, self._client.breaker.sharing
                ),
                self._max_whole_read_pages,
            ),
            asked=asked,
            on_page=self._note_page,
            on_read_progress=self._show_read_progress,
        )

    def _show_read_progress(self, so_far: ReadProgress | None) -> None:
        if so_far != self._snapshot.read_progress:
            self._snapshot = replace(self._snapshot, read_progress=so_far)
            self.show()

    def _note_page(self, page: Page) -> None:
        if self._client.breaker.accepted(self.outbound.id):
            self._log.token_taken(self._client.breaker.sharing)
        self._context.observer.read_rows(page.received, page.rejected)
        if not self._snapshot.was_tried:
            self._publish(replace(self._snapshot.health, had_page=True))

    async def _take(self, tracker: Tracker, reading: PollResult, now: Instant) -> Applied:
        """Brings the tracker in step and commits: wholly, even if the poll is cut short now.

        A commit that hangs is not waited for: what was saved counts, and is loaded anew.
        """
        taking = asyncio.ensure_future(self._commit(tracker, reading, now))
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            done, _ = await asyncio.wait([taking], timeout=COMMIT_SECONDS)
            self._is_abandoned = not done
            for each in done:
                each.exception()  # nobody else asks for it, and it changes nothing any more
            raise

    async def _commit(self, tracker: Tracker, reading: PollResult, now: Instant) -> Applied:
        observation = reading.observation
        take = partial(tracker.apply, observation, now=now, max_gap_ms=self._max_gap_ms)
        self._tracker = None  # if this fails, what was saved counts, and is loaded anew
        applied = take() if len(observation.rows) < _LARGE_READ else await asyncio.to_thread(take)
        if self._is_abandoned:
            return applied  # somebody else has loaded the state meanwhile, and goes on from there
        await self._context.store.commit(self.outbound.id, applied.delta)
        self._tracker, self.memory = tracker, reading.state
        for field, calls in applied.unknown_code_counts.items():
            self._context.observer.met_unknown_codes(field, calls)
        return applied

    @property
    def _max_gap_ms(self) -> int:
        """How far apart two good polls may be with none missed between them."""
        return round(2000 * self._idle.interval)

    def _succeeded(
        self, now: Instant, reading: PollResult, calls: TrackerSnapshot, due: float
    ) -> Health:
        polled_at = self._snapshot.calls.polled_at
        missed = polled_at is not None and now - polled_at > self._max_gap_ms
        self._log.turning_back(now, polled_at)
        if self._snapshot.health.last_reason is not None:
            self._log.succeeds_again()
        catching_up = reading.observation.unread is not None
        self._idle.polled(calls, is_behind=catching_up, at=due)
        if self._idle.interval > self.outbound.interval:
            # half an interval early, so that the poll that falls due just then is not missed
            self._idle_until = due + self._idle.interval - self.outbound.interval / 2
        return self._snapshot.health.succeeded(
            self._context.api_clock.now(),
            interval_seconds=self._idle.interval,
            scanned=reading.scanned,
            missed=missed,
            catching_up=catching_up,
        )

    def _failed(self, error: PollError, token: str) -> Health:
        health = self._snapshot.health
        self._log.failed(error, health.last_reason)
        if isinstance(error, AuthError | NotFoundError):
            self._refused(error, token)
        interval = self._client.breaker.interval(self.outbound.id)
        return health.failed(error, interval_seconds=interval)

    def _refused(self, error: PollError, token: str) -> None:
        """Backs off, unless the token has changed meanwhile: the new one is yet to be tried."""
        breaker, now = self._client.breaker, self._context.clock.monotonic()
        if self._client.token.read_anew() != token:
            return
        if isinstance(error, NotFoundError):
            breaker.back_off(self.outbound.id, now)
        elif breaker.refused(self.outbound.id, now):
            self._log.token_refused(breaker.sharing)

    def _publish_withheld(self) -> None:
        """Shows that it is not asked for while the API refuses the token."""
        health, breaker = self._snapshot.health, self._client.breaker
        interval = breaker.interval(self.outbound.id)
        withheld = health.withheld(interval_seconds=interval, outbounds=breaker.sharing)
        if withheld != health:
            self._publish(withheld)

    def _publish(self, health: Health, calls: TrackerSnapshot | None = None) -> None:
        self._snapshot = replace(self._snapshot, health=health)
        if calls is not None:
            self._snapshot = replace(
                self._snapshot, calls=calls, window_seconds=self.outbound.window
            )
        self._context.publish(self._snapshot)


def _has_other_buckets(saved: SavedOutbound, rules: CountingRules) -> bool:
    durations = saved.progress.ledger.durations.values()
    return any(each.bounds != rules.buckets for each in durations)
