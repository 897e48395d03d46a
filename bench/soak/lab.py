"""The exporter and the simulated API of a soak, as real processes, and the configuration."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.processes import fetch, free_port, running, samples
from bench.world import MIXED, Api, Table

INTERVAL_SECONDS = 15
"""So short that all that is kept of the last polls is full before the warm-up is over."""

WINDOW_SECONDS = 360
"""So short that the state's journal is full before the warm-up of half an hour is over."""
CALLS_A_DAY = 7200.0
"""Of each outbound: 30 calls in its window."""
SETTLE_SECONDS = 60
UNANSWERED_SECONDS = 30
FOLLOW_SECONDS = 1200
SCAN_SECONDS = 120
TOKENS = 3
"""Accounts, and so API clients; an outbound's token is that of its number."""

_VARIANTS = 4


def table_of(outbounds: int) -> Table:
    """Their calls; the rows of every tenth keep what they say."""
    calls = round(CALLS_A_DAY * WINDOW_SECONDS / 86_400)
    return Table(calls, MIXED, CALLS_A_DAY, outbounds=outbounds, history_ms=7_200_000)


@dataclass
class Lab:
    """What runs. ``exporter`` is the process of `bench.soak.exporter`."""

    folder: Path
    table: Table
    api: Api
    api_pid: int
    exporter: subprocess.Popen[str]
    port: int
    first_ms: int
    """The API's time as long as it stands still: that of the rows which the first polls see."""
    tokens_written: int = 0

    @property
    def url(self) -> str:
        """Where the exporter is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def state(self) -> Path:
        """The exporter's state file."""
        return self.folder / "state.db"

    @property
    def log(self) -> Path:
        """What the exporter has to say."""
        return self.folder / "exporter.log"

    def is_calm(self, name: str) -> bool:
        """Whether the rows of the outbound of this name keep what they say."""
        return self.table.is_calm(int(name.rpartition("-")[2]))

    def write_tokens(self) -> None:
        """Another token in each file; the API takes any."""
        self.tokens_written += 1
        write_tokens(self.folder, self.tokens_written)

    def reload(self, number: int) -> None:
        """Goes over to a variant of the configuration; variant 0 is the first one."""
        write_config(self.folder, self.api, self.port, number % _VARIANTS)
        self.exporter.send_signal(signal.SIGHUP)


def write_tokens(folder: Path, generation: int) -> None:
    for number in range(TOKENS):
        (folder / f"token-{number}").write_text(f"account-{number}:secret-{generation}\n")


def write_config(folder: Path, api: Api, port: int, variant: int) -> Path:
    """The configuration, which is YAML as JSON is.

    Of the variants the first takes out ten outbounds, the second widens the window of some, the
    third makes new API clients.
    """
    outbounds = [
        {"id": id_, "name": f"outbound-{number}", "token_file": f"{folder}/token-{number % TOKENS}"}
        for number, id_ in enumerate(api.outbounds, 1)
    ]
    if variant == 1:
        outbounds = outbounds[: -min(10, len(outbounds) // 2)]
    if variant == 2:
        outbounds = [
            {**each, "window": f"{WINDOW_SECONDS + 90}s"} if number < 20 else each
            for number, each in enumerate(outbounds)
        ]
    config: dict[str, Any] = {
        "api": {
            "url": api.url,
            "timeout": "9s" if variant == 3 else "10s",
            "rate_limit": 20,
            "concurrency": 4,
        },
        "poll": {
            "interval": f"{INTERVAL_SECONDS}s",
            "window": f"{WINDOW_SECONDS}s",
            "settle": f"{SETTLE_SECONDS}s",
            "settle_unanswered": f"{UNANSWERED_SECONDS}s",
            "full_scan_every": f"{SCAN_SECONDS}s",
            "follow": f"{FOLLOW_SECONDS}s",
        },
        "outbounds": outbounds,
        "state": {"url": f"sqlite:///{folder}/state.db"},
        "web": {"listen": f"127.0.0.1:{port}"},
    }
    path = folder / "config.yml"
    path.write_text(json.dumps(config))
    return path


@contextmanager
def lab_of(outbounds: int, folder: Path) -> Iterator[Lab]:
    """Both processes, until the block ends. The API's time stands still yet."""
    table, now_ms = table_of(outbounds), int(time.time() * 1000)
    with ExitStack() as stack:
        given = json.dumps({"table": asdict(table), "now_ms": now_ms, "is_running": False})
        api_process = stack.enter_context(running(sys.executable, "-m", "bench.api_server", given))
        assert api_process.stdout is not None
        told = json.loads(api_process.stdout.readline())
        api, port = Api(told["url"], told["outbounds"], now_ms), free_port()
        first_ms = int(time.time() * 1000)
        api.set_time(first_ms)
        write_tokens(folder, 0)
        config = write_config(folder, api, port, 0)
        command = (sys.executable, "-m", "bench.soak.exporter", "serve", "--config", str(config))
        exporter = stack.enter_context(running(*command, log=folder / "exporter.log"))
        yield Lab(folder, table, api, api_process.pid, exporter, port, first_ms)


def wait_until_ready(lab: Lab, seconds: float = 180.0) -> None:
    """Until every outbound was polled well; raises TimeoutError if that takes longer."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            up = samples(fetch(f"{lab.url}/metrics"), "pearl_outbound_up")
            if up and all(up.values()):
                return
        except OSError:
            if lab.exporter.poll() is not None:
                raise RuntimeError(lab.log.read_text()) from None
        time.sleep(0.5)
    raise TimeoutError("the exporter is not ready")
