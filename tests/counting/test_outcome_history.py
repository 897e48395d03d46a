"""The history of outcomes: what settled in which step, and where nobody looked."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearl_exporter.counting.outcome_history import MAX_STEPS, STEP_MS, OutcomeHistory

T = 5_000_000 * STEP_MS


NOTHING = OutcomeHistory()


def told(*polls, history=NOTHING):
    """The history after polls: moment in steps, calls, seamless."""
    for at, calls, is_contiguous in polls:
        history = history.counted(calls, T + round(at * STEP_MS), is_contiguous=is_contiguous)
    return history


def shown(history):
    return [((each.start - T) // STEP_MS, each.calls) for each in history.steps()]


def test_the_calls_of_one_step_add_up():
    history = told((0, {"success": 2}, False), (0.5, {"success": 1, "error": 1}, True))
    assert shown(history) == [(0, {"success": 3, "error": 1})]


def test_a_step_in_which_nothing_settled_is_zero_and_one_that_nobody_looked_at_is_a_gap():
    assert shown(told((0, {"error": 1}, False), (3, {"error": 2}, True))) == [
        (0, {"error": 1}),
        (1, {}),
        (2, {}),
        (3, {"error": 2}),
    ]
    assert shown(told((0, {"error": 1}, False), (3, {}, False))) == [
        (0, {"error": 1}),
        (1, None),
        (2, None),
        (3, {}),
    ]


def test_the_next_step_needs_no_poll_between():
    assert shown(told((0.9, {}, False), (1.1, {}, False))) == [(0, {}), (1, {})]


def test_only_the_last_hours_are_kept():
    history = told(*((at, {"success": at}, True) for at in range(1, 200)))
    steps = shown(history)
    assert len(steps) == MAX_STEPS
    assert steps[0] == (200 - MAX_STEPS, {"success": 200 - MAX_STEPS})
    assert steps[-1] == (199, {"success": 199})
    ((number, calls),) = shown(told((10_000, {"error": 1}, True), history=history))
    assert (number, calls["error"], calls["success"]) == (10_000, 1, 0)


@pytest.mark.parametrize(("back_to", "left"), [(1, [(0, {"error": 1}), (1, {"error": 4})])])
def test_when_the_time_polled_for_steps_back_so_does_the_history(back_to, left):
    history = told(*((at, {"error": at + 1}, True) for at in range(4)))
    assert shown(told((back_to, {"error": 2}, True), history=history)) == left
    assert shown(told((-900, {}, True), history=history)) == [(-900, {})]


@given(
    st.lists(
        st.tuples(
            st.integers(-3, 100),
            st.dictionaries(st.sampled_from("abcd"), st.integers(0, 9)),
            st.booleans(),
        )
    )
)
def test_what_is_saved_is_what_was_told(polls):
    history = told(*polls)
    assert len(history.counts) <= MAX_STEPS
    saved = msgspec.msgpack.encode(history)
    assert msgspec.msgpack.decode(saved, type=OutcomeHistory) == history


@given(
    st.lists(
        st.tuples(
            st.integers(0, MAX_STEPS - 1),
            st.dictionaries(st.sampled_from("abcd"), st.integers(0, 9)),
            st.booleans(),
        )
    )
)
def test_within_the_hours_kept_every_call_is_there_once(polls):
    polls.sort(key=lambda each: each[0])
    steps = told(*polls).steps()
    assert sum(sum(each.calls.values()) for each in steps if each.calls) == sum(
        sum(calls.values()) for _, calls, _ in polls
    )
