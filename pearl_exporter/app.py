"""The composition root: builds and joins everything; start, stop, go over to new settings.

Real parts by default, replaced by keyword in tests. No constructor starts anything.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from math import ceil
from typing import NamedTuple

from pearl_exporter.api.budget import Budget
from pearl_exporter.api.client import PearlClient
from pearl_exporter.api.clock import ApiClock, Clock
from pearl_exporter.api.http import Transport
from pearl_exporter.api.token_file import Token
from pearl_exporter.config import OutboundSettings, Settings, TokenSource
from pearl_exporter.counting.labels import TagRules
from pearl_exporter.counting.settlement import CountingRules
from pearl_exporter.discovery.platform import Host, Platform
from pearl_exporter.errors import ConfigError
from pearl_exporter.exposition.exporter_metrics import ExporterMetrics
from pearl_exporter.exposition.platform_metrics import PlatformCollector
from pearl_exporter.exposition.render import Exposition
from pearl_exporter.polling.context import PollContext, ProgressListener
from pearl_exporter.polling.first_polls import FirstPolls
from pearl_exporter.polling.log import log_budget
from pearl_exporter.polling.poller import Assignment, Poller
from pearl_exporter.polling.schedule import LOOK_AGAIN_SECONDS, Schedule
from pearl_exporter.polling.snapshot import OutboundSnapshot
from pearl_exporter.state.store import MemoryStore, Store

MAX_NAMED = 50
"""So many outbounds are named in one log line; the rest are counted."""

_log = logging.getLogger(__name__)


def enumerated(names: Sequence[str], *, between: str = ", ") -> str:
    """Give at most `MAX_NAMED` names in one text, and how many more there are."""
    more = len(names) - MAX_NAMED
    return between.join((*names[:MAX_NAMED], *([f"{more} more"] if more > 0 else []))) or "none"


class Changes(NamedTuple):
    """What a new configuration changed, by the outbounds' names."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]

    def told(self) -> dict[str, str]:
        """The same for the log."""
        return {f"outbounds_{name}": enumerated(names) for name, names in self._asdict().items()}


