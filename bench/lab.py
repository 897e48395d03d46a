"""What several measurements share: worlds that are up, and runs that were made, each once.

A first read of a million calls takes a minute: whoever needs its figures gets those of one run.
"""

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bench.processes import Figures, child, progress
from bench.world import INTERVAL_SECONDS, Api, Table, api_over

FIRST_READ = "first read"
POLLS = "polls"


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    windows: tuple[int, ...]
    """Calls in the window, for what a poll costs."""
    polls: int
    repeats: int
    """How often a first read is measured, where it is short."""
    first_reads: tuple[int, ...]
    large: int
    """Calls of the large state: memory, start-up, its file."""
    outbounds: int
    interval: int
    seconds: int
    """How many outbounds are scraped, polled how often, for how long, beside the first interval."""
    settle: int
    """Seconds from a call's end until it counts."""

    @property
    def steady(self) -> int:
        """Calls in the window of a usual poll."""
        return max(each for each in self.windows if each <= 100_000)


FULL = Sizes(
    windows=(1_000, 10_000, 100_000, 1_000_000),
    polls=500,
    repeats=5,
    first_reads=(100_000, 1_000_000),
    large=1_000_000,
    outbounds=200,
    interval=30,
    seconds=240,
    settle=120,
)
QUICK = Sizes(
    windows=(1_000, 10_000),
    polls=60,
    repeats=3,
    first_reads=(10_000,),
    large=50_000,
    outbounds=50,
    interval=10,
    seconds=30,
    settle=15,
)
TINY = Sizes(
    windows=(500,),
    polls=4,
    repeats=1,
    first_reads=(500,),
    large=500,
    outbounds=3,
    interval=1,
    seconds=2,
    settle=1,
)
"""Enough to see that everything runs, and for nothing else."""

LONGEST_WINDOW_DAYS = 25.0
"""What a real `serve` reads must fit its configuration, which takes 31 days at most."""


class Lab:
    """Makes each run when it is first asked for. Use it in a ``with`` block."""

    def __init__(self, sizes: Sizes, folder: Path) -> None:
        self.sizes = sizes
        self.folder = folder
        self._stack = ExitStack()
        self._apis: dict[Table, Api] = {}
        self._made: dict[tuple[object, ...], Figures] = {}
        self._searches: dict[tuple[Table, str], list[tuple[int, str]]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def large(self) -> Table:
        """The table whose state is large; more calls come a day where its window were too long."""
        calls = self.sizes.large
        return Table(calls, calls_a_day=max(14_400, calls / LONGEST_WINDOW_DAYS))

    def api(self, table: Table) -> Api:
        """The API over a table, its time standing; it goes on until the lab closes."""
        if table not in self._apis:
            progress(f"making {table.calls:,} calls ({table.kind})")
            # so that the last poll's present is not ahead of this machine's
            now_ms = int((time.time() - INTERVAL_SECONDS * (self.sizes.polls + 1)) * 1000)
            self._apis[table] = self._stack.enter_context(api_over(table, now_ms))
        return self._apis[table]

    def state(self, table: Table) -> Path:
        """The state file that `ours` leaves."""
        return self.folder / f"{table.kind}-{table.calls}-{table.calls_a_day:.0f}.db"

    def ours(self, table: Table) -> Figures:
        """A first read and polls of the exporter, with a new state."""

        def make() -> Figures:
            api = self.api(table)
            api.take_searches()  # those of whoever came before
            figures = self._run_ours(table, self.state(table), polls=self.sizes.polls)
            searches, first = api.take_searches(), figures["first"]["requests"]
            polls = sum(each["requests"] for each in figures["polls"])
            if len(searches) != first + polls:
                raise RuntimeError(f"{len(searches)} searches recorded, not {first} and {polls}")
            self._searches[table, FIRST_READ] = searches[:first]
            self._searches[table, POLLS] = searches[first:]
            return figures

        return self._once(("ours", table), make)

    def ours_again(self, table: Table, number: int) -> Figures:
        """Another first read, with another new state; number 0 is that of `ours`."""
        if number == 0:
            return self.ours(table)

        def make() -> Figures:
            state = self.folder / "again.db"
            figures = self._run_ours(table, state, polls=0)
            state.unlink()
            return figures

        return self._once(("ours again", table, number), make)

    def restarted(self, table: Table) -> Figures:
        """The exporter started again on the state of `ours`, and its first poll."""
        now_ms = self.ours(table)["now_ms"] + round(INTERVAL_SECONDS * 1000)

        def make() -> Figures:
            return self._run_ours(table, self.state(table), polls=0, now_ms=now_ms)

        return self._once(("restarted", table), make)

    def limit(self, table: Table, part: str, *, number: int = 0, **how: bool) -> Figures:
        """The requests of `ours` again, received and decoded, and nothing else.

        With ``keep`` the rows stay in memory; with ``blocking`` httpx' blocking client is used.
        """
        self.ours(table)

        def make() -> Figures:
            progress(f"limit: {part} of {table.calls:,} calls")
            asked = self.folder / "searches.json"
            asked.write_text(json.dumps(self._searches[table, part]))
            api = self.api(table)
            return child(
                "limit",
                url=api.url,
                outbound=api.outbounds[0],
                searches=str(asked),
                **{"keep": False, "blocking": False, **how},
            )

        return self._once(("limit", table, part, number, *sorted(how)), make)

    def peer(self, table: Table, *, number: int = 0) -> Figures:
        """One poll of the naive peer. Its second poll costs what its first one does."""

        def make() -> Figures:
            progress(f"peer: {table.calls:,} calls")
            return child("peer", polls=1, **self._world(table))

        return self._once(("peer", table, number), make)

    def _run_ours(
        self, table: Table, state: Path, *, polls: int, now_ms: int | None = None
    ) -> Figures:
        progress(f"ours: {table.calls:,} calls ({table.kind}), {polls} polls")
        world = self._world(table, now_ms)
        return child("ours", state=str(state), polls=polls, **world)

    def _world(self, table: Table, now_ms: int | None = None) -> Figures:
        """Sets the API's time; what a child must know of it."""
        api = self.api(table)
        now_ms = api.now_ms if now_ms is None else now_ms
        api.set_time(now_ms)
        return {
            "url": api.url,
            "outbound": api.outbounds[0],
            "window": table.window_seconds,
            "now_ms": now_ms,
        }

    def _once(self, key: tuple[object, ...], make: Callable[[], Figures]) -> Figures:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]
