"""A real Prometheus over made-up history: blocks in, recorded series stored, questions answered."""

import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import msgspec

from bench.alert_quality.rules import Rules, Stage, stages
from bench.alert_quality.world import Span
from tests.support.programs import debian_program, running

LOOKBACK = "65s"
"""Text files hold no stale markers; with samples a minute apart at most, this is as good."""

POINTS = 10_000
"""Prometheus answers no more than 11,000 points of a series at once."""

Firing = dict[frozenset[tuple[str, str]], list[int]]
"""The seconds at which an alert's expression had a value, by label set."""


class Prometheus:
    """One that answers, until it is closed."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(base_url=url, timeout=1800, trust_env=False)

    def when(self, query: str, start: int, end: int, step: int) -> Firing:
        """When the query has a value at all."""
        found: Firing = {}
        for first in range(start, end, POINTS * step):
            last = min(first + (POINTS - 1) * step, end)
            data = {"query": query, "start": first, "end": last, "step": step}
            told = self._http.post("/api/v1/query_range", data=data).json()
            assert told["status"] == "success", told
            for each in told["data"]["result"]:
                moments = found.setdefault(frozenset(each["metric"].items()), [])
                moments.extend(int(at) for at, _ in each["values"])
        return found

    def texts(self, rule: dict[str, Any], start: int, end: int, step: int) -> Iterator[str]:
        """What the rule records from ``start`` to before ``end``, as OpenMetrics text."""
        data = {"query": rule["expr"], "start": start, "end": end - step, "step": step}
        answer = self._http.post("/api/v1/query_range", data=data)
        for each in msgspec.json.decode(answer.content, type=_Answer).data.result:
            labels = {**each.metric, **rule.get("labels", {})}
            labels.pop("__name__", None)
            inner = ",".join(f'{key}="{value}"' for key, value in labels.items())
            series = f"{rule['record']}{{{inner}}}"
            yield "".join(f"{series} {value} {at:.0f}\n" for at, value in each.values)

    def close(self) -> None:
        """Lets its connections go."""
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
    """Over the blocks in ``folder/data``."""
    (folder / "prometheus.yml").write_text("{}")
    command = [
        debian_program("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.time=100y",
        "--web.listen-address=127.0.0.1:0",
        f"--query.lookback-delta={LOOKBACK}",
        "--query.timeout=30m",
        "--query.max-samples=2000000000",
    ]
    with tempfile.TemporaryDirectory(dir=folder) as logs, running(command, Path(logs)) as process:
        address = process.says('"Listening on"').rpartition("address=")[2].split()[0]
        process.says("Server is ready to receive web requests", seconds=600)
        server = Prometheus(f"http://{address}")
        try:
            yield server
        finally:
            server.close()


def store_text(folder: Path, name: str, parts: Iterable[str], into: str = "data") -> None:
    """Makes blocks of an OpenMetrics text; blocks of a day, since short ones are many."""
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
    folder: Path, days: list[Span], workers: int, *, tell: Callable[[str], None] = lambda _: None
) -> None:
    """Evaluates the recording rules over the stored history, stage by stage, and stores them."""
    for number, stage in enumerate(stages(Rules())):
        began = time.monotonic()
        with prometheus(folder) as server, ProcessPoolExecutor(workers) as pool:
            list(pool.map(partial(_store_stage, folder, server.url, stage), days))
        for block in (folder / "new").iterdir():
            block.rename(folder / "data" / block.name)
        tell(f"stage {number + 1} of recording rules took {time.monotonic() - began:.0f} s")


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
    command = [debian_program("promtool"), *map(str, arguments)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise RuntimeError(f"{command} said: {ran.stdout[-2000:]}{ran.stderr[-2000:]}")
