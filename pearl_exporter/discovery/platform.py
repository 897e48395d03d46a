"""What the exporter knows of the platform beside calls: its list of outbounds, and the account.

This is the shell around `selection`: it asks the platform, saves what was discovered for the next
start, and calls the app when other outbounds are to be polled.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import NamedTuple, TypeVar

import msgspec

from pearl_exporter.api.client import PearlClient
from pearl_exporter.api.deadline import Deadline
from pearl_exporter.api.deadline import now as loop_time
from pearl_exporter.api.decode_platform import Account, Listing, is_running
from pearl_exporter.config import (
    DiscoverySettings,
    OutboundSettings,
    Settings,
    discovered_outbound,
)
from pearl_exporter.config.secrecy import KnownSecrets
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
from pearl_exporter.errors import Inconsistent, PollError, StateError
from pearl_exporter.polling.context import PollContext
from pearl_exporter.polling.snapshot import OutboundSnapshot
from pearl_exporter.state.records import DiscoveredOutbound

NOT_LISTED = "not_listed"
"""The state of outbounds that the last good list counts without listing them, or with no usable id.
"""

VANISHED = "vanished"
"""The state of an outbound that was missing from the last good list."""

LIST_OF_OUTBOUNDS = "the list of outbounds"
"""What discovery asks for, in messages."""

LARGE_LIST = 1000
"""From this many outbounds on a list is worked on in a thread, so that scrapes need not wait."""

EMPTY_LIST_SECONDS = 3600.0
"""A list that had outbounds is believed to be empty once it has been so for this long.

