"""The requests are those that Grafana sends: the tests of the queries depend on that."""

from dataclasses import replace

import pytest

from tools.grafana_requests import View, request_of

HOUR = 3600
DAY = 24 * HOUR


def view(seconds: float, *, interval: str = "30s", points: int = 600) -> View:
    chosen = {"job": "pearl", "interval": interval}
    return View(chosen, 10 * DAY - seconds + 7, 10 * DAY + 7, points)


@pytest.mark.parametrize(
    ("interval", "seconds", "step", "rate_interval"),
    [
        ("30s", HOUR, 30, 120),  # four of the smallest step, as documented
        ("10s", HOUR, 10, 40),
        ("5m", HOUR, 300, 1200),
        ("30s", DAY, 144, 174),  # a point is 144 s wide: that and the least step
        ("30s", 7 * DAY, 1008, 1038),
    ],
)
def test_step_and_rate_interval_are_those_of_grafana(interval, seconds, step, rate_interval):
    target = {"expr": "rate(x[$__rate_interval])", "interval": "$interval"}
    asked = request_of(target, view(seconds, interval=interval)).parameters
    assert (asked["step"], asked["query"]) == (step, f"rate(x[{rate_interval}s])")


def test_points_are_whole_steps():
    asked = request_of({"expr": "x", "interval": "30s"}, view(HOUR)).parameters
    assert (asked["start"], asked["end"]) == (10 * DAY - HOUR, 10 * DAY)


def test_an_instant_query_is_at_the_end_of_the_range():
    found = request_of({"expr": "x[$__range]", "interval": "30s", "instant": True}, view(HOUR))
    assert found.path == "/api/v1/query"
    assert found.parameters == {"query": "x[3600s]", "time": 10 * DAY + 7}


@pytest.mark.parametrize(
    ("chosen", "inserted"),
    [
        ("pearl", "pearl"),
        (("pearl",), "pearl"),
        (("a.b", "c"), r"(a\.b|c)"),
        (r"""Win "VIP" back's \d+ {1} [2] (3)? ^$ |*/""", None),
        ("$__all", ".+"),  # All, where the variable has a value of its own for it
        (".+", r"\.\+"),  # an outbound of this name
    ],
)
def test_variables_are_interpolated_as_regular_expressions(chosen, inserted):
    """In Grafana's format ``regex``, which leaves quotes alone."""
    seen = replace(view(HOUR), variables={"job": chosen, "interval": "30s"})
    target = {"expr": "x{job=~`${job:regex}`}", "interval": "$interval"}
    if inserted is None:
        inserted = r"""Win "VIP" back's \\d\+ \{1\} \[2\] \(3\)\? \^\$ \|\*\/"""
    assert request_of(target, seen).parameters["query"] == f"x{{job=~`{inserted}`}}"


def test_a_format_that_is_not_known_is_an_error():
    """Without a format, Grafana would escape by rules of the data source."""
    for expr in ("x{job=~`${job:pipe}`}", 'x{job=~"$job"}'):
        seen = replace(view(HOUR), variables={"job": ("a", "b"), "interval": "30s"})
        with pytest.raises(ValueError, match="no rule"):
            request_of({"expr": expr, "interval": "$interval"}, seen)


def test_an_unknown_variable_is_an_error():
    with pytest.raises(KeyError, match="jobs"):
        request_of({"expr": "x{job=~`${jobs:regex}`}", "interval": "$interval"}, view(HOUR))
