"""Brings the running exporter to new settings: which clients and pollers stay, go or change.

A change comes in this order, so that whatever can fail fails while the old settings still hold:

1. Build what the new settings want. A client stays if ``api`` and its token stay, and a poller if
   its settings stay too.
2. Load the state of added outbounds. From here on nothing fails.
3. Remove and exchange pollers, each once its running poll has ended. An outbound that stays keeps
   its counters and the time of its next poll.
4. Publish and schedule the added outbounds.
5. Close the clients that nobody uses any more.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from pearl_exporter.api.client import PearlClient
from pearl_exporter.api.http import Transport
from pearl_exporter.api.token_file import Token
from pearl_exporter.config import OutboundSettings, Settings, TokenSource
from pearl_exporter.counting.labels import TagRules
from pearl_exporter.counting.settlement import CountingRules
from pearl_exporter.exposition.exporter_metrics import ExporterMetrics
from pearl_exporter.exposition.render import Exposition
from pearl_exporter.polling.context import PollContext
from pearl_exporter.polling.poller import Poller
from pearl_exporter.polling.schedule import Schedule

MAX_NAMED = 50
"""At most this many outbounds are named in one log line; the rest are counted."""


def enumerated(names: Sequence[str], *, between: str = ", ") -> str:
    """Return at most `MAX_NAMED` names in one text, and how many more there are."""
    more = len(names) - MAX_NAMED
    return between.join((*names[:MAX_NAMED], *([f"{more} more"] if more > 0 else []))) or "none"


class Changes(NamedTuple):
    """What new settings changed, by the outbounds' names."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]

    @property
    def log_fields(self) -> dict[str, str]:
        """The same as fields of a log line."""
        return {f"outbounds_{name}": enumerated(names) for name, names in self._asdict().items()}


