"""How often the API may be asked: five promises of one limiter, on a loop whose time is made up."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Coroutine
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearl_exporter.api.limiter import (
    MAX_PAUSE_SECONDS,
    MIN_SHARE,
    Limiter,
    LimiterTimeoutError,
)
from tests.support.virtual_time import run_virtually

pytestmark = pytest.mark.virtual_time

FOREVER = 1e9
FAST = 1000.0
"""A rate that lets the other promises be seen alone."""


class Asker:
    """Asks a limiter for slots, and notes which key had one when; seconds since it began."""

    def __init__(self, limiter: Limiter) -> None:
        self.limiter = limiter
        self.slots: list[tuple[float, str]] = []
        self.in_flight: Counter[str] = Counter()
        self.most_in_flight = 0
        self.began = self._clock()

    def _clock(self) -> float:
        return asyncio.get_running_loop().time()

    @property
    def now(self) -> float:
        return self._clock() - self.began

    @property
    def times(self) -> list[float]:
        return [when for when, _ in self.slots]

    @property
    def keys(self) -> list[str]:
        return [key for _, key in self.slots]

    async def ask(self, key: str = "a", takes: float = 0.0, deadline: float = FOREVER) -> None:
        async with self.limiter.slot(key, deadline):
            self.slots.append((self.now, key))
            self.in_flight[key] += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight.total())
            try:
                await asyncio.sleep(takes)
            finally:
                self.in_flight[key] -= 1

    async def ask_again_and_again(self, key: str, takes: float, until: float) -> None:
        while self.now < until:
            await self.ask(key, takes)
            self.limiter.succeeded()


def start(*coroutines: Coroutine[object, object, None]) -> list[asyncio.Task[None]]:
    return [asyncio.ensure_future(each) for each in coroutines]


# --- requests a second


async def test_slots_are_spaced_by_the_rate():
    asker = Asker(Limiter(2.0, 64))
    await asyncio.gather(*(asker.ask() for _ in range(10)))
    assert asker.times == pytest.approx([0.5 * slot for slot in range(10)], abs=0.03)


async def test_idle_time_is_not_saved_up_for_a_burst():
    asker = Asker(Limiter(2.0, 64))
    await asker.ask()
    await asyncio.sleep(600)
    await asyncio.gather(*(asker.ask() for _ in range(4)))
    assert asker.times[1:] == pytest.approx([600, 600.5, 601, 601.5], abs=0.07)


async def test_a_free_limiter_gives_a_slot_at_once():
    asker = Asker(Limiter(0.1, 1))
    await asker.ask(deadline=0.0)
    assert asker.times == [0.0]


@given(
    st.floats(0.1, 50),
    st.lists(st.tuples(st.floats(0, 5), st.floats(0, 2)), min_size=2, max_size=12),
    st.integers(1, 4),
)
def test_no_span_holds_more_slots_than_the_rate_allows(rate, requests, places):
    async def main() -> list[float]:
        asker = Asker(Limiter(rate, places))

        async def later(delay: float, takes: float) -> None:
            await asyncio.sleep(delay)
            await asker.ask(takes=takes)

        await asyncio.gather(*(later(*request) for request in requests))
        assert asker.most_in_flight <= places
        return asker.times

    times = run_virtually(main())
    assert len(times) == len(requests)
    for first in range(len(times)):
        for last in range(first + 1, len(times)):
            # 20 ms of leeway, since timers are no finer
            assert times[last] - times[first] + 0.021 >= (last - first) / rate


# --- requests in flight


@pytest.mark.parametrize("places", [1, 2, 5])
async def test_no_more_are_in_flight_than_configured(places):
    asker = Asker(Limiter(FAST, places))
    await asyncio.gather(*(asker.ask(f"o{number}", takes=1.0) for number in range(11)))
    assert asker.most_in_flight == places
    assert asker.now == pytest.approx(-(-11 // places), abs=0.1)


async def test_a_slot_is_given_back_when_the_request_fails():
    asker = Asker(Limiter(FAST, 1))

    async def break_off() -> None:
        async with asker.limiter.slot("a", FOREVER):
            raise OSError

    for _ in range(3):
        with pytest.raises(OSError):
            await break_off()
    await asker.ask(deadline=1.0)


async def test_a_slot_is_given_back_when_the_request_is_cancelled():
    asker = Asker(Limiter(FAST, 1))
    holder, waiter = start(asker.ask("a", takes=FOREVER), asker.ask("b"))
    await asyncio.sleep(5)
    holder.cancel()
    await waiter
    assert asker.slots == [(0.0, "a"), (5.0, "b")]


# --- AIMD


async def test_a_429_halves_the_rate_once_for_all_sent_before():
    limiter = Limiter(8.0, 4)
    sent = asyncio.get_running_loop().time()
    await asyncio.sleep(1)
    for _ in range(4):  # the answers of one round
        limiter.slow_down(sent)
    assert limiter.rate == 4.0
    sent = asyncio.get_running_loop().time() + 0.1
    await asyncio.sleep(1)
    limiter.slow_down(sent)
    assert limiter.rate == 2.0


async def test_the_rate_never_falls_to_nothing():
    limiter = Limiter(2.0, 1)
    for _ in range(50):
        sent = asyncio.get_running_loop().time()
        await asyncio.sleep(1)
        limiter.slow_down(sent)
    assert limiter.rate == 2.0 * MIN_SHARE
    asker = Asker(limiter)
    await asyncio.gather(asker.ask(), asker.ask())
    assert asker.times[1] == pytest.approx(1 / (2.0 * MIN_SHARE), abs=0.03)


async def test_the_rate_grows_back_up_to_the_configured_one():
    limiter = Limiter(2.0, 1)
    limiter.slow_down(asyncio.get_running_loop().time())
    rates = [limiter.rate]
    for _ in range(15):
        limiter.succeeded()
        rates.append(limiter.rate)
    assert rates[:3] == pytest.approx([1.0, 1.1, 1.2])
    assert rates[10:] == pytest.approx([2.0] * 6)
    assert max(rates) <= 2.0


async def test_a_refusal_without_a_429_leaves_the_rate():
    limiter = Limiter(2.0, 1)
    limiter.slow_down(asyncio.get_running_loop().time())
    limiter.answered()
    assert limiter.rate == 1.0


async def test_a_reduced_rate_spaces_the_next_slots():
    asker = Asker(Limiter(2.0, 64))
    asker.limiter.slow_down(asyncio.get_running_loop().time())
    await asyncio.gather(*(asker.ask() for _ in range(4)))
    assert asker.times == pytest.approx([0, 1, 2, 3], abs=0.03)


# --- pauses


async def test_a_pause_is_for_all_and_the_rate_holds_after_it():
    asker = Asker(Limiter(2.0, 64))
    tasks = start(*(asker.ask(f"o{number}") for number in range(5)))
    await asyncio.sleep(0.6)
    assert len(asker.slots) == 2
    asker.limiter.pause(30.0)
    assert asker.limiter.rate == 0.0
    assert asker.limiter.paused_for == pytest.approx(30.0)
    await asyncio.gather(*tasks)
    assert asker.times[2:] == pytest.approx([30.6, 31.1, 31.6], abs=0.03)
    assert asker.limiter.rate == 2.0
    assert asker.limiter.paused_for == 0.0


async def test_of_two_pauses_the_one_that_ends_later_counts():
    asker = Asker(Limiter(2.0, 1))
    asker.limiter.pause(50.0)
    asker.limiter.pause(5.0)
    assert asker.limiter.paused_for == 50.0
    await asyncio.sleep(40)
    asker.limiter.pause(20.0)
    await asker.ask()
    assert asker.times == [60.0]


@pytest.mark.parametrize("seconds", [MAX_PAUSE_SECONDS + 1, 86_400.0, 1e300, float("inf")])
async def test_a_pause_is_capped(seconds):
    asker = Asker(Limiter(2.0, 1))
    asker.limiter.pause(seconds)
    await asker.ask()
    assert asker.times == [MAX_PAUSE_SECONDS]


async def test_requests_in_flight_go_on_in_a_pause():
    asker = Asker(Limiter(FAST, 2))
    (task,) = start(asker.ask(takes=3.0))
    await asyncio.sleep(1)
    asker.limiter.pause(100.0)
    await task
    assert asker.now == 3.0


# --- fairness


async def test_a_greedy_outbound_waits_for_the_others():
    asker = Asker(Limiter(1.0, 1))
    greedy = start(*(asker.ask("greedy") for _ in range(20)))
    await asyncio.sleep(3.5)
    modest = start(asker.ask("modest"), asker.ask("other"))
    await asyncio.gather(*greedy, *modest)
    assert asker.keys[:4] == ["greedy"] * 4
    assert sorted(asker.keys[4:6]) == ["modest", "other"]
    assert asker.keys[6:] == ["greedy"] * 16


async def test_outbounds_that_ask_equally_are_served_equally():
    asker = Asker(Limiter(10.0, 2))
    await asyncio.gather(
        *(asker.ask_again_and_again(key, 0.15, until=30.0) for key in ("a", "b", "c"))
    )
    served = Counter(asker.keys)
    assert max(served.values()) - min(served.values()) <= 1


async def test_requests_of_one_outbound_are_served_in_their_order():
    asker = Asker(Limiter(1.0, 1))
    done: list[int] = []

    async def ask(number: int) -> None:
        await asker.ask()
        done.append(number)

    await asyncio.gather(*(ask(number) for number in range(6)))
    assert done == list(range(6))


async def test_a_forgotten_outbound_is_served_as_a_new_one():
    asker = Asker(Limiter(1.0, 1))
    await asker.ask("a")
    await asker.ask("b")
    asker.limiter.forget("b")
    asker.limiter.forget("never seen")
    await asyncio.gather(asker.ask("a"), asker.ask("b"))
    assert asker.keys == ["a", "b", "b", "a"]


# --- slow outbounds


def waits_of(asker: Asker, key: str) -> list[float]:
    times = [when for when, who in asker.slots if who == key]
    return [later - earlier for earlier, later in pairwise(times)]


@pytest.mark.parametrize(
    ("places", "slow", "fast"), [(2, 1, 3), (2, 2, 3), (2, 2, 2), (2, 3, 3), (3, 3, 4), (4, 6, 7)]
)
async def test_known_slow_outbounds_never_take_the_last_slot(places, slow, fast):
    asker = Asker(Limiter(FAST, places))
    most_slow = 0

    async def watch() -> None:
        nonlocal most_slow
        await asyncio.sleep(60)
        while asker.now < 300:
            slow_ones = sum(count for key, count in asker.in_flight.items() if key[0] == "s")
            most_slow = max(most_slow, slow_ones)
            await asyncio.sleep(0.25)

    await asyncio.gather(
        *(asker.ask_again_and_again(f"s{each}", 20.0, until=300) for each in range(slow)),
        *(asker.ask_again_and_again(f"f{each}", 0.1, until=300) for each in range(fast)),
        watch(),
    )
    assert most_slow == min(slow, places - 1)
    late = [when for when, key in asker.slots if key == "f0" and when > 60]
    longest = max(b - a for a, b in pairwise(late))
    assert longest < 0.1 * fast + 0.5  # nobody fast waits for a slow one
    for each in range(slow):  # and no slow one is starved
        assert len(waits_of(asker, f"s{each}")) >= 280 * (places - 1) // (20 * slow) - 2


async def test_if_all_are_slow_all_slots_are_used():
    asker = Asker(Limiter(FAST, 3))
    await asyncio.gather(
        *(asker.ask_again_and_again(f"o{each}", 20.0, until=200) for each in range(5))
    )
    assert len(asker.slots) >= 200 // 20 * 3


async def test_the_only_slot_is_for_slow_outbounds_too():
    asker = Asker(Limiter(FAST, 1))
    await asyncio.gather(
        asker.ask_again_and_again("slow", 20.0, until=100),
        asker.ask_again_and_again("fast", 0.1, until=100),
    )
    assert Counter(asker.keys)["slow"] == 5


async def test_one_slow_outbound_alone_is_served():
    asker = Asker(Limiter(FAST, 2))
    for key in ("fast", "fast2", "slow"):
        await asker.ask(key, takes=30.0 if key == "slow" else 0.1)
    await asyncio.gather(asker.ask("slow", takes=30.0), asker.ask("slow", takes=30.0))
    assert asker.most_in_flight == 1  # the second waits, and is woken when the first is back
    assert len(asker.slots) == 5


# --- timeouts


async def test_without_progress_a_waiter_times_out():
    asker = Asker(Limiter(FAST, 1))
    (holder,) = start(asker.ask("hung", takes=1000.0))
    await asyncio.sleep(10)
    with pytest.raises(TimeoutError):
        await asker.ask("a", deadline=60.0)
    assert asker.now == 70.0
    holder.cancel()


async def test_a_moving_queue_is_waited_for_without_limit():
    asker = Asker(Limiter(FAST, 1))

    async def slow_but_well(number: int) -> None:
        await asker.ask(f"o{number}", takes=50.0)
        asker.limiter.succeeded()

    others = start(*(slow_but_well(number) for number in range(20)))
    await asyncio.sleep(0)
    await asker.ask("last", deadline=60.0)
    assert asker.now == pytest.approx(1000.0, abs=0.1)
    await asyncio.gather(*others)


async def test_a_refusal_moves_the_queue_as_well():
    asker = Asker(Limiter(0.1, 1))

    async def refused(number: int) -> None:
        await asker.ask(f"o{number}")
        asker.limiter.answered()

    others = start(*(refused(number) for number in range(20)))
    await asyncio.sleep(0)
    await asker.ask("last", deadline=15.0)
    assert asker.now == pytest.approx(200.0, abs=1)
    await asyncio.gather(*others)


async def test_the_timeout_counts_from_the_last_progress():
    asker = Asker(Limiter(FAST, 1))
    (holder,) = start(asker.ask("hung", takes=1000.0))
    await asyncio.sleep(0)
    (waiter,) = start(asker.ask("a", deadline=60.0))
    await asyncio.sleep(40)
    asker.limiter.succeeded()
    with pytest.raises(LimiterTimeoutError):
        await waiter
    assert asker.now == 100.0
    holder.cancel()


async def test_progress_before_the_wait_does_not_count():
    asker = Asker(Limiter(FAST, 1))
    asker.limiter.succeeded()
    asker.limiter.pause(200.0)
    with pytest.raises(LimiterTimeoutError):
        await asker.ask(deadline=7.0)
    assert asker.now == 7.0


async def test_a_waiter_that_timed_out_is_skipped():
    asker = Asker(Limiter(FAST, 1))
    holder, hasty, patient = start(
        asker.ask("a", takes=10.0), asker.ask("b", deadline=5.0), asker.ask("c")
    )
    await asyncio.gather(holder, patient)
    assert isinstance(hasty.exception(), LimiterTimeoutError)
    assert asker.slots == [(0.0, "a"), (10.0, "c")]


async def test_every_wait_is_observed_however_it_ended():
    waits: list[float] = []
    asker = Asker(Limiter(FAST, 1, on_wait=waits.append))
    holder, hasty, cancelled, patient = start(
        asker.ask("a", takes=10.0),
        asker.ask("b", deadline=5.0),
        asker.ask("c"),
        asker.ask("d"),
    )
    await asyncio.sleep(7)
    cancelled.cancel()
    await asyncio.wait([holder, hasty, cancelled, patient])
    assert waits == pytest.approx([0.0, 5.0, 7.0, 10.0])


# --- cancelled waiters


async def test_a_waiter_cancelled_after_its_slot_gives_it_back():
    """Both in one iteration of the loop."""
    asker = Asker(Limiter(FAST, 1))

    async def hold_and_cancel() -> None:
        await asker.ask("a", takes=10.0)
        cancelled.cancel()  # it has its slot, but has not run since

    _, cancelled, patient = start(hold_and_cancel(), asker.ask("b"), asker.ask("c", deadline=20.0))
    await patient
    assert cancelled.cancelled()
    assert asker.keys == ["a", "c"]


async def test_a_slot_given_after_the_cancellation_is_given_back():
    """Both in one iteration of the loop."""
    asker = Asker(Limiter(FAST, 1))

    async def cancel_and_make_way() -> None:
        async with asker.limiter.slot("a", FOREVER):
            await asyncio.sleep(10.0)
            cancelled.cancel()

    holder, cancelled, patient = start(
        cancel_and_make_way(), asker.ask("b"), asker.ask("c", deadline=20.0)
    )
    await asyncio.gather(holder, patient)
    assert cancelled.cancelled()
    assert asker.keys == ["c"]


EVENTS = st.lists(
    st.fixed_dictionaries(
        {
            "key": st.sampled_from("abcd"),
            "at": st.integers(0, 20),
            "takes": st.sampled_from([0, 0, 1, 3, 30]),
            "ends": st.sampled_from(["well", "well", "429", "refused", "pause", "breaks"]),
            "cancelled_after": st.none() | st.integers(0, 20),
            "deadline": st.sampled_from([FOREVER, FOREVER, 0, 2, 10]),
        }
    ),
    max_size=25,
)


@given(EVENTS, st.integers(1, 4), st.sampled_from([0.5, 1.0, 2.0, FAST]))
def test_no_slot_is_lost_and_no_waiter_forgotten(events, places, rate):
    """Whatever happens."""

    async def main() -> None:
        limiter = Limiter(rate, places)
        asker = Asker(limiter)
        ends: dict[str, int] = defaultdict(int)

        async def live(event: dict[str, object]) -> None:
            await asyncio.sleep(event["at"])
            sent = asyncio.get_running_loop().time()
            try:
                await asker.ask(event["key"], event["takes"], event["deadline"])
            except TimeoutError:
                assert event["deadline"] != FOREVER
                ends["gave up"] += 1
                raise
            match event["ends"]:
                case "well":
                    limiter.succeeded()
                case "429":
                    limiter.slow_down(sent)
                case "refused":
                    limiter.answered()
                case "pause":
                    limiter.pause(5.0)

        async def live_until_cancelled(event: dict[str, object]) -> None:
            (task,) = start(live(event))
            if event["cancelled_after"] is not None:
                await asyncio.wait([task], timeout=event["at"] + event["cancelled_after"])
                task.cancel()
            with suppress(TimeoutError, asyncio.CancelledError):
                await task
                ends["well"] += 1

        await asyncio.gather(*(live_until_cancelled(event) for event in events))
        undisturbed = [
            event
            for event in events
            if event["cancelled_after"] is None and event["deadline"] == FOREVER
        ]
        assert ends["well"] >= len(undisturbed)
        assert asker.most_in_flight <= places
        assert asker.in_flight.total() == 0
        # as many requests as there are places fit in at once: none was lost
        before = asker.now
        limiter.forget("a")
        hold = start(*(asker.ask(f"new{each}", takes=10_000.0) for each in range(places)))
        await asyncio.sleep(5_000)
        assert asker.in_flight.total() == places
        for task in hold:
            task.cancel()
        await asyncio.wait(hold)
        assert asker.now > before

    run_virtually(main())


async def test_the_longer_pause_outlives_its_limiter():
    old, new = Limiter(FAST, 1), Limiter(FAST, 1)
    old.pause(20)
    new.pause(30)
    new.resume_from(old)
    assert new.paused_for == pytest.approx(30)
    old.pause(50)
    new.resume_from(old)
    assert new.paused_for == pytest.approx(50)


@pytest.mark.parametrize(("rate", "kept"), [(8.0, 2.0), (9.0, 9.0), (4.0, 4.0)])
async def test_a_reduced_rate_outlives_its_limiter(rate, kept):
    """If the configured rate is the same."""
    old, new = Limiter(8.0, 1), Limiter(rate, 1)
    for sent_at in (0, asyncio.get_running_loop().time()):
        old.slow_down(sent_at)
    new.resume_from(old)
    assert new.rate == kept
    new.slow_down(0)  # an answer to what was sent before the rate was last halved
    assert new.rate == (kept if rate == 8.0 else kept / 2)
    new.succeeded()
    assert new.rate > kept / 2
