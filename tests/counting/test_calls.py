"""What a call is: live or finished by its codes, when it ended, and the names of its codes."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearl_exporter.counting.calls import (
    CALL_STATUS_LABELS,
    FINISHED_CALL_STATUS_LABELS,
    FINISHED_STATUS_LABELS,
    STATUS_LABELS,
    Call,
    call_status_label,
    ended_at,
    is_answered,
    is_live,
    status_label,
)

# the two tables of the contract, written down a second time
OUTCOMES = {
    1: "new",
    10: "need_retry",
    20: "in_call_queue",
    30: "wrong_country_code",
    40: "on_call",
    70: "voice_mail_left",
    100: "success",
    110: "not_successful",
    130: "complete",
    150: "unreachable",
    220: "blacklisted",
    300: "queue_abandon",
    500: "error",
}
TELEPHONY = {
    3: "in_progress",
    4: "completed",
    5: "busy",
    6: "failed",
    7: "no_answer",
    8: "canceled",
}
UNKNOWN_OUTCOMES = (None, 0, 2, 3, 4, 8, 21, 99, 131, 501, -1)
UNKNOWN_TELEPHONY = (None, 0, 1, 2, 9, 20, 100, 999, -3)


def a_call(status: int | None = 130, call_status: int | None = 4, duration: float = 0.0) -> Call:
    return Call("c", 1_000_000, status, call_status, duration)


def is_live_by_the_contract(conversation_status: int | None, status: int | None) -> bool:
    """The contract's sentence, clause by clause."""
    if conversation_status in (1, 20, 40):
        return True
    if status == 3:
        return True
    unknown_or_null = conversation_status is None or conversation_status not in OUTCOMES
    return unknown_or_null and status not in (4, 5, 6, 7)


@pytest.mark.parametrize(
    ("status", "call_status"),
    [
        *itertools.product(
            (*OUTCOMES, *UNKNOWN_OUTCOMES),
            (*TELEPHONY, *UNKNOWN_TELEPHONY),
        )
    ],
)
def test_a_call_is_live_exactly_when_the_contract_says_so(status, call_status):
    expected = is_live_by_the_contract(status, call_status)
    assert is_live(a_call(status, call_status)) is expected


@pytest.mark.parametrize(
    ("status", "call_status", "live"),
    [
        (1, None, True),
        (20, 8, True),  # canceled was seen on calls that were still queued
        (40, 4, True),  # the conversation decides as well
        (130, 3, True),
        (130, 8, False),
        (130, None, False),
        (500, 999, False),
        (None, None, True),
        (None, 8, True),
        (None, 7, False),
        (999, 999, True),  # new live codes have appeared before
        (999, 4, False),
        (100, 100, False),
        (None, 100, True),
    ],
)
def test_examples_of_live_and_finished_calls(status, call_status, live):
    assert is_live(a_call(status, call_status)) is live


@given(st.none() | st.integers(), st.none() | st.integers())
def test_any_pair_of_codes_is_live_as_the_contract_says(status, call_status):
    expected = is_live_by_the_contract(status, call_status)
    assert is_live(a_call(status, call_status)) is expected


def test_duration_says_nothing_about_being_live():
    assert is_live(a_call(40, 3, duration=60.0))
    assert not is_live(a_call(130, 4, duration=0.0))


@pytest.mark.parametrize(("duration", "answered"), [(0.0, False), (0.001, True), (1.0, True)])
def test_a_call_was_answered_if_it_has_a_duration(duration, answered):
    assert is_answered(a_call(duration=duration)) is answered


@pytest.mark.parametrize(
    ("duration", "seen_live_at", "end"),
    [
        (0.0, None, 1_000_000),
        (90.0, None, 1_090_000),
        (0.25, None, 1_000_250),
        (90.0, 1_050_000, 1_090_000),
        (90.0, 1_090_000, 1_090_000),
        (90.0, 1_300_000, 1_300_000),  # time in a queue is not in the duration
        (0.0, 1_300_000, 1_300_000),
        (0.0, 0, 1_000_000),
    ],
)
def test_a_call_ended_not_before_it_was_last_seen_live(duration, seen_live_at, end):
    """It ended after its duration, or later."""
    assert ended_at(a_call(duration=duration), seen_live_at) == end


@given(
    st.floats(0, 31 * 86_400),
    st.none() | st.integers(0, 10**13),
)
def test_the_end_is_a_whole_instant_from_the_start_on(duration, seen_live_at):
    call = a_call(duration=duration)
    end = ended_at(call, seen_live_at)
    assert type(end) is int
    assert end >= call.start
    assert seen_live_at is None or end >= seen_live_at


def test_the_code_tables_are_the_contracts():
    assert dict(STATUS_LABELS) == OUTCOMES
    assert dict(CALL_STATUS_LABELS) == TELEPHONY


@pytest.mark.parametrize(
    ("code", "label"),
    [*OUTCOMES.items(), (None, "unknown"), (0, "unknown_0"), (41, "unknown_41"), (-1, "unknown_-1")]
    # telephony's codes mean nothing as an outcome
    + [(code, f"unknown_{code}") for code in TELEPHONY],
)
def test_an_outcome_is_named_by_its_table(code, label):
    assert status_label(code) == label


@pytest.mark.parametrize(
    ("code", "label"),
    [*TELEPHONY.items(), *OUTCOMES.items(), (None, "unknown"), (0, "unknown_0"), (9, "unknown_9")],
)
def test_a_telephony_state_is_named_by_both_tables(code, label):
    """Its own table comes first, then that of the outcomes."""
    assert call_status_label(code) == label


def test_a_settled_call_has_no_live_code():
    assert FINISHED_STATUS_LABELS == (
        "need_retry",
        "wrong_country_code",
        "voice_mail_left",
        "success",
        "not_successful",
        "complete",
        "unreachable",
        "blacklisted",
        "queue_abandon",
        "error",
    )
    assert FINISHED_CALL_STATUS_LABELS == ("completed", "busy", "failed", "no_answer", "canceled")
