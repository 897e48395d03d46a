"""What each fault does to an answer, seen from outside."""

import json
import socket
import zlib
from datetime import datetime
from itertools import pairwise

import httpx
import pytest

from pearl_exporter.simulator import build_simulator
from pearl_exporter.simulator.responses import DroppedConnectionError
from tests.simulator.test_server import ID, START, search
from tests.simulator.worlds import NOW, ODD, a_campaign
from tests.support.patience import HANGING_SECONDS, PATIENT
from tests.support.serving import serving


@pytest.mark.parametrize(
    ("flag", "status", "kind"),
    [
        ("rate_limit", 429, "text/plain; charset=utf-8"),
        ("unauthorized", 401, "application/problem+json"),
        ("forbidden", 403, "application/problem+json"),
        ("not_found", 404, "application/problem+json"),
        ("bad_request", 400, "application/problem+json"),
        ("server_error", 503, "text/html; charset=utf-8"),
        ("server_error:status=599", 599, "text/html; charset=utf-8"),
        ("request_timeout", 408, "application/problem+json"),
        ("too_early", 425, "application/problem+json"),
        ("proxy_auth", 407, "text/html; charset=utf-8"),
        ("challenge", 403, "text/html; charset=utf-8"),
    ],
)
async def test_refusals(client, on, flag, status, kind):
    on(flag)
    answer = await search(client)
    assert (answer.status_code, answer.headers["content-type"]) == (status, kind)
    assert "retry-after" not in answer.headers
    assert (await client.get("/v1/Outbound")).status_code == status


async def test_no_content_has_no_body(client, on):
    on("no_content")
    answer = await search(client)
    assert (answer.status_code, answer.content) == (204, b"")


async def test_retry_after_comes_in_seconds_or_as_a_date(client, on):
    on("rate_limit:retry_after=2.5")
    assert (await search(client)).headers["retry-after"] == "2.5"
    on("rate_limit:retry_after=90,form=date")
    assert (await search(client)).headers["retry-after"] == "Sun, 01 Mar 2026 12:01:30 GMT"


async def test_errors_have_a_number_that_nobody_may_log(client, on):
    for flag in ("bad_request", "forbidden", "error_object"):
        on(flag)
        assert "+1512555" in (await search(client)).text


async def test_200_with_something_else_in_it(client, on, rows):
    on("html")
    assert (await search(client)).text.startswith("<!DOCTYPE html>")
    on("error_object")
    assert (await search(client)).json().keys() == {"error"}
    on("empty")
    assert (await search(client)).content == b""
    on("cut")
    with pytest.raises(json.JSONDecodeError):
        (await search(client)).json()
    on("content_type:type=image/png")
    answer = await search(client)
    assert answer.headers["content-type"] == "image/png"
    assert answer.json()["results"] == rows[:100]


async def test_slow_answers_come_late_but_whole(client, on, slept, rows):
    on("slow:seconds=3")
    assert (await search(client)).json()["results"] == rows[:100]
    assert slept == [3.0]


async def test_pieces_come_one_by_one(client, on, slept, rows):
    on("drip:seconds=2,drops=4")
    assert (await search(client)).json()["results"] == rows[:100]
    assert slept == [0.5] * 4


async def test_a_clamped_limit(client, on, rows):
    on("clamp:limit=3")
    assert (await search(client, limit=50, skip=2)).json()["results"] == rows[2:5]


async def test_a_refused_limit(client, on):
    on("limit_refused:limit=99")
    assert (await search(client)).status_code == 400
    assert (await search(client, limit=99)).status_code == 200


async def test_the_order_is_not_the_one_asked_for(client, on, rows):
    on("order_ignored")
    assert (await search(client, limit=9)).json()["results"] == rows[::-1][:9]
    on("order_ignored:order=descending")
    assert (await search(client, isAscending=True)).json()["results"] == rows[:100]
    on("order_ignored:order=scrambled")
    first, again = [(await search(client, limit=1000)).json() for _ in range(2)]
    rest = (await search(client, skip=1000, limit=1000)).json()
    assert first == again
    assert first["results"] + rest["results"] != rows
    assert sorted(map(repr, first["results"] + rest["results"])) == sorted(map(repr, rows))


