"""How many requests a second the polls with a token need."""

from pearl_exporter.api.budget import MIN_REQUESTS, Demand


def shared_by(**intervals: float) -> Demand:
    demand = Demand()
    demand.share_among(intervals)
    return demand


def test_what_is_not_known_yet_counts_as_the_least():
    assert shared_by(a=10.0, b=20.0).needed == MIN_REQUESTS * (1 / 10 + 1 / 20)


def test_what_polls_took_counts_and_the_last_ones_most():
    demand = shared_by(a=10.0)
    demand.polled("a", 4)
    assert demand.needed == 0.4
    demand.polled("a", 2)
    assert demand.needed == 0.3


def test_it_is_logged_once_for_each_configuration():
    demand = shared_by(a=10.0)
    assert not demand.should_log(0.1)
    demand.polled("a", 3)
    assert demand.should_log(0.2)
    assert not demand.should_log(0.2)
    demand.share_among({"a": 10.0, "b": 10.0})
    assert demand.needed == 0.4
    assert demand.should_log(0.2)


def test_new_settings_of_the_api_leave_what_is_known():
    old, new = shared_by(a=10.0, b=10.0), shared_by(a=10.0, b=10.0)
    old.polled("a", 4)
    new.resume_from(old)
    assert new.needed == 0.4 + MIN_REQUESTS / 10
    assert not new.is_known
    new.polled("b", 2)
    assert new.is_known


def test_an_outbound_that_is_gone_needs_nothing():
    demand = shared_by(a=10.0, b=10.0)
    demand.polled("b", 30)
    demand.share_among({"a": 10.0})
    assert demand.needed == MIN_REQUESTS / 10