Nobody deletes all outbounds at once, but a token of another account lists none.
"""

Result = TypeVar("Result")

_STATES = (*(each.value for each in Selection), VANISHED, NOT_LISTED)

_log = logging.getLogger(__name__)


class _Choices(NamedTuple):
    """What was decided about all known outbounds, and by what: nothing is decided twice."""

    known: tuple[KnownOutbound, ...]
    rules: SelectionRules
    polled: Polled
    choices: tuple[SelectedOutbound, ...]


class Platform:
    """Asks for the list of outbounds and for the account, as the settings say.

    Attributes:
        settings: The configured settings, without what was discovered.
        asking: What `once` asks for right now; empty while it asks for nothing.
    """

    def __init__(
        self,
        settings: Settings,
        context: PollContext,
        *,
        client: Callable[[], PearlClient],
        polled: Callable[[], Mapping[str, OutboundSnapshot]],
        reconfigure: Callable[[], Awaitable[None]],
    ) -> None:
        """Build a platform about which nothing is known.

        Args:
            settings: The configured settings.
            context: Has the store and the API's clock.
            client: Returns the API as seen with the token of ``api``.
            polled: Returns what is published of the outbounds that are polled, by id.
            reconfigure: Called when other outbounds may have to be polled.
        """
        self.settings = settings
        self.asking = ""
        self._context = context
        self._client = client
        self._polled = polled
        self._reconfigure = reconfigure
        self._known: tuple[KnownOutbound, ...] = ()
        self._saved: tuple[DiscoveredOutbound, ...] = ()
        self._last_choices: _Choices | None = None
        self._noting = asyncio.Lock()
        self._statuses: Mapping[str, int | None] = {}
        # the loop's second since which the list is empty, though outbounds are known
        self._emptied_at: float | None = None
        self._found: Mapping[str, int] = {}
        self._not_listed = 0
        self._listing = PeriodicRequest[Listing](
            LIST_OF_OUTBOUNDS, self._send_for_listing, self._take, context.api_clock.now
        )
        self._account = PeriodicRequest[Account](
            "the account", self._send_for_account, _nothing_to_do, context.api_clock.now
        )
        self._is_started = False
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._set_intervals()

    async def configure(self, settings: Settings) -> None:
        """Use these settings from now on.

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
        """Load what was discovered before the last stop; raise `StateError`."""
        if self.settings.discovery.enabled:
            self._saved = await self._context.store.load_discovered()
            self._known = tuple(KnownOutbound(each.id, each.name or None) for each in self._saved)

    def start(self) -> None:
        """Start to ask, at once."""
        self._is_started = True
        self._begin()

    def _begin(self) -> None:
        for request in self._requests:
            if self._is_started and request.is_on and request.subject not in self._tasks:
                self._tasks[request.subject] = asyncio.create_task(request.run())

    async def stop(self) -> None:
        """Stop to ask."""
        self._is_started = False
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def once(self, *, retries: bool = True) -> list[tuple[str, PollError]]:
        """Ask once for all that is wanted.

        Args:
            retries: Whether a request that fails is sent again.

        Returns:
            What could not be had, each with the error.
        """
        failed = []
        for request in self._requests:
            if request.is_on:
                self.asking = request.subject
                error = await request.once(retries=retries)
                failed += [(request.subject, error)] if error is not None else []
        self.asking = ""
        return failed

    @property
    def _requests(self) -> tuple[PeriodicRequest[Listing] | PeriodicRequest[Account], ...]:
        return self._listing, self._account

    @property
    def is_ready(self) -> bool:
        """Whether the first list came or failed, if discovery is on."""
        return not self.settings.discovery.enabled or self._listing.was_tried

    async def choices(self, settings: Settings) -> tuple[SelectedOutbound, ...]:
        """Return what these settings make of every outbound that is known."""
        if not settings.discovery.enabled:
            return ()
        known, rules = self._known, selection_rules(settings.discovery)
        configured = {outbound.id: outbound.name for outbound in settings.outbounds}
        polled = Polled(configured, frozenset(self._unsettled()))
        last = self._last_choices
        if last is not None and last.known is known and last[1:3] == (rules, polled):
            return last.choices
        choices = await _run(partial(select, known, rules, polled), len(known))
        self._last_choices = _Choices(known, rules, polled, choices)
        return choices

    async def outbounds(self, settings: Settings) -> tuple[OutboundSettings, ...]:
        """Return the outbounds that discovery adds to these settings."""
        choices = await self.choices(settings)
        return await _run(partial(_polled_outbounds, choices, settings), len(choices))

    def snapshot(self) -> PlatformSnapshot:
        """Return what is known right now."""
        return PlatformSnapshot(
            listing=_request_snapshot(self._listing),
            found=self._found if self._listing.answer is not None else {},
            running=self._running(),
            account_request=_request_snapshot(self._account),
            account=self._account.answer,
        )

    async def _send_for_listing(self, retries: bool) -> Listing:  # noqa: FBT001
        return await self._client().listing(Deadline(self._give_up, retries=retries))

    async def _send_for_account(self, retries: bool) -> Account:  # noqa: FBT001
        return await self._client().account(Deadline(self._give_up, retries=retries))

    @property
    def _give_up(self) -> float:
        return self.settings.poll.give_up

    async def _take(self, listing: Listing) -> None:
        self._check_not_emptied(listing)
        self._statuses = {each.id: each.status for each in listing.outbounds}
        self._note_not_listed(listing)
        if self.settings.discovery.enabled:
            rules = selection_rules(self.settings.discovery)
            size = len(self._known) + len(listing.outbounds)
            known, settings = self._known, self.settings
            self._known = await _run(
                lambda: merge(known, _without_tokens(listing, settings), rules), size
            )
            await self._note_choices()
            await self._reconfigure()

    def _note_not_listed(self, listing: Listing) -> None:
        """Log when outbounds begin to be counted that cannot be polled, and when that ends."""
        before, self._not_listed = self._not_listed, listing.not_listed + listing.unusable
        if self._not_listed and not before:
            _log.warning(
                "the list of outbounds is incomplete: the others are not polled unless they are "
                "configured",
                extra={"listed": len(listing.outbounds), "not_listed": self._not_listed},
            )
        elif before and not self._not_listed:
            _log.info("the list of outbounds is complete again")

    def _check_not_emptied(self, listing: Listing) -> None:
        """Raise `Inconsistent` if a list is empty that had outbounds a moment ago."""
        listed_before = sum(not each.misses for each in self._known)
        if listing.outbounds or not listed_before:
            self._emptied_at = None
            return
        now = loop_time()
        if self._emptied_at is None:
            self._emptied_at = now
        if now - self._emptied_at < EMPTY_LIST_SECONDS:
            raise Inconsistent(
                f"the list is empty, and had {listed_before:,} outbounds before: they are polled "
                "until it has been empty for an hour"
            )

    async def _note_choices(self) -> None:
        # one at a time, so that the last one to save knows all that the others knew
        async with self._noting:
            choices = await self.choices(self.settings)
            is_on = self.settings.discovery.enabled
            listed = Counter(
                VANISHED if choice.outbound.misses else choice.selection.value for choice in choices
            )
            listed[NOT_LISTED] = self._not_listed
            self._found = {state: listed[state] for state in _STATES} if is_on else {}
            await self._save(await _run(partial(_discovered, choices), len(choices)))

    async def _save(self, saved: tuple[DiscoveredOutbound, ...]) -> None:
        """Save what is discovered; a failure is logged, and made up for by the next change."""
        if saved == self._saved:
            return
        try:
            await self._context.store.save_discovered(saved)
        except StateError as error:
            _log.warning("discovered outbounds can't be saved", extra={"error": str(error)})
        else:
            self._saved = saved

    def _unsettled(self) -> list[str]:
        """Return the ids of polled outbounds that may have calls that have not settled."""
        return [
            outbound_id
            for outbound_id, each in self._polled().items()
            if each.calls.live
            or each.calls.pending
            or each.health.catching_up
            # before the first good poll that is not known
            or not each.health.up
        ]

    def _running(self) -> Mapping[str, bool]:
        if self._listing.answer is None:
            return {}
        states = {
            each.name: is_running(self._statuses.get(outbound_id))
            for outbound_id, each in self._polled().items()
        }
        return {name: is_on for name, is_on in states.items() if is_on is not None}


