"""The simulated API over HTTP: the calls search and its neighbours, as the facts describe them."""

from datetime import UTC, datetime

import httpx
import pytest

from pearl_exporter.simulator import build_simulator
from tests.simulator.worlds import HOUR, MINUTE, NOW, a_campaign

ID = f"{1:024x}"
START = NOW - 8 * HOUR


def iso(moment_ms: int) -> str:
    moment = datetime.fromtimestamp(moment_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment_ms % 1000:03d}Z"


def span(from_ms: int = START, to_ms: int = NOW, **more):
    return {"fromDate": iso(from_ms), "toDate": iso(to_ms), **more}


async def search(client: httpx.AsyncClient, outbound: str = ID, **more):
    return await client.post(f"/v1/Outbound/{outbound}/Calls", json=span(**more))


async def test_a_search_gives_the_count_and_the_newest_100(client, rows):
    answer = await search(client)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.json() == {"count": len(rows), "results": rows[:100]}


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ({"limit": 3}, slice(3)),
        ({"skip": 5, "limit": 3}, slice(5, 8)),
        ({"limit": 0}, slice(0)),
        ({"skip": 10_000_000}, slice(0)),
        ({"limit": 4, "isAscending": False, "sortProp": "startTime"}, slice(4)),
        ({"limit": 4, "isAscending": True}, slice(None, -5, -1)),
        ({"skip": None, "limit": None, "tags": None, "statuses": None}, slice(100)),
        ({"tags": [], "statuses": [], "searchInput": ""}, slice(100)),
    ],
)
async def test_skip_limit_and_order(client, rows, asked, part):
    assert (await search(client, **asked)).json() == {"count": len(rows), "results": rows[part]}


async def test_a_page_has_at_most_the_greatest_limit(client, simulator, rows):
    simulator.max_limit = 7
    assert (await search(client, limit=1000)).json()["results"] == rows[:7]


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ({"statuses": [100, 110]}, lambda row: row["conversationStatus"] in (100, 110)),
        ({"statuses": [12345]}, lambda _row: False),
        ({"tags": ["要回电", "callback"]}, lambda row: {"要回电", "callback"} & {*row["tags"]}),
        ({"searchInput": "4477"}, lambda row: "4477" in f"{row['from']} {row['to']}"),
        (
            {"statuses": [110], "tags": ["مهتم"]},
            lambda row: row["conversationStatus"] == 110 and "مهتم" in row["tags"],
        ),
    ],
)
async def test_filters(client, rows, asked, kept):
    wanted = [row for row in rows if kept(row | {"tags": row["tags"] or []})]
    got = (await search(client, limit=1000, **asked)).json()
    assert got == {"count": len(wanted), "results": wanted[:1000]}


async def test_the_range_is_read_in_any_zone_and_rounded_inwards(client, simulator, rows):
    campaign = simulator.campaigns[ID]
    start = next(c.start for c in campaign.calls(NOW - HOUR, NOW) if campaign.visible(c, NOW))
    second = datetime.fromtimestamp(start // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")

    async def count(from_text, to_text):
        body = {"fromDate": from_text, "toDate": to_text}
        return (await client.post(f"/v1/Outbound/{ID}/Calls", json=body)).json()["count"]

    exact = f"{second}.{start % 1000:03d}"
    whole = await count("2026-03-01T04:00:00", "2026-03-01T12:00:00")
    assert whole == len(rows) == await count("2026-03-01T06:00:00+02:00", "2026-03-01T12:00:00Z")
    assert await count(exact, exact + "Z") == 1
    assert await count(exact + "1Z", exact + "9Z") == 0


async def test_the_answer_follows_the_clock(client, clock):
    before = (await search(client, to_ms=NOW + HOUR)).json()["count"]
    clock.advance(600)
    assert (await search(client, to_ms=NOW + HOUR)).json()["count"] > before


async def test_the_date_header_is_the_simulated_time(client):
    assert (await search(client)).headers["date"] == "Sun, 01 Mar 2026 12:00:00 GMT"


async def test_gzip_when_asked_for(client):
    compressed = await search(client)
    client.headers["accept-encoding"] = "identity"
    plain = await search(client)
    assert compressed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert int(compressed.headers["content-length"]) < int(plain.headers["content-length"]) / 3
    assert compressed.json() == plain.json()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "$"),
        (b"[]", "$"),
        (b'"\xff"', "$"),
        (b'{"toDate": "2026-03-01T00:00:00Z"}', "$"),
        (b'{"fromDate": "soon", "toDate": "2026-03-01T00:00:00Z"}', "fromDate"),
        (b'{"fromDate": "2026-03-01", "toDate": ""}', "toDate"),
        (b'{"fromDate": "2026-03-01", "toDate": "2026-03-01", "limit": "1"}', "limit"),
        (b'{"fromDate": "2026-03-01", "toDate": "2026-03-01", "limit": -1}', "limit"),
        (b'{"fromDate": "2026-03-01", "toDate": "2026-03-01", "skip": -1}', "skip"),
        (b'{"fromDate": "2026-03-01", "toDate": "2026-03-01", "statuses": ["x"]}', "statuses"),
    ],
)
async def test_a_bad_body_gets_problem_details(client, body, field):
    answer = await client.post(f"/v1/Outbound/{ID}/Calls", content=body)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 400
    assert list(answer.json()["errors"]) == [field]


@pytest.mark.parametrize("path", ["/v1/Outbound", f"/v1/Outbound/{ID}", "/v1/Account"])
@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic account:secret"])
async def test_without_a_bearer_token_nobody_gets_in(client, path, header):
    answer = await client.get(path, headers={"Authorization": header})
    assert (answer.status_code, answer.content) == (401, b"")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_given_a_token_only_that_one_gets_in(client, simulator):
    simulator.token = "account:other"
    assert (await search(client)).status_code == 401
    client.headers["authorization"] = "Bearer account:other"
    assert (await search(client)).status_code == 200


async def test_an_unknown_outbound_is_not_found(client):
    assert (await search(client, "nobody")).status_code == 404
    answer = await client.get("/v1/Outbound/nobody")
    assert (answer.status_code, answer.json()["title"]) == (404, "Not Found")


async def test_the_outbounds_and_the_account(client):
    listed = (await client.get("/v1/Outbound")).json()
    assert [each["name"] for each in listed] == ["c1", "c2"]
    assert listed[0] == (await client.get(f"/v1/Outbound/{ID}")).json()
    assert listed[0].keys() == {"id", "name", "status", "totalAgents", "created"}
    account = (await client.get("/v1/Account")).json()
    assert account.keys() == {"name", "totalAgents", "creditBalance", "status"}


async def test_other_paths_and_methods_do_not_exist(client):
    assert (await client.get(f"/v1/Outbound/{ID}/Calls")).status_code == 405
    assert (await client.post(f"/v1/Outbound/{ID}/Active", json={})).status_code == 404


def test_campaigns_of_one_second_of_history_are_served_too(clock):
    young = a_campaign(hours=1 / 3600)
    assert build_simulator([young], clock=clock).campaigns[ID] is young
    assert young.count(0, NOW, NOW) <= MINUTE
