"""The limit: receives and decodes the same bytes, by the same requests, and nothing else.

The searches of the exporter, as the API recorded them, sent again one after the other by httpx, the
API's time set to what it was; each body is decoded into msgspec Structs and dropped, or, to measure
memory, kept. No table, no counters, no state, no metrics. By httpx' asynchronous client, as any
program that also serves scrapes from one event loop; and, for comparison, by its blocking one.
"""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import httpx
import msgspec

from bench.processes import Figures, given, peak_rss_bytes, rss_bytes
from bench.world import set_api_time


class Row(msgspec.Struct, gc=False):
    """The fields that an exporter needs."""

    id: str | None = None
    startTime: str | None = None  # noqa: N815 - the API's name
    conversationStatus: int | None = None  # noqa: N815
    status: int | None = None
    duration: float | None = None
    tags: list[str] | None = None


class Answer(msgspec.Struct, gc=False):
    """A page."""

    count: int
    results: list[Row] | None


Searches = list[tuple[int, str]]


class Meter:
    """Decodes answers and adds up the CPU, but for that of moving the API's time."""

    def __init__(self, url: str, *, keeps: bool) -> None:
        self.rows = 0
        self._url = url
        self._decode = msgspec.json.Decoder(Answer).decode
        self._keeps = keeps
        self._kept: list[list[Row]] = []
        self._at_ms = 0
        self._before = rss_bytes()
        self._began = time.process_time()

    def be_at(self, now_ms: int) -> None:
        """Let the API's time be what it was."""
        if now_ms != self._at_ms:
            cpu = time.process_time()
            set_api_time(self._url, now_ms)
            self._at_ms = now_ms
            self._began += time.process_time() - cpu

    def take(self, body: bytes) -> None:
        """Decode one answer."""
        rows = self._decode(body).results or []
        self.rows += len(rows)
        if self._keeps:
            self._kept.append(rows)

    def figures(self) -> Figures:
        """What it cost."""
        return {
            "cpu": time.process_time() - self._began,
            "rows": self.rows,
            "rss_before": self._before,
            "rss_after": rss_bytes(),
            "rss_peak": peak_rss_bytes(),
        }


async def asynchronously(
    client: httpx.AsyncClient, searches: Searches, path: str, meter: Meter
) -> None:
    async with client:
        for now_ms, body in searches:
            meter.be_at(now_ms)
            meter.take((await client.post(path, content=body)).content)


def blocking(client: httpx.Client, searches: Searches, path: str, meter: Meter) -> None:
    with client:
        for now_ms, body in searches:
            meter.be_at(now_ms)
            meter.take(client.post(path, content=body).content)


def main() -> None:
    arguments = given()
    searches: Searches = json.loads(Path(arguments["searches"]).read_text())
    path = f"/v1/Outbound/{arguments['outbound']}/Calls"
    options: dict[str, Any] = {
        "base_url": arguments["url"],
        "headers": {"Authorization": "Bearer bench:bench", "Content-Type": "application/json"},
        "timeout": 60,
        "trust_env": False,
        "limits": httpx.Limits(keepalive_expiry=300),
    }
    if arguments["blocking"]:
        simple = httpx.Client(**options)
        meter = Meter(arguments["url"], keeps=arguments["keep"])
        blocking(simple, searches, path, meter)
    else:
        client = httpx.AsyncClient(**options)
        meter = Meter(arguments["url"], keeps=arguments["keep"])
        asyncio.run(asynchronously(client, searches, path, meter))
    print(json.dumps(meter.figures()))


if __name__ == "__main__":
    main()