class ActiveParts:
    """What depends on the settings in force: a client for each token, a poller for each outbound.

    Attributes:
        settings: The settings in force, with the outbounds that were discovered.
        clients: A client for each token that an outbound, discovery or the account uses.
        pollers: A poller for each outbound, by id, in the order of the settings.
    """

    def __init__(  # noqa: PLR0913 - its parts are given to it, by keyword
        self,
        settings: Settings,
        context: PollContext,
        *,
        exporter: ExporterMetrics,
        exposition: Exposition,
        schedule: Schedule,
        transport: Transport | None,
    ) -> None:
        self._context = context
        self._exporter = exporter
        self._exposition = exposition
        self._schedule = schedule
        self._transport = transport
        self.settings = settings
        self.clients: Mapping[TokenSource, PearlClient] = {}
        self.pollers: Mapping[str, Poller] = {}
        self.use_before_start(settings)

    def use_before_start(self, settings: Settings) -> None:
        """Take settings while no poller has started: nothing is loaded, running or published."""
        self.clients = self._clients_for(settings)
        self.pollers = {
            outbound.id: self._poller_for(outbound, settings, self.clients)
            for outbound in settings.outbounds
        }
        self.settings = settings
        self._share_tokens()

    def log_excess_demand(self) -> None:
        """Warn of each token whose outbounds need more requests than are allowed."""
        for client in self.clients.values():
            client.log_excess_demand()

    async def change_to(self, settings: Settings, check: Callable[[], None]) -> Changes:
        """Change everything that differs.

        Args:
            settings: The new settings, with the outbounds that were discovered.
            check: Called before anything changes; what it raises stops the change.

        Returns:
            The outbounds that were added, removed or changed.

        Raises:
            ValueError: A token can't be read. Nothing has changed.
            StateError: The state of an added outbound can't be read. Nothing has changed.
        """
        clients = self._clients_for(settings)
        wanted: dict[str, Poller] = {}
        try:
            for outbound in settings.outbounds:
                wanted[outbound.id] = self._poller_for(outbound, settings, clients)
                await asyncio.sleep(0)  # there may be thousands, and scrapes must not wait for all
            added = [new for key, new in wanted.items() if key not in self.pollers]
            for poller in added:
                await poller.load()
                check()  # a stop that came meanwhile waits for this change
            check()
        except BaseException:
            await _close(clients, but=self.clients)
            raise
        self._keep_limits(settings, clients)
        removed, changed = await self._change_pollers(wanted)
        for poller in added:
            poller.show()
            await asyncio.sleep(0)
        self._context.first_polls.expect(poller.outbound.id for poller in added)
        self._schedule.add_staggered(added)
        # again: the API may have asked for more while polls ended
        self._keep_limits(settings, clients)
        unused, self.clients = self.clients, clients
        self.settings, self.pollers = settings, wanted
        await _close(unused, but=clients)
        self._share_tokens()
        self.log_excess_demand()
        return Changes(_names(added), _names(removed), _names(changed))

    async def _change_pollers(
        self, wanted: Mapping[str, Poller]
    ) -> tuple[list[Poller], list[Poller]]:
        """End pollers that are not wanted, or wanted otherwise; start those in their place.

        Returns:
            Those removed, and the new ones that took the place of others.
        """
        removed, changed = [], []
        for key, old in self.pollers.items():
            await asyncio.sleep(0)
            new = wanted.get(key)
            if new is None:
                await self._schedule.remove(key)
                self._exposition.remove(key)
                self._context.first_polls.forget(key)
                self._context.usual_shares.forget(key)
                removed.append(old)
            elif new is not old:
                await self._exchange(old, new)
                changed.append(new)
            if new is None or new.outbound.token != old.outbound.token:
                self.clients[old.outbound.token].forget(key)
        return removed, changed

    async def _exchange(self, old: Poller, new: Poller) -> None:
        seconds = self._schedule.seconds_to_regular_poll(old.outbound.id)
        await self._schedule.remove(old.outbound.id)
        new.resume_from(old)
        interval = new.outbound.interval
        self._schedule.add(new, interval if seconds is None else min(max(seconds, 0), interval))

    def _share_tokens(self) -> None:
        outbounds = [poller.outbound for poller in self.pollers.values()]
        for token, client in self.clients.items():
            client.share_among(
                {each.id: each.interval for each in outbounds if each.token == token}
            )

    def _keep_limits(self, settings: Settings, clients: Mapping[TokenSource, PearlClient]) -> None:
        """Let new clients of a token keep what the same API has asked for, and what polls took."""
        if settings.api.url != self.settings.api.url:
            return
        for token, client in clients.items():
            old = self.clients.get(token)
            if old is not None and old is not client:
                client.resume_from(old)

    def _clients_for(self, settings: Settings) -> dict[TokenSource, PearlClient]:
        """Return a client for each token: the one there is, if the API's settings stay."""
        reusable = self.clients if settings.api == self.settings.api else {}
        tokens = [outbound.token for outbound in settings.outbounds]
        if settings.api.token_source and (settings.discovery.enabled or settings.account.enabled):
            tokens.append(settings.api.token_source)
        return {
            token: reusable.get(token) or self._new_client(settings, token)
            for token in dict.fromkeys(tokens)
        }

    def _new_client(self, settings: Settings, source: TokenSource) -> PearlClient:
        return PearlClient(
            settings.api,
            Token(source),
            observer=self._exporter,
            api_clock=self._context.api_clock,
            clock=self._context.clock,
            on_wait=self._exporter.waited,
            transport=self._transport,
        )

    def _poller_for(
        self,
        outbound: OutboundSettings,
        settings: Settings,
        clients: Mapping[TokenSource, PearlClient],
    ) -> Poller:
        """Return a poller of an outbound: the one there is, if it would be like it."""
        rules, client = counting_rules(outbound, settings), clients[outbound.token]
        old = self.pollers.get(outbound.id)
        page_size, max_unreadable = settings.api.page_size, settings.poll.max_unreadable
        if old is not None and old.polls(
            outbound, rules, client, page_size=page_size, max_unreadable=max_unreadable
        ):
            return old
        return Poller(
            outbound,
            rules,
            client,
            self._context,
            page_size=page_size,
            max_unreadable=max_unreadable,
        )


def counting_rules(outbound: OutboundSettings, settings: Settings) -> CountingRules:
    """Return how an outbound's calls are counted: the settings' seconds as milliseconds."""
    return CountingRules(
        window_ms=_milliseconds(outbound.window),
        settle_ms=_milliseconds(outbound.settle),
        settle_unanswered_ms=_milliseconds(outbound.settle_unanswered),
        follow_ms=_milliseconds(settings.poll.follow),
        catch_up_ms=_milliseconds(settings.poll.catch_up),
        scan_every_ms=_milliseconds(settings.poll.full_scan_every),
        buckets=settings.metrics.duration_buckets,
        tags=TagRules(
            max_tags=settings.metrics.max_tags,
            include=settings.metrics.tag_include,
            exclude=settings.metrics.tag_exclude,
        ),
        interval_ms=_milliseconds(outbound.interval),
    )


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


async def _close(
    clients: Mapping[TokenSource, PearlClient], *, but: Mapping[TokenSource, PearlClient]
) -> None:
    kept = list(but.values())
    for client in clients.values():
        if client not in kept:
            await client.aclose()


def _names(pollers: Iterable[Poller]) -> tuple[str, ...]:
    return tuple(poller.outbound.name for poller in pollers)