async def test_ends_of_the_range_that_do_not_belong_to_it(client, on, simulator):
    campaign = simulator.campaigns[ID]
    visible = [c.start for c in campaign.calls(START, NOW) if campaign.visible(c, NOW)]
    ends = {"from_ms": visible[0], "to_ms": visible[-1]}
    assert (await search(client, **ends)).json()["count"] == len(visible)
    on("exclusive_to")
    assert (await search(client, **ends)).json()["count"] == len(visible) - 1
    on("exclusive_to", "exclusive_from")
    assert (await search(client, **ends)).json()["count"] == len(visible) - 2


async def test_the_statuses_are_ignored(client, on, rows):
    on("statuses_ignored")
    assert (await search(client, statuses=[1])).json()["count"] == len(rows)


async def test_an_empty_page_may_be_null(client, on, rows):
    assert (await search(client, skip=len(rows))).json()["results"] == []
    on("null_results")
    assert (await search(client, skip=len(rows))).json()["results"] is None
    assert (await search(client)).json()["results"] == rows[:100]


async def test_malformed_rows_are_always_the_same_ones(client, on, rows):
    on("odd_rows:share=0.2")
    odd = (await search(client, limit=500)).json()["results"]
    malformed = [index for index, row in enumerate(odd) if row != rows[index]]
    assert 60 < len(malformed) < 140
    ascending = (await search(client, limit=1000, isAscending=True, skip=len(rows) - 500)).json()
    assert ascending["results"][::-1] == odd
    dicts = [odd[index] for index in malformed if odd[index] is not None]
    assert len(dicts) < len(malformed)
    assert {type(row.get("id")) for row in dicts} == {str, type(None)}
    assert {type(row.get("duration")) for row in dicts} == {int, str, type(None)}
    assert {type(row["tags"]) for row in dicts} == {list, str, type(None)}
    assert any("startTime" not in row for row in dicts)


async def test_the_date_header_is_wrong(client, on):
    on("skew:seconds=-3600")
    answer = await search(client)
    date = datetime.strptime(answer.headers["date"], "%a, %d %b %Y %H:%M:%S GMT")  # noqa: DTZ007
    assert f"{date:%H:%M:%S}" == "11:00:00"


async def test_an_answer_out_of_a_cache_is_as_old_as_it_says(client, on):
    on("age:seconds=90")
    answer = await search(client)
    assert answer.headers["age"] == "90"
    assert answer.headers["date"] == "Sun, 01 Mar 2026 11:58:30 GMT"


async def test_there_may_be_no_date_at_all(client, on):
    on("no_date")
    assert "date" not in (await search(client)).headers


async def test_bytes_follow_the_end_of_a_gzip_body(client, on):
    on("gzip_trailer:bytes=5")
    async with client.stream("GET", "/v1/Account") as answer:
        raw = b"".join([piece async for piece in answer.aiter_raw()])
    assert answer.headers["content-encoding"] == "gzip"
    unpacker = zlib.decompressobj(wbits=31)
    assert json.loads(unpacker.decompress(raw))["name"] == "Simulated"
    assert unpacker.unused_data == bytes(5)


async def test_pages_shift_under_a_reader_and_the_truth_with_them(client, on, simulator, clock):
    on("shifting")
    campaign = simulator.campaigns[ID]
    first = (await search(client)).json()
    counts = [first["count"]]
    for page in range(1, 5):
        clock.advance(0.001)
        counts.append((await search(client, skip=100 * page)).json()["count"])
        assert counts[-1] == len(campaign.rows(START, NOW, clock()))
    changes = [later - earlier for earlier, later in pairwise(counts)]
    assert {abs(change) for change in changes} <= {0, 1, 2}
    assert min(changes) < 0 < max(changes)
    assert (await search(client)).json()["count"] == counts[-1]


