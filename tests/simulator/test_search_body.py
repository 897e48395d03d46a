"""The body of a search is read or refused, whatever it is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearl_exporter.simulator.responses import problem_details
from pearl_exporter.simulator.search_body import SearchBodyError, moment_us, parse_search
from tests.simulator.worlds import NOW, a_campaign

FIELDS = ("skip", "limit", "sortProp", "isAscending", "tags", "statuses", "searchInput")
CAMPAIGN = a_campaign(hours=0.2)

dates = st.datetimes().map(lambda moment: moment.isoformat() + "Z") | st.text(max_size=8)
texts = st.text(max_size=5) | st.just("\ud800")
values = st.none() | st.booleans() | st.integers() | st.floats() | texts
bodies = st.builds(
    lambda dates, rest: {"fromDate": dates[0], "toDate": dates[1]} | rest,
    st.tuples(dates, dates),
    st.dictionaries(st.sampled_from(FIELDS), values | st.lists(values, max_size=3)),
)


@given(bodies.map(lambda body: json.dumps(body).encode()) | st.binary(max_size=30))
def test_any_body_is_answered_or_gets_a_400(raw):
    try:
        search = parse_search(raw, max_limit=10)
    except SearchBodyError as bad:
        problem_details(400, **{bad.field: str(bad)})
    else:
        assert len(CAMPAIGN.page(search, NOW).calls) <= search.limit <= 10


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01", 0),
        ("1970-01-01T00:00:01", 1_000_000),
        ("1970-01-01T00:00:00.1234567Z", 123_456),
        ("1970-01-01T02:00:00.5+02:00", 500_000),
        ("1969-12-31T23:59:59.999Z", -1_000),
    ],
)
def test_moments(text, expected):
    assert moment_us("at", text) == expected