class App:
    """The exporter: its parts, joined. See `build_app`.

    Attributes:
        settings: Those in force, with the outbounds that were discovered.
    """

    def __init__(
        self,
        settings: Settings,
        context: PollContext,
        exporter: ExporterMetrics,
        exposition: Exposition,
        transport: Transport | None,
    ) -> None:
        self.settings = settings
        self.exposition = exposition
        self.exporter = exporter
        self.api_clock = context.api_clock
        self.schedule = Schedule(context.clock.monotonic)
        self._context = context
        self._transport = transport
        self._change_lock = asyncio.Lock()
        self._is_stopping = False
        self.clients: dict[TokenSource, PearlClient] = {}
        self._pollers: dict[str, Poller] = {}
        self.clients = self._clients_for(settings)
        self._pollers = self._pollers_for(settings, self.clients)
        host = Host(self._client_of_api, self._snapshots, self._reconfigure_to_discovered)
        self.platform = Platform(settings, context, host)
        self.platform_metrics = PlatformCollector(self.platform.snapshot)
        exporter.registry.register(self.platform_metrics)
        self._share_tokens()
        self._note_configured()

    @property
    def pollers(self) -> tuple[Poller, ...]:
        """The pollers, in the order of the configuration."""
        return tuple(self._pollers.values())

    async def start(self, *, polling: bool = True) -> None:
        """Publishes what is known before any poll, then begins to poll; raises `StateError`."""
        async with self._change_lock:
            await self.platform.restore()
            discovered = self._with_discovered(self.platform.settings)
            if discovered.outbounds != self.settings.outbounds:
                self.settings = discovered
                self._pollers = self._pollers_for(discovered, self.clients)
                self._share_tokens()
            for poller in self.pollers:
                await poller.start()
            if polling:
                self._log_budget()
                self._context.first_polls.expect(self._pollers)
                self.schedule.start(self.pollers)
                self.platform.start()

    async def stop(self) -> None:
        """Cuts polls short, closes connections, saves what is to be saved."""
        self._is_stopping = True
        await self.platform.stop()
        async with self._change_lock:
            await self._stop()

    async def _stop(self) -> None:
        await self.schedule.stop()
        for client in self.clients.values():
            await client.aclose()
        await self._context.store.aclose()

    @property
    def is_ready(self) -> bool:
        """Whether every outbound, discovered ones too, has had its first page or first failure."""
        return self.platform.is_ready and all(each.snapshot.was_tried for each in self.pollers)

    def seconds_to_next_poll(self, outbound_id: str) -> float | None:
        """How long until an outbound is polled next; 0 during a poll, None if not known."""
        if self.schedule.is_polling(outbound_id):
            return 0.0
        scheduled = self.schedule.seconds_to_next_poll(outbound_id)
        poller = self._pollers.get(outbound_id)
        if scheduled is None or poller is None:
            return None
        # those that fall due while it is held are passed over
        pause = poller.outbound.interval
        if poller.waits_for_token:
            pause = min(pause, LOOK_AGAIN_SECONDS)
        return scheduled + pause * max(0, ceil((poller.held_seconds - scheduled) / pause))

    def budget_of(self, outbound_id: str) -> Budget | None:
        """What an outbound's token allows right now; None if there is no such outbound."""
        poller = self._pollers.get(outbound_id)
        return None if poller is None else poller.assignment.client.budget

    async def reconfigure(self, settings: Settings) -> Changes:
        """Goes over to new settings while it runs.

        Outbounds that stay keep their counters and their time of the next poll; those that go lose
        their series. Changes nothing and raises ValueError if a token can't be read, `StateError`
        if the state of a new outbound can't, `ConfigError` if the exporter is stopping. What is set
        up at the start alone (``web.listen``, ``state.url``) stays as it is.
        """
        async with self._change_lock:
            changes = await self._reconfigure(self._with_discovered(settings))
            await self.platform.configure(settings)
            self._note_configured()
        return changes

    async def _reconfigure_to_discovered(self) -> None:
        """Polls those that were discovered, and no more those that vanished."""
        async with self._change_lock:
            settings = self._with_discovered(self.platform.settings)
            if settings.outbounds == self.settings.outbounds:
                return
            changes = await self._reconfigure(settings)
        _log.info("the platform's outbounds changed", extra=changes.told())

    async def _reconfigure(self, settings: Settings) -> Changes:
        self._refuse_if_stopping()
        clients = self._clients_for(settings)
        wanted = self._pollers_for(settings, clients)
        added = [new for key, new in wanted.items() if key not in self._pollers]
        try:
            for poller in added:
                await poller.load()
                self._refuse_if_stopping()  # a stop waits for this change, for a few seconds
        except BaseException:
            await _close(clients, but=self.clients)
            raise
        self._keep_limits(settings, clients)
        removed, changed = await self._apply_pollers(wanted)
        for poller in added:
            poller.show()
        self._context.first_polls.expect(poller.outbound.id for poller in added)
        self.schedule.add_staggered(added)
        self._keep_limits(settings, clients)  # once more: what was asked for while polls ended
        unused, self.clients = self.clients, clients
        self.settings, self._pollers = settings, wanted
        await _close(unused, but=clients)
        self._share_tokens()
        self._log_budget()
        return Changes(*map(_names, (added, removed, changed)))

    def _refuse_if_stopping(self) -> None:
        if self._is_stopping:
            raise ConfigError(["the exporter is stopping"])

    async def _apply_pollers(self, wanted: dict[str, Poller]) -> tuple[list[Poller], list[Poller]]:
        """Ends what is wanted no more or otherwise; gives what was removed and what changed.

        Pollers that stay as they are take their places in ``wanted`` again.
        """
        removed, changed = [], []
        for key, old in self._pollers.items():
            new = wanted.get(key)
            if new is None:
                await self.schedule.remove(key)
                self.exposition.remove(key)
                self._context.first_polls.forget(key)
                removed.append(old)
            elif new.assignment == old.assignment:
                wanted[key] = old
            else:
                await self._exchange(old, new)
                changed.append(new)
            if new is None or new.outbound.token != old.outbound.token:
                self.clients[old.outbound.token].forget(key)
        return removed, changed

    async def _exchange(self, old: Poller, new: Poller) -> None:
        seconds = self.schedule.seconds_to_regular_poll(old.outbound.id)
        await self.schedule.remove(old.outbound.id)
        new.resume_from(old)
        interval = new.outbound.interval
        self.schedule.add(new, interval if seconds is None else min(max(seconds, 0), interval))

    def _share_tokens(self) -> None:
        for token, client in self.clients.items():
            sharing = [each.outbound for each in self.pollers if each.outbound.token == token]
            intervals = {outbound.id: outbound.interval for outbound in sharing}
            client.breaker.share_among(intervals)
            client.demand.share_among(intervals)

    def _note_configured(self) -> None:
        self.exporter.configured(successfully=True, at_seconds=self._context.clock.wall())

    def _log_budget(self) -> None:
        for client in self.clients.values():
            log_budget(client.demand, client.limiter.configured_rate)

    def _clients_for(self, settings: Settings) -> dict[TokenSource, PearlClient]:
        """A client for each token; those there are serve on if the API's settings stay."""
        reusable = self.clients if settings.api == self.settings.api else {}
        tokens = [outbound.token for outbound in settings.outbounds]
        if settings.api.token_source and (settings.discovery.enabled or settings.account.enabled):
            tokens.append(settings.api.token_source)
        return {
            token: reusable.get(token) or self._client(settings, token)
            for token in dict.fromkeys(tokens)
        }

    def _with_discovered(self, settings: Settings) -> Settings:
        outbounds = (*settings.outbounds, *self.platform.outbounds(settings))
        return settings.model_copy(update={"outbounds": outbounds})

    def _client_of_api(self) -> PearlClient:
        source = self.settings.api.token_source
        assert source is not None  # noqa: S101 - the configuration is refused without it
        return self.clients[source]

    def _snapshots(self) -> dict[str, OutboundSnapshot]:
        return {key: poller.snapshot for key, poller in self._pollers.items()}

    def _keep_limits(self, settings: Settings, clients: dict[TokenSource, PearlClient]) -> None:
        """New clients of a token know what the same API has asked for, and what polls took."""
        if settings.api.url != self.settings.api.url:
            return
        for token, client in clients.items():
            old = self.clients.get(token)
            if old is not None and old is not client:
                client.limiter.resume_from(old.limiter)
                client.demand.resume_from(old.demand)

    def _client(self, settings: Settings, source: TokenSource) -> PearlClient:
        return PearlClient(
            settings.api,
            Token(source),
            observer=self.exporter,
            api_clock=self.api_clock,
            clock=self._context.clock,
            on_wait=self.exporter.waited,
            transport=self._transport,
        )

    def _pollers_for(
        self, settings: Settings, clients: dict[TokenSource, PearlClient]
    ) -> dict[str, Poller]:
        return {
            outbound.id: Poller(
                Assignment(
                    outbound,
                    counting_rules(outbound, settings),
                    settings.api.page_size,
                    clients[outbound.token],
                ),
                self._context,
            )
            for outbound in settings.outbounds
        }


