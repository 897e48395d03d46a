"""How unusual an outbound's shares are, from the rows of the API to what is published."""

import pytest

from pearl_exporter.config.signals import DEFAULT_SIGNALS, SignalSettings
from pearl_exporter.counting.saved import SavedOutbound
from pearl_exporter.detection.evidence import LIMITS
from pearl_exporter.detection.signals import Signal
from pearl_exporter.errors import StateError
from pearl_exporter.simulator import Campaign, Incident, many_campaigns
from pearl_exporter.state.store import MemoryStore
from tests.support.saving import copied, merged
from tests.support.world import DAWN_MS, World

pytestmark = pytest.mark.virtual_time

HOUR_MS = 3_600_000
PAGE_NATS, WARNING_NATS = LIMITS["normal"].page, LIMITS["normal"].warning
ONSET = DAWN_MS + 120_000
INTERVAL = 30


class Saving(MemoryStore):
    """A store in memory that keeps what is committed; a commit fails while it is full."""

    def __init__(self) -> None:
        self.kept: dict[str, SavedOutbound] = {}
        self.is_full = False

    async def load(self, outbound_id):
        return copied(self.kept.get(outbound_id))

    async def load_progress(self, outbound_id):
        kept = self.kept.get(outbound_id)
        return kept and kept.progress

    async def commit(self, outbound_id, delta):
        if self.is_full:
            raise StateError("the disk is full")
        self.kept[outbound_id] = merged(self.kept.get(outbound_id), delta)


def one_campaign() -> Campaign:
    return many_campaigns(1, DAWN_MS, calls_a_day=60_000, history_ms=2 * HOUR_MS)[0]


def world_of(*campaigns: Campaign, store=None) -> World:
    timing = {"interval": float(INTERVAL), "window": 3600.0}
    return World(campaigns, frozen=True, outbound=timing, store=store)


def with_incident(kind: str = "error", share: float = 0.8) -> Campaign:
    campaign = one_campaign()
    campaign.add_incident(
        Incident(kind=kind, start_ms=ONSET, end_ms=ONSET + 900_000, share=share), DAWN_MS
    )
    return campaign


async def readings(world: World, polls: int, poller=None):
    """The readings after each of some polls."""
    poller, found = poller or world.app.pollers[0], []
    for _ in range(polls):
        assert await poller.poll() is None
        found.append(poller.snapshot.signals)
        await world.wait(INTERVAL)
    return found


@pytest.mark.parametrize("kind", ["error", "unreachable"])
async def test_an_incident_is_evidence_and_says_since_when(kind):
    world = world_of(with_incident(kind))
    await world.app.start(polling=False)
    found = [each[Signal(kind)] for each in await readings(world, 14)]
    before, after = found[:4], found[-1]
    assert all(each.evidence < WARNING_NATS and each.since is None for each in before)
    assert before[-1].usual_ratio == pytest.approx(after.usual_ratio, rel=0.1)
    assert after.evidence > PAGE_NATS
    assert abs(after.since - ONSET) <= 60_000
    assert after.recent_bad_calls / after.recent_calls > 0.6
    await world.app.stop()


async def test_outcomes_count_as_first_read_and_not_when_they_settle():
    """Calls that settle an hour after their end are evidence within minutes."""
    timing = {"interval": float(INTERVAL), "settle": 3600.0, "settle_unanswered": 3600.0}
    world = World([with_incident()], frozen=True, outbound=timing)
    await world.app.start(polling=False)
    last = (await readings(world, 14))[-1][Signal.ERROR]
    assert last.evidence > PAGE_NATS
    # only calls from before the incident have settled
    settled = world.app.pollers[0].snapshot.calls.ledger.by_status["error"]
    assert settled < last.recent_bad_calls / 4
    await world.app.stop()


async def test_a_restart_forgets_nothing_that_was_learned():
    store = Saving()
    first = world_of(with_incident(), store=store)
    await first.app.start(polling=False)
    await readings(first, 8)
    kept = copied(store.kept[first.settings.outbounds[0].id])
    (going_on,) = await readings(first, 1)

    store.kept = {first.settings.outbounds[0].id: kept}
    second = world_of(with_incident(), store=store)
    await second.wait(8 * INTERVAL)
    await second.app.start(polling=False)
    assert not second.app.pollers[0].snapshot.signals  # before a poll nothing is known of now
    (restarted,) = await readings(second, 1)
    assert restarted == going_on


async def test_a_commit_that_fails_adds_nothing_twice():
    store = Saving()
    plain, failing = world_of(with_incident()), world_of(with_incident(), store=store)
    wanted = await readings(plain, 7, plain.new_poller(MemoryStore()))
    poller = failing.new_poller(store)
    await readings(failing, 5, poller)
    store.is_full = True
    for _ in range(2):
        assert (await poller.poll()).reason == "state"
    store.is_full = False
    assert (await readings(failing, 2, poller))[-1] == wanted[-1]


