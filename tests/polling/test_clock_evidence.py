"""A Date that is minutes or more off is believed if calls bear it out, and moves nothing else."""

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pearl_exporter.api.clock import Doubt
from pearl_exporter.counting.calls import Call
from pearl_exporter.polling.clock_evidence import is_other_right
from pearl_exporter.polling.plan_runner import drive
from pearl_exporter.polling.poller import Poller
from pearl_exporter.reading.search import Page
from pearl_exporter.simulator import default_campaigns
from tests.support.virtual_time import run_virtually
from tests.support.world import DAWN_MS, HOUR_MS, Dated, World

pytestmark = pytest.mark.virtual_time

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
OFF = [6 * MINUTE, HOUR, 3 * HOUR, 5.5 * HOUR, 26 * HOUR]
BOTH_WAYS = [sign * each for each in OFF for sign in (1, -1)]


class _WithoutCalls(httpx.AsyncBaseTransport):
    """Takes the calls out of every answer while it is on."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport
        self.is_on = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._transport.handle_async_request(request)
        if not self.is_on:
            return answer
        await answer.aread()
        empty = httpx.ByteStream(b'{"count": 0, "results": []}')
        return httpx.Response(200, headers={"date": answer.headers["date"]}, stream=empty)


class Scene:
    """One outbound with calls, a machine whose clock may be wrong, and a proxy that may be."""

    def __init__(self, *, wall_ahead: float = 0.0, date: str | float | None = 0.0) -> None:
        self.wall_ahead = wall_ahead
        campaigns = default_campaigns(3, DAWN_MS, 1, history_ms=HOUR_MS)
        self.world = World(
            campaigns,
            frozen=True,
            poll={"window": 1200.0},
            outbound={"window": 1200.0},
            wall_ahead=lambda: self.wall_ahead,
            transport=self._dated,
        )
        self.dated.date = date

    def _dated(self, transport):
        self.without_calls = _WithoutCalls(transport)
        self.dated = Dated(self.without_calls, None)
        return self.dated

    @property
    def poller(self) -> Poller:
        return self.world.app.pollers[0]

    async def poll(self, times: int = 1) -> None:
        for _ in range(times):
            assert await self.poller.poll() is None
            await self.world.wait(30)

    async def assert_right(self, within_ms: float = 500.0) -> None:
        """The next poll is as of the true present, and has what began in its window."""
        assert await self.poller.poll() is None
        calls = self.poller.snapshot.calls
        assert abs(calls.polled_at - self.world.now_ms) <= within_ms
        served = self.world.served(
            self.poller.outbound.id, calls.polled_at - 1_200_000, calls.polled_at
        )
        assert calls.window.calls - calls.missing == len(served) > 100
        await self.world.wait(30)

    async def assert_right_for(self, polls: int, within_ms: float = 500.0) -> None:
        for _ in range(polls):
            await self.assert_right(within_ms)
        calls = self.poller.snapshot.calls
        assert abs(calls.tracking_since - DAWN_MS) <= within_ms
        assert calls.ledger.uncounted.get("follow_expired", 0) == 0

    @property
    def skew_seconds(self) -> float:
        return self.world.app.api_clock.skew_seconds


@pytest.mark.parametrize("ahead", BOTH_WAYS)
async def test_a_machine_whose_clock_is_wrong_polls_right_at_once(ahead):
    scene = Scene(wall_ahead=ahead)
    await scene.world.app.start(polling=False)
    await scene.assert_right_for(4)
    assert scene.skew_seconds == pytest.approx(ahead, abs=1)
    await scene.world.app.stop()


@pytest.mark.parametrize("ahead", BOTH_WAYS)
async def test_a_proxy_whose_clock_is_wrong_moves_nothing(ahead, caplog):
    scene = Scene(date=ahead)
    await scene.world.app.start(polling=False)
    await scene.assert_right_for(15)
    assert scene.skew_seconds == pytest.approx(-ahead, abs=1)
    said = [record for record in caplog.records if "far off" in record.getMessage()]
    assert [record.why for record in said] == ["calls differ"]
    await scene.world.app.stop()


@pytest.mark.parametrize("ahead", BOTH_WAYS)
async def test_a_proxy_that_goes_wrong_later_moves_nothing(ahead):
    """Whether this machine's clock is right or not."""
    for wall_ahead in (0.0, 20.0, 3 * HOUR, -3 * HOUR):
        scene = Scene(wall_ahead=wall_ahead)
        await scene.world.app.start(polling=False)
        await scene.assert_right_for(3)
        scene.dated.date = ahead
        await scene.assert_right_for(12, within_ms=1500)
        scene.dated.date = 0.0
        await scene.assert_right_for(8, within_ms=1500)
        await scene.world.app.stop()


async def test_a_date_that_stands_still_leads_astray_by_minutes():
    scene = Scene(date="Wed, 18 Nov 2026 11:06:40 GMT")
    await scene.world.app.start(polling=False)
    await scene.assert_right_for(60, within_ms=301_000)
    await scene.assert_right()
    assert scene.skew_seconds > 20 * MINUTE
    await scene.world.app.stop()