def build_app(
    settings: Settings,
    *,
    transport: Transport | None = None,
    clock: Clock | None = None,
    store: Store | None = None,
    on_progress: ProgressListener = lambda _name, _received, _expected: None,
) -> App:
    """Joins the parts for these settings, and starts nothing.

    ``transport`` takes the place of the network, ``clock`` of this machine's clocks. Raises
    ValueError if a token can't be read, which `load_settings` has checked before.
    """
    clock = clock or Clock()
    api_clock = ApiClock(clock)
    exporter = ExporterMetrics(
        budget=lambda: [client.budget for client in app.clients.values()],
        clock_skew_seconds=lambda: api_clock.skew_seconds,
    )
    exposition = Exposition(exporter, api_clock.now)
    first_polls = FirstPolls()

    def publish(outbound: OutboundSnapshot) -> None:
        exposition.publish(outbound)
        first_polls.heard(outbound)

    context = PollContext(
        store or MemoryStore(), clock, api_clock, exporter, publish, on_progress, first_polls
    )
    app = App(settings, context, exporter, exposition, transport)
    return app


def counting_rules(outbound: OutboundSettings, settings: Settings) -> CountingRules:
    """How one outbound's calls are counted: the settings' seconds as the core's milliseconds."""
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
    )


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


async def _close(
    clients: dict[TokenSource, PearlClient], *, but: dict[TokenSource, PearlClient]
) -> None:
    kept = list(but.values())
    for client in clients.values():
        if client not in kept:
            await client.aclose()


def _names(pollers: Iterable[Poller]) -> tuple[str, ...]:
    return tuple(poller.outbound.name for poller in pollers)
