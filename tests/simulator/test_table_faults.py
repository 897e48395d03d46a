"""Calls that are deleted, hidden for a while, or served as they were."""

import pytest

from pearl_exporter.simulator import truth
from tests.simulator.test_server import ID, search
from tests.simulator.worlds import HOUR, NOW


@pytest.fixture
def campaign(simulator):
    return simulator.campaigns[ID]


async def test_an_answer_without_rows(client, on, rows):
    on("no_rows:requests=1")
    assert (await search(client)).json() == {"count": 0, "results": []}
    assert (await search(client)).json()["count"] == len(rows)


async def test_rows_vanish_and_come_back(client, on, clock, rows, campaign):
    on("vanishing:share=0.4,lasting=10")
    first = (await search(client, limit=1000)).json()
    assert first["count"] == pytest.approx(0.6 * len(rows), rel=0.15)
    assert first == (await search(client, limit=1000)).json()
    assert truth(campaign, NOW, HOUR).calls == campaign.count(NOW - HOUR, NOW, NOW)
    clock.advance(11)
    assert (await search(client)).json()["count"] == len(rows)


async def test_vanished_rows_are_in_no_search_by_status(client, on, rows):
    plain = (await search(client, statuses=[150])).json()["count"]
    on("vanishing:share=0.5")
    assert (await search(client, statuses=[150])).json()["count"] < 0.7 * plain
    on("vanishing:share=1")
    assert (await search(client)).json()["count"] == 0


async def test_one_of_two_replicas_is_behind(client, on, campaign):
    on("replica_behind:0.5,seconds=1200")
    answers = [(await search(client)).json() for _ in range(30)]
    now, earlier = (
        {"count": len(rows), "results": rows[::-1][:100]}
        for rows in (campaign.rows(0, at, at) for at in (NOW, NOW - 1_200_000))
    )
    assert 5 < answers.count(now) < 25
    assert answers.count(now) + answers.count(earlier) == 30


async def test_the_oldest_calls_are_deleted_as_time_passes(client, on, clock, campaign):
    on("retention:seconds=7200")
    kept = len(campaign.rows(NOW - 2 * HOUR, NOW, NOW))
    assert (await search(client)).json()["count"] == kept
    assert truth(campaign, NOW, 8 * HOUR).calls == kept
    assert (await search(client, statuses=[150, 130, 100, 110, 70])).json()["count"] <= kept
    clock.advance(HOUR / 1000)
    assert (await search(client, from_ms=NOW - HOUR)).json()["count"] > 0
    oldest = campaign.rows(0, NOW, clock())[0]
    assert campaign.rows(NOW - HOUR, NOW, clock())[0] == oldest
    on()
    assert campaign.rows(0, NOW, clock())[0] == oldest
    assert len(campaign.rows(0, NOW, NOW - 1)) > kept


@pytest.mark.parametrize("which", ["oldest", "newest", "any"])
async def test_calls_are_deleted_in_bulk(client, on, clock, rows, campaign, which):
    on(f"bulk_deletion:share=0.25,which={which},requests=1")
    answer = (await search(client)).json()
    deleted = round(len(rows) * 0.25)
    assert answer["count"] == len(rows) - deleted
    left = campaign.rows(NOW - 8 * HOUR, NOW, NOW)[::-1]
    if which == "oldest":
        assert left == rows[:-deleted]
    elif which == "newest":
        assert left == rows[deleted:]
    assert len(left) == answer["count"]
    assert (await search(client)).json()["count"] == answer["count"]