@pytest.mark.parametrize("age", ["0", "30", "9999", ""])
async def test_an_answer_with_an_age_says_nothing_about_the_time(age):
    scene = Scene(date=-100.0)
    scene.dated.more["age"] = age
    await scene.world.app.start(polling=False)
    await scene.assert_right_for(5)
    assert not scene.world.app.api_clock.is_known
    assert scene.skew_seconds == 0.0
    await scene.world.app.stop()


@pytest.mark.parametrize("ahead", [-3 * HOUR, 3 * HOUR])
async def test_without_calls_this_machines_clock_counts(ahead, caplog):
    scene = Scene(date=ahead)
    scene.without_calls.is_on = True
    await scene.world.app.start(polling=False)
    for _ in range(30):
        await scene.poll()
        polled_at = scene.poller.snapshot.calls.polled_at
        assert polled_at == scene.world.now_ms - 30_000
    # two more requests in five minutes, and one line
    searches = len(scene.world.requests)
    await scene.poll(20)
    assert len(scene.world.requests) - searches <= 20 * 3 + 2 * 3
    said = [record for record in caplog.records if "far off" in record.getMessage()]
    assert [record.why for record in said] == ["no call shows which clock is right"]
    await scene.world.app.stop()


async def test_a_first_call_decides_for_the_machine_that_had_none():
    scene = Scene(wall_ahead=3 * HOUR)
    scene.without_calls.is_on = True
    await scene.world.app.start(polling=False)
    await scene.poll(3)
    scene.without_calls.is_on = False
    await scene.poll(15)
    await scene.assert_right()
    await scene.world.app.stop()


async def test_a_machine_that_slept_is_right_again():
    """Its monotonic clock stood still, and both other clocks agree; no call has started since."""
    scene = Scene()
    await scene.world.app.start(polling=False)
    await scene.assert_right_for(6)
    slept = 8 * HOUR
    scene.without_calls.is_on = True
    scene.wall_ahead, scene.dated.date = slept, slept  # as seen by the clock that stood still
    for _ in range(5):
        await scene.poll()
    assert scene.world.app.api_clock.now() == pytest.approx(
        scene.world.now_ms + slept * 1000, abs=1000
    )
    await scene.world.app.stop()


# --- the decision itself


def verdict(starts: list[int], ours: int, theirs: int) -> tuple[bool | None, int]:
    """What calls that start then say, and how many questions it takes."""
    asked = 0

    async def ask(search):
        nonlocal asked
        asked += 1
        inside = [start for start in starts if search.start <= start < search.end]
        return Page(len(inside), [Call(f"{start:x}", start, 100, 4, 0.0, ()) for start in inside])

    async def main():
        return await drive(is_other_right(Doubt(ours, theirs, 0.0, is_other_header=True), 100), ask)

    return run_virtually(main()), asked


NOW = DAWN_MS
MIN = 60_000


@pytest.mark.parametrize(
    ("starts", "ours", "theirs", "wanted"),
    [
        # minutes from the true present; the machine's clock, the Date
        ([-1], -180, 0, True),
        ([-60], -180, 0, True),
        ([-170], -180, 0, True),
        ([-179], -180, 0, False),
        ([-1], 180, 0, True),
        ([-80], 180, 0, True),
        ([-100], 180, 0, None),
        ([-1], 0, -180, False),
        ([-100], 0, -180, False),
        ([-1], 0, 180, False),
        ([-80], 0, 180, False),
        ([-100], 0, 180, None),
        ([-1], 0, 6, False),
        ([-1], 0, -6, False),
        ([-1], 6, 0, True),
        ([-1], -6, 0, True),
        ([], 0, 180, None),
        ([], 180, 0, None),
        ([-10_000], 180, 0, None),
        ([10_000], 180, 0, None),
    ],
)
def test_the_newest_start_decides(starts, ours, theirs, wanted):
    starts = [NOW + start * MIN for start in starts]
    found, asked = verdict(starts, NOW + ours * MIN, NOW + theirs * MIN)
    assert found is wanted
    assert asked <= 2


@settings(max_examples=200)
@given(
    st.integers(5 * MIN + 1, 48 * 60 * MIN) | st.integers(-48 * 60 * MIN, -5 * MIN - 1),
    st.booleans(),
    st.lists(st.integers(-48 * 60 * MIN, -2 * MIN), max_size=20),
)
def test_while_calls_begin_the_right_clock_wins(off, is_date_right, older):
    """Whatever calls there were before, and however far off the other clock is."""
    starts = [NOW + start for start in (*older, -MIN, -1000)]
    wrong, right = NOW + off, NOW
    ours, theirs = (wrong, right) if is_date_right else (right, wrong)
    assert verdict(starts, ours, theirs)[0] is is_date_right