def _without_tokens(listing: Listing, settings: Settings) -> Listing:
    """Return a list without the names that hold a token: they would become labels."""
    secrets = KnownSecrets()
    for source in {settings.api.token_source, *(each.token for each in settings.outbounds)}:
        with suppress(ValueError):  # a token file that can't be read now: others report that
            secrets.add(source.read() if source is not None else "")
    outbounds = tuple(
        msgspec.structs.replace(each, name="")
        if each.name and secrets.is_in(each.name, is_name=True)
        else each
        for each in listing.outbounds
    )
    return msgspec.structs.replace(listing, outbounds=outbounds)


def selection_rules(settings: DiscoverySettings) -> SelectionRules:
    """Return the section ``discovery`` as the rules of `selection`."""
    return SelectionRules(
        include=settings.include,
        exclude=settings.exclude,
        skips_paused=settings.paused == "skip",
        keeps_vanished=settings.vanished == "keep",
        max_outbounds=settings.max_outbounds,
    )


def _request_snapshot(
    request: PeriodicRequest[Listing] | PeriodicRequest[Account],
) -> RequestSnapshot | None:
    return RequestSnapshot(request.is_up, request.last_success) if request.is_on else None


async def _run(work: Callable[[], Result], size: int) -> Result:
    """Return what ``work`` returns, which grows with ``size``: in a thread from `LARGE_LIST` on."""
    return work() if size < LARGE_LIST else await asyncio.to_thread(work)


def _polled_outbounds(
    choices: Iterable[SelectedOutbound], settings: Settings
) -> tuple[OutboundSettings, ...]:
    return tuple(
        discovered_outbound(choice.outbound.id, choice.label, settings)
        for choice in choices
        if choice.selection is Selection.POLLED
    )


def _discovered(choices: Iterable[SelectedOutbound]) -> tuple[DiscoveredOutbound, ...]:
    return tuple(
        DiscoveredOutbound(choice.outbound.id, shown_name(choice.outbound))
        for choice in choices
        if choice.selection is Selection.POLLED
    )


async def _nothing_to_do(_: object) -> None:
    return
