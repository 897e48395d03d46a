"""A real Prometheus over simulated history: write blocks, record rules, answer queries."""

import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import msgspec

from bench.alerts.rules import RuleFiles, Stage, stages
from bench.alerts.scenario import Span
from bench.support.processes import find_program, free_port, running

LOOKBACK = "65s"
"""A text file has no staleness markers. With samples at most a minute apart this replaces them."""

_READY_SECONDS = 600.0

POINTS = 10_000
"""Points of one query. Prometheus returns at most 11,000 points of a series."""

TimesByLabels = dict[frozenset[tuple[str, str]], list[int]]
"""The Unix times at which an expression has a value, by label set."""


class Prometheus:
    """The HTTP API of a running Prometheus."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(base_url=url, timeout=1800, trust_env=False)

    def times_with_value(self, query: str, start: int, end: int, step: int) -> TimesByLabels:
        """Return at which steps from ``start`` to ``end`` (Unix times) a query has a value."""
        found: TimesByLabels = {}
        for first in range(start, end, POINTS * step):
            last = min(first + (POINTS - 1) * step, end)
            data = {"query": query, "start": first, "end": last, "step": step}
            answer = self._http.post("/api/v1/query_range", data=data).json()
            assert answer["status"] == "success", answer
            for each in answer["data"]["result"]:
                moments = found.setdefault(frozenset(each["metric"].items()), [])
                moments.extend(int(at) for at, _ in each["values"])
        return found

    def texts(self, rule: dict[str, Any], start: int, end: int, step: int) -> Iterator[str]:
        """Yield what a rule records from ``start`` to before ``end``, as OpenMetrics text."""
        data = {"query": rule["expr"], "start": start, "end": end - step, "step": step}
        answer = self._http.post("/api/v1/query_range", data=data)
        for each in msgspec.json.decode(answer.content, type=_Answer).data.result:
            labels = {**each.metric, **rule.get("labels", {})}
            labels.pop("__name__", None)
            inner = ",".join(f'{key}="{value}"' for key, value in labels.items())
            series = f"{rule['record']}{{{inner}}}"
            yield "".join(f"{series} {value} {at:.0f}\n" for at, value in each.values)

    def close(self) -> None:
        """Close its connections."""
        self._http.close()


class _Series(msgspec.Struct):
    metric: dict[str, str]
    values: list[tuple[float, str]]


class _Result(msgspec.Struct):
    result: list[_Series]


class _Answer(msgspec.Struct):
    data: _Result


@contextmanager
def prometheus(folder: Path) -> Iterator[Prometheus]:
    """Run a Prometheus over the blocks in ``folder/data`` until the block of code ends."""
    (folder / "prometheus.yml").write_text("{}")
    port = free_port()
    command = [
        find_program("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address=127.0.0.1:{port}",
        f"--query.lookback-delta={LOOKBACK}",
        "--query.timeout=30m",
        "--query.max-samples=2000000000",
    ]
    with running(*command, log=folder / "prometheus.log"):
        server = Prometheus(f"http://127.0.0.1:{port}")
        try:
            _wait_until_ready(server)
            yield server
        finally:
            server.close()


def _wait_until_ready(server: Prometheus) -> None:
    """Wait until Prometheus has read its blocks, which takes minutes for a month."""
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        try:
            if httpx.get(f"{server.url}/-/ready", trust_env=False).is_success:
                return
        except httpx.TransportError:
            pass
        if time.monotonic() > deadline:
            raise TimeoutError(f"Prometheus is not ready within {_READY_SECONDS:g} s")
        time.sleep(0.1)


def store_text(folder: Path, name: str, parts: Iterable[str], into: str = "data") -> None:
    """Write OpenMetrics text into blocks of one day each.

    Args:
        folder: Where files are.
        name: Name of the temporary file.
        parts: The text.
        into: The folder of the blocks, within ``folder``.
    """
    (folder / into).mkdir(exist_ok=True)
    file = folder / f"{name}.om"
    with file.open("w") as text:
        text.writelines(parts)
    _promtool(
        "tsdb",
        "create-blocks-from",
        "openmetrics",
        "--quiet",
        "--max-block-duration=24h",
        file,
        folder / into,
    )
    file.unlink()


def store_recorded(
    folder: Path, days: list[Span], workers: int, *, log: Callable[[str], None] = lambda _: None
) -> None:
    """Evaluate the recording rules over the stored history, stage by stage, and store them."""
    for number, stage in enumerate(stages(RuleFiles()), 1):
        began = time.monotonic()
        with prometheus(folder) as server, ProcessPoolExecutor(workers) as pool:
            list(pool.map(partial(_store_stage, folder, server.url, stage), days))
        for block in (folder / "new").iterdir():
            block.rename(folder / "data" / block.name)
        log(f"stage {number} of recording rules took {time.monotonic() - began:.0f} s")


def _store_stage(folder: Path, url: str, stage: list[Stage], day: Span) -> None:
    server = Prometheus(url)
    parts = (
        text
        for each in stage
        for rule in each.rules
        for text in server.texts(rule, day[0] // 1000, day[1] // 1000, each.seconds)
    )
    store_text(folder, f"stage-{day[0]}", (*parts, "# EOF\n"), "new")
    server.close()


def _promtool(*arguments: Any) -> None:
    command = [find_program("promtool"), *map(str, arguments)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise RuntimeError(f"{command} failed: {ran.stdout[-2000:]}{ran.stderr[-2000:]}")
