"""Who may ask while a token is refused, by plain values: moments are seconds, outbounds letters."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearl_exporter.api.token_breaker import LONGEST_BACKOFF_SECONDS, Refusals, doubled

INTERVAL = 30.0


def shared_by(*outbounds: str, **intervals: float) -> Refusals:
    refusals = Refusals()
    refusals.share_among({**dict.fromkeys(outbounds, INTERVAL), **intervals})
    refusals.use("account:secret")
    return refusals


def ask(refusals: Refusals, outbound: str, at: float, *, page: bool) -> bool:
    """One poll, if it may be: it gets a page or a refusal; gives whether it asked."""
    if refusals.is_held(outbound, at):
        return False
    refusals.begin(outbound)
    asked = refusals.admits(outbound)
    if asked and page:
        refusals.accepted(outbound)
    elif asked:
        refusals.refused(outbound, at)
    refusals.end(outbound)
    return asked


@pytest.mark.parametrize(
    ("interval", "times", "wanted"),
    [(30, 0, 30), (30, 1, 60), (30, 3, 240), (30, 4, 300), (30, 1000, 300), (600, 1, 600)],
)
def test_an_interval_doubles_up_to_five_minutes_or_itself(interval, times, wanted):
    assert doubled(interval, times) == wanted


def test_the_first_refusal_is_held_against_the_outbound_alone():
    refusals = shared_by("a", "b", "c")
    assert ask(refusals, "a", 0, page=False)
    assert not refusals.is_token_refused
    assert refusals.is_held("a", 30)
    assert not refusals.is_held("b", 10)
    assert refusals.interval("a") == 60
    assert refusals.interval("b") == INTERVAL


def test_a_second_outbound_s_refusal_condemns_the_token():
    refusals = shared_by("a", "b", "c")
    refusals.refused("a", 0)
    assert refusals.refused("b", 10)
    assert refusals.is_token_refused
    assert all(refusals.is_held(each, 54.9) for each in "abc")
    assert {refusals.interval(each) for each in "abc"} == {60}


def test_the_same_outbound_twice_does_not():
    refusals = shared_by("a", "b")
    assert not refusals.refused("a", 0)
    assert not refusals.refused("a", 60)
    assert not refusals.is_token_refused
    assert refusals.interval("a") == 120


def test_the_only_outbound_s_refusal_does():
    refusals = shared_by("a")
    assert refusals.refused("a", 0)
    assert refusals.is_token_refused


def test_while_one_tries_nobody_else_asks():
    refusals = shared_by("a", "b", "c")
    refusals.refused("a", 0)
    refusals.refused("b", 10)
    assert not refusals.is_held("c", 60)
    refusals.begin("c")
    assert refusals.is_held("a", 1000)
    assert not refusals.admits("b")
    assert refusals.admits("c")
    refusals.begin("b")
    assert not refusals.admits("b")


def test_one_whose_try_ends_without_an_answer_leaves_the_place_to_the_next():
    refusals = shared_by("a", "b", "c", "d")
    refusals.refused("a", 0)
    refusals.refused("b", 10)
    refusals.begin("c")
    refusals.end("c")
    assert not refusals.is_held("d", 60)


def test_those_it_was_not_tried_with_come_first():
    refusals = shared_by("a", "b", "c", "d")
    refusals.refused("a", 0)
    refusals.refused("b", 10)
    moment = refusals.next_at
    assert refusals.is_held("a", moment + 1)
    assert not refusals.is_held("c", moment + 1)


def test_one_that_falls_due_rarely_is_not_waited_for():
    refusals = shared_by("a", "b", rare=86_400.0)
    refusals.refused("a", 0)
    refusals.refused("b", 10)
    assert not refusals.is_held("a", refusals.next_at + INTERVAL)


def test_a_page_frees_all():
    refusals = shared_by("a", "b", "c")
    refusals.refused("a", 0)
    refusals.refused("b", 10)
    refusals.begin("c")
    assert refusals.accepted("c")
    assert not refusals.is_token_refused
    assert not any(refusals.is_held(each, 11) for each in "abc")
    assert not refusals.accepted("c")  # which is told once


def test_a_refusal_while_others_get_pages_proves_nothing_about_the_token_later():
    refusals = shared_by("a", "b", "c")
    refusals.refused("a", 0)
    refusals.accepted("b")
    refusals.refused("a", 60)
    assert not refusals.refused("c", 61)
    assert not refusals.is_token_refused


def test_but_once_it_had_a_page_again_it_does():
    refusals = shared_by("a", "b", "c")
    refusals.refused("a", 0)
    refusals.accepted("b")
    refusals.accepted("a")
    refusals.refused("a", 60)
    assert refusals.refused("c", 61)


def test_where_all_are_refused_it_is_the_token_whatever_was_before():
    refusals = shared_by("a", "b", "c")
    refusals.refused("a", 0)
    refusals.refused("b", 1)
    refusals.begin("c")
    refusals.accepted("c")
    assert not refusals.refused("a", 100)
    assert not refusals.refused("b", 101)
    assert refusals.refused("c", 102)


def test_a_page_pardons_an_outbound_s_own_refusals():
    refusals = shared_by("a", "b")
    refusals.hold("a", 0)
    refusals.hold("a", 60)
    assert refusals.interval("a") == 120
    refusals.accepted("a")
    assert refusals.interval("a") == INTERVAL
    assert not refusals.is_held("a", 61)


def test_another_token_and_another_configuration_forget_all():
    for change in (
        lambda refusals: refusals.use("account:new"),
        lambda refusals: refusals.share_among({"a": INTERVAL, "b": INTERVAL}),
    ):
        refusals = shared_by("a", "b")
        refusals.refused("a", 0)
        refusals.refused("b", 1)
        refusals.use("account:secret")
        assert refusals.is_held("a", 2)
        change(refusals)
        assert not refusals.is_token_refused
        assert not refusals.is_held("a", 2)


@given(st.lists(st.sampled_from([10.0, 30.0, 45.0, 600.0]), min_size=1, max_size=12))
def test_a_refused_token_is_tried_no_oftener_than_its_backoff_and_never_given_up(intervals):
    outbounds = {str(number): interval for number, interval in enumerate(intervals)}
    refusals = shared_by(**outbounds)
    shortest = min(intervals)
    due = sorted(
        (interval * (tick + place / len(intervals)), outbound)
        for place, (outbound, interval) in enumerate(outbounds.items())
        for tick in range(int(7200 / interval))
    )
    asked = []
    for at, outbound in due:
        was_refused, backoff = refusals.is_token_refused, refusals.interval(outbound)
        if ask(refusals, outbound, at, page=False) and was_refused:
            asked.append((at, backoff))
    longest = max(shortest, LONGEST_BACKOFF_SECONDS)
    for (before, _), (at, backoff) in pairwise(asked):
        assert at - before >= backoff - shortest / 2 - 1e-6
        assert at - before <= longest + 2 * shortest
    assert len(asked) >= 7200 / (longest + 2 * shortest) - 4


@pytest.mark.parametrize(("bad", "most_missed"), [("A", 0), ("AB", 2), ("ABC", 6)])
@given(data=st.data())
def test_outbounds_that_are_none_of_the_token_s_hold_the_others_back_at_the_beginning_at_most(
    bad, most_missed, data
):
    outbounds = data.draw(st.permutations([*bad, *"wxyz"]))
    refusals = shared_by(*outbounds)
    missed = dict.fromkeys("wxyz", 0)
    for tick in range(100):
        for place, outbound in enumerate(outbounds):
            asked = ask(refusals, outbound, tick * INTERVAL + place, page=outbound in missed)
            if outbound in missed and not asked:
                assert tick < 10
                missed[outbound] += 1
    assert max(missed.values()) <= most_missed
