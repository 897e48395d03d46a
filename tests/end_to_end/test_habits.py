"""What `check` says of each habit of an API, what polls do, and what is published.

A poll that succeeds has published what the API holds, by a recount of the simulator's calls. If
polls fail for a habit, `check` fails too, and if they read right, it does not.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pearl_exporter.cli.check import check_app
from pearl_exporter.counting.calls import status_label
from pearl_exporter.counting.ledger import LedgerSnapshot
from pearl_exporter.exposition.render import Format
from pearl_exporter.simulator import Campaign, Profile
from tests.simulator.worlds import CALM
from tests.support.virtual_time import run_virtually
from tests.support.world import DAWN_MS, HOUR_MS, World

pytestmark = pytest.mark.virtual_time

WINDOW_SECONDS = 1200.0
INTERVAL_SECONDS = 30.0
CALLS_A_DAY = 24_000
POLLS = 4
MAX_CHECK_REQUESTS = 10

CONTRADICTS = frozenset({"inconsistent"})
UNUSABLE = frozenset({"bad_response"})
EITHER = CONTRADICTS | UNUSABLE


@dataclass(frozen=True)
class Habit:
    """A habit of the API, and what must come of it.

    Attributes:
        fault: The simulator's fault.
        says: A line of `check` that is not ok, by a regular expression; "" if all lines are.
        fails: The reasons for which polls may fail, all of them; none if they read right.
        off_by: How many calls the window may be off.
        by_offset: Whether polls read the whole window by offset.
        may_be_right: Whether a poll may also read right, as it happens.
    """

    fault: str
    says: str = ""
    fails: frozenset[str] = frozenset()
    off_by: int = 0
    by_offset: bool = False
    may_be_right: bool = False

    @property
    def is_right(self) -> bool:
        return not self.fails


def reads_right(fault: str, says: str = "", *, off_by: int = 0) -> Habit:
    return Habit(fault, says, off_by=off_by)


def by_offset(fault: str, says: str = "") -> Habit:
    return Habit(fault, says, by_offset=True)


def fails(fault: str, says: str, reasons: frozenset[str] = CONTRADICTS) -> Habit:
    return Habit(fault, says, reasons)


HABITS = [
    reads_right("skew:0"),  # no habit at all
    # counts
    reads_right("count_off", "count: .* lists [0-9,]+ of them"),
    reads_right("count_off:by=-1", "count: .* lists more"),
    reads_right("count_capped:limit=100", "count: .* lists more"),
    reads_right("count_of_page", "count: .* lists more"),
    fails("count_off:by=60", "count: .* lists"),
    fails("count_page_size", "count: .* lists"),
    fails("count_fixed", "count: .* lists", EITHER),
    Habit("count_jumping:by=100", "count: ", CONTRADICTS, may_be_right=True),
    fails("endless", "count: "),
    fails("results_null", "count: .* lists none of them", EITHER),
    fails("rows_missing:every=2", "count: .* lists"),
    fails("rows_missing:every=2,which=place", "count: .* lists"),
    fails("rows_missing:every=10", "count: .* lists"),
    # zones
    fails("local_time:hours=3", "zone: rows start 3 h after the end .*: is startTime UTC"),
    fails("local_time:hours=-5", "zone: rows start 5 h before the end"),
    fails("local_time:hours=5.5", "zone: rows start 5.5 h after the end"),
    fails("local_time:hours=-0.5", "zone: rows start 30 min before the end"),
    fails("local_time:hours=0,then=1,change=2026-11-18T11:01:40Z", "zone: .* rows start 1 h after"),
    reads_right("local_time:hours=0"),
    fails("local_ends:hours=3", "zone: rows start 3 h before the end"),
    fails("local_ends:hours=-5", "zone: the window has no calls, but"),
    fails("local_ends:hours=0.25", "ends: .* are left out"),
    # ends, order, filter and pages
    by_offset("ends_ignored", "ends: .* after the end asked for: .* ignored"),
    reads_right("ends_ignored:which=from", "ends: .* before the start asked for"),
    fails("ends_ignored:which=both", "ends: "),
    by_offset("coarse_ends:unit=second"),
    by_offset("coarse_ends:unit=second,cut=down"),
    by_offset("coarse_ends:unit=minute", "ends: .* coarse steps"),
    fails("coarse_ends:unit=day", "ends: .* coarse steps"),
    fails("coarse_ends:unit=day,cut=down", "zone: the window has no calls, but"),
    fails("range_shortened:hours=0.05", "ends: .* the API cuts long ranges short"),
    fails("range_shortened:hours=0.05,kept=last", "ends: .* the API cuts long ranges short"),
    reads_right("range_shortened:hours=6"),
    reads_right("range_shortened:hours=6,kept=last"),
    reads_right("exclusive_to"),
    reads_right("exclusive_from"),
    by_offset("order_ignored", "order: rows come oldest first"),
    reads_right("order_ignored:order=descending", "order: rows come newest first"),
    by_offset("order_ignored:order=scrambled", "order: rows come in the order of another field"),
    by_offset("sorted_by:field=end", "order: "),
    by_offset("sorted_by:field=duration", "order: "),
    reads_right("coarse_starts", "order: .* come in another order with each answer", off_by=40),
    reads_right("coarse_starts:unit=second"),
    reads_right("statuses_ignored", "filter: "),
    reads_right("statuses_cut", "filter: .* leaves out calls of outcome"),
    reads_right("statuses_cut:which=none", "filter: .* leaves out calls of outcome"),
    reads_right("skip_ignored", "page: skip is ignored"),
    reads_right("clamp:limit=10", "page: a page has at most 10 rows"),
    fails("limit_refused:limit=50", "habits: bad_request", frozenset({"bad_request"})),
    reads_right("range_refused"),  # a probe and a date of long ago, which polls can do without
    reads_right("null_results"),
    # fields
    fails("odd_field:field=id", "rows: .* usable id", UNUSABLE),
    fails("odd_field:field=id,form=number", "rows: .* usable id", UNUSABLE),
    fails("odd_field:field=start_time,form=number", "rows: .* usable .*startTime", UNUSABLE),
    fails(
        "odd_field:field=start_time,form=word,share=0.6", "rows: .* usable .*startTime", UNUSABLE
    ),
    reads_right("odd_field:field=id,share=0.05", "rows: .* usable id", off_by=40),
    fails("odd_field:field=conversation_status,form=word", "rows: .*conversationStatus", UNUSABLE),
    fails("odd_field:field=status,form=word", "rows: .*status", UNUSABLE),
    fails("odd_field:field=duration,form=word", "rows: .*duration", UNUSABLE),
    fails("odd_field:field=tags,form=word", "rows: .*tags", UNUSABLE),
    reads_right("odd_field:field=tags,form=word,share=0.05", "rows: .*tags"),
    reads_right("odd_field:field=conversation_status,form=quoted"),
    reads_right("odd_field:field=duration,form=quoted"),
    reads_right("odd_field:field=duration,form=null"),
    fails("odd_field:field=duration,form=thousandfold", "rows: .*is duration in seconds"),
    reads_right("odd_field:field=conversation_status,form=null", "rows: .* no conversationStatus"),
    reads_right("odd_field:field=tags,form=absent"),
    fails("changing_ids", "rows: calls have another id in each answer"),
    # calls that go, and replicas
    reads_right("retention:seconds=1200"),
    reads_right("retention:seconds=900", off_by=60),
    reads_right("replica_behind:seconds=20", off_by=20),
    # dates
    reads_right("skew:seconds=3600", "clock is 3600 s behind .* this machine's is used"),
    reads_right("skew:seconds=-3600", "clock is 3600 s ahead of .* this machine's is used"),
    reads_right("age:seconds=7200"),
    reads_right("no_date"),
    # HTTP
    fails("request_timeout", "timeout: ", frozenset({"timeout"})),
    fails("too_early", "timeout: ", frozenset({"timeout"})),
    fails("proxy_auth", "connection: .*proxy", frozenset({"connection"})),
    fails("no_content", "bad_response: ", UNUSABLE),
    fails("challenge", "bad_response: ", UNUSABLE),
    fails("gzip_trailer", "bad_response: ", UNUSABLE),
]


def world_with(*faults: str, **more: Any) -> World:
    profile = Profile(
        outbound_id="65f1c0ffee65f1c0ffee0001",
        name="spring",
        calls_a_day=CALLS_A_DAY,
        hours=(1.0,) * 24,
        **CALM,
    )
    campaign = Campaign(profile, seed=7, start_ms=DAWN_MS - 8 * HOUR_MS)
    timings = {"window": WINDOW_SECONDS, "interval": INTERVAL_SECONDS}
    return World(
        [campaign], faults=faults, poll=timings, outbound=timings, **{"frozen": True, **more}
    )


def recounted(world: World) -> dict[str, int]:
    """The window as the API holds it, by status."""
    now = world.now_ms
    outbound = world.settings.outbounds[0].id
    found: dict[str, int] = {}
    for call in world.served(outbound, now - round(WINDOW_SECONDS * 1000), now).values():
        label = status_label(call.status)
        found[label] = found.get(label, 0) + 1
    return found


def published(world: World, metric: str) -> list[float]:
    text = world.app.exposition.render(Format.TEXT).decode()
    return [float(value) for value in re.findall(rf"^{metric}{{.*}} (\S+)$", text, re.MULTILINE)]


@pytest.mark.parametrize("habit", HABITS, ids=lambda habit: habit.fault)
async def test_check_tells_a_habit(habit: Habit):
    world, lines = world_with(habit.fault), []
    is_well = await check_app(world.app, world.settings, 1.0, lines.append)
    await world.app.stop()
    assert is_well == habit.is_right, lines
    noted = [line for line in lines if not line.startswith(("ok ", "budget"))]
    assert any(re.search(habit.says, line) for line in noted) if habit.says else not noted, lines
    assert len(world.requests) <= MAX_CHECK_REQUESTS


@pytest.mark.parametrize("page_size", [10, 20])
async def test_calls_of_one_minute_fill_a_page(page_size):
    """They come in another order with each answer: no poll can read them, and check says why."""
    world, lines = world_with("coarse_starts", api={"page_size": page_size}), []
    assert not await check_app(world.app, world.settings, 1.0, lines.append)
    (line,) = (line for line in lines if line.startswith("FAIL"))
    assert re.search("order: up to .* calls have the same startTime, .* raise api.page_size", line)
    await world.app.start(polling=False)
    error = await world.app.pollers[0].poll()
    await world.app.stop()
    assert "calls of one startTime come in another order each time?" in str(error)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("changing_ids", "came again with the same startTime and another id: do ids change"),
        ("range_shortened:hours=0.05", "that start in it: .* or long ranges cut short"),
    ],
)
async def test_a_poll_names_the_cause(fault, message):
    world = world_with(fault)
    await world.app.start(polling=False)
    error = await world.app.pollers[0].poll()
    await world.app.stop()
    assert re.search(message, str(error))


@pytest.mark.parametrize("hours", [-3, -0.25, 0.25, 3])
@pytest.mark.parametrize("calls", [True, False], ids=["calls", "no calls"])
async def test_check_asks_by_the_clock_that_polls_go_by(hours, calls):
    """This machine's clock is wrong; calls bear out the API's, and without calls nothing does."""
    faults = [] if calls else ["no_rows"]
    world, lines = world_with(*faults, wall_ahead=lambda: hours * 3600), []
    await check_app(world.app, world.settings, 1.0, lines.append)
    await world.app.stop()
    total = sum(recounted(world).values())
    (note,) = (line for line in lines if line.startswith("note"))
    if calls:
        assert re.search(rf": {total} calls? in its window", lines[0])
        why = "some calls start in the future by this" if hours < 0 else "the newest row is nearer"
        assert f"the API's: {why}" in note
        assert note.endswith("so the API's is used")
    else:
        assert note.endswith("no call shows which clock is right, so this machine's is used")
    assert len(world.requests) <= MAX_CHECK_REQUESTS


@pytest.mark.parametrize("habit", HABITS, ids=lambda habit: habit.fault)
async def test_a_poll_reads_right_or_fails(habit: Habit):
    world = world_with(habit.fault)
    await world.app.start(polling=False)
    (poller,) = world.app.pollers
    for _ in range(POLLS):
        error = await poller.poll()
        if habit.is_right or (habit.may_be_right and error is None):
            assert error is None
            assert published(world, "pearl_outbound_up") == [1]
            reads_by_offset = published(world, "pearl_outbound_reads_by_offset")
            assert reads_by_offset == [habit.by_offset] or habit.may_be_right
            total = sum(recounted(world).values())
            assert abs(sum(published(world, "pearl_window_calls")) - total) <= habit.off_by
        else:
            assert error is not None
            assert error.reason in habit.fails
            assert published(world, "pearl_outbound_up") == [0]
            assert habit.may_be_right or published(world, "pearl_window_calls") == []
        await world.wait(INTERVAL_SECONDS)
    await world.app.stop()


CHANGES = [
    "the API ignores",
    "the API cuts",
    "the API counts",
    "the API sends",
    "the API keeps",
    "all calls that",
    "many rows",
    "the rows of",
]
"""How the lines about an API's habits begin."""


