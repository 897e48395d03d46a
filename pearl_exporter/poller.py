"""One poll of one outbound: asks `plan`, calls `api`, feeds the tracker, commits, publishes.

The shell around the pure core. A poll is all or nothing: what could not be read whole is not
published, and what is published was committed to the store before.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

from msgspec.structs import replace

from pearl_exporter.api import Patience, PearlClient
from pearl_exporter.calls import Instant
from pearl_exporter.clock import TOLERATED_SKEW_SECONDS, ApiClock, Clock
from pearl_exporter.config import OutboundSettings
from pearl_exporter.decode import format_instant
from pearl_exporter.errors import LEFT, BadResponseError, PollError, StateError
from pearl_exporter.plan import (
    LEAST_CATCH_UP_REQUESTS,
    MOST_CATCH_UP_REQUESTS,
    Memory,
    PollPlan,
    Reading,
)
from pearl_exporter.progress import Delta, Saved
from pearl_exporter.snapshot import Health, OutboundSnapshot
from pearl_exporter.store import Store
from pearl_exporter.sync import Page, Search
from pearl_exporter.tracker import CODE_FIELDS, Rules, Tracker, snapshot_of

ProgressListener = Callable[[str, int, int], None]
"""Hears an outbound's name, the calls read so far and the calls expected, after each page."""

PROGRESS_SECONDS = 10.0
"""How often a long read says how far it has come."""

LONGEST_BACKOFF_SECONDS = 300.0
"""How far the interval doubles while the token or the id is refused."""

_BACKED_OFF = ("auth", "not_found")
COMMIT_SECONDS = 2.0
"""How long a poll that is cut short goes on committing: stopping must not take long."""

_LARGE_READ = 5_000
"""Rows from which on the tracker works in a thread, so that scrapes need not wait for it."""

_log = logging.getLogger(__name__)


class PollObserver(Protocol):
    """Who wants to know what polls read: the exporter's own metrics."""

    def read_rows(self, received: int, rejected: int) -> None:
        """A page came with so many rows, of which so many were skipped."""

    def met_unknown_codes(self, field: str, calls: int) -> None:
        """So many calls bore a code of no table for the first time."""


@dataclass(frozen=True)
class Surroundings:
    """What the pollers share: where to keep, where to publish, what time it is."""

    store: Store
    clock: Clock
    api_clock: ApiClock
    observer: PollObserver
    publish: Callable[[OutboundSnapshot], None]
    on_progress: ProgressListener


class Assignment(NamedTuple):
    """What one poller polls, and how; two that are equal poll alike."""

    outbound: OutboundSettings
    rules: Rules
    page_size: int
    client: PearlClient


