"""The lower bound: send the exporter's requests again, decode the answers, and do nothing else.

The searches of the exporter, as the API recorded them, are sent one after the other by httpx, with
the API's clock set to what it was. Each body is decoded into msgspec Structs, which are dropped, or
kept to measure memory. There are no tracked calls, counters, state or metrics. It uses httpx'
asynchronous client, as any program must that also serves scrapes from one event loop, or the
blocking one for comparison.
"""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import httpx
import msgspec

from bench.support.process_stats import peak_rss_bytes, rss_bytes
from bench.support.processes import Figures, measured_arguments
from bench.support.simulated_api import set_api_time
from bench.support.warm_up import warm_up


class Row(msgspec.Struct, gc=False):
    """The fields that an exporter needs."""

    id: str | None = None
    startTime: str | None = None  # noqa: N815 - the API's name
    conversationStatus: int | None = None  # noqa: N815
    status: int | None = None
    duration: float | None = None
    tags: list[str] | None = None


class Answer(msgspec.Struct, gc=False):
    """A page of the calls search."""

    count: int
    results: list[Row] | None


Searches = list[tuple[int, str]]
"""The API's time in milliseconds, and the body."""


class Meter:
    """Decodes answers and measures the CPU of all but setting the API's clock."""

    def __init__(self, url: str, *, keeps: bool) -> None:
        self.rows = 0
        self._url = url
        self._decode = msgspec.json.Decoder(Answer).decode
        self._keeps = keeps
        self._kept: list[list[Row]] = []
        self._at_ms = 0
        self._before = rss_bytes()
        self._began = time.process_time()

    def set_time(self, now_ms: int) -> None:
        """Set the API's clock. The CPU of that is not measured."""
        if now_ms != self._at_ms:
            cpu = time.process_time()
            set_api_time(self._url, now_ms)
            self._at_ms = now_ms
            self._began += time.process_time() - cpu

    def decode(self, body: bytes) -> None:
        """Decode one answer."""
        rows = self._decode(body).results or []
        self.rows += len(rows)
        if self._keeps:
            self._kept.append(rows)

    def figures(self) -> Figures:
        """Return CPU in seconds, number of rows, and memory in bytes."""
        return {
            "cpu": time.process_time() - self._began,
            "rows": self.rows,
            "rss_before": self._before,
            "rss_after": rss_bytes(),
            "rss_peak": peak_rss_bytes(),
        }


async def send_asynchronously(
    client: httpx.AsyncClient, searches: Searches, path: str, meter: Meter
) -> None:
    """Send all searches by the asynchronous client."""
    async with client:
        for now_ms, body in searches:
            meter.set_time(now_ms)
            meter.decode((await client.post(path, content=body)).content)


def send_blocking(client: httpx.Client, searches: Searches, path: str, meter: Meter) -> None:
    """Send all searches by the blocking client."""
    with client:
        for now_ms, body in searches:
            meter.set_time(now_ms)
            meter.decode(client.post(path, content=body).content)


def main() -> None:
    """Send the recorded searches, and print what they cost."""
    arguments = measured_arguments()
    searches: Searches = json.loads(Path(arguments["searches"]).read_text())
    path = f"/v1/Outbound/{arguments['outbound']}/Calls"
    asyncio.run(warm_up(arguments["url"]))
    options: dict[str, Any] = {
        "base_url": arguments["url"],
        "headers": {"Authorization": "Bearer bench:bench", "Content-Type": "application/json"},
        "timeout": 60,
        "trust_env": False,
        "limits": httpx.Limits(keepalive_expiry=300),
    }
    if arguments["blocking"]:
        blocking_client = httpx.Client(**options)
        meter = Meter(arguments["url"], keeps=arguments["keep"])
        send_blocking(blocking_client, searches, path, meter)
    else:
        client = httpx.AsyncClient(**options)
        meter = Meter(arguments["url"], keeps=arguments["keep"])
        asyncio.run(send_asynchronously(client, searches, path, meter))
    print(json.dumps(meter.figures()))


if __name__ == "__main__":
    main()
