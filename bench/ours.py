"""The exporter's side: the real `App` with a SQLite state, one outbound, as a process.

A first read (or, where the state is there already, a restart), then polls, each after the time of
API and exporter was moved by the interval. CPU is that of this process, all threads, imports apart.
"""

import asyncio
import gc
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from bench.processes import Figures, given, peak_rss_bytes, progress, rss_bytes, samples
from bench.world import INTERVAL_SECONDS, PAGE, set_api_time, traffic
from pearl_exporter.api.clock import Clock
from pearl_exporter.app import App, build_app
from pearl_exporter.config import ApiSettings, OutboundSettings, PollSettings, Settings, TokenSource
from pearl_exporter.exposition.render import Format
from pearl_exporter.state.store import open_store

_PROGRESS_SECONDS = 15.0


class TimedStore:
    """A store that keeps how long each commit took, as the poll sees it."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.seconds: list[float] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def commit(self, *args: Any, **kwargs: Any) -> None:
        """Commit, and keep how long it took."""
        began = time.perf_counter()
        await self._store.commit(*args, **kwargs)
        self.seconds.append(time.perf_counter() - began)

    def take_seconds(self) -> float:
        """All commits since this was asked last."""
        spent, self.seconds = sum(self.seconds), []
        return spent


class Exporter:
    """One exporter in a world whose time is ``now_ms``."""

    def __init__(self, url: str, outbound: str, window: float, state: Path, now_ms: int) -> None:
        self.now_ms = now_ms
        self._url = url
        self._began_ms = now_ms
        self.store = TimedStore(open_store(f"sqlite:///{state}"))
        self.app: App = build_app(
            settings(url, outbound, window),
            store=self.store,
            clock=Clock(
                wall=lambda: self.now_ms / 1000,
                monotonic=lambda: (self.now_ms - self._began_ms) / 1000,
            ),
            on_progress=_teller(),
        )

    def wait(self) -> None:
        """An interval passes, for both sides."""
        self.now_ms += round(INTERVAL_SECONDS * 1000)
        set_api_time(self._url, self.now_ms)

    async def poll(self, *, starts: bool = False) -> Figures:
        """One poll and its cost; raises the poll's error."""
        requests, received = traffic(self._url)
        cpu, wall = time.process_time(), time.perf_counter()
        if starts:
            await self.app.start(polling=False)
        failure = await self.app.pollers[0].poll()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        if failure is not None:
            raise failure
        now_requests, now_received = traffic(self._url)
        return {
            "cpu": cpu,
            "wall": wall,
            "requests": now_requests - requests,
            "bytes": now_received - received,
            "commit": self.store.take_seconds(),
        }

    def sample(self, name: str) -> float:
        """A metric as a scrape would tell it."""
        return sum(samples(self.app.exposition.render(Format.TEXT).decode(), name).values())


def settings(url: str, outbound: str, window: float) -> Settings:
    """As configured by a user whose API has no limit to speak of."""
    token = TokenSource(literal=SecretStr("bench:bench"))
    return Settings(
        api=ApiSettings(url=url, rate_limit=1000.0, page_size=PAGE),
        poll=PollSettings(interval=INTERVAL_SECONDS),
        outbounds=(
            OutboundSettings(
                id=outbound, name="bench", token=token, interval=INTERVAL_SECONDS, window=window
            ),
        ),
    )


def file_bytes(*files: Path) -> int:
    """The size of files together."""
    return sum(each.stat().st_size for each in files)


def _teller() -> Callable[[str, int, int], None]:
    told_at = time.monotonic()

    def tell(_name: str, received: int, expected: int) -> None:
        nonlocal told_at
        if time.monotonic() - told_at > _PROGRESS_SECONDS:
            told_at = time.monotonic()
            progress(f"  ours: {received:,} of {expected:,} calls read")

    return tell


async def measured(arguments: Figures) -> Figures:
    state = Path(arguments["state"])
    exporter = Exporter(
        arguments["url"],
        arguments["outbound"],
        arguments["window"],
        state,
        arguments["now_ms"],
    )
    gc.freeze()  # as serve does
    before = rss_bytes()
    first = await exporter.poll(starts=True)
    figures: Figures = {
        "first": first,
        "calls": exporter.sample("pearl_outbound_tracked_calls"),
        "rss_before": before,
        "rss_after": rss_bytes(),
        "rss_peak": peak_rss_bytes(),
        "state_running": file_bytes(*state.parent.glob(f"{state.name}*")),
    }
    polls = []
    for number in range(arguments["polls"]):
        exporter.wait()
        polls.append(await exporter.poll())
        if (number + 1) % 100 == 0:
            progress(f"  ours: {number + 1} of {arguments['polls']} polls")
    figures |= {"polls": polls, "now_ms": exporter.now_ms}
    await exporter.app.stop()
    return figures | {"state_closed": file_bytes(state)}


def main() -> None:
    print(json.dumps(asyncio.run(measured(given()))))


if __name__ == "__main__":
    main()