class Poller:
    """Polls one outbound, and knows how its polls fare."""

    def __init__(self, assignment: Assignment, surroundings: Surroundings) -> None:
        self.assignment = assignment
        self.outbound, self._rules, self._page_size, self._client = assignment
        self._around = surroundings
        self._tracker: Tracker | None = None
        self.memory = Memory()
        """What the last good poll leaves to the next one."""
        self.sharing = 1
        """How many outbounds are polled with the same token."""
        self._told_of_backlog_at: float | None = None
        self._is_abandoned = False
        """Whether a poll was cut short before it came to its commit: it must not commit later."""
        self._refusals = 0
        self._held_until = 0.0
        self._refused_token: str | None = None
        self._snapshot = OutboundSnapshot(
            name=self.outbound.name,
            outbound_id=self.outbound.id,
            labels=self.outbound.labels,
            window_seconds=self.outbound.window,
            stale_after_seconds=self.outbound.stale_after,
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
        progress = await self._around.store.load_progress(self.outbound.id)
        if progress is not None:
            calls = snapshot_of(progress, self._rules)
            self._snapshot = replace(self._snapshot, calls=calls)
        self._publish(replace(self._snapshot.health, catching_up=progress is not None))

    async def load(self) -> None:
        """Loads what was saved, and publishes nothing yet; raises `StateError`."""
        await self._loaded()

    def take_over(self, old: "Poller") -> None:
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
            window_seconds=old.snapshot.window_seconds,
        )
        self._publish(replace(old.snapshot.health, interval_seconds=self.outbound.interval))

    def saved(self) -> Saved | None:
        """What it has tracked and counted so far; None if it is to be loaded anew."""
        return None if self._tracker is None else self._tracker.saved()

    def release(self) -> None:
        """Polls at the usual interval again: the configuration changed, so it may be well now."""
        self._refusals, self._held_until = 0, 0.0

    def skip(self) -> None:
        """Counts a poll that fell due while the one before was still going on."""
        health = self._snapshot.health
        behind = health.catching_up or health.last_success is not None
        self._publish(replace(health, skipped=health.skipped + 1, catching_up=behind))

    def is_held(self) -> bool:
        """Whether this poll is passed over because the API refused the token or the id lately.

        A token that has changed since is tried at once.
        """
        return self.held_seconds > 0 and self._has_refused_token()

    @property
    def held_seconds(self) -> float:
        """How long polls are passed over yet, if the token stays as it is."""
        return max(0.0, self._held_until - self._around.clock.monotonic())

    def _has_refused_token(self) -> bool:
        return self._client.token.current() == self._refused_token

    async def poll(self, lateness_seconds: float = 0.0) -> PollError | None:
        """Polls once and publishes; gives the error if that failed."""
        began, began_in_loop = self._around.clock.monotonic(), asyncio.get_running_loop().time()
        patience = Patience(self.outbound.give_up)
        failure: PollError | None = None
        tracker: Tracker | None = None
        try:
            tracker = await self._loaded()
            now, reading = await self._read(tracker, patience)
            await self._take(tracker, reading, now)
            health = self._succeeded(now, reading)
            self._tell_of_catching_up(reading)
            _log.debug("polled", extra={"outbound": self.outbound.name, "rows": len(reading.calls)})
        except PollError as error:
            failure, tracker = error, None
            health = self._failed(error)
        except Exception as error:  # noqa: BLE001 - one poll's bug must not end all polls
            _log.exception("a poll met a bug", extra={"outbound": self.outbound.name})
            failure, tracker = BadResponseError(f"met a bug: {type(error).__name__}"), None
            health = self._failed(failure)
        first_turn = (patience.first_turn_at or began_in_loop) - began_in_loop
        self._publish(
            replace(
                health,
                polls=health.polls + 1,
                duration_seconds=self._around.clock.monotonic() - began,
                lateness_seconds=lateness_seconds + first_turn,
            ),
            tracker,
        )
        return failure

    async def _loaded(self) -> Tracker:
        if self._tracker is None:
            saved = await self._around.store.load(self.outbound.id)
            if saved is not None and saved.progress.tracked >= _LARGE_READ:
                self._tracker = await asyncio.to_thread(self._tracker_from, saved)
            else:
                self._tracker = self._tracker_from(saved)
        return self._tracker

    def _tracker_from(self, saved: Saved | None) -> Tracker:
        if saved is not None and _has_other_buckets(saved, self._rules):
            _log.warning(
                "metrics.duration_buckets changed: the histogram of durations starts anew",
                extra={"outbound": self.outbound.name},
            )
        try:
            return Tracker(self._rules, saved)
        except ValueError as error:
            raise StateError(f"{error} (outbound {self.outbound.id}); {LEFT}") from None

    async def _read(self, tracker: Tracker, patience: Patience) -> tuple[Instant, Reading]:
        """Reads all that this poll must read, as of the API's present."""
        api_clock, clock = self._around.api_clock, self._around.clock
        was_known, began = api_clock.is_known, clock.monotonic()
        now = _no_small_step_back(api_clock.now(), tracker.polled_at)
        plan = self._plan(tracker, now)
        steps = plan.steps()
        told_at = began
        try:
            search = next(steps)
            while True:
                page = await self._page(search, patience)
                if not was_known and api_clock.is_known:
                    was_known = True
                    elapsed = (clock.monotonic() - began) * 1000
                    if abs(api_clock.now() - now - elapsed) > TOLERATED_SKEW_SECONDS * 1000:
                        self._tell_of_skew()
                        return await self._read(tracker, patience)
                search = steps.send(page)
                told_at = self._tell_of_progress(plan, told_at)
        except StopIteration as end:
            self._tell_of_progress(plan, told_at)
            reading: Reading = end.value
            self._tell_of_oddities(reading.memory)
            return now, reading

    def _plan(self, tracker: Tracker, now: Instant) -> PollPlan:
        return PollPlan(
            tracker,
            now=now,
            limit=self._page_size,
            memory=self.memory,
            spare=self._spare_requests(),
        )

    def _spare_requests(self) -> int:
        """Half of what the rate allows to one poll, beside the other outbounds of the token."""
        allowed = self._client.limiter.rate * self.outbound.interval / self.sharing
        return round(min(max(allowed / 2, LEAST_CATCH_UP_REQUESTS), MOST_CATCH_UP_REQUESTS))

    def _tell_of_skew(self) -> None:
        _log.warning(
            "%s; going by the API's",
            self._around.api_clock.skew_text,
            extra={"outbound": self.outbound.name},
        )

    def _tell_of_progress(self, plan: PollPlan, told_at: float) -> float:
        """Shows how far a read of everything has come; gives when the log was last told."""
        read, now = plan.read, self._around.clock.monotonic()
        if read is None:
            return told_at
        self._around.on_progress(self.outbound.name, read.received, read.expected)
        if now - told_at < PROGRESS_SECONDS:
            return told_at
        _log.info(
            "reading: %d of %d calls",
            read.received,
            read.expected,
            extra={"outbound": self.outbound.name},
        )
        return now

    def _tell_of_catching_up(self, reading: Reading) -> None:
        """Says how far the calls of an outage are counted, while there are any left."""
        told_at, now = self._told_of_backlog_at, self._around.clock.monotonic()
        if reading.unread is not None and (told_at is None or now - told_at >= PROGRESS_SECONDS):
            start, end = map(format_instant, reading.unread)
            _log.info(
                "catching up: calls that started from %s to %s are still to be read",
                start,
                end,
                extra={"outbound": self.outbound.name},
            )
            self._told_of_backlog_at = now
        elif reading.unread is None and told_at is not None:
            _log.info("caught up", extra={"outbound": self.outbound.name})
            self._told_of_backlog_at = None

    def _tell_of_turning_back(self, now: Instant, polled_at: Instant | None) -> None:
        if polled_at is not None and now < polled_at:
            _log.warning(
                "the last poll was of a time yet to come, %.0f s from now: what it passed over is "
                "read again, nothing counts twice",
                (polled_at - now) / 1000,
                extra={"outbound": self.outbound.name},
            )

    def _tell_of_oddities(self, memory: Memory) -> None:
        outbound = {"outbound": self.outbound.name}
        if memory.by_offset and not self.memory.by_offset:
            _log.info(
                "the API ignores the order or end asked for: reading by offset", extra=outbound
            )
        if memory.ignores_statuses and not self.memory.ignores_statuses:
            _log.info("the API ignores the filter by statuses: going without", extra=outbound)

    async def _page(self, search: Search, patience: Patience) -> Page:
        page = await self._client.search(self.outbound.id, search, patience)
        self._around.observer.read_rows(page.received, page.rejected)
        if not self._snapshot.was_tried:
            self._publish(replace(self._snapshot.health, had_page=True))
        return page

    async def _take(self, tracker: Tracker, reading: Reading, now: Instant) -> None:
        """Brings the tracker in step and commits: wholly, even if the poll is cut short now.

        A commit that hangs is not waited for: what was saved counts, and is loaded anew.
        """
        taking = asyncio.ensure_future(self._commit(tracker, reading, now))
        try:
            await asyncio.shield(taking)
        except asyncio.CancelledError:
            done, _ = await asyncio.wait([taking], timeout=COMMIT_SECONDS)
            self._is_abandoned = not done
            for each in done:
                each.exception()  # nobody else asks for it, and it changes nothing any more
            raise

    async def _commit(self, tracker: Tracker, reading: Reading, now: Instant) -> None:
        before = tracker.unknown_codes
        take = partial(_take_reading, tracker, reading, now)
        self._tracker = None  # if this fails, what was saved counts, and is loaded anew
        delta = take() if len(reading.calls) < _LARGE_READ else await asyncio.to_thread(take)
        if self._is_abandoned:
            return  # somebody else has loaded the state meanwhile, and goes on from there
        if delta is not None:
            await self._around.store.commit(self.outbound.id, delta)
        self._tracker, self.memory = tracker, reading.memory
        for field, was, is_ in zip(CODE_FIELDS, before, tracker.unknown_codes, strict=True):
            self._around.observer.met_unknown_codes(field, is_ - was)

    def _succeeded(self, now: Instant, reading: Reading) -> Health:
        health = self._snapshot.health
        polled_at = self._snapshot.calls.polled_at
        missed = polled_at is not None and now - polled_at > 2000 * self.outbound.interval
        self._tell_of_turning_back(now, polled_at)
        if health.last_reason is not None:
            _log.info("polls succeed again", extra={"outbound": self.outbound.name})
        self.release()
        ended = self._around.api_clock.now()
        catching_up = reading.unread is not None
        caught_up = health.catching_up or missed or health.caught_up_at is None
        return replace(
            health,
            up=True,
            last_success=ended,
            full_scan_at=ended if reading.scanned else health.full_scan_at,
            interval_seconds=self.outbound.interval,
            catching_up=catching_up,
            caught_up_at=ended if caught_up and not catching_up else health.caught_up_at,
            last_reason=None,
            last_message=None,
        )

    def _failed(self, error: PollError) -> Health:
        health = self._snapshot.health
        level = logging.DEBUG if health.last_reason == error.reason else logging.WARNING
        _log.log(
            level,
            "poll failed: %s",
            error,
            extra={"outbound": self.outbound.name, "reason": error.reason},
        )
        if error.reason in _BACKED_OFF:
            self._hold()
        interval = self._interval_in_force()
        return replace(
            health,
            up=False,
            failures={**health.failures, error.reason: health.failures.get(error.reason, 0) + 1},
            interval_seconds=interval,
            catching_up=True,
            last_reason=error.reason,
            last_message=str(error),
        )

    def _hold(self) -> None:
        self._refusals += 1
        self._refused_token = self._client.token.current()
        # half an interval early, so that the poll that falls due just then is not missed
        wait = self._interval_in_force() - self.outbound.interval / 2
        self._held_until = self._around.clock.monotonic() + wait

    def _interval_in_force(self) -> float:
        interval = self.outbound.interval
        longest = max(interval, LONGEST_BACKOFF_SECONDS)
        return float(min(interval * 2 ** min(self._refusals, 20), longest))

    def _publish(self, health: Health, tracker: Tracker | None = None) -> None:
        self._snapshot = replace(self._snapshot, health=health)
        if tracker is not None:
            self._snapshot = replace(
                self._snapshot, calls=tracker.snapshot(), window_seconds=self.outbound.window
            )
        self._around.publish(self._snapshot)


def _take_reading(tracker: Tracker, reading: Reading, now: Instant) -> Delta | None:
    """Brings the tracker in step with what was read; gives what is to be saved."""
    tracker.apply(
        reading.calls,
        ranges=reading.ranges,
        now=now,
        spared=reading.spared,
        unread=reading.unread,
    )
    return tracker.take_delta()


def _no_small_step_back(now: Instant, polled_at: Instant | None) -> Instant:
    """T, but not a little before the last poll's: the clock's correction may set in or end."""
    if polled_at is not None and 0 < polled_at - now <= 2 * TOLERATED_SKEW_SECONDS * 1000:
        return polled_at
    return now


def _has_other_buckets(saved: Saved, rules: Rules) -> bool:
    durations = saved.progress.ledger.durations.values()
    return any(each.bounds != rules.buckets for each in durations)
