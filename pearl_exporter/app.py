"""The composition root: builds the parts of the exporter and joins them; starts and stops it.

`build_app` takes real parts by default, which tests replace by keyword. No constructor starts
anything.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet

from pearl_exporter.api.budget import Budget
from pearl_exporter.api.client import PearlClient
from pearl_exporter.api.clock import ApiClock, Clock
from pearl_exporter.api.http import Transport
from pearl_exporter.config import Settings, TokenSource
from pearl_exporter.config.addresses import is_readable_on_the_way
from pearl_exporter.discovery.platform import Platform
from pearl_exporter.errors import ConfigError
from pearl_exporter.exposition.exporter_metrics import ExporterMetrics
from pearl_exporter.exposition.platform_metrics import PlatformCollector
from pearl_exporter.exposition.render import Exposition
from pearl_exporter.polling.context import PollContext, ProgressListener
from pearl_exporter.polling.first_polls import FirstPolls
from pearl_exporter.polling.poller import Poller
from pearl_exporter.polling.schedule import Schedule
from pearl_exporter.polling.snapshot import OutboundSnapshot
from pearl_exporter.reconfigure import ActiveParts, Changes, enumerated
from pearl_exporter.state.store import MemoryStore, Store

PLAIN_HTTP = (
    "api.url begins with http://, so whoever sees the traffic can read the API token; use https://"
)

_log = logging.getLogger(__name__)


class App:
    """The exporter: its parts, joined. `build_app` makes one.

    Attributes:
        exposition: What is published of the outbounds, as bytes for scrapes.
        exporter: The exporter's own metrics.
        api_clock: What time it is at the API.
        schedule: When each outbound is polled.
        platform: The list of outbounds and the account.
        platform_metrics: What is published of the platform.
    """

    def __init__(
        self,
        settings: Settings,
        context: PollContext,
        *,
        exporter: ExporterMetrics,
        exposition: Exposition,
        transport: Transport | None,
    ) -> None:
        self.exposition = exposition
        self.exporter = exporter
        self.api_clock = context.api_clock
        self.schedule = Schedule(context.clock.monotonic)
        self._context = context
        # one change at a time: a reload, a discovery, the start or the stop
        self._change_lock = asyncio.Lock()
        self._is_stopping = False
        self._active = ActiveParts(
            settings,
            context,
            exporter=exporter,
            exposition=exposition,
            schedule=self.schedule,
            transport=transport,
        )
        self.platform = Platform(
            settings,
            context,
            client=self._client_of_api,
            polled=self._snapshots,
            reconfigure=self._poll_what_is_discovered,
        )
        self.platform_metrics = PlatformCollector(self.platform.snapshot)
        exporter.registry.register(self.platform_metrics)
        self._note_configured()

    @property
    def clock(self) -> Clock:
        """This machine's clocks."""
        return self._context.clock

    @property
    def settings(self) -> Settings:
        """The settings in force, with the outbounds that were discovered."""
        return self._active.settings

    @property
    def clients(self) -> Mapping[TokenSource, PearlClient]:
        """A client of the API for each token."""
        return self._active.clients

    @property
    def pollers(self) -> tuple[Poller, ...]:
        """The pollers, in the order of the configuration."""
        return tuple(self._active.pollers.values())

    async def start(self, *, polling: bool = True) -> None:
        """Publish what is known before any poll, then start to poll.

        Args:
            polling: Whether to poll by the schedule; if not, the caller polls.

        Raises:
            StateError: The state can't be read.
        """
        async with self._change_lock:
            await self.platform.restore()
            discovered = await self._with_discovered(self.platform.settings)
            if discovered.outbounds != self.settings.outbounds:
                self._active.use_before_start(discovered)
            for poller in self.pollers:
                await poller.start()
            self._log_unknown(await self._context.store.known())
            if is_readable_on_the_way(self.settings.api.url):
                _log.warning(PLAIN_HTTP)
            if polling:
                self._active.log_excess_demand()
                self._context.first_polls.expect(self._active.pollers)
                self.schedule.start(self.pollers)
                self.platform.start()

    def _log_unknown(self, known: AbstractSet[str]) -> None:
        """Log which outbounds the state has no record of, if it has records of others."""
        unknown = [each.outbound.name for each in self.pollers if each.outbound.id not in known]
        if known and unknown:
            _log.warning(
                "the state has no record of some outbounds: if they are not new, it may be the "
                "wrong or an older state",
                extra={"outbounds": enumerated(unknown), "outbounds_in_the_state": len(known)},
            )

    async def stop(self) -> None:
        """Cancel running polls, close connections and save what is to be saved."""
        # first, so that a change under way ends soon: it looks at this between its steps
        self._is_stopping = True
        await self.platform.stop()
        async with self._change_lock:
            await self.schedule.stop()
            for client in self.clients.values():
                await client.aclose()
            await self._context.store.aclose()

    async def reconfigure(self, settings: Settings) -> Changes:
        """Bring the running exporter to new settings.

        Outbounds that stay keep their counters and the time of their next poll; those that go lose
        their series. What is set up at the start only (``web.listen``, ``state.url``) stays.

        Args:
            settings: The configured settings, without what was discovered.

        Returns:
            The outbounds that were added, removed or changed.

        Raises:
            ValueError: A token can't be read. Nothing has changed.
            StateError: The state of an added outbound can't be read. Nothing has changed.
            ConfigError: The exporter is stopping. Nothing has changed.
        """
        async with self._change_lock:
            before = self.settings.api.url
            changes = await self._change_to(await self._with_discovered(settings))
            if settings.api.url != before and is_readable_on_the_way(settings.api.url):
                _log.warning(PLAIN_HTTP)
            await self.platform.configure(settings)
            self._note_configured()
        return changes

    async def _poll_what_is_discovered(self) -> None:
        """Poll outbounds that were discovered, and no longer those that vanished."""
        async with self._change_lock:
            settings = await self._with_discovered(self.platform.settings)
            if settings.outbounds == self.settings.outbounds:
                return
            changes = await self._change_to(settings)
        _log.info("the platform's outbounds changed", extra=changes.log_fields)

    async def _change_to(self, settings: Settings) -> Changes:
        self._refuse_if_stopping()
        return await self._active.change_to(settings, self._refuse_if_stopping)

    def _refuse_if_stopping(self) -> None:
        if self._is_stopping:
            raise ConfigError(["the exporter is stopping"])

    @property
    def is_ready(self) -> bool:
        """Whether every outbound has had a first page or failure, also each discovered one."""
        return self.platform.is_ready and all(each.snapshot.was_tried for each in self.pollers)

    def budget_of(self, outbound_id: str) -> Budget | None:
        """Return what an outbound's token may send right now; None if there is no such outbound."""
        poller = self._active.pollers.get(outbound_id)
        return None if poller is None else poller.budget

    def _note_configured(self) -> None:
        self.exporter.configured(successfully=True, at_seconds=self._context.clock.wall())

    async def _with_discovered(self, settings: Settings) -> Settings:
        outbounds = (*settings.outbounds, *await self.platform.outbounds(settings))
        return settings.model_copy(update={"outbounds": outbounds})

    def _client_of_api(self) -> PearlClient:
        source = self.settings.api.token_source
        assert source is not None  # noqa: S101 - the configuration is refused without it
        return self.clients[source]

    def _snapshots(self) -> dict[str, OutboundSnapshot]:
        return {key: poller.snapshot for key, poller in self._active.pollers.items()}


