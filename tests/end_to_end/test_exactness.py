"""Hours of simulated campaigns, polled over HTTP with faults on, against a brute-force recount.

The recount is fed the simulator's own rows at each good poll's moment, never what was read.
"""

import pytest

from pearl_exporter.simulator import default_campaigns
from pearl_exporter.sync import read_start
from tests.recount import Poll, Recount, positive, recount_window
from tests.virtual_time import run_virtually
from tests.world import DAWN_MS, HOUR_MS, World

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
def test_every_figure_equals_the_recount(faults, page_size):
    async def story() -> None:
        campaigns = default_campaigns(7, DAWN_MS, 3, history_ms=3 * HOUR_MS)
        world = World(
            campaigns,
            faults=faults,
            frozen=True,
            api={"page_size": page_size},
            poll={"window": 1200.0, "follow": 7200.0},
            outbound={"window": 1200.0, "settle": 60.0, "interval": 30.0},
        )
        await world.app.start(polling=False)
        polls: dict[str, list[Poll]] = {each.outbound_id: [] for each in campaigns}
        for _ in range(70):
            for poller in world.app.pollers:
                outbound_id = poller.outbound.id
                tracker = await poller._loaded()
                start = read_start(tracker, poller._rules, world.now_ms)
                if await poller.poll() is None:
                    rows = world.served(outbound_id, start, world.now_ms)
                    polls[outbound_id].append(Poll(world.now_ms, start, rows))
                    check(poller.snapshot, polls[outbound_id], poller._rules)
            await world.wait(30)
        assert all(len(each) > 40 for each in polls.values())
        await world.app.stop()

    def check(snapshot, polls, rules) -> None:
        calls, ledger = snapshot.calls, snapshot.calls.ledger
        window, wanted_window = calls.window, recount_window(polls[-1], rules)
        assert positive(window.by_status) == wanted_window.by_status
        assert positive(window.by_call_status) == wanted_window.by_call_status
        assert positive(window.by_tag) == wanted_window.by_tag
        assert window.untagged == wanted_window.untagged
        assert sum(window.durations.counts) == len(wanted_window.durations)
        if len(polls) % 20:
            return
        wanted = Recount(polls, rules)
        assert ledger.started == wanted.started
        assert positive(ledger.by_status) == wanted.by_status
        assert positive(ledger.by_call_status) == wanted.by_call_status
        assert positive(ledger.by_tag) == wanted.by_tag
        assert positive(ledger.revisions) == positive(wanted.revisions)
        assert positive(ledger.uncounted) == positive(wanted.uncounted)
        assert (calls.live, calls.pending) == (wanted.live, wanted.pending)

    run_virtually(story())
