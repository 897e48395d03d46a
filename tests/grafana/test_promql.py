"""The reader of queries, without which the rules about queries would find nothing."""

import pytest

from tests.grafana.promql import RATE_INTERVAL, Selected, selectors


def test_it_finds_every_selector_with_what_is_around_it():
    query = '60 * sum by (a) (rate(x_total{job=~"$job"}[$__rate_interval])) / (-abs(y{b!="1"}) > 0)'
    assert selectors(query) == [
        Selected("x_total", {"job": ("=~", "$job")}, ("rate",), RATE_INTERVAL),
        Selected("y", {"b": ("!=", "1")}, ("abs",), None),
    ]


@pytest.mark.parametrize("query", ["sum by (a (x)", "rate(x)", "x[5m"])
def test_it_refuses_what_prometheus_would_refuse(query):
    with pytest.raises(ValueError):
        selectors(query)


def test_it_refuses_what_it_has_no_rule_for():
    with pytest.raises(ValueError, match="SubqueryExpr"):
        selectors("max_over_time(x[5m:1m])")
