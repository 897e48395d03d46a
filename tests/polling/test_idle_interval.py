"""How the interval stretches while nothing happens, by plain values."""

import pytest

from pearl_exporter.counting.tracker import Tracker
from pearl_exporter.polling.idle_interval import Idle
from tests.exposition.scraped import rules

NOTHING = Tracker(rules()).snapshot()


def with_ledger(**changed):
    values = {key: getattr(NOTHING.ledger, key) for key in NOTHING.ledger.__struct_fields__}
    return NOTHING._replace(ledger=type(NOTHING.ledger)(**{**values, **changed}))


SIGNS = [
    pytest.param(NOTHING._replace(live=1), False, id="a live call"),
    pytest.param(NOTHING._replace(pending=1), False, id="a call to be settled"),
    pytest.param(with_ledger(started=1), False, id="a new call"),
    pytest.param(with_ledger(by_status={"success": 1}), False, id="a settled call"),
    pytest.param(with_ledger(uncounted={"deleted": 1}), False, id="a deleted call"),
    pytest.param(with_ledger(revisions={"tags": 1}), False, id="a revised call"),
    pytest.param(NOTHING, True, id="an outage to be caught up"),
]


def quiet_for(seconds: float, *, interval: float = 30.0, longest: float = 300.0) -> Idle:
    idle = Idle(interval, longest)
    idle.polled(NOTHING, is_behind=False, at=1000.0)
    idle.polled(NOTHING, is_behind=False, at=1000.0 + seconds)
    return idle


@pytest.mark.parametrize(
    ("seconds", "interval"),
    [(0, 30), (599, 30), (600, 60), (899, 60), (900, 90), (3000, 300), (1e6, 300)],
)
def test_the_interval_is_a_tenth_of_the_quiet_time(seconds, interval):
    """In whole configured intervals."""
    assert quiet_for(seconds).interval == interval


def test_it_never_exceeds_its_bound():
    assert quiet_for(1e6, interval=45.0).interval == 270
    assert quiet_for(1e6, interval=30.0, longest=30.0).interval == 30


@pytest.mark.parametrize(("sign", "is_behind"), SIGNS)
def test_any_sign_of_life_brings_the_usual_interval_back(sign, is_behind):
    idle = quiet_for(3000)
    idle.polled(sign, is_behind=is_behind, at=4300.0)
    assert idle.interval == 30
    idle.polled(sign, is_behind=is_behind, at=4310.0)
    assert idle.interval == 30


def test_calls_that_only_leave_the_window_are_no_sign():
    idle = quiet_for(3000)
    idle.polled(NOTHING._replace(tracked=17), is_behind=False, at=4300.0)
    assert idle.interval == 300
