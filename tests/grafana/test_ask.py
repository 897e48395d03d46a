"""What is asked is what Grafana would ask, or the tests of the queries would say nothing."""

import pytest

from deploy.grafana.ask import View, request

HOUR = 3600
DAY = 24 * HOUR


def view(seconds: float, *, interval: str = "30s", points: int = 600) -> View:
    chosen = {"job": "pearl", "interval": interval}
    return View(chosen, 10 * DAY - seconds + 7, 10 * DAY + 7, points)


@pytest.mark.parametrize(
    ("interval", "seconds", "step", "rate_interval"),
    [
        ("30s", HOUR, 30, 120),  # four of the least step, as documented
        ("10s", HOUR, 10, 40),
        ("5m", HOUR, 300, 1200),
        ("30s", DAY, 144, 174),  # a point is 144 s wide: that and the least step
        ("30s", 7 * DAY, 1008, 1038),
    ],
)
def test_step_and_rate_interval_are_grafanas(interval, seconds, step, rate_interval):
    target = {"expr": "rate(x[$__rate_interval])", "interval": "$interval"}
    asked = request(target, view(seconds, interval=interval)).asked
    assert (asked["step"], asked["query"]) == (step, f"rate(x[{rate_interval}s])")


def test_points_are_whole_steps_so_that_a_refresh_does_not_move_them():
    asked = request({"expr": "x", "interval": "30s"}, view(HOUR)).asked
    assert (asked["start"], asked["end"]) == (10 * DAY - HOUR, 10 * DAY)


def test_an_instant_query_is_as_of_the_end():
    found = request({"expr": "x[$__range]", "interval": "30s", "instant": True}, view(HOUR))
    assert found.path == "/api/v1/query"
    assert found.asked == {"query": "x[3600s]", "time": 10 * DAY + 7}


def test_variables_are_put_in():
    target = {"expr": 'x{job=~"$job"}', "interval": "$interval"}
    assert request(target, view(HOUR)).asked["query"] == 'x{job=~"pearl"}'


def test_a_variable_that_there_is_not_is_an_error():
    with pytest.raises(KeyError, match="jobs"):
        request({"expr": 'x{job=~"$jobs"}', "interval": "$interval"}, view(HOUR))
