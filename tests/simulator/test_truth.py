"""The truth is the contract's definitions, applied row by row."""

from collections import Counter

import pytest

from pearl_exporter.simulator import truth
from pearl_exporter.simulator.truth import distinct_tags, live
from tests.simulator.worlds import HOUR, NOW, ODD, a_campaign


@pytest.mark.parametrize(
    ("status", "call_status", "expected"),
    [
        (1, 3, True),
        (20, 8, True),
        (40, 4, True),
        (100, 3, True),
        (100, 4, False),
        (300, 8, False),
        (777, 4, False),
        (777, 8, True),
        (777, 12, True),
        (110, 12, False),
    ],
)
def test_what_is_live(status, call_status, expected):
    assert live({"conversationStatus": status, "status": call_status}) is expected


def test_tags_are_trimmed_and_count_once():
    assert distinct_tags({"tags": ["callback ", "callback", "", " ", "🔥"]}) == {"callback", "🔥"}
    assert distinct_tags({"tags": None}) == set()


def test_the_truth_counts_the_rows_of_the_window():
    campaign = a_campaign(**ODD)
    found = truth(campaign, NOW, HOUR)
    rows = campaign.rows(NOW - HOUR, NOW, NOW)
    assert found.rows == rows
    assert found.calls == len(rows) == sum(found.by_status.values())
    assert sum(found.by_call_status.values()) == len(rows)
    assert found.by_status == Counter(row["conversationStatus"] for row in rows)
    assert found.live == sum(map(live, rows)) > 0
    over = [row for row in rows if not live(row) and row["duration"] > 0]
    assert found.durations == [row["duration"] for row in over]
    assert found.untagged == sum(not distinct_tags(row) for row in over) > 0
    assert found.by_tag["callback"] > 0


def test_rows_are_in_the_json_only_on_request():
    found = truth(a_campaign(), NOW, HOUR)
    assert "rows" not in found.as_json()
    assert found.as_json(rows=True)["rows"] == found.rows