def build_app(  # noqa: PLR0913 - real parts by default, by keyword
    settings: Settings,
    *,
    transport: Transport | None = None,
    clock: Clock | None = None,
    store: Store | None = None,
    on_progress: ProgressListener = lambda _name, _received, _expected: None,
    log_lines_dropped: Callable[[], int] = lambda: 0,
) -> App:
    """Build the parts for these settings and join them, and start nothing.

    Args:
        settings: The configured settings.
        transport: What carries requests instead of the network.
        clock: Clocks instead of this machine's.
        store: Where the state is kept; in memory by default.
        on_progress: Called with an outbound's name, the calls read and the calls expected, after
            each page of a whole read.
        log_lines_dropped: Returns how many log lines were dropped since the start.

    Raises:
        ValueError: A token can't be read, which `load_settings` has checked before.
    """
    clock = clock or Clock()
    api_clock = ApiClock(clock)
    exporter = ExporterMetrics(
        budget=lambda: [client.budget for client in app.clients.values()],
        clock_skew_seconds=lambda: api_clock.skew_seconds,
        log_lines_dropped=log_lines_dropped,
    )
    exposition = Exposition(exporter, api_clock.now)
    first_polls = FirstPolls()

    def publish(outbound: OutboundSnapshot) -> None:
        exposition.publish(outbound)
        first_polls.published(outbound)

    context = PollContext(
        store or MemoryStore(), clock, api_clock, exporter, publish, on_progress, first_polls
    )
    app = App(settings, context, exporter=exporter, exposition=exposition, transport=transport)
    return app
