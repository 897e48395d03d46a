"""Faults: described in a flag or an object, drawn by seeded dice, for one outbound or a while."""

import pytest

from pearl_exporter.simulator import FAULTS, FaultError, Faults, fault


def test_a_flag_and_an_object_describe_the_same():
    described = {"fault": "rate_limit", "probability": 0.1, "retry_after": 2}
    assert fault("rate_limit:0.1,retry_after=2") == fault(described)


@pytest.mark.parametrize("name", FAULTS)
def test_words_and_bounds_are_of_settings_that_there_are(name):
    kind = FAULTS[name]
    assert kind.words.keys() | kind.bounds.keys() | kind.moments <= kind.settings.keys()
    assert all(kind.settings[key] in words for key, words in kind.words.items())


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_has_defaults_and_a_json_form(name):
    plain = fault(name)
    assert plain.probability == 1.0
    assert fault(plain.as_json()) == plain
    assert fault(plain) is plain


def test_a_flag_may_have_the_common_settings():
    full = fault("drop:0.5,when=middle,outbound=abc,requests=3,begin=10,lasting=60")
    assert full.as_json() == {
        "fault": "drop",
        "probability": 0.5,
        "when": "middle",
        "outbound": "abc",
        "requests": 3,
        "begin": 10.0,
        "lasting": 60.0,
    }
    assert fault(full.as_json()) == full


def test_a_flag_needs_no_probability():
    assert fault("clamp:limit=7") == fault({"fault": "clamp", "limit": "7"})
    assert fault("clamp,limit=7") == fault("clamp:limit=7")


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ("rate_limi", "there is no fault 'rate_limi'; there are: rate_limit, server_error"),
        ({}, "there is no fault None; there are: rate_limit"),
        ({"fault": 3}, "there is no fault 3"),
        ("clamp:1,rows=3", "fault clamp has no setting 'rows'; it has: limit, probability"),
        ("clamp:1,3", "'3' is no key=value"),
        ("clamp:2", "clamp: probability is 2, wanted 0 to 1"),
        ("clamp:often", "clamp: probability is 'often', wanted a number"),
        ("clamp:nan", "clamp: probability is 'nan', wanted a number"),
        ({"fault": "clamp", "limit": True}, "clamp: limit is True, wanted a number"),
        ("clamp:limit=-1", "clamp: limit is -1, wanted 0 or more"),
        ("slow:seconds=inf", "slow: seconds is 'inf', wanted a number"),
        ("slow:lasting=-1", "slow: lasting is -1, wanted 0 or more"),
        ("server_error:status=404", "server_error: status is 404, wanted 500 to 599"),
        ("drop:when=later", "drop: when is 'later', wanted before or middle"),
        ({"fault": "slow", "outbound": 7}, "slow: outbound is 7, wanted an id"),
        ("rows_missing:every=0", "rows_missing: every is 0, wanted 1 or more"),
        ("odd_field:field=from", "odd_field: field is 'from', wanted id or start_time or"),
        ("local_time:hours=25", "local_time: hours is 25, wanted -24 to 24"),
        (
            "local_time:change=summer",
            "local_time: change is 'summer', wanted a moment such as 2026",
        ),
    ],
)
def test_a_wrong_description_names_what_is_allowed(described, message):
    with pytest.raises(FaultError) as raised:
        fault(described)
    assert message in str(raised.value)


def hits(faults: Faults, number: int, outbound: str | None = "a", now_ms: int = 0):
    return sum(bool(faults.draw(outbound, now_ms)) for _ in range(number))


def test_a_fault_hits_by_its_probability_and_its_seed():
    first, second = (Faults(["empty:0.3"], seed=5) for _ in range(2))
    hit = [bool(first.draw("a", 0)) for _ in range(1000)]
    assert hit == [bool(second.draw("a", 0)) for _ in range(1000)]
    assert sum(hit) == pytest.approx(300, abs=50)
    assert first.hits["empty"] == sum(hit)


def test_probability_0_never_hits_and_1_always():
    assert hits(Faults(["empty:0"]), 100) == 0
    assert hits(Faults(["empty:1"]), 100) == 100


def test_a_fault_may_be_for_one_outbound():
    faults = Faults(["empty:outbound=a"])
    assert [hits(faults, 1, outbound) for outbound in ("a", "b", None)] == [1, 0, 0]


KNOWN = {"a": "spring", "b": "autumn"}


def test_an_outbound_may_be_named_by_its_name():
    assert fault("empty:outbound=autumn", KNOWN).outbound == "b"
    assert fault("empty:outbound=a", KNOWN).outbound == "a"
    assert fault("empty:outbound=/v1/Account", KNOWN).outbound == "/v1/Account"


def test_an_unknown_outbound_is_refused():
    with pytest.raises(FaultError) as raised:
        Faults(["empty:outbound=c"], outbounds=KNOWN)
    expected = "empty: there is no outbound 'c'; there are: a (spring), b (autumn), /v1/Outbound"
    assert str(raised.value).startswith(expected)


def test_a_fault_may_be_spent_after_some_requests():
    assert hits(Faults(["empty:requests=3"]), 10) == 3


def test_a_fault_may_begin_later_and_end():
    faults = Faults()
    faults.set(["empty:begin=10,lasting=5"], 1_000)
    moments = (1_000, 10_999, 11_000, 15_999, 16_000)
    assert [hits(faults, 1, now_ms=at) for at in moments] == [0, 0, 1, 1, 0]


def test_faults_of_the_start_run_from_the_first_request():
    faults = Faults(["empty:lasting=5"])
    assert [hits(faults, 1, now_ms=at) for at in (100_000, 104_999, 105_000)] == [1, 1, 0]


def test_several_faults_hit_together_the_first_of_a_name_wins():
    faults = Faults(["slow:seconds=1,outbound=b", "slow:seconds=2", "empty"])
    assert faults.draw("a", 0)["slow"].number("seconds") == 2
    hit = faults.draw("b", 0)
    assert hit["slow"].number("seconds") == 1
    assert hit.keys() == {"slow", "empty"}


def test_a_bad_description_changes_nothing():
    faults = Faults(["empty"])
    with pytest.raises(FaultError):
        faults.set(["cut", "cot"], 0)
    assert [each.name for each in faults.active] == ["empty"]
    faults.clear()
    assert faults.active == []
