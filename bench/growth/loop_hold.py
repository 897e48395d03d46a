"""How long the event loop is held, and so how long a scrape waits, under the largest answers."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from bench.growth.answers import ApiInMemory, listing, row
from bench.support.report import Section, met_or_missed, seconds_text
from pearl_exporter.api.clock import Clock
from pearl_exporter.app import App, build_app
from pearl_exporter.config import (
    ApiSettings,
    DiscoverySettings,
    OutboundSettings,
    PollSettings,
    Settings,
    TokenSource,
)
from pearl_exporter.exposition.render import Format

MAX_HOLD_SECONDS = 0.5
"""A scrape is answered within a second on two busy cores: on one of them alone, half of that."""

_TICK_SECONDS = 0.002
_SCRAPE_SECONDS = 0.25
_PATIENCE_SECONDS = 120.0
_TOKEN = SecretStr("account:secret")
_TIMINGS: dict[str, Any] = {"interval": 3600.0, "window": 86_400.0, "give_up": 300.0}


class Ticker:
    """Measures for how long the event loop runs nothing else, and what a scrape takes itself.

    Attributes:
        hold: The longest time that the loop was held.
        scrape: The longest time that the rendering of a scrape took.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self.hold = self.scrape = 0.0

    async def run(self) -> None:
        """Tick, and scrape now and then, until this is cancelled."""
        scraped = before = time.perf_counter()
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            now = time.perf_counter()
            self.hold = max(self.hold, now - before - _TICK_SECONDS)
            if now - scraped > _SCRAPE_SECONDS:
                self._app.exposition.render(Format.TEXT)
                scraped = time.perf_counter()
                self.scrape = max(self.scrape, scraped - now)
            before = time.perf_counter()


@dataclass(frozen=True)
class Scenario:
    """An answer that is as large as it may be, and what the exporter does about it.

    Attributes:
        name: What comes.
        unit: What the size counts.
        run: Does it; is given the size, and returns the ticker that ran meanwhile.
    """

    name: str
    unit: str
    run: Callable[[int], Awaitable[Ticker]]


def loop_hold(sizes: Sequence[int], scenarios: Iterable[Scenario] | None = None) -> Section:
    """Measure how long the loop is held, by size.

    Args:
        sizes: The sizes, ascending.
        scenarios: What is measured; all by default.
    """
    rows = []
    for scenario in SCENARIOS if scenarios is None else scenarios:
        tickers = [asyncio.run(_awaited(scenario.run(size))) for size in sizes]
        worst = max(ticker.hold for ticker in tickers)
        rows.append(
            (
                scenario.name,
                scenario.unit,
                *(seconds_text(ticker.hold) for ticker in tickers),
                seconds_text(max(ticker.scrape for ticker in tickers)),
                met_or_missed(worst, MAX_HOLD_SECONDS),
            )
        )
    return Section(
        "How long the event loop is held",
        (
            "what comes",
            "size counts",
            *(f"{size:,}" for size in sizes),
            "a scrape itself",
            f"at most {MAX_HOLD_SECONDS} s",
        ),
        rows,
        "The longest time for which nothing else runs on the event loop: for so long a scrape or "
        "a health check waits. The exporter is the real one, over an API in its own memory.",
    )


async def _awaited(work: Awaitable[Ticker]) -> Ticker:
    return await work


@asynccontextmanager
async def _running(settings: Settings, api: ApiInMemory) -> AsyncIterator[tuple[App, Ticker]]:
    app = build_app(settings, transport=api, clock=Clock())
    ticker = Ticker(app)
    ticking = asyncio.create_task(ticker.run())
    await app.start()
    try:
        yield app, ticker
    finally:
        ticking.cancel()
        await app.stop()


async def _until(is_true: Callable[[], bool]) -> None:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not is_true():  # noqa: ASYNC110 - nothing says when
            await asyncio.sleep(0.01)


def _settings(outbounds: int = 0, *, discovers: bool = False) -> Settings:
    token = TokenSource(literal=_TOKEN)
    return Settings(
        api=ApiSettings(
            url="http://simulated", token=_TOKEN, rate_limit=1000.0, concurrency=8, page_size=1000
        ),
        poll=PollSettings(**_TIMINGS),
        discovery=DiscoverySettings(enabled=discovers, interval=3600.0),
        outbounds=tuple(
            OutboundSettings(id=f"o{number}", name=f"o{number}", token=token, **_TIMINGS)
            for number in range(outbounds)
        ),
    )


def _rows(size: int, tags: Callable[[int], Sequence[str]]) -> list[dict[str, Any]]:
    newest = int(time.time() * 1000) - 5000
    return [row(number, newest, tags=list(tags(number))) for number in range(size)]


def _is_polled(app: App) -> bool:
    return all(poller.snapshot.health.polls for poller in app.pollers)


# --- scenarios


async def _first_list(size: int) -> Ticker:
    api = ApiInMemory(listing=listing(size, "spring"))
    async with _running(_settings(discovers=True), api) as (app, ticker):
        await _until(lambda: bool(app.pollers))
        return ticker


async def _new_names(size: int) -> Ticker:
    api = ApiInMemory(listing=listing(size, "spring"))
    async with _running(_settings(discovers=True), api) as (app, ticker):
        await _until(lambda: bool(app.pollers))
        ticker.hold = ticker.scrape = 0.0
        for name in ("summer", "autumn"):
            api.listing = listing(size, name)
            await app.platform.once()
        assert app.pollers[0].outbound.name.startswith("autumn")
        return ticker


def _read(
    tags: Callable[[int], Sequence[str]], *, share: int = 1, has_limit: bool = True
) -> Callable[[int], Awaitable[Ticker]]:
    async def run(size: int) -> Ticker:
        api = ApiInMemory(_rows(size // share, tags), has_limit=has_limit)
        async with _running(_settings(1), api) as (app, ticker):
            await _until(lambda: _is_polled(app))
            return ticker

    return run


async def _one_row(size: int) -> Ticker:
    api = ApiInMemory(_rows(1, lambda _: [f"tag {number}" for number in range(size)]))
    async with _running(_settings(1), api) as (app, ticker):
        await _until(lambda: _is_polled(app))
        return ticker


async def _reload(size: int) -> Ticker:
    """Twenty outbounds whose windows change: each has a share of the calls."""
    api = ApiInMemory(_rows(size // 20, lambda _: ("renewal",)))
    settings = _settings(20)
    async with _running(settings, api) as (app, ticker):
        for poller in app.pollers:
            await poller.poll()
        ticker.hold = ticker.scrape = 0.0
        changed = [each.model_copy(update={"window": 80_000.0}) for each in settings.outbounds]
        await app.reconfigure(settings.model_copy(update={"outbounds": tuple(changed)}))
        for poller in app.pollers:
            await poller.poll()
        return ticker


SCENARIOS = (
    Scenario("a first list of outbounds", "outbounds", _first_list),
    Scenario("two lists, all names new", "outbounds", _new_names),
    Scenario("a first read in pages of 1000", "rows", _read(lambda _: ("renewal",))),
    Scenario("a page of all rows, whatever is asked", "rows", _read(lambda _: (), has_limit=False)),
    Scenario(
        "rows of 100 tags, each another one",
        "tags",
        _read(lambda number: [f"tag {number} {each}" for each in range(100)], share=100),
    ),
    Scenario("a row of many tags", "tags", _one_row),
    Scenario("a reload that changes 20 windows", "calls", _reload),
)
