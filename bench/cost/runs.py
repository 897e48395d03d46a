"""The runs that measurements share, each made once when it is first needed.

A first read of a million calls takes a minute; all measurements that need its figures use one run.
"""

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from bench.cost.sizes import Sizes
from bench.support.processes import Figures, progress, run_measured
from bench.support.simulated_api import INTERVAL_SECONDS, SimulatedApi, Workload, simulated_api

FIRST_READ = "first read"
POLLS = "polls"

MAX_WINDOW_DAYS = 25.0
"""The window of a real `serve` must fit its configuration, which allows 31 days."""


class Runs:
    """The runs of the exporter, the lower bound and the naive exporter. Use in a ``with`` block."""

    def __init__(self, sizes: Sizes, folder: Path) -> None:
        self.sizes = sizes
        self.folder = folder
        self._stack = ExitStack()
        self._apis: dict[Workload, SimulatedApi] = {}
        self._made: dict[tuple[object, ...], Figures] = {}
        self._searches: dict[tuple[Workload, str], list[tuple[int, str]]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def large(self) -> Workload:
        """The workload of the large state; its calls come faster where the window were too long."""
        calls = self.sizes.large
        return Workload(calls, calls_a_day=max(14_400, calls / MAX_WINDOW_DAYS))

    def api(self, workload: Workload) -> SimulatedApi:
        """Return the API of a workload, its clock standing still; it runs until this is closed."""
        if workload not in self._apis:
            progress(f"generating {workload.calls:,} calls ({workload.kind})")
            # early enough that the time of the last poll is not ahead of this machine's clock
            now_ms = int((time.time() - INTERVAL_SECONDS * (self.sizes.polls + 1)) * 1000)
            self._apis[workload] = self._stack.enter_context(simulated_api(workload, now_ms))
        return self._apis[workload]

    def state(self, workload: Workload) -> Path:
        """Return the state file that `exporter` leaves."""
        return self.folder / f"{workload.kind}-{workload.calls}-{workload.calls_a_day:.0f}.db"

    def exporter(self, workload: Workload) -> Figures:
        """Return the figures of a first read and polls of the exporter, with a new state."""

        def make() -> Figures:
            api = self.api(workload)
            api.take_searches()  # forget those of earlier runs
            figures = self._run_exporter(workload, self.state(workload), polls=self.sizes.polls)
            searches, first = api.take_searches(), figures["first"]["requests"]
            polls = sum(each["requests"] for each in figures["polls"])
            if len(searches) != first + polls:
                raise RuntimeError(f"{len(searches)} searches recorded, not {first} and {polls}")
            self._searches[workload, FIRST_READ] = searches[:first]
            self._searches[workload, POLLS] = searches[first:]
            return figures

        return self._once(("exporter", workload), make)

    def exporter_first_read(self, workload: Workload, number: int) -> Figures:
        """Return the figures of another first read; number 0 is the one of `exporter`."""
        if number == 0:
            return self.exporter(workload)

        def make() -> Figures:
            state = self.folder / "another.db"
            figures = self._run_exporter(workload, state, polls=0)
            state.unlink()
            return figures

        return self._once(("exporter first read", workload, number), make)

    def exporter_restart(self, workload: Workload) -> Figures:
        """Return the figures of a restart on the state of `exporter`, and its first poll."""
        now_ms = self.exporter(workload)["now_ms"] + round(INTERVAL_SECONDS * 1000)

        def make() -> Figures:
            return self._run_exporter(workload, self.state(workload), polls=0, now_ms=now_ms)

        return self._once(("exporter restart", workload), make)

    def lower_bound(
        self, workload: Workload, part: str, *, number: int = 0, **options: bool
    ) -> Figures:
        """Return the figures of the same requests as the exporter's, received and decoded only.

        Args:
            workload: The workload of the exporter's run.
            part: `FIRST_READ` or `POLLS`.
            number: Which repetition.
            options: ``keep`` keeps the rows in memory, ``blocking`` uses httpx' blocking client.
        """
        self.exporter(workload)

        def make() -> Figures:
            progress(f"lower bound: {part} of {workload.calls:,} calls")
            searches = self.folder / "searches.json"
            searches.write_text(json.dumps(self._searches[workload, part]))
            api = self.api(workload)
            return run_measured(
                "bench.cost.lower_bound",
                url=api.url,
                outbound=api.outbounds[0],
                searches=str(searches),
                **{"keep": False, "blocking": False, **options},
            )

        return self._once(("lower bound", workload, part, number, *sorted(options)), make)

    def naive(self, workload: Workload, *, number: int = 0) -> Figures:
        """Return the figures of one poll of the naive exporter. All its polls cost the same."""

        def make() -> Figures:
            progress(f"naive exporter: {workload.calls:,} calls")
            world = self._api_arguments(workload)
            return run_measured("bench.cost.naive_process", polls=1, **world)

        return self._once(("naive", workload, number), make)

    def _run_exporter(
        self, workload: Workload, state: Path, *, polls: int, now_ms: int | None = None
    ) -> Figures:
        progress(f"pearl-exporter: {workload.calls:,} calls ({workload.kind}), {polls} polls")
        world = self._api_arguments(workload, now_ms)
        return run_measured("bench.cost.exporter_process", state=str(state), polls=polls, **world)

    def _api_arguments(self, workload: Workload, now_ms: int | None = None) -> Figures:
        """Set the API's time. Return what a measured process must know about the API."""
        api = self.api(workload)
        now_ms = api.now_ms if now_ms is None else now_ms
        api.set_time(now_ms)
        return {
            "url": api.url,
            "outbound": api.outbounds[0],
            "window": workload.window_seconds,
            "now_ms": now_ms,
        }

    def _once(self, key: tuple[object, ...], make: Callable[[], Figures]) -> Figures:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]
