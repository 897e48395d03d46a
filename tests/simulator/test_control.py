"""A running simulator is inspected and controlled over HTTP, without a token."""

import pytest

from pearl_exporter.simulator import truth
from tests.simulator.test_server import ID, search
from tests.simulator.worlds import HOUR, NOW


@pytest.fixture
def control(client):
    """Ask a path under /_sim/; the answer's JSON, or its status and text where it is an error."""
    del client.headers["authorization"]

    async def ask(method, path, body=None):
        answer = await client.request(method, f"/_sim/{path}", json=body)
        good = answer.status_code == 200
        return answer.json() if good else (answer.status_code, answer.text)

    return ask


async def test_the_state(control, simulator):
    state = await control("GET", "state")
    assert (state["now"], state["now_ms"]) == ("2026-03-01T12:00:00.000+00:00", NOW)
    assert (state["paused"], state["speed"]) == (True, 1.0)
    assert state["outbounds"][0] == {
        "id": ID,
        "name": "c1",
        "seed": 0,
        "start_ms": NOW - 8 * HOUR,
        "calls": simulator.campaigns[ID].count(0, NOW, NOW),
        "incidents": [],
    }
    assert (state["faults"], state["fault_hits"]) == ([], {})


@pytest.mark.parametrize(
    "body",
    [
        ["empty:0.5"],
        "empty:0.5",
        {"faults": ["empty:0.5"]},
        {"fault": "empty", "probability": 0.5},
        [{"fault": "empty", "probability": 0.5}],
    ],
)
async def test_faults_are_set_and_cleared(control, body):
    described = [{"fault": "empty", "probability": 0.5, "begin": 0.0}]
    assert await control("POST", "faults", body) == described
    assert (await control("GET", "state"))["faults"] == described
    assert await control("DELETE", "faults") == []
    assert (await control("GET", "state"))["faults"] == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "application/json"}, 200),
        ({"Content-Type": "Application/JSON; charset=utf-8"}, 200),
        ({"Content-Type": "application/json", "Origin": "https://evil.example"}, 403),
        ({"Content-Type": "application/json", "Origin": "null"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "multipart/form-data; boundary=a"}, 415),
        ({}, 415),
    ],
)
async def test_a_web_page_cannot_control_it(control, client, headers, status):
    """A browser sends those content types to any host, and JSON only where the host allows it."""
    for path, body in (("faults", b'["empty"]'), ("clock", b'{"advance_seconds": 60}')):
        before = await control("GET", "state")
        answer = await client.post(f"/_sim/{path}", content=body, headers=headers)
        assert answer.status_code == status
        assert (await control("GET", "state") == before) == (status != 200)


@pytest.mark.parametrize("path", ["state", "truth", "requests"])
async def test_a_web_page_cannot_read_it(client, path):
    answer = await client.get(f"/_sim/{path}", headers={"Origin": "http://127.0.0.1:10043"})
    assert answer.status_code == 403
    assert (await client.delete("/_sim/faults", headers={"Origin": "null"})).status_code == 403


async def test_faults_do_not_hit_the_control(control, client):
    await control("POST", "faults", ["server_error"])
    client.headers["authorization"] = "Bearer a:b"
    assert (await search(client)).status_code == 503
    assert (await control("GET", "state"))["fault_hits"] == {"server_error": 1}


async def test_an_incident_is_added(control, simulator):
    found = await control(
        "POST",
        "incidents",
        {"outbound": "c1", "kind": "error", "share": 1, "after_seconds": 1, "lasting_seconds": 60},
    )
    expected = {"kind": "error", "start_ms": NOW + 1000, "end_ms": NOW + 61_000, "share": 1.0}
    assert found == [expected]
    struck = simulator.campaigns[ID].calls(NOW + 1000, NOW + 60_999)
    assert {call.outcome for call in struck} <= {500}


async def test_the_clock_is_controlled(control, clock):
    assert await control("POST", "clock", {"advance_seconds": 1.5}) == {
        "now_ms": NOW + 1500,
        "paused": True,
    }
    await control("POST", "clock", {"set": "2026-03-02T00:00:00Z"})
    assert clock() == NOW + 12 * HOUR
    assert (await control("POST", "clock", {"paused": False}))["paused"] is False
    assert (await control("POST", "clock", {"paused": True}))["paused"] is True


@pytest.mark.parametrize("at", ["2026-03-01T11:00:00Z", str(NOW - HOUR)])
async def test_the_truth_is_there_for_any_moment(control, simulator, at):
    found = await control("GET", f"truth?outbound={ID}&at={at}&window=600")
    expected = truth(simulator.campaigns[ID], NOW - HOUR, 600_000)
    assert found["calls"] == expected.calls > 0
    assert found["by_status"] == {str(code): n for code, n in expected.by_status.items()}
    assert found["by_tag"] == expected.by_tag
    assert "rows" not in found
    full = await control("GET", f"truth?outbound=c1&at={at}&window=600&rows=1")
    assert full["rows"] == expected.rows
    now = await control("GET", "truth?outbound=c2")
    assert (now["at_ms"], now["from_ms"]) == (NOW, NOW - HOUR)


async def test_requests_are_counted(control, client):
    client.headers["authorization"] = "Bearer a:b"
    size = int((await search(client)).headers["content-length"])
    await search(client, limit=-1)
    await client.get("/v1/Account")
    await client.get("/v1/Outbound/nobody")
    found = await control("GET", "requests")
    assert found["total"] == 4
    assert found["by_outbound"] == {ID: {"200": 1, "400": 1}, "": {"200": 1, "404": 1}}
    assert found["bytes"] > size


@pytest.mark.parametrize(
    ("method", "path", "body", "message"),
    [
        ("POST", "faults", ["rate_limi"], "there are: rate_limit"),
        ("POST", "faults", [7], "a fault is a flag"),
        ("POST", "clock", {}, "wanted"),
        ("POST", "clock", {"speed": 3}, "wanted"),
        ("POST", "clock", {"paused": 3}, "wanted true or false"),
        ("POST", "clock", {"advance_seconds": -3}, "wanted 0 or more"),
        ("POST", "clock", {"advance_seconds": "3"}, "wanted a number"),
        ("POST", "clock", {"set": "noon"}, "noon"),
        ("POST", "clock", {"set": "2126-01-01T00:00:00Z"}, "at most 7 days ahead"),
        ("POST", "clock", {"advance_seconds": 1e9}, "at most 7 days ahead"),
        ("GET", f"truth?outbound=c1&at={NOW * 2}", None, "at most 7 days ahead"),
        ("POST", "clock", [], "wanted an object"),
        ("POST", "incidents", {"outbound": "x"}, f"there are: {ID} (c1)"),
        ("POST", "incidents", {"outbound": "c1", "kind": "x"}, 'wanted "error"'),
        ("GET", "truth?outbound=x", None, "there is no outbound 'x'"),
        ("GET", "truth?outbound=c1&at=noon", None, "noon"),
        ("GET", "truth?outbound=c1&window=long", None, "long"),
    ],
)
async def test_a_wrong_request_says_what_was_wanted(control, method, path, body, message):
    status, text = await control(method, path, body)
    assert status == 400
    assert message in text
