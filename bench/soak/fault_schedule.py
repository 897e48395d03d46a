"""What fails during a soak, and when: faults of the API, outages, reloads, new tokens."""

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.soak.environment import Environment
from bench.support.processes import progress
from bench.support.scrape import fetch

CONSTANT_FAULTS = (
    "rate_limit:0.002,retry_after=1",
    "server_error:0.01",
    "slow:0.005,seconds=3",
    "drip:0.005,seconds=2",
    "drop:0.005",
    "drop:0.005,when=middle",
    "html:0.005",
    "error_object:0.003",
    "empty:0.003",
    "cut:0.005",
    "content_type:0.01",
    "clamp:0.02,limit=7",
    "null_results:0.5",
)
"""On from the first minute to the last. None of them makes the API return a wrong row or count, so
that in the end everything can be compared with it."""

CYCLE_SECONDS = 450.0
CYCLES = 4
"""In a soak of half an hour. A shorter soak goes through the cycles faster, a longer one through
more of them. The first cycle is the warm-up. Each third of the rest is one cycle, so that the
thirds can be compared."""

RELOAD_SECONDS = 75.0
"""The same in a short soak: some scrapes must be between two reloads, to see an outbound gone."""


@dataclass(frozen=True)
class ScheduledFault:
    """One fault of a cycle.

    Attributes:
        at: Seconds from the start of the cycle.
        name: What fails, for the report.
        run: Makes it fail. The second argument is the pace: at 1.0 it takes as long as its name
            says, at 0.5 half of that.
    """

    at: float
    name: str
    run: Callable[[Environment, float], None]


def _refuse_tokens(environment: Environment, pace: float) -> None:
    set_faults(environment, *CONSTANT_FAULTS, f"unauthorized:1,lasting={80 * pace}")


def _stop_api(environment: Environment, pace: float) -> None:
    """Stop the API's process: connections stay open, and nothing answers."""
    os.kill(environment.api.pid, signal.SIGSTOP)
    try:
        time.sleep(60 * pace)
    finally:
        os.kill(environment.api.pid, signal.SIGCONT)


def _drop_connections(environment: Environment, pace: float) -> None:
    set_faults(environment, *CONSTANT_FAULTS, f"drop:1,lasting={30 * pace}")


def _replace_tokens(environment: Environment, _pace: float) -> None:
    environment.replace_tokens()


CYCLE: Sequence[ScheduledFault] = (
    ScheduledFault(30, "another token in each file", _replace_tokens),
    ScheduledFault(60, "tokens refused for 80 s", _refuse_tokens),
    ScheduledFault(220, "API silent for 60 s", _stop_api),
    ScheduledFault(350, "every connection dropped for 30 s", _drop_connections),
)


def set_faults(environment: Environment, *faults: str) -> None:
    """Turn exactly these faults of the API on."""
    fetch(f"{environment.api.url}/_sim/faults", list(faults))


@dataclass
class FaultSchedule:
    """Runs the faults, with reloads between them, until `end` is called.

    Attributes:
        environment: What the faults are run on.
        happened: The names of the faults that were run.
        reloads: How many reloads were made.
    """

    environment: Environment
    happened: list[str] = field(default_factory=list)
    reloads: int = 0
    _is_over: threading.Event = field(default_factory=threading.Event)

    def run(self, seconds: float) -> None:
        """Go through as many cycles as fit into ``seconds``, see `CYCLES`."""
        pace = min(1.0, seconds / CYCLE_SECONDS / CYCLES)
        began = time.monotonic()
        number, next_reload = 0, RELOAD_SECONDS
        while not self._is_over.wait(1.0):
            elapsed = time.monotonic() - began
            fault = CYCLE[number % len(CYCLE)]
            at = (number // len(CYCLE) * CYCLE_SECONDS + fault.at) * pace
            # the last faults are over well before the end, when everything must be right again
            if elapsed >= at and at <= seconds - 90 * pace:
                progress(fault.name)
                fault.run(self.environment, pace)
                self.happened.append(fault.name)
                number += 1
            if elapsed >= next_reload:
                self.reloads += 1
                self.environment.reload(self.reloads)
                next_reload += RELOAD_SECONDS
                self.environment.api.take_searches()  # not needed, and the API would keep them

    def end(self) -> None:
        """End the faults and reloads."""
        self._is_over.set()
