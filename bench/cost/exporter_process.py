"""The exporter as a measured process: the real `App` with a SQLite state and one outbound.

It makes a first read, or a restart where the state exists already. Then it polls; before each poll
the clocks of API and exporter are moved by the interval. CPU is that of this process with all its
threads, without imports.
"""

import asyncio
import gc
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from bench.support.process_stats import peak_rss_bytes, rss_bytes
from bench.support.processes import Figures, measured_arguments, progress
from bench.support.scrape import sums_by_outbound
from bench.support.simulated_api import INTERVAL_SECONDS, PAGE_SIZE, set_api_time, traffic
from bench.support.warm_up import warm_up
from pearl_exporter.api.clock import Clock
from pearl_exporter.app import App, build_app
from pearl_exporter.config import ApiSettings, OutboundSettings, PollSettings, Settings, TokenSource
from pearl_exporter.exposition.render import Format
from pearl_exporter.state.store import open_store

_PROGRESS_SECONDS = 15.0


class TimedStore:
    """A store that records how long each commit takes, as a poll waits for it."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self._seconds: list[float] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def commit(self, *args: Any, **kwargs: Any) -> None:
        """Commit, and record the time it took."""
        began = time.perf_counter()
        await self._store.commit(*args, **kwargs)
        self._seconds.append(time.perf_counter() - began)

    def take_seconds(self) -> float:
        """Return the seconds of all commits since the last call of this."""
        spent, self._seconds = sum(self._seconds), []
        return spent


class Exporter:
    """An exporter whose clock is ``now_ms``."""

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
            on_progress=_progress_logger(),
        )

    def advance(self) -> None:
        """Move the clocks of exporter and API by one interval."""
        self.now_ms += round(INTERVAL_SECONDS * 1000)
        set_api_time(self._url, self.now_ms)

    async def poll(self, *, starts: bool = False) -> Figures:
        """Poll once and return what it cost. Raises the error of a failed poll."""
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

    def metric(self, name: str) -> float:
        """Return the sum of a metric as a scrape shows it."""
        text = self.app.exposition.render(Format.TEXT).decode()
        return sum(sums_by_outbound(text, name).values())


def settings(url: str, outbound: str, window: float) -> Settings:
    """Return the settings of a user whose request rate is practically unlimited."""
    token = TokenSource(literal=SecretStr("bench:bench"))
    return Settings(
        api=ApiSettings(url=url, rate_limit=1000.0, page_size=PAGE_SIZE),
        poll=PollSettings(interval=INTERVAL_SECONDS),
        outbounds=(
            OutboundSettings(
                id=outbound, name="bench", token=token, interval=INTERVAL_SECONDS, window=window
            ),
        ),
    )


def file_bytes(*files: Path) -> int:
    """Return the total size of files."""
    return sum(each.stat().st_size for each in files)


def _progress_logger() -> Callable[[str, int, int], None]:
    logged_at = time.monotonic()

    def log(_name: str, received: int, expected: int) -> None:
        nonlocal logged_at
        if time.monotonic() - logged_at > _PROGRESS_SECONDS:
            logged_at = time.monotonic()
            progress(f"  pearl-exporter: {received:,} of {expected:,} calls read")

    return log


async def measure(arguments: Figures) -> Figures:
    """Make the first read and the polls. Return what each of them cost."""
    await warm_up(arguments["url"])
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
        "calls": exporter.metric("pearl_outbound_tracked_calls"),
        "rss_before": before,
        "rss_after": rss_bytes(),
        "rss_peak": peak_rss_bytes(),
        "state_running": file_bytes(*state.parent.glob(f"{state.name}*")),
    }
    polls = []
    for number in range(arguments["polls"]):
        exporter.advance()
        polls.append(await exporter.poll())
        if (number + 1) % 100 == 0:
            progress(f"  pearl-exporter: {number + 1} of {arguments['polls']} polls")
    figures |= {"polls": polls, "now_ms": exporter.now_ms}
    await exporter.app.stop()
    return figures | {"state_closed": file_bytes(state)}


def main() -> None:
    """Measure, and print the figures."""
    print(json.dumps(asyncio.run(measure(measured_arguments()))))


if __name__ == "__main__":
    main()
