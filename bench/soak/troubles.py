"""What goes wrong during a soak, and when: faults of the API, its death, reloads, other tokens."""

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.processes import fetch, progress
from bench.soak.lab import Lab

ALWAYS = (
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
"""On from the first minute to the last. None of them makes the API's table say something else, so
that in the end all can be compared with it."""

CYCLE_SECONDS = 450.0
CYCLES = 4
"""In a soak of half an hour; a shorter one goes through them faster, a longer one through more. The
first is the warm-up, and the thirds of what is left are a cycle each, and so alike."""
RELOAD_SECONDS = 75.0
"""Also in a short soak: some scrapes must fall between two, to see an outbound gone."""


@dataclass(frozen=True)
class Trouble:
    """One event of a cycle: from which second of it on, and what is done."""

    at: float
    name: str
    do: Callable[[Lab, float], None]
    """Is told the pace: 1.0 takes as long as its name says."""


def _refuse_tokens(lab: Lab, pace: float) -> None:
    set_faults(lab, *ALWAYS, f"unauthorized:1,lasting={80 * pace}")


def _stand_still(lab: Lab, pace: float) -> None:
    """The machine of the API hangs: connections stay, and nobody answers."""
    os.kill(lab.api_pid, signal.SIGSTOP)
    try:
        time.sleep(60 * pace)
    finally:
        os.kill(lab.api_pid, signal.SIGCONT)


def _drop_everything(lab: Lab, pace: float) -> None:
    set_faults(lab, *ALWAYS, f"drop:1,lasting={30 * pace}")


def _another_token(lab: Lab, _pace: float) -> None:
    lab.write_tokens()


CYCLE: Sequence[Trouble] = (
    Trouble(30, "another token in each file", _another_token),
    Trouble(60, "tokens refused for 80 s", _refuse_tokens),
    Trouble(220, "API silent for 60 s", _stand_still),
    Trouble(350, "every connection dropped for 30 s", _drop_everything),
)


def set_faults(lab: Lab, *faults: str) -> None:
    """Exactly these are on."""
    fetch(f"{lab.api.url}/_sim/faults", list(faults))


@dataclass
class Timetable:
    """Runs the troubles, and reloads in between, until it is told to end."""

    lab: Lab
    met: list[str] = field(default_factory=list)
    reloads: int = 0
    _is_over: threading.Event = field(default_factory=threading.Event)

    def run(self, seconds: float) -> None:
        """Goes through as many cycles as fit, see `CYCLES`."""
        pace = min(1.0, seconds / CYCLE_SECONDS / CYCLES)
        began = time.monotonic()
        number, next_reload = 0, RELOAD_SECONDS
        while not self._is_over.wait(1.0):
            elapsed = time.monotonic() - began
            trouble = CYCLE[number % len(CYCLE)]
            at = (number // len(CYCLE) * CYCLE_SECONDS + trouble.at) * pace
            # the last ones are over well before the end, where all is to be as if none had been
            if elapsed >= at and at <= seconds - 90 * pace:
                progress(trouble.name)
                trouble.do(self.lab, pace)
                self.met.append(trouble.name)
                number += 1
            if elapsed >= next_reload:
                self.reloads += 1
                self.lab.reload(self.reloads)
                next_reload += RELOAD_SECONDS
                self.lab.api.take_searches()  # nobody needs them, and they would pile up

    def end(self) -> None:
        """No more of it, and the configuration as it was."""
        self._is_over.set()
