"""Hours of simulated campaigns, polled over HTTP with faults on, against a brute-force recount.

What is read is compared with the simulator's own rows at that moment, and what is published with a
recount of it; in the end the window is compared with the API's table, row by row.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from pearl_exporter.counting.observation import Observation
from pearl_exporter.counting.saved import SavedOutbound
from pearl_exporter.counting.settlement import CountingRules
from pearl_exporter.counting.tracker import Applied, Tracker
from pearl_exporter.reconfigure import counting_rules
from pearl_exporter.simulator import default_campaigns
from pearl_exporter.state.store import MemoryStore
from tests.support.oracle import Poll, Recount, positive, recount_window
from tests.support.table import by_id
from tests.support.world import DAWN_MS, HOUR_MS, World

pytestmark = [pytest.mark.slow, pytest.mark.virtual_time]

ALL_SEEN = [
    "rate_limit:0.1",
    "rate_limit:0.05,retry_after=3",
    "server_error:0.1,status=502",
    "drop:0.05",
    "clamp:0.5,limit=7",
    "content_type:0.3",
]


@pytest.mark.parametrize(
    ("faults", "page_size"),
    [
        ([], 100),
        ([], 19),
        (ALL_SEEN, 20),
        (["exclusive_to", "exclusive_from"], 50),
        (["order_ignored:order=ascending"], 50),
        (["order_ignored:order=scrambled"], 50),
        (["null_results", "cut:0.05", "html:0.05", "error_object:0.05", "empty:0.05"], 500),
    ],
    ids=["quiet", "small pages", "faults", "exclusive", "ascending", "scrambled", "bad answers"],
)
async def test_every_figure_equals_the_recount(faults, page_size):
    campaigns = default_campaigns(7, DAWN_MS, 3, history_ms=3 * HOUR_MS)
    world = World(
        campaigns,
        faults=faults,
        frozen=True,
        api={"page_size": page_size},
        poll={"window": 1200.0, "follow": 7200.0, "full_scan_every": 60.0},
        outbound={"window": 1200.0, "settle": 60.0, "interval": 30.0},
    )
    watches = [Watch(world, index) for index in range(3)]
    for _ in range(50):
        for watch in watches:
            await watch.poll()
        await world.wait(30)
    for watch in watches:
        assert len(watch.polls) > 25
        await watch.poll_until_all_is_seen()


class ComparedTracker(Tracker):
    """A tracker that gives `compare` whatever it is about to apply."""

    def __init__(
        self, *saved: Any, compare: Callable[[Observation, int], None], **options: Any
    ) -> None:
        super().__init__(*saved, **options)
        self._compare = compare

    def apply(self, observation: Observation, *, now: int, max_gap_ms: int) -> Applied:
        self._compare(observation, now)
        return super().apply(observation, now=now, max_gap_ms=max_gap_ms)


class Watch:
    """Compares what one poller reads with the API's rows, and what it publishes with a recount."""

    def __init__(self, world: World, index: int) -> None:
        self.polls: list[Poll] = []
        self._world = world
        self._poller = world.new_poller(MemoryStore(), index=index, new_tracker=self._tracker)
        self._rules = counting_rules(self._poller.outbound, world.settings)

    def _tracker(self, rules: CountingRules, saved: SavedOutbound | None) -> Tracker:
        return ComparedTracker(rules, saved, compare=self._compare)

    async def poll(self) -> bool:
        """Polls; gives whether that completed a scan of the whole window."""
        before = self._poller.snapshot.health.full_scan_at
        if await self._poller.poll() is None and len(self.polls) % 10 == 0:
            self._recount()
        return self._poller.snapshot.health.full_scan_at != before

    def _compare(self, observation: Observation, now: int) -> None:
        """Every row is as the API has it, and every range that was read whole is whole."""
        calls = by_id(observation.rows)
        starts = [start for start, _ in observation.ranges]
        starts += [call.start for call in observation.rows]
        rows = self._world.served(self._poller.outbound.id, min(starts), now)
        assert calls == {key: rows.get(key) for key in calls}
        is_contradicted = observation.is_contradicted
        poll = Poll(now, tuple(observation.ranges), calls, is_contradicted=is_contradicted)
        assert all(key in calls for key, row in rows.items() if poll.covers(row.start))
        self.polls.append(poll)

    def _recount(self) -> Recount:
        snapshot, wanted = self._poller.snapshot.calls, Recount(self.polls, self._rules)
        window, wanted_window = snapshot.window, recount_window(wanted.window)
        assert positive(window.by_status) == wanted_window.by_status
        assert positive(window.by_call_status) == wanted_window.by_call_status
        assert positive(window.by_tag) == wanted_window.by_tag
        assert window.untagged == wanted_window.untagged
        assert sum(window.durations.counts) == len(wanted_window.durations)
        ledger = snapshot.ledger
        assert ledger.started == wanted.started
        assert positive(ledger.by_status) == wanted.by_status
        assert positive(ledger.by_call_status) == wanted.by_call_status
        assert positive(ledger.by_tag) == wanted.by_tag
        assert positive(ledger.revisions) == positive(wanted.revisions)
        assert positive(ledger.uncounted) == positive(wanted.uncounted)
        assert (snapshot.live, snapshot.pending) == (wanted.live, wanted.pending)
        assert snapshot.missing == len(wanted.missing)
        return wanted

    async def poll_until_all_is_seen(self) -> None:
        """Once time stands still for a full scan, the window is the API's own, row by row.

        It also holds calls that are missing, and not yet for long enough to be gone.
        """
        for _ in range(2):
            await self._world.wait(61)
            async with asyncio.timeout(10_000):
                while not await self.poll():
                    pass
        now = self._world.now_ms
        held = self._world.served(self._poller.outbound.id, now - 1_200_000, now)
        wanted = self._recount()
        window = by_id(wanted.window).items()
        assert {key: row for key, row in window if key not in wanted.missing} == held
