"""Who may ask while a token is refused, by plain values: moments are seconds, outbounds letters."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearl_exporter.api.token_breaker import MAX_BACKOFF_SECONDS, TokenBreaker, backoff_seconds

INTERVAL = 30.0


def shared_by(*outbounds: str, **intervals: float) -> TokenBreaker:
    breaker = TokenBreaker()
    breaker.share_among({**dict.fromkeys(outbounds, INTERVAL), **intervals})
    breaker.use("account:secret")
    return breaker


def is_held(breaker: TokenBreaker, outbound: str, now: float) -> bool:
    """Whether a poll of the outbound that falls due now is passed over."""
    return now < breaker.next_allowed_at(outbound)


def ask(breaker: TokenBreaker, outbound: str, at: float, *, page: bool) -> bool:
    """One poll, if it may be: it gets a page or a refusal; gives whether it asked."""
    if is_held(breaker, outbound, at):
        return False
    breaker.begin(outbound)
    asked = breaker.may_send(outbound)
    if asked and page:
        breaker.accepted(outbound)
    elif asked:
        breaker.refused(outbound, at)
    breaker.end(outbound)
    return asked


@pytest.mark.parametrize(
    ("interval", "times", "wanted"),
    [(30, 0, 30), (30, 1, 60), (30, 3, 240), (30, 4, 300), (30, 1000, 300), (600, 1, 600)],
)
def test_an_interval_doubles_up_to_five_minutes_or_itself(interval, times, wanted):
    assert backoff_seconds(interval, times) == wanted


def test_the_first_refusal_backs_off_only_its_outbound():
    breaker = shared_by("a", "b", "c")
    assert ask(breaker, "a", 0, page=False)
    assert not breaker.is_token_refused
    assert is_held(breaker, "a", 30)
    assert not is_held(breaker, "b", 10)
    assert breaker.interval("a") == 60
    assert breaker.interval("b") == INTERVAL


def test_a_second_outbound_s_refusal_opens_the_breaker():
    breaker = shared_by("a", "b", "c")
    breaker.refused("a", 0)
    assert breaker.refused("b", 10)
    assert breaker.is_token_refused
    assert all(is_held(breaker, each, 54.9) for each in "abc")
    assert {breaker.interval(each) for each in "abc"} == {60}


def test_the_same_outbound_twice_does_not_open_it():
    breaker = shared_by("a", "b")
    assert not breaker.refused("a", 0)
    assert not breaker.refused("a", 60)
    assert not breaker.is_token_refused
    assert breaker.interval("a") == 120


def test_the_only_outbound_s_refusal_opens_it():
    breaker = shared_by("a")
    assert breaker.refused("a", 0)
    assert breaker.is_token_refused


def test_while_one_outbound_probes_no_other_sends():
    breaker = shared_by("a", "b", "c")
    breaker.refused("a", 0)
    breaker.refused("b", 10)
    assert not is_held(breaker, "c", 60)
    breaker.begin("c")
    assert is_held(breaker, "a", 1000)
    assert not breaker.may_send("b")
    assert breaker.may_send("c")
    breaker.begin("b")
    assert not breaker.may_send("b")


def test_a_probe_without_an_answer_leaves_it_to_the_next():
    breaker = shared_by("a", "b", "c", "d")
    breaker.refused("a", 0)
    breaker.refused("b", 10)
    breaker.begin("c")
    breaker.end("c")
    assert not is_held(breaker, "d", 60)


def test_outbounds_that_have_not_probed_come_first():
    breaker = shared_by("a", "b", "c", "d")
    breaker.refused("a", 0)
    breaker.refused("b", 10)
    moment = breaker.next_at
    assert is_held(breaker, "a", moment + 1)
    assert not is_held(breaker, "c", moment + 1)


def test_an_outbound_that_is_rarely_due_is_not_waited_for():
    breaker = shared_by("a", "b", rare=86_400.0)
    breaker.refused("a", 0)
    breaker.refused("b", 10)
    assert not is_held(breaker, "a", breaker.next_at + INTERVAL)


def test_a_page_closes_the_breaker():
    breaker = shared_by("a", "b", "c")
    breaker.refused("a", 0)
    breaker.refused("b", 10)
    breaker.begin("c")
    assert breaker.accepted("c")
    assert not breaker.is_token_refused
    assert not any(is_held(breaker, each, 11) for each in "abc")
    assert not breaker.accepted("c")  # which it returns once


def test_a_refusal_while_others_get_pages_is_disproved():
    breaker = shared_by("a", "b", "c")
    breaker.refused("a", 0)
    breaker.accepted("b")
    breaker.refused("a", 60)
    assert not breaker.refused("c", 61)
    assert not breaker.is_token_refused


def test_a_page_makes_an_outbound_reliable_again():
    breaker = shared_by("a", "b", "c")
    breaker.refused("a", 0)
    breaker.accepted("b")
    breaker.accepted("a")
    breaker.refused("a", 60)
    assert breaker.refused("c", 61)


def test_if_all_are_refused_it_is_the_token():
    """Also those that were disproved."""
    breaker = shared_by("a", "b", "c")
    breaker.refused("a", 0)
    breaker.refused("b", 1)
    breaker.begin("c")
    breaker.accepted("c")
    assert not breaker.refused("a", 100)
    assert not breaker.refused("b", 101)
    assert breaker.refused("c", 102)


def test_a_page_ends_an_outbound_s_own_backoff():
    breaker = shared_by("a", "b")
    breaker.back_off("a", 0)
    breaker.back_off("a", 60)
    assert breaker.interval("a") == 120
    breaker.accepted("a")
    assert breaker.interval("a") == INTERVAL
    assert not is_held(breaker, "a", 61)


def test_another_token_or_configuration_closes_the_breaker():
    for change in (
        lambda breaker: breaker.use("account:new"),
        lambda breaker: breaker.share_among({"a": INTERVAL, "b": INTERVAL}),
    ):
        breaker = shared_by("a", "b")
        breaker.refused("a", 0)
        breaker.refused("b", 1)
        breaker.use("account:secret")
        assert is_held(breaker, "a", 2)
        change(breaker)
        assert not breaker.is_token_refused
        assert not is_held(breaker, "a", 2)


@given(st.lists(st.sampled_from([10.0, 30.0, 45.0, 600.0]), min_size=1, max_size=12))
def test_a_refused_token_is_probed_by_its_backoff(intervals):
    """Not more often, and it is never given up."""
    outbounds = {str(number): interval for number, interval in enumerate(intervals)}
    breaker = shared_by(**outbounds)
    shortest = min(intervals)
    due = sorted(
        (interval * (tick + place / len(intervals)), outbound)
        for place, (outbound, interval) in enumerate(outbounds.items())
        for tick in range(int(7200 / interval))
    )
    asked = []
    for at, outbound in due:
        was_refused, backoff = breaker.is_token_refused, breaker.interval(outbound)
        if ask(breaker, outbound, at, page=False) and was_refused:
            asked.append((at, backoff))
    longest = max(shortest, MAX_BACKOFF_SECONDS)
    for (before, _), (at, backoff) in pairwise(asked):
        assert at - before >= backoff - shortest / 2 - 1e-6
        assert at - before <= longest + 2 * shortest
    assert len(asked) >= 7200 / (longest + 2 * shortest) - 4


@pytest.mark.parametrize(("bad", "most_missed"), [("A", 0), ("AB", 2), ("ABC", 6)])
@given(data=st.data())
def test_foreign_outbounds_block_the_others_at_first_only(bad, most_missed, data):
    """Outbounds that are not the token's."""
    outbounds = data.draw(st.permutations([*bad, *"wxyz"]))
    breaker = shared_by(*outbounds)
    missed = dict.fromkeys("wxyz", 0)
    for tick in range(100):
        for place, outbound in enumerate(outbounds):
            asked = ask(breaker, outbound, tick * INTERVAL + place, page=outbound in missed)
            if outbound in missed and not asked:
                assert tick < 10
                missed[outbound] += 1
    assert max(missed.values()) <= most_missed
