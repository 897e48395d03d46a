"""The made-up world that is measured: tables of calls, and the API over them as a process.

One outbound of a steady campaign; the table is as large as its window. The API is the simulator
behind a real socket, in a process of its own, so that its cost is in nobody's figures. Its time
stands still while a poll is made, and is moved between polls: what is read is known to the byte.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from bench.processes import fetch, running
from pearl_exporter.simulator import Campaign, Profile

DAY_MS = 86_400_000
INTERVAL_SECONDS = 30.0
PAGE = 100

CALM = "calm"
USUAL = "usual"
MIXED = "mixed"
_CALM_SHARES = (
    "late_row_share",
    "late_outcome_share",
    "late_tags_share",
    "revised_share",
    "deleted_share",
    "unknown_code_share",
    "null_share",
)


@dataclass(frozen=True)
class Table:
    """How many calls a window holds, how many come a day, and of what kind the rows are.

    ``kind`` `USUAL` has the simulator's usual share of late, changed and deleted rows, `CALM` none;
    of `MIXED` outbounds those that `is_calm` have none.
    """

    calls: int
    kind: str = USUAL
    calls_a_day: float = 14_400
    """5 new calls between two polls."""
    outbounds: int = 1
    history_ms: int = DAY_MS
    """How long the campaigns had been going on before the window."""

    @property
    def window_seconds(self) -> float:
        """The window that holds so many calls."""
        return round(self.calls / self.calls_a_day * 86_400, 3)

    def is_calm(self, number: int) -> bool:
        """Whether the rows of this outbound, counted from 1, keep what they say."""
        return self.kind == CALM or (self.kind == MIXED and number % 10 == 0)

    def campaigns(self, now_ms: int) -> list[Campaign]:
        """The campaigns, the same for the same ``now_ms``."""
        start_ms = now_ms - round(self.window_seconds * 1000) - self.history_ms
        calm = dict.fromkeys(_CALM_SHARES, 0.0)
        profiles = [
            Profile(
                outbound_id=f"65f1c0{number:018x}",
                name=f"outbound-{number}",
                calls_a_day=self.calls_a_day,
                hours=(1.0,) * 24,
                **(calm if self.is_calm(number) else {}),  # type: ignore[arg-type]  # floats alone
            )
            for number in range(1, self.outbounds + 1)
        ]
        return [
            Campaign(profile, seed=number, start_ms=start_ms)
            for number, profile in enumerate(profiles)
        ]


@dataclass(frozen=True)
class Api:
    """The API of a running world."""

    url: str
    outbounds: list[str]
    now_ms: int

    def set_time(self, now_ms: int, *, running: bool = False) -> None:
        """Let its time stand at, or run on from, this moment."""
        set_api_time(self.url, now_ms, running=running)

    def take_searches(self) -> list[tuple[int, str]]:
        """The searches since this was asked last: the API's time in ms, and the body."""
        return [(at, body) for at, body in json.loads(fetch(f"{self.url}/_bench/searches"))]


def set_api_time(url: str, now_ms: int, *, running: bool = False) -> None:
    """See `Api.set_time`; for those that know the address alone."""
    fetch(f"{url}/_sim/clock", {"set": str(now_ms), "paused": not running})


def traffic(url: str) -> tuple[int, int]:
    """Requests answered so far, and bytes of their bodies as they went over the wire."""
    told: dict[str, Any] = json.loads(fetch(f"{url}/_sim/requests"))
    return told["total"], told["bytes"]


@contextmanager
def api_over(table: Table, now_ms: int, *, is_running: bool = False) -> Iterator[Api]:
    """Serve a table, as of ``now_ms``, until the block ends."""
    given = json.dumps({"table": asdict(table), "now_ms": now_ms, "is_running": is_running})
    with running(sys.executable, "-m", "bench.api_server", given) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        yield Api(told["url"], told["outbounds"], now_ms)
