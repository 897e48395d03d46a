"""What stands between exporter and API costs a request sent again, not a poll, and no outbound."""

from collections.abc import Callable

import httpx
import pytest

from pearl_exporter.simulator import default_campaigns
from tests.support.world import DAWN_MS, HOUR_MS, World

pytestmark = pytest.mark.virtual_time

CHALLENGE = httpx.Response(
    403,
    stream=httpx.ByteStream(b"<!DOCTYPE html><title>Just a moment...</title>"),
    headers={"content-type": "text/html; charset=UTF-8", "cf-mitigated": "challenge"},
)
ANSWERS: dict[str, tuple[Callable[[], httpx.Response], str]] = {
    "408": (lambda: httpx.Response(408, stream=httpx.ByteStream(b"")), "timeout"),
    "425": (lambda: httpx.Response(425, stream=httpx.ByteStream(b"")), "timeout"),
    "407": (lambda: httpx.Response(407, stream=httpx.ByteStream(b"")), "connection"),
    "204": (lambda: httpx.Response(204, stream=httpx.ByteStream(b"")), "bad_response"),
    "403 of a firewall": (
        lambda: httpx.Response(403, stream=CHALLENGE.stream, headers=CHALLENGE.headers),
        "bad_response",
    ),
}


class Between(httpx.AsyncBaseTransport):
    """Answers every n-th request in the place of the API; 0 for none."""

    def __init__(
        self, transport: httpx.AsyncBaseTransport, answer: Callable[[], httpx.Response]
    ) -> None:
        self._transport = transport
        self._answer = answer
        self.every = 3
        self.requests = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        if self.every and self.requests % self.every == 0:
            await request.aread()
            return self._answer()
        return await self._transport.handle_async_request(request)


def a_world(answer: Callable[[], httpx.Response]) -> tuple[World, Between]:
    between: list[Between] = []
    world = World(
        default_campaigns(3, DAWN_MS, 2, history_ms=HOUR_MS // 2),
        poll={"window": 1200.0},
        outbound={"window": 1200.0},
        transport=lambda it: between.append(Between(it, answer)) or between[0],
    )
    return world, between[0]


@pytest.mark.parametrize("name", ANSWERS)
async def test_one_answer_of_three_that_is_not_the_api_s_fails_no_poll(name):
    answer, _ = ANSWERS[name]
    world, _ = a_world(answer)
    await world.app.start(polling=False)
    for _ in range(5):
        for poller in world.app.pollers:
            assert await poller.poll() is None
        await world.wait(30)
    await world.app.stop()


@pytest.mark.parametrize("name", ANSWERS)
async def test_where_all_are_polls_fail_by_their_reason_and_go_on(name):
    """At the usual interval, and with no token refused."""
    answer, reason = ANSWERS[name]
    world, between = a_world(answer)
    await world.app.start(polling=False)
    between.every = 1
    for _ in range(3):
        for poller in world.app.pollers:
            error = await poller.poll()
            assert error.reason == reason
            assert poller.may_poll()
            assert not poller.waits_for_token
        await world.wait(30)
    between.every = 0
    for poller in world.app.pollers:
        assert await poller.poll() is None
    await world.app.stop()
