"""What the exporter knows of the platform beside calls: which outbounds there are, the account.

The shell around `discovery`: asks, keeps what was discovered over restarts, and tells the app when
other outbounds are to be polled.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from pearl_exporter.api.client import PearlClient
from pearl_exporter.api.deadline import Deadline
from pearl_exporter.api.decode_platform import Account, Listing, is_running
from pearl_exporter.config import (
    DiscoverySettings,
    OutboundSettings,
    Settings,
    discovered_outbound,
)
from pearl_exporter.discovery.periodic_request import PeriodicRequest
from pearl_exporter.discovery.selection import (
    KnownOutbound,
    Polled,
    SelectedOutbound,
    Selection,
    SelectionRules,
    merge,
    select,
    shown_name,
)
from pearl_exporter.discovery.snapshot import PlatformSnapshot, RequestSnapshot
from pearl_exporter.errors import PollError, StateError
from pearl_exporter.polling.context import PollContext
from pearl_exporter.polling.snapshot import OutboundSnapshot
from pearl_exporter.state.records import DiscoveredOutbound

VANISHED = "vanished"
"""The state of an outbound that the last good answer left out."""

LIST_OF_OUTBOUNDS = "the list of outbounds"
"""What discovery asks for, in messages."""

_STATES = (*(each.value for each in Selection), VANISHED)

_log = logging.getLogger(__name__)


class Host(NamedTuple):
    """What it needs of the app: who asks, what is polled now, and to poll what is found."""

    client: Callable[[], PearlClient]
    polled: Callable[[], Mapping[str, OutboundSnapshot]]
    reconfigure: Callable[[], Awaitable[None]]


class Platform:
    """Asks for the list of outbounds and for the account, as the settings say.

    Attributes:
        settings: The configured ones, without what was discovered.
    """

    def __init__(self, settings: Settings, context: PollContext, host: Host) -> None:
        self.settings = settings
        self._context = context
        self._host = host
        self._known: tuple[KnownOutbound, ...] = ()
        self._saved: tuple[DiscoveredOutbound, ...] = ()
        self._statuses: Mapping[str, int | None] = {}
        self._found: Mapping[str, int] = {}
        self._listing = PeriodicRequest[Listing](
            LIST_OF_OUTBOUNDS, self._ask_for_listing, self._take, context.api_clock.now
        )
        self._account = PeriodicRequest[Account](
            "the account", self._ask_for_account, _nothing_to_do, context.api_clock.now
        )
        self.asking = ""
        """What `once` asks for right now; empty while it asks nothing."""
        self._is_insistent = True
        self._is_started = False
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._set_intervals()

    async def configure(self, settings: Settings) -> None:
        """Goes by these settings from now on.

        What failed before, or may be answered otherwise now, is asked for again at once.
        """
        before, self.settings = self.settings, settings
        self._set_intervals()
        if not settings.discovery.enabled:
            self._known = ()
        await self._note_choices()
        self._begin()
        is_new = before.api != settings.api
        began = settings.discovery.enabled > before.discovery.enabled
        if is_new or began or self._listing.is_failing:
            self._listing.run_now()
        if is_new or self._account.is_failing:
            self._account.run_now()

    def _set_intervals(self) -> None:
        discovery, account = self.settings.discovery, self.settings.account
        of_account = account.interval if account.enabled else None
        self._listing.set_interval(discovery.interval if discovery.enabled else of_account)
        self._account.set_interval(of_account)

    async def restore(self) -> None:
        """Takes up what was discovered before the last stop; raises `StateError`."""
        if self.settings.discovery.enabled:
            self._saved = await self._context.store.load_discovered()
            self._known = tuple(KnownOutbound(each.id, each.name or None) for each in self._saved)

    def start(self) -> None:
        """Begins to ask, at once."""
        self._is_started = True
        self._begin()

    def _begin(self) -> None:
        for watch in self._watches:
            if self._is_started and watch.is_on and watch.subject not in self._tasks:
                self._tasks[watch.subject] = asyncio.create_task(watch.run())

    async def stop(self) -> None:
        """Asks no more."""
        self._is_started = False
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def once(self, *, retries: bool = True) -> list[tuple[str, PollError]]:
        """Asks for all that is wanted one time; gives what failed, with what it was.

        ``retries`` says whether a request that fails is sent again.
        """
        self._is_insistent = retries
        failed = []
        for watch in self._watches:
            if watch.is_on:
                self.asking = watch.subject
                error = await watch.once()
                failed += [(watch.subject, error)] if error is not None else []
        self.asking = ""
        return failed

    @property
    def _watches(self) -> tuple[PeriodicRequest[Listing] | PeriodicRequest[Account], ...]:
        return self._listing, self._account

    @property
    def is_ready(self) -> bool:
        """Whether the first discovery came or failed, if there is one."""
        return not self.settings.discovery.enabled or self._listing.was_tried

    def choices(self, settings: Settings) -> tuple[SelectedOutbound, ...]:
        """What these settings make of every outbound that is known."""
        if not settings.discovery.enabled:
            return ()
        configured = {outbound.id: outbound.name for outbound in settings.outbounds}
        polled = Polled(configured, frozenset(self._unsettled()))
        return select(self._known, selection_rules(settings.discovery), polled)

    def outbounds(self, settings: Settings) -> tuple[OutboundSettings, ...]:
        """The outbounds that discovery adds to these settings."""
        return tuple(
            discovered_outbound(choice.outbound.id, choice.label, settings)
            for choice in self.choices(settings)
            if choice.selection is Selection.POLLED
        )

    def snapshot(self) -> PlatformSnapshot:
        """What is known right now."""
        return PlatformSnapshot(
            listing=_fares(self._listing),
            found=self._found if self._listing.answer is not None else {},
            running=self._running(),
            account_request=_fares(self._account),
            account=self._account.answer,
        )

    async def _ask_for_listing(self) -> Listing:
        return await self._host.client().listing(self._patience())

    async def _ask_for_account(self) -> Account:
        return await self._host.client().account(self._patience())

    def _patience(self) -> Deadline:
        return Deadline(self.settings.poll.give_up, retries=self._is_insistent)

    async def _take(self, listing: Listing) -> None:
        self._statuses = {each.id: each.status for each in listing.outbounds}
        if self.settings.discovery.enabled:
            self._known = merge(self._known, listing, selection_rules(self.settings.discovery))
            await self._note_choices()
            await self._host.reconfigure()

    async def _note_choices(self) -> None:
        choices = self.choices(self.settings)
        listed = Counter(
            VANISHED if choice.outbound.misses else choice.selection.value for choice in choices
        )
        is_on = self.settings.discovery.enabled
        self._found = {state: listed[state] for state in _STATES} if is_on else {}
        await self._save(
            tuple(
                DiscoveredOutbound(choice.outbound.id, shown_name(choice.outbound))
                for choice in choices
                if choice.selection is Selection.POLLED
            )
        )

    async def _save(self, saved: tuple[DiscoveredOutbound, ...]) -> None:
        """Keeps what is discovered over a restart; a failure is told and made up for later."""
        if saved == self._saved:
            return
        try:
            await self._context.store.save_discovered(saved)
        except StateError as error:
            _log.warning("the discovered outbounds can't be saved: %s", error)
        else:
            self._saved = saved

    def _unsettled(self) -> list[str]:
        """Who is polled and may have calls that have not settled."""
        return [
            outbound_id
            for outbound_id, each in self._host.polled().items()
            if each.calls.live
            or each.calls.pending
            or each.health.catching_up
            # before the first good poll nobody knows
            or not each.health.up
        ]

    def _running(self) -> Mapping[str, bool]:
        if self._listing.answer is None:
            return {}
        states = {
            each.name: is_running(self._statuses.get(outbound_id))
            for outbound_id, each in self._host.polled().items()
        }
        return {name: is_on for name, is_on in states.items() if is_on is not None}


def selection_rules(settings: DiscoverySettings) -> SelectionRules:
    """The section ``discovery`` as the pure rules have it."""
    return SelectionRules(
        include=settings.include,
        exclude=settings.exclude,
        skips_paused=settings.paused == "skip",
        keeps_vanished=settings.vanished == "keep",
        max_outbounds=settings.max_outbounds,
    )


def _fares(watch: PeriodicRequest[Listing] | PeriodicRequest[Account]) -> RequestSnapshot | None:
    return RequestSnapshot(watch.is_up, watch.last_success) if watch.is_on else None


async def _nothing_to_do(_: object) -> None:
    return
