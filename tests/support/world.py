"""The exporter over the simulated API in one process, in virtual time: nobody sleeps."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

import httpx
import msgspec
from pydantic import SecretStr

from pearl_exporter.api.client import PearlClient
from pearl_exporter.api.clock import ApiClock, Clock
from pearl_exporter.api.decode_calls import decode_page
from pearl_exporter.api.token_file import Token
from pearl_exporter.app import App, build_app
from pearl_exporter.config import (
    AccountSettings,
    ApiSettings,
    DiscoverySettings,
    OutboundSettings,
    PollSettings,
    Settings,
    TokenSource,
)
from pearl_exporter.counting.calls import Call
from pearl_exporter.exposition.exporter_metrics import ExporterMetrics
from pearl_exporter.polling.context import PollContext, ProgressListener
from pearl_exporter.polling.poller import Poller
from pearl_exporter.reconfigure import counting_rules
from pearl_exporter.simulator import Campaign, SimulatedClock, Simulator, build_simulator
from pearl_exporter.state.store import Store

HOUR_MS = 3_600_000
DAWN_MS = 1_795_000_000_000
TOKEN = TokenSource(literal=SecretStr("account:secret"))


def outbound_settings(campaign: Campaign, **overrides: Any) -> OutboundSettings:
    return OutboundSettings(
        id=campaign.outbound_id, name=campaign.profile.name, **{"token": TOKEN, **overrides}
    )


class _Recorded(httpx.ASGITransport):
    """Remembers what was asked for, and how often it was closed."""

    def __init__(self, app: Simulator) -> None:
        super().__init__(app)
        self.requests: list[tuple[str, str]] = []
        self.closed = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append((request.method, request.url.path))
        return await super().handle_async_request(request)

    async def aclose(self) -> None:
        self.closed += 1
        await super().aclose()


class Dated(httpx.AsyncBaseTransport):
    """Puts a ``Date`` of its own on every answer while it is on; None takes the header away.

    A number is how many seconds it is ahead of the answer's own.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport, date: str | float | None) -> None:
        self._transport = transport
        self.date = date
        self.more: dict[str, str] = {}
        self.is_on = True

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._transport.handle_async_request(request)
        if self.is_on:
            own = answer.headers.pop("date", "")
            if isinstance(self.date, float):
                moment = parsedate_to_datetime(own) + timedelta(seconds=self.date)
                answer.headers["date"] = format_datetime(moment, usegmt=True)
            elif self.date is not None:
                answer.headers["date"] = self.date
            answer.headers.update(self.more)
        return answer


class World:
    """Build it inside a loop, best a virtual one. ``wait`` moves everybody's time.

    ``wall_ahead`` is how wrong the exporter's wall clock is, in seconds.

    ``frozen``, simulated time and the exporter's clock stand still during a poll, so that what must
    have been read is known to the row; else they run with the loop. Of the campaigns the first
    ``configured`` are in the configuration, by default all. ``transport`` gets what carries
    requests to the simulator, and may return something else in its place.
    """

    def __init__(
        self,
        campaigns: Iterable[Campaign],
        *,
        faults: Iterable[str | Mapping[str, Any]] = (),
        frozen: bool = False,
        api: Mapping[str, Any] | None = None,
        poll: Mapping[str, Any] | None = None,
        outbound: Mapping[str, Any] | None = None,
        configured: int | None = None,
        discovery: Mapping[str, Any] | None = None,
        account: Mapping[str, Any] | None = None,
        seed: int = 0,
        store: Store | None = None,
        wall_ahead: Callable[[], float] = lambda: 0.0,
        transport: Callable[[httpx.AsyncBaseTransport], httpx.AsyncBaseTransport] = lambda it: it,
        on_progress: ProgressListener = lambda _name, _received, _expected: None,
    ) -> None:
        self._frozen = frozen
        self._frozen_for = 0.0
        loop = asyncio.get_running_loop()
        dawn = loop.time()
        self._elapsed = (lambda: self._frozen_for) if frozen else (lambda: loop.time() - dawn)
        campaigns = list(campaigns)
        self.simulator: Simulator = build_simulator(
            campaigns,
            clock=SimulatedClock(wall=self._elapsed, start_ms=DAWN_MS),
            faults=faults,
            seed=seed,
        )
        self.settings = Settings(
            api=ApiSettings(
                **{
                    "url": "https://simulated",
                    "rate_limit": 1000.0,
                    "page_size": 100,
                    **(api or {}),
                }
            ),
            poll=PollSettings(**(poll or {})),
            outbounds=tuple(
                outbound_settings(each, **(outbound or {})) for each in campaigns[:configured]
            ),
            discovery=DiscoverySettings(**(discovery or {})),
            account=AccountSettings(**(account or {})),
        )
        self._recorded = _Recorded(self.simulator)
        self._transport = transport(self._recorded)
        self._clock = Clock(
            wall=lambda: DAWN_MS / 1000 + self._elapsed() + wall_ahead(), monotonic=self._elapsed
        )
        self.app: App = build_app(
            self.settings,
            transport=self._transport,
            store=store,
            clock=self._clock,
            on_progress=on_progress,
        )

    def new_poller(self, store: Store, *, index: int = 0, **keywords: Any) -> Poller:
        """A poller of one outbound by itself, with a client and a store of its own."""
        outbound = self.settings.outbounds[index]
        api_clock = ApiClock(self._clock)
        observer = ExporterMetrics(budget=list, clock_skew_seconds=lambda: 0.0)
        client = PearlClient(
            self.settings.api,
            Token(outbound.token),
            observer=observer,
            api_clock=api_clock,
            clock=self._clock,
            transport=self._transport,
        )
        client.share_among({outbound.id: outbound.interval})
        context = PollContext(
            store, self._clock, api_clock, observer, lambda _: None, lambda *_: None
        )
        rules = counting_rules(outbound, self.settings)
        page_size = self.settings.api.page_size
        return Poller(outbound, rules, client, context, page_size=page_size, **keywords)

    @property
    def requests(self) -> list[tuple[str, str]]:
        """Method and path of everything that was asked for."""
        return self._recorded.requests

    @property
    def closed_clients(self) -> int:
        """How many clients of the API have been closed."""
        return self._recorded.closed

    @property
    def now_ms(self) -> int:
        return int(DAWN_MS + self._elapsed() * 1000)

    async def wait(self, seconds: float) -> None:
        if self._frozen:
            self._frozen_for += seconds
        else:
            await asyncio.sleep(seconds)

    def served(self, outbound_id: str, start: int, end: int) -> dict[str, Call]:
        """The usable rows that the API holds right now and that start in ``[start, end]``."""
        rows = self.simulator.campaigns[outbound_id].rows(start - 1000, end + 1000, self.now_ms)
        page = decode_page(msgspec.json.encode({"count": len(rows), "results": rows}))
        return {call.id: call for call in page.calls if start <= call.start <= end}
