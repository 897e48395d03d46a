"""An API with a bad habit is read rightly, or fails the poll: no number is silently too low."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pearl_exporter.counting.calls import Call
from pearl_exporter.polling.poller import Poller
from pearl_exporter.reading.cost import USUAL_MAX_REQUESTS
from pearl_exporter.simulator import default_campaigns
from tests.support.habits import (
    DAY_MS,
    HABITS,
    HOUR_MS,
    MINUTE_MS,
    WELL_BEHAVED,
    Habit,
    HabitApi,
    each_row,
    retention_of,
)
from tests.support.oracle import recount_window
from tests.support.virtual_time import run_virtually
from tests.support.world import DAWN_MS, World

POLLS = 5


class Scene(NamedTuple):
    """How long the window is, and how many calls there are."""

    window_ms: int
    every_ms: int

    @property
    def calls(self) -> int:
        return self.window_ms // self.every_ms


SCENES = {
    "600 calls of 10 minutes": Scene(10 * MINUTE_MS, 1_000),
    "60 calls of 10 minutes": Scene(10 * MINUTE_MS, 10_000),
    "72 calls of 12 hours": Scene(12 * HOUR_MS, 10 * MINUTE_MS),
    "1,440 calls of a day": Scene(DAY_MS, MINUTE_MS),
}


class Outcome(NamedTuple):
    """What one poll came to.

    Attributes:
        reason: Why it failed; empty if it did not.
        message: The same for people.
        off_by: By how many calls the published window differs from what the API holds.
        may_be_off: By how many it may, as is published.
        requests: How many searches it made.
    """

    reason: str
    message: str
    off_by: int
    may_be_off: int
    requests: int

    @property
    def verdict(self) -> str:
        return self.reason or ("right" if not self.off_by else "off")


async def life(habit: Habit, scene: Scene, *, begins: int = 0, **poll: Any) -> list[Outcome]:
    """Polls an API that takes to a habit before the poll of number ``begins``."""
    world: World

    async def wait(seconds: float) -> None:
        await world.wait(seconds)

    api = HabitApi(
        lambda: world.now_ms, wait, scene.every_ms, since_ms=DAWN_MS - 2 * scene.window_ms
    )
    seconds = scene.window_ms / 1000
    world = World(
        default_campaigns(1, DAWN_MS, 1, history_ms=MINUTE_MS),
        frozen=True,
        transport=lambda _: api,
        poll={"window": seconds, **poll},
        outbound={"window": seconds, "interval": 30.0},
    )
    poller = world.app.pollers[0]
    await world.app.start(polling=False)
    outcomes = []
    for number in range(begins + POLLS):
        if number == begins:
            api.habit = retention_of(habit, scene.window_ms)
            api.searches = 0
        outcomes.append(await one_poll(poller, api, scene))
        await world.wait(30)
    await world.app.stop()
    return outcomes[begins:]


async def one_poll(poller: Poller, api: HabitApi, scene: Scene) -> Outcome:
    now = api.now_ms()
    before, asked = held(api, now, scene), api.searches
    error = await poller.poll()
    after = held(api, now, scene)
    window = poller.snapshot.calls.window
    if error is not None:
        assert not poller.snapshot.health.up
        return Outcome(error.reason, str(error), 0, 0, api.searches - asked)
    assert poller.snapshot.health.up
    assert window is not None
    published = {label: count for label, count in window.by_status.items() if count}
    labels = published.keys() | before.keys() | after.keys()
    late = held(api, now, scene, lag_ms=api.habit.lag_ms)
    # what was deleted during the poll, or is listed late, may be counted or not
    off_by = sum(
        max(0, min(after.get(label, 0), late.get(label, 0)) - published.get(label, 0))
        + max(0, published.get(label, 0) - before.get(label, 0))
        for label in labels
    )
    unreadable = poller.snapshot.health.unreadable_rows
    assert unreadable is not None
    # deleted calls stay in the window until a second read misses them
    may_be_off = unreadable + poller.snapshot.calls.missing
    return Outcome("", "", off_by, may_be_off, api.searches - asked)


def held(api: HabitApi, now: int, scene: Scene, lag_ms: int = 0) -> Mapping[str, int]:
    """The calls of the window by outcome, but for those of the last ``lag_ms``."""
    rows = api.rows(now - scene.window_ms, now - lag_ms)
    calls = [
        Call(row["id"], row["startTime"], row["conversationStatus"], row["status"]) for row in rows
    ]
    return recount_window(calls).by_status


def is_honest(outcome: Outcome) -> bool:
    """A poll that succeeds is right, or the figure says by how much it may be off."""
    if outcome.reason:
        return outcome.reason in {"inconsistent", "bad_response"}
    return outcome.off_by <= outcome.may_be_off


CASES = [
    *((name, scene, 0) for name in HABITS for scene in SCENES),
    # in mid-run the scenes take turns
    *((name, [*SCENES][number % len(SCENES)], 3) for number, name in enumerate(HABITS)),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "scene", "begins"), CASES)
@pytest.mark.virtual_time
async def test_no_habit_makes_a_number_silently_wrong(name, scene, begins):
    outcomes = await life(HABITS[name], SCENES[scene], begins=begins)
    assert all(map(is_honest, outcomes)), outcomes


VERDICTS = {
    "well behaved": "right",
    "count one too high": "right",
    "count one too low": "right",
    "count 50 too high": "inconsistent",
    "count 50 too low": "right",
    "count capped at 250": "right",
    "count is the page's length": "right",
    "count is the page's length, pages of 50": "right",
    "count is the page size": "inconsistent",
    "count is 10^12": "bad_response",
    "count is 0": "right",
    "rows and count without end": "inconsistent",
    "the same page again and again": "inconsistent",
    "results null": "inconsistent",
    "every second row missing": "inconsistent",
    "no rows, and a count": "inconsistent",
    "starts +3 h": "inconsistent",
    "starts -5 h": "inconsistent",
    "starts +5.5 h": "inconsistent",
    "starts -0.5 h": "inconsistent",
    "starts +12 h": "inconsistent",
    "starts -11 h": "inconsistent",
    "starts and ends +3 h": "inconsistent",
    "ends +3 h": "inconsistent",
    "ends -5 h": "inconsistent",
    "ends +5.5 h": "inconsistent",
    "ends -0.5 h": "inconsistent",
    "ends cut to seconds": "right",
    "ends cut to minutes": "inconsistent",
    "ends cut to days": "inconsistent",
    "sorted by another field": "right",
    "always oldest first": "right",
    "the end ignored": "right",
    "the start ignored": "inconsistent",
    "no usable id": "bad_response",
    "no usable start": "bad_response",
    "one row in 200 unusable": "off",
    "a third of the rows unusable": "off",
    "two thirds of the rows unusable": "bad_response",
    "words for outcomes": "bad_response",
    "words for durations": "bad_response",
    "durations in milliseconds": "inconsistent",
    "one row of each page null": "off",
    "tags as one text": "bad_response",
    "numbers in quotes": "right",
    "fields null": "right",
    "the window at the retention's edge": "right",
    "a bulk deletion": "right",
}
"""What each poll of 600 calls of ten minutes comes to. "off" is by as many as the figure says."""

UNSTEADY = {"count jumps", "rows without end"}
"""What they come to is by chance."""


def test_each_habit_has_a_verdict():
    assert VERDICTS.keys() | UNSTEADY == HABITS.keys()


@pytest.mark.parametrize("name", VERDICTS)
@pytest.mark.virtual_time
async def test_what_a_poll_makes_of_a_habit(name):
    outcomes = await life(HABITS[name], SCENES["600 calls of 10 minutes"])
    assert {outcome.verdict for outcome in outcomes} == {VERDICTS[name]}, outcomes


LOSSES = {
    "outcomes": {"conversationStatus": None},
    "telephony states": {"status": None},
    "both": {"conversationStatus": None, "status": None},
    "durations": {"duration": None},
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(("begins", "reason"), [(0, ""), (2, "inconsistent")])
@pytest.mark.virtual_time
async def test_a_field_may_be_null_but_not_become_so(name, begins, reason):
    habit = each_row(lambda row: {**row, **LOSSES[name]})
    outcomes = await life(habit, SCENES["600 calls of 10 minutes"], begins=begins)
    assert {outcome.reason for outcome in outcomes} == {reason}, outcomes


@pytest.mark.virtual_time
async def test_a_well_behaved_api_costs_no_more_for_being_weighed():
    """After the first poll, at whose start a wider range is asked for once."""
    large = await life(WELL_BEHAVED, SCENES["600 calls of 10 minutes"])
    assert all(outcome.requests <= USUAL_MAX_REQUESTS for outcome in large[1:]), large
    small = await life(WELL_BEHAVED, SCENES["60 calls of 10 minutes"])
    assert [outcome.requests for outcome in small] == [3, 1, 1, 1, 1]


@pytest.mark.parametrize("name", HABITS)
@pytest.mark.virtual_time
async def test_the_requests_of_a_poll_are_bounded(name):
    """By what was counted at its beginning, whatever is answered."""
    scene = SCENES["600 calls of 10 minutes"]
    outcomes = await life(HABITS[name], scene)
    assert all(outcome.requests <= 100 for outcome in outcomes), outcomes


@pytest.mark.parametrize(
    ("share", "verdict"), [(0.01, "inconsistent"), (0.07, "inconsistent"), (0.08, "right")]
)
@pytest.mark.virtual_time
async def test_max_unreadable_is_a_share_of_what_is_counted(share, verdict):
    scene = SCENES["600 calls of 10 minutes"]
    outcomes = await life(HABITS["count 50 too high"], scene, max_unreadable=share)
    assert {outcome.verdict for outcome in outcomes} == {verdict}, outcomes
    assert {outcome.may_be_off for outcome in outcomes} == {50 if verdict == "right" else 0}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no usable id", "100 rows, none with a usable id and startTime: has the API changed?"),
        ("words for durations", "100 rows, 100 without a usable duration: has the API changed?"),
        ("starts +3 h", "the rows start 3 h after the end asked for: is startTime UTC?"),
        ("starts -5 h", "the rows start 5 h before the range asked for: is startTime UTC?"),
        ("starts +5.5 h", "the rows start 5 h 30 min after the end asked for: is startTime UTC?"),
        ("starts -0.5 h", "the rows start 30 min before the range asked for: is startTime UTC?"),
        ("ends -5 h", "the range asked for has 0 calls, and another one 100 more that start in it"),
        ("results null", "the API counts 601 calls and does not give 601 of them, more than the 6"),
    ],
)
@pytest.mark.virtual_time
async def test_the_message_says_what_contradicts_what(name, message):
    outcomes = await life(HABITS[name], SCENES["600 calls of 10 minutes"])
    assert all(message in outcome.message for outcome in outcomes), outcomes


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("always oldest first", "the API ignores the order asked for, reading by offset"),
        ("the end ignored", "the API ignores the end asked for, reading by offset"),
        ("count is 0", "the API counts fewer calls than it lists, reading the whole window"),
        ("count one too high", "the API counts calls that can't be read"),
        ("a third of the rows unusable", "many rows of the API can't be used as they are"),
    ],
)
@pytest.mark.virtual_time
async def test_the_log_says_once_what_is_odd(name, line, caplog):
    with caplog.at_level("INFO", "pearl_exporter.polling"):
        await life(HABITS[name], SCENES["600 calls of 10 minutes"])
    assert sum(line in record.getMessage() for record in caplog.records) == 1


MAX_TOGETHER = 2
"""How many habits come together. With three, an API can pretend to be any other one."""

COUNTS = [habit.count for name, habit in HABITS.items() if name.startswith("count")]
HIGH_COUNTS = {
    WELL_BEHAVED.count,
    *(HABITS[f"count {name}"].count for name in ("one too high", "50 too high", "is 10^12")),
}
WITHHOLDS = {HABITS[name].rows for name in ("every second row missing", "no rows, and a count")}
ROWS = [habit.rows for habit in HABITS.values()]

any_habit = st.builds(
    Habit,
    count=st.just(WELL_BEHAVED.count) | st.sampled_from(COUNTS),
    rows=st.just(WELL_BEHAVED.rows) | st.sampled_from(ROWS),
    null_results=st.sampled_from([False] * 9 + [True]),
    label_ms=st.sampled_from([0] * 6 + [3, -5, 5.5, -0.5, 13, -11]).map(
        lambda hours: round(hours * HOUR_MS)
    ),
    zone=st.booleans(),
    coarse_ms=st.sampled_from([1, 1, 1, 1000, DAY_MS]),
    order=st.sampled_from([None, None, None, *filter(None, (h.order for h in HABITS.values()))]),
    ignores_end=st.sampled_from([False, False, False, True]),
    ignores_start=st.sampled_from([False, False, False, True]),
    ignores_skip=st.sampled_from([False, False, False, True]),
    max_page=st.sampled_from([100, 100, 50, 40]),
    seconds_a_request=st.sampled_from([0.0, 0.0, 0.5]),
)


@pytest.mark.slow
@settings(max_examples=60)
@given(habit=any_habit, scene=st.sampled_from(list(SCENES)[:3]), begins=st.sampled_from([0, 2]))
def test_a_good_poll_is_right_or_says_by_how_much_it_is_off(habit, scene, begins):
    """Whatever habits come together, but for two pairs that look like an outbound without calls.

    Rows are withheld and not counted either; or no range of a day has rows, and where a wider one
    has, their starts are too early.
    """
    odd = [name for name, value in vars(habit).items() if value != getattr(WELL_BEHAVED, name)]
    assume(len(set(odd) - {"zone"}) <= MAX_TOGETHER)
    assume(habit.label_ms >= 0 or habit.coarse_ms < DAY_MS)
    assume(habit.count in HIGH_COUNTS or not (habit.null_results or habit.rows in WITHHOLDS))
    outcomes = run_virtually(life(habit, SCENES[scene], begins=begins))
    assert all(map(is_honest, outcomes)), outcomes


def _nothing(*_given: object, **_more: object) -> None:
    return None


MUTANTS = {
    "no page is checked by the one above": (
        "pearl_exporter.reading.range_read.RangeRead._go_back_if_rows_missing",
        lambda *_: False,
        "every second row missing",
    ),
    "no page is judged": ("pearl_exporter.reading.plan.check_page", _nothing, "starts -5 h"),
    "no probe is judged": ("pearl_exporter.reading.plan.check_probe", _nothing, "ends -5 h"),
    "a full page is the last": (
        "pearl_exporter.reading.range_read.RangeRead._may_be_full",
        lambda *_: False,
        "count is the page's length",
    ),
}
"""What is put in whose place, and a habit that must show it."""


@pytest.mark.parametrize("mutant", MUTANTS)
@pytest.mark.virtual_time
async def test_the_recount_kills_a_mutant(mutant, monkeypatch):
    place, other, name = MUTANTS[mutant]
    monkeypatch.setattr(place, other)
    outcomes = await life(HABITS[name], SCENES["600 calls of 10 minutes"])
    assert not all(map(is_honest, outcomes)), outcomes
