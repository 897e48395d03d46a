"""What the platform says of itself, decoded: nothing is promised, and nothing may be guessed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearl_exporter.api.decode_platform import (
    Account,
    ListedOutbound,
    Listing,
    decode_account,
    decode_listing,
    is_running,
)
from pearl_exporter.errors import BadResponseError

ID = "65f1c0ffee"
GOOD = {"id": ID, "name": "spring", "status": 1, "totalAgents": 4, "created": "2026-11-01"}
LISTED = ListedOutbound(ID, "spring", 1)

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    ("answer", "listing"),
    [
        ([GOOD], Listing((LISTED,))),
        ([], Listing(())),
        ({"results": [GOOD]}, Listing((LISTED,))),
        ({"count": 1, "results": [GOOD]}, Listing((LISTED,))),
        ({"count": 0, "results": None}, Listing(())),
        ({"count": 250, "results": [GOOD]}, Listing((LISTED,), not_listed=249)),
        ([GOOD, {**GOOD, "name": "again", "status": 2}], Listing((LISTED,))),
        ([GOOD, None, 7, [], {}, {"id": None}, {"id": 4711}], Listing((LISTED,), unusable=6)),
        ([GOOD, {"id": "../Account"}, {"id": ".."}, {"id": ""}], Listing((LISTED,), unusable=3)),
        ([{**GOOD, "name": None}], Listing((ListedOutbound(ID, "", 1),))),
        ([{**GOOD, "name": 7}], Listing((ListedOutbound(ID, "", 1),))),
        ([{**GOOD, "name": "x" * 1001}], Listing((ListedOutbound(ID, "", 1),))),
        ([{**GOOD, "name": "\ud800"}], Listing((ListedOutbound(ID, "", 1),))),
        ([{**GOOD, "name": " spring \n"}], Listing((LISTED,))),
        ([{"id": ID, "name": "spring"}], Listing((ListedOutbound(ID, "spring"),))),
        ([{**GOOD, "status": "Running"}], Listing((ListedOutbound(ID, "spring"),))),
        ([{**GOOD, "status": True}], Listing((ListedOutbound(ID, "spring"),))),
        ([{**GOOD, "status": 2.0}], Listing((ListedOutbound(ID, "spring", 2),))),
        ([{**GOOD, "status": 77}], Listing((ListedOutbound(ID, "spring", 77),))),
        ([{**GOOD, "status": 10**30}], Listing((ListedOutbound(ID, "spring"),))),
    ],
)
def test_a_list_of_outbounds_is_read_in_whatever_form(answer, listing):
    assert decode_listing(encoded(answer)) == listing


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not JSON"),
        (b"<html>", "not JSON"),
        (b'[{"id": "65f1c0', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"null", "not a list of outbounds"),
        (b"17", "not a list of outbounds"),
        (b'{"error": {"message": "+15125550142"}}', "not a list of outbounds"),
        (b'{"results": 7}', "not a list of outbounds"),
        (encoded([{"_id": ID}, {"_id": "b"}]), "2 outbounds, none with a usable id"),
    ],
)
def test_what_is_no_list_is_no_answer_and_not_an_empty_list(body, said):
    with pytest.raises(BadResponseError, match=said) as refused:
        decode_listing(body)
    assert "5125550142" not in str(refused.value)


@pytest.mark.parametrize(
    ("status", "runs"),
    [(1, True), (2, False), (3, False), (10, False), (0, None), (77, None), (None, None)],
)
def test_only_a_documented_status_says_whether_it_runs(status, runs):
    assert is_running(status) is runs


@pytest.mark.parametrize(
    ("answer", "account"),
    [
        ({"name": "Acme", "creditBalance": 12.5, "status": 1, "totalAgents": 4}, (12.5, 1, 4)),
        ({"creditBalance": -3, "status": None}, (-3.0, None, None)),
        ({"creditBalance": "12", "status": "full", "totalAgents": 4.0}, (None, None, 4)),
        ({"creditBalance": 10**400, "totalAgents": 1}, (None, None, 1)),
        ({"creditBalance": float("nan"), "totalAgents": 1}, (None, None, 1)),
        ({"creditBalance": True, "totalAgents": 1}, (None, None, 1)),
        ({"creditBalance": -3.5, "totalAgents": -1}, (-3.5, None, None)),
    ],
)
def test_an_account_is_read_field_by_field(answer, account):
    assert decode_account(encoded(answer)) == Account(*account)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"status": 400, "title": "Bad"}', b"null"])
def test_what_is_no_account_is_no_answer(body):
    with pytest.raises(BadResponseError):
        decode_account(body)


@pytest.mark.parametrize(
    ("status", "label"),
    [(1, "full_access"), (5, "debt_reached"), (9, "unknown_9"), (-1, "unknown_-1")],
)
def test_the_status_is_a_state_set(status, label):
    states = Account(status=status).statuses
    assert [each for each, is_it in states.items() if is_it] == [label]
    known = {"full_access", "limited", "no_credits", "suspended", "debt_reached"}
    assert states.keys() == known | {label}


def test_an_unknown_status_is_no_state_set():
    assert Account(credit_balance=1.0).statuses == {}


@given(anything)
def test_no_answer_can_break_the_decoders(answer):
    for decode in (decode_listing, decode_account):
        try:
            decode(encoded(answer))
        except BadResponseError:
            continue


@given(st.binary(max_size=60))
def test_no_bytes_can_break_them(body):
    for decode in (decode_listing, decode_account):
        try:
            decode(body)
        except BadResponseError:
            continue
