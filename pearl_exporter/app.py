"""The composition root: builds and joins everything; start and stop.

Real parts by default, replaced by keyword in tests. No constructor starts anything.
"""

from dataclasses import dataclass

import httpx

from pearl_exporter.api import PearlClient, Token
from pearl_exporter.clock import ApiClock, Clock
from pearl_exporter.config import OutboundSettings, Settings, TokenSource
from pearl_exporter.labels import TagRules
from pearl_exporter.metrics import ExporterMetrics, Exposition
from pearl_exporter.poller import Poller, ProgressListener, Surroundings
from pearl_exporter.schedule import Schedule
from pearl_exporter.store import MemoryStore, Store
from pearl_exporter.tracker import Rules


@dataclass(frozen=True)
class App:
    """The exporter, joined and not yet started."""

    settings: Settings
    clients: dict[TokenSource, PearlClient]
    pollers: tuple[Poller, ...]
    schedule: Schedule
    exposition: Exposition
    store: Store
    api_clock: ApiClock

    async def start(self, *, polling: bool = True) -> None:
        """Publishes what is known before any poll, then begins to poll; raises `StateError`."""
        for poller in self.pollers:
            await poller.start()
        if polling:
            self.schedule.start(self.pollers)

    async def stop(self) -> None:
        """Cuts polls short, closes connections, saves what is to be saved."""
        await self.schedule.stop()
        for client in self.clients.values():
            await client.aclose()
        await self.store.aclose()

    @property
    def is_ready(self) -> bool:
        """Whether every outbound has had its first good poll or its first failure."""
        return all(each.snapshot.was_tried for each in self.pollers)


def build_app(
    settings: Settings,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
    clock: Clock | None = None,
    store: Store | None = None,
    on_progress: ProgressListener = lambda _name, _received, _expected: None,
) -> App:
    """Joins the parts for these settings.

    ``transport`` takes the place of the network, ``clock`` of this machine's clocks. Raises
    ValueError if a token can't be read, which `load_settings` has checked before.
    """
    clock = clock or Clock()
    store = store or MemoryStore()
    api_clock = ApiClock(clock)
    clients: dict[TokenSource, PearlClient] = {}
    exporter = ExporterMetrics(
        rate_limit=lambda: sum(client.limiter.rate for client in clients.values()),
        clock_skew_seconds=lambda: api_clock.skew_seconds,
    )
    exporter.configured(successfully=True, at_seconds=clock.wall())
    for outbound in settings.outbounds:
        if outbound.token not in clients:
            clients[outbound.token] = PearlClient(
                settings.api,
                Token(outbound.token),
                observer=exporter,
                api_clock=api_clock,
                clock=clock,
                on_wait=exporter.waited,
                transport=transport,
            )
    exposition = Exposition(exporter, api_clock.now)
    around = Surroundings(store, clock, api_clock, exporter, exposition.publish, on_progress)
    pollers = tuple(
        Poller(
            outbound,
            rules_of(outbound, settings),
            settings.api.page_size,
            clients[outbound.token],
            around,
        )
        for outbound in settings.outbounds
    )
    return App(settings, clients, pollers, Schedule(clock.monotonic), exposition, store, api_clock)


def rules_of(outbound: OutboundSettings, settings: Settings) -> Rules:
    """How one outbound's calls are counted: the settings' seconds as the core's milliseconds."""
    return Rules(
        window_ms=_milliseconds(outbound.window),
        settle_ms=_milliseconds(outbound.settle),
        settle_unanswered_ms=_milliseconds(outbound.settle_unanswered),
        follow_ms=_milliseconds(settings.poll.follow),
        catch_up_ms=_milliseconds(settings.poll.catch_up),
        buckets=settings.metrics.duration_buckets,
        tags=TagRules(
            max_tags=settings.metrics.max_tags,
            include=settings.metrics.tag_include,
            exclude=settings.metrics.tag_exclude,
        ),
    )


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