@pytest.mark.parametrize(
    ("fault", "lines"),
    [
        ("skew:0", []),
        ("retention:seconds=1200", []),
        ("order_ignored", ["the API ignores the order asked for, reading by offset"]),
        ("ends_ignored", ["the API ignores the end asked for, reading by offset"]),
        ("coarse_ends:unit=minute", ["the API ignores the end asked for, reading by offset"]),
        ("ends_ignored:which=from", ["the API sends calls from outside the range asked for"]),
        (
            "ends_ignored:which=from,begin=100,lasting=600",
            [
                "the API sends calls from outside the range asked for",
                "the API keeps to the range asked for again",
            ],
        ),
        ("statuses_ignored", ["the API ignores the filter by statuses"]),
        ("count_of_page", ["the API counts fewer calls than it lists"]),
        ("count_off", ["the API counts calls that can't be read"]),
        ("odd_field:field=tags,form=word,share=0.05", ["many rows of the API can't be used"]),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
async def test_the_log_tells_a_habit_once(fault, lines, caplog):
    caplog.set_level("INFO", "pearl_exporter.polling")
    world = world_with(fault)
    await world.app.start(polling=False)
    (poller,) = world.app.pollers
    for _ in range(60):
        await poller.poll()
        await world.wait(INTERVAL_SECONDS)
    await world.app.stop()
    messages = [record.getMessage() for record in caplog.records]
    told = [message for message in messages if message.startswith(tuple(CHANGES))]
    assert len(told) == len(lines), told
    assert all(message.startswith(line) for message, line in zip(told, lines, strict=True))


# --- habits that begin while polls go on, and end

HISTORY_POLLS = 60

HIDING = [
    fails("no_rows:requests=1", ""),
    fails("vanishing:share=0.3", ""),
    fails("vanishing:share=1", ""),
    fails("replica_behind:0.5,seconds=40", ""),
]
"""They last for less than the time after which a missing call is given up. A poll may fail."""

FAILING = [
    fails("local_time:hours=3", ""),
    fails("local_ends:hours=-5", ""),
    fails("odd_field:field=id", "", UNUSABLE),
    fails("rows_missing:every=2", ""),
    fails("count_fixed", "", EITHER),
    fails("results_null", "", EITHER),
    fails("no_content", "", UNUSABLE),
]


class Outcome:
    """What came of a history of polls, the window by status and the counters at its end."""

    def __init__(self, world: World, reasons: frozenset[str]) -> None:
        calls = world.app.pollers[0].snapshot.calls
        self.ledger: LedgerSnapshot = calls.ledger
        self.window = {name: count for name, count in calls.window.by_status.items() if count}
        self.reasons = reasons
        self.recount = recounted(world)


async def history(*faults: str) -> Outcome:
    world = world_with(*faults)
    await world.app.start(polling=False)
    (poller,) = world.app.pollers
    reasons = set()
    for _ in range(HISTORY_POLLS):
        error = await poller.poll()
        if error is not None:
            reasons.add(str(error.reason))
        calls = poller.snapshot.calls
        counted = calls.ledger.settled + sum(calls.ledger.uncounted.values())
        assert calls.ledger.started == counted + calls.live + calls.pending
        await world.wait(INTERVAL_SECONDS)
    await poller.poll()
    outcome = Outcome(world, frozenset(reasons))
    await world.app.stop()
    return outcome


class Spell(NamedTuple):
    """A habit that begins after some seconds, and ends after some more."""

    habit: Habit
    begin: float = 100.0
    lasting: float = 70.0

    @property
    def fault(self) -> str:
        name, _, settings = self.habit.fault.partition(":")
        span = f"begin={self.begin},lasting={self.lasting}"
        return f"{name}:{','.join(filter(None, [settings, span]))}"


@cache
def undisturbed() -> Outcome:
    return run_virtually(history())


def assert_nothing_is_lost(*spells: Spell) -> None:
    outcome = run_virtually(history(*(spell.fault for spell in spells)))
    assert outcome.reasons <= {reason for spell in spells for reason in spell.habit.fails}
    assert outcome.window == outcome.recount
    assert outcome.ledger.started == undisturbed().ledger.started
    assert outcome.ledger.by_status == undisturbed().ledger.by_status
    assert not any(outcome.ledger.uncounted.values())


@pytest.mark.parametrize("habit", HIDING + FAILING, ids=lambda habit: habit.fault)
def test_a_habit_that_passes_loses_no_call(habit: Habit):
    assert_nothing_is_lost(Spell(habit))


@settings(max_examples=8, deadline=None)
@given(
    hiding=st.builds(Spell, st.sampled_from(HIDING), st.integers(31, 600), st.integers(20, 100)),
    failing=st.lists(
        st.builds(Spell, st.sampled_from(FAILING), st.integers(31, 600), st.integers(20, 300)),
        max_size=2,
    ),
)
def test_habits_that_overlap_lose_no_call(hiding: Spell, failing: list[Spell]):
    assert_nothing_is_lost(hiding, *failing)


async def test_retention_at_the_window_does_not_disturb_a_read():
    """Calls are deleted at the old end while a read of many pages goes on."""
    api = {"rate_limit": 2, "page_size": 20}
    world = world_with(f"retention:seconds={WINDOW_SECONDS}", frozen=False, api=api)
    await world.app.start(polling=False)
    (poller,) = world.app.pollers
    for _ in range(POLLS):
        assert await poller.poll() is None
        total = sum(recounted(world).values())
        calls_a_second = CALLS_A_DAY / 86_400
        assert sum(published(world, "pearl_window_calls")) == pytest.approx(
            total, abs=calls_a_second * 3 * INTERVAL_SECONDS
        )
        await world.wait(INTERVAL_SECONDS)
    await world.app.stop()


@pytest.mark.parametrize("which", ["oldest", "newest", "any"])
async def test_a_bulk_deletion_during_a_read(which):
    """What is left is published at once or, as missing calls, leaves later."""
    world = world_with(f"bulk_deletion:share=0.2,which={which},begin=1,requests=1")
    await world.app.start(polling=False)
    (poller,) = world.app.pollers
    assert await poller.poll() is None
    before = sum(published(world, "pearl_window_calls"))
    await world.wait(INTERVAL_SECONDS)
    assert await poller.poll() is None
    assert sum(recounted(world).values()) <= sum(published(world, "pearl_window_calls"))
    assert sum(published(world, "pearl_window_calls")) <= before + 40
    for _ in range(round(WINDOW_SECONDS / INTERVAL_SECONDS)):
        await world.wait(INTERVAL_SECONDS)
        assert await poller.poll() is None
    total = sum(recounted(world).values())
    assert sum(published(world, "pearl_window_calls")) == total
    await world.app.stop()
