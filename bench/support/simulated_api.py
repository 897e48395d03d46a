"""The simulated API as a process: its workload, and the control of its clock.

The API runs in a process of its own, so that its cost is in no figure. Its clock can stand still
while a poll is made and be moved between polls, so that it is known to the byte what is read.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from bench.support.processes import running
from bench.support.scrape import fetch
from pearl_exporter.simulator import Campaign, Profile

DAY_MS = 86_400_000
INTERVAL_SECONDS = 30.0
PAGE_SIZE = 100

STABLE = "stable"
USUAL = "usual"
_SHARES_OF_CHANGING_ROWS = (
    "late_row_share",
    "late_outcome_share",
    "late_tags_share",
    "revised_share",
    "deleted_share",
    "unknown_code_share",
    "null_share",
)


@dataclass(frozen=True)
class Workload:
    """The simulated outbounds: how many calls, and whether their rows change.

    Attributes:
        calls: Calls in the window of each outbound.
        kind: `USUAL` has the simulator's usual share of late, changed and deleted rows, `STABLE`
            has none.
        calls_a_day: Of each outbound. The default is 5 new calls between two polls.
        outbounds: How many.
        history_ms: For how long the campaigns had been running before the window.
    """

    calls: int
    kind: str = USUAL
    calls_a_day: float = 14_400
    outbounds: int = 1
    history_ms: int = DAY_MS

    @property
    def window_seconds(self) -> float:
        """The length of the window that holds this many calls."""
        return round(self.calls / self.calls_a_day * 86_400, 3)

    def campaigns(self, now_ms: int) -> list[Campaign]:
        """Return the campaigns. The same ``now_ms`` gives the same calls."""
        start_ms = now_ms - round(self.window_seconds * 1000) - self.history_ms
        shares = dict.fromkeys(_SHARES_OF_CHANGING_ROWS, 0.0) if self.kind == STABLE else {}
        profiles = [
            Profile(
                outbound_id=f"65f1c0{number:018x}",
                name=f"outbound-{number}",
                calls_a_day=self.calls_a_day,
                hours=(1.0,) * 24,
                **shares,  # type: ignore[arg-type]  # floats only
            )
            for number in range(1, self.outbounds + 1)
        ]
        return [
            Campaign(profile, seed=number, start_ms=start_ms)
            for number, profile in enumerate(profiles)
        ]


@dataclass(frozen=True)
class SimulatedApi:
    """A running simulated API.

    Attributes:
        url: Its base URL.
        outbounds: The ids of its outbounds.
        now_ms: Its time when it started.
        pid: Its process.
    """

    url: str
    outbounds: list[str]
    now_ms: int
    pid: int

    def set_time(self, now_ms: int, *, running: bool = False) -> None:
        """Set its clock, which then stands still, or runs on."""
        set_api_time(self.url, now_ms, running=running)

    def take_searches(self) -> list[tuple[int, str]]:
        """Return the searches since the last call of this: the API's time in ms, and the body."""
        return [(at, body) for at, body in json.loads(fetch(f"{self.url}/_bench/searches"))]


def set_api_time(url: str, now_ms: int, *, running: bool = False) -> None:
    """Set the clock of the API at a URL; see `SimulatedApi.set_time`."""
    fetch(f"{url}/_sim/clock", {"set": str(now_ms), "paused": not running})


def traffic(url: str) -> tuple[int, int]:
    """Return the number of requests answered so far, and the bytes of their bodies on the wire."""
    counts: dict[str, Any] = json.loads(fetch(f"{url}/_sim/requests"))
    return counts["total"], counts["bytes"]


@contextmanager
def simulated_api(
    workload: Workload, now_ms: int, *, is_running: bool = False
) -> Iterator[SimulatedApi]:
    """Serve a workload until the block ends.

    Args:
        workload: The outbounds and their calls.
        now_ms: The API's time at its start.
        is_running: Whether its clock runs; else it stands still.
    """
    arguments = {"workload": asdict(workload), "now_ms": now_ms, "is_running": is_running}
    command = (sys.executable, "-m", "bench.support.simulated_api_process", json.dumps(arguments))
    with running(*command) as process:
        assert process.stdout is not None
        started = json.loads(process.stdout.readline())
        yield SimulatedApi(started["url"], started["outbounds"], now_ms, process.pid)