@pytest.mark.parametrize("damage", [b"\xff", b"\x81\x01\x91\x05", b"\xc0"])
async def test_damaged_bins_are_learned_again_and_no_counter_is_lost(damage, caplog):
    store = Saving()
    world = world_of(one_campaign())
    poller = world.new_poller(store)
    await readings(world, 4, poller)
    counted = poller.snapshot.calls.ledger
    ((key, saved),) = store.kept.items()
    assert saved.signals
    store.kept[key] = saved._replace(signals={**saved.signals, min(saved.signals): damage})
    again = world.new_poller(store)
    await readings(world, 1, again)
    assert "the saved usual shares are damaged" in caplog.text
    assert again.snapshot.calls.ledger.started >= counted.started > 0


async def test_an_older_state_without_bins_is_taken_over(caplog):
    store = Saving()
    world = world_of(one_campaign())
    await readings(world, 2, world.new_poller(store))
    ((key, saved),) = store.kept.items()
    store.kept[key] = saved._replace(signals={})
    await readings(world, 2, world.new_poller(store))
    assert "damaged" not in caplog.text
    assert store.kept[key].signals


async def test_a_poll_saves_only_the_hours_that_it_has_changed():
    deltas = []

    class Noting(Saving):
        async def commit(self, outbound_id, delta):
            deltas.append(delta.signals)
            await super().commit(outbound_id, delta)

    world = world_of(one_campaign())
    store = Noting()
    poller = world.new_poller(store)
    assert await poller.poll() is None
    assert await poller.poll() is None  # at the same time: nothing has changed
    first, second = deltas
    assert len(first) >= 2
    assert second == {}
    await world.wait(INTERVAL)
    await readings(world, 5, poller)
    ((_, saved),) = store.kept.items()
    assert saved.signals == poller.saved().signals


async def test_a_new_outbound_has_what_its_siblings_have():
    """A campaign without enough calls of its own is judged by the shares of the others."""
    campaigns = many_campaigns(4, DAWN_MS, calls_a_day=60_000, history_ms=2 * HOUR_MS)
    quiet = many_campaigns(5, DAWN_MS, calls_a_day=200, history_ms=2 * HOUR_MS)[-1]
    world = world_of(*campaigns, quiet)
    await world.app.start(polling=False)
    *others, new = world.app.pollers
    await new.poll()
    assert new.snapshot.signals[Signal.ERROR].usual_ratio is None
    for each in (*others, new):
        await each.poll()
    known = [each.snapshot.signals[Signal.UNANSWERED].usual_ratio for each in others]
    assert min(known) * 0.8 <= new.snapshot.signals[Signal.UNANSWERED].usual_ratio
    assert new.snapshot.signals[Signal.UNANSWERED].usual_ratio <= max(known) * 1.25
    await world.app.stop()


async def test_the_settings_of_a_signal_decide_what_is_published():
    settings = DEFAULT_SIGNALS | {
        Signal.SHORT: SignalSettings(enabled=False),
        Signal.ERROR: SignalSettings(sensitivity="high", ceiling=0.4),
        Signal.UNREACHABLE: SignalSettings(at_least_bad_calls=100_000),
    }
    world = World(
        [with_incident("unreachable")],
        frozen=True,
        outbound={"interval": float(INTERVAL), "signals": settings},
    )
    await world.app.start(polling=False)
    last = (await readings(world, 14))[-1]
    assert Signal.SHORT not in last
    assert last[Signal.ERROR].limits == LIMITS["high"]
    assert last[Signal.ERROR].ceiling == 0.4
    assert last[Signal.UNREACHABLE].evidence == 0
    await world.app.stop()


async def test_changed_settings_apply_without_losing_what_was_learned():
    world = world_of(with_incident())
    old = world.new_poller(MemoryStore())
    before = (await readings(world, 12, old))[-1][Signal.ERROR]
    (outbound,) = world.settings.outbounds
    signals = DEFAULT_SIGNALS | {Signal.ERROR: SignalSettings(sensitivity="low")}
    changed = outbound.model_copy(update={"signals": signals})
    world.settings = world.settings.model_copy(update={"outbounds": (changed,)})
    new = world.new_poller(MemoryStore())
    new.resume_from(old)
    (after,) = await readings(world, 1, new)
    assert after[Signal.ERROR].limits == LIMITS["low"]
    assert after[Signal.ERROR].usual_calls == before.usual_calls
    assert after[Signal.ERROR].evidence > before.evidence