async def test_a_fault_for_one_outbound_leaves_the_others_alone(client, on):
    on(f"server_error:outbound={ID}")
    assert (await search(client)).status_code == 503
    assert (await search(client, f"{2:024x}")).status_code == 200


async def test_without_a_socket_a_dropped_connection_is_an_exception(client, on):
    on("drop")
    with pytest.raises(DroppedConnectionError):
        await search(client)


# Over a real socket

URL = f"/v1/Outbound/{ID}/Calls"
BODY = {"fromDate": "2026-03-01T00:00:00Z", "toDate": "2026-03-02T00:00:00Z"}


@pytest.fixture
def wire(clock):
    """A client of a simulator behind a real socket, and the simulator."""
    simulator = build_simulator([a_campaign(**ODD)], clock=clock)
    asked = {"headers": {"Authorization": "Bearer a:b", "Accept-Encoding": "identity"}, **PATIENT}
    with serving(simulator) as url, httpx.Client(base_url=url, **asked) as client:
        yield client, simulator


def test_a_connection_closes_without_an_answer(wire, caplog):
    client, simulator = wire
    simulator.faults.set(["drop:requests=1"], NOW)
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        client.post(URL, json=BODY)
    assert client.post(URL, json=BODY).status_code == 200
    assert caplog.text == ""


def test_a_connection_closes_in_the_middle_of_an_answer(wire, caplog):
    client, simulator = wire
    simulator.faults.set(["drop:requests=1,when=middle"], NOW)
    with client.stream("POST", URL, json=BODY) as answer:
        assert answer.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError, match="complete message body"):
            answer.read()
    assert client.post(URL, json=BODY).status_code == 200
    assert caplog.text == ""


def test_a_slow_answer_runs_into_the_clients_timeout(wire):
    client, simulator = wire
    simulator.faults.set(["slow:seconds=0.5,requests=1", "drip:seconds=0.2,requests=2"], NOW)
    with pytest.raises(httpx.ReadTimeout):
        client.post(URL, json=BODY, timeout=0.05)
    with client.stream("POST", URL, json=BODY) as answer:
        pieces = list(answer.iter_raw())
    assert len(pieces) > 3
    assert json.loads(b"".join(pieces))["count"] > 0


def test_an_answer_comes_byte_by_byte(wire):
    client, simulator = wire
    plain = client.post(URL, json=BODY | {"limit": 2})
    simulator.faults.set(["chunks"], NOW)
    answer = client.post(URL, json=BODY | {"limit": 2})
    assert answer.headers["transfer-encoding"] == "chunked"
    assert answer.content == plain.content


@pytest.mark.parametrize(
    ("fault", "before", "behind"),
    [
        ("interim:count=2", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 2, b""),
        ("trailing", b"", b'{"count":0,"results":[]}\n'),
        ("trailing:what=rubbish", b"", b"\0\r\n\r\n"),
    ],
)
def test_bytes_before_and_behind_an_answer(wire, fault, before, behind):
    client, simulator = wire
    simulator.faults.set([fault], NOW)
    with socket.create_connection((client.base_url.host, client.base_url.port)) as connection:
        connection.settimeout(HANGING_SECONDS)
        connection.sendall(
            b"GET /v1/Account HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a:b\r\n\r\n"
        )
        got = b""
        while b'"status":1}' not in got or not got.endswith(behind):
            got += connection.recv(65_536)
    assert got.startswith(before + b"HTTP/1.1 200 OK\r\n")


def test_there_is_one_date_header_and_it_is_the_simulated_one(wire):
    client, _simulator = wire
    answer = client.post(URL, json=BODY)
    dates = [value for name, value in answer.headers.multi_items() if name == "date"]
    assert dates == ["Sun, 01 Mar 2026 12:00:00 GMT"]
