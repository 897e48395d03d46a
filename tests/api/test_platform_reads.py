"""The list of outbounds and the account by the real client, asked and retried like a search."""

import asyncio
import json

import httpx
import pytest

from pearl_exporter.api.body import MAX_BODY_BYTES
from pearl_exporter.api.deadline import Deadline
from pearl_exporter.api.decode_platform import Account, ListedOutbound, Listing
from pearl_exporter.errors import ApiError
from tests.support.client_scene import PHONE, TOKEN, URL, WELL, Scene, a_scene, after

pytestmark = pytest.mark.virtual_time

ROWS = [{"id": "65f1c0ffee", "name": "spring", "status": 1}]
LISTING = Listing((ListedOutbound("65f1c0ffee", "spring", 1),))
LISTED = httpx.Response(200, text=json.dumps(ROWS))
ACCOUNT = httpx.Response(200, json={"creditBalance": 5, "status": 1, "totalAgents": 2})


async def listing(scene: Scene, give_up: float = 60.0) -> Listing:
    return await scene.client.listing(Deadline(give_up))


async def test_both_are_plain_gets_with_the_token_and_no_body():
    async with a_scene() as scene:
        scene.answer(LISTED, ACCOUNT)
        assert await listing(scene) == LISTING
        assert await scene.client.account(Deadline(60.0)) == Account(5.0, 1, 2)
        requests = [call.request for call in scene.api.calls]
        assert [(each.method, str(each.url)) for each in requests] == [
            ("GET", f"{URL}/v1/Outbound"),
            ("GET", f"{URL}/v1/Account"),
        ]
        for each in requests:
            assert each.headers["authorization"] == f"Bearer {TOKEN}"
            assert each.content == b""
        assert scene.observer.codes == ["200", "200"]


async def test_a_failure_that_may_pass_is_asked_again():
    async with a_scene() as scene:
        scene.answer(httpx.Response(503), httpx.ConnectError("no"), LISTED)
        assert await listing(scene) == LISTING
        assert scene.observer.codes == ["503", "none", "200"]
        assert scene.observer.retries == 2


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (httpx.Response(401), "auth"),
        (httpx.Response(403), "auth"),
        (httpx.Response(404), "not_found"),
        (httpx.Response(400, text=PHONE), "bad_request"),
        (httpx.Response(302, headers={"Location": f"{URL}/elsewhere"}), "bad_response"),
        (httpx.Response(200, text=f"<html>{PHONE}"), "bad_response"),
        (httpx.Response(200, json={"error": PHONE}), "bad_response"),
        (httpx.Response(200, content=b" " * (MAX_BODY_BYTES + 1)), "bad_response"),
    ],
)
async def test_what_will_not_pass_has_its_reason_and_no_quote(answer, reason):
    async with a_scene() as scene:
        scene.answer(answer)
        with pytest.raises(ApiError) as failed:
            await listing(scene)
        assert failed.value.reason == reason
        assert PHONE not in str(failed.value)
        assert "outbound's id" not in str(failed.value)
        assert len(scene.times) == 1


async def test_a_429_slows_and_pauses_the_searches_too():
    async with a_scene(rate_limit=10.0) as scene:
        left = [httpx.Response(429, headers={"Retry-After": "20"})]

        def answer(request: httpx.Request) -> httpx.Response:
            return left.pop() if left else LISTED if request.method == "GET" else WELL

        scene.answer(answer)
        asking = asyncio.create_task(listing(scene))
        await asyncio.sleep(1)
        searching = asyncio.create_task(scene.search())
        await asyncio.gather(asking, searching)
        assert scene.times[0] == 0
        assert all(time >= 20 for time in scene.times[1:])
        assert scene.client.limiter.rate < 10


async def test_it_has_its_fair_share_of_slots_among_searches():
    async with a_scene(rate_limit=2.0, concurrency=1) as scene:
        asked = []

        def answer(request: httpx.Request) -> httpx.Response:
            asked.append(request.url.path)
            return LISTED if request.method == "GET" else WELL

        scene.answer(answer)
        searches = [asyncio.create_task(scene.search(f"out{turn % 3}")) for turn in range(9)]
        await asyncio.sleep(0.1)
        await asyncio.gather(*searches, listing(scene))
        place = asked.index("/v1/Outbound")
        assert 1 <= place <= 4  # after each outbound had at most one slot more
        assert len(asked) == 10


async def test_an_answer_that_never_comes_ends_in_a_timeout():
    async with a_scene(timeout=5.0) as scene:
        scene.answer(after(1e9))
        with pytest.raises(ApiError) as failed:
            await listing(scene, give_up=12.0)
        assert failed.value.reason == "timeout"
        assert scene.now <= 12.1
