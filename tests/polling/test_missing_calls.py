"""Answers that lack calls which are there lose and double nothing, by the whole program."""

import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import formatdate
from math import ceil, floor
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from pearl_exporter.api.clock import Clock
from pearl_exporter.app import App, build_app
from pearl_exporter.config import (
    ApiSettings,
    OutboundSettings,
    PollSettings,
    Settings,
    TokenSource,
)
from pearl_exporter.exposition.render import Format
from pearl_exporter.state.store import MemoryStore, Store, open_store
from tests.support.oracle import positive

pytestmark = pytest.mark.virtual_time

T0 = 1_795_000_000
SETTLE, SETTLE_UNANSWERED = 120, 30


def calls(now: int, low: float, high: float) -> Iterator[dict[str, Any]]:
    """One a second, every other one answered for 12 s; those that start in ``[low, high]``."""
    for start in range(max(now - 700, ceil(low)), min(now, floor(high)) + 1):
        talk = 12 * (start % 2)
        is_live = now - start < talk
        yield {
            "id": f"{start:024x}",
            "startTime": datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "conversationStatus": 40 if is_live else 130 if talk else 150,
            "status": 3 if is_live else 4 if talk else 7,
            "duration": 0 if is_live else talk,
            "tags": [],
        }


def instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


class Server:
    """The API, and one outbound that is polled every 5 s.

    ``lag`` says for each request how many seconds the replica is behind that answers it; None if it
    knows no calls.
    """

    def __init__(
        self, lag: Callable[[float, int], int | None], store: Store | None = None, **poll: Any
    ) -> None:
        self.now = float(T0)
        self.requests = 0
        self._lag = lag
        self.store = store or MemoryStore()
        self.settings = Settings(
            api=ApiSettings(url="http://api", token=SecretStr("any:token"), rate_limit=1000.0),
            poll=PollSettings(**{"interval": 5.0, "window": 600.0, **poll}),
            outbounds=(
                OutboundSettings(
                    id="65f1c0ffee65f1c0ffee0001",
                    name="spring",
                    token=TokenSource(literal=SecretStr("any:token")),
                    **{"interval": 5.0, "window": 600.0, **poll},
                ),
            ),
        )
        self.app = self._new_app()

    def _new_app(self) -> App:
        return build_app(
            self.settings,
            transport=httpx.MockTransport(self._answer),
            clock=Clock(wall=lambda: self.now, monotonic=lambda: self.now),
            store=self.store,
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.content)
        lag = self._lag(self.now - T0, self.requests)
        self.requests += 1
        low, high = instant(asked["fromDate"]), instant(asked["toDate"])
        wanted = asked.get("statuses")
        rows = [
            row
            for row in (() if lag is None else calls(int(self.now) - lag, low, high))
            if not wanted or row["conversationStatus"] in wanted
        ]
        rows.sort(key=lambda row: row["id"], reverse=not asked["isAscending"])
        skip, limit = asked["skip"], min(asked["limit"], 100)
        answer = {"count": len(rows), "results": rows[skip : skip + limit]}
        date = {"Date": formatdate(self.now, usegmt=True)}
        body = httpx.ByteStream(json.dumps(answer).encode())
        return httpx.Response(200, stream=body, headers=date)

    async def restart(self) -> None:
        self.app = self._new_app()
        await self.app.start(polling=False)

    async def poll(self) -> None:
        poller = self.app.pollers[0]
        assert await poller.poll() is None
        found = poller.snapshot.calls
        uncounted = sum(found.ledger.uncounted.values())
        unsettled = found.live + found.pending
        assert found.ledger.started == found.ledger.settled + unsettled + uncounted
        self.now += 5

    async def poll_until(self, seconds: int) -> None:
        while self.now < T0 + seconds:
            await self.poll()

    @property
    def found(self) -> Any:
        return self.app.pollers[0].snapshot.calls


def settled_by(now: int) -> dict[str, int]:
    """What must be counted by a good poll at ``now``."""
    counted = {"complete": 0, "unreachable": 0}
    for start in range(T0 - 700, now + 1):
        talk = 12 * (start % 2)
        settles = start + talk + (SETTLE if talk else SETTLE_UNANSWERED)
        if T0 < settles <= now:
            counted["complete" if talk else "unreachable"] += 1
    return counted


async def test_one_empty_answer_loses_no_unsettled_call(caplog):
    """For one poll, and whatever else it asks: 200, count 0, no results."""
    server = Server(lambda seconds, _: None if 40 <= seconds < 45 else 0)
    await server.app.start(polling=False)
    await server.poll_until(40)
    before = server.found
    with caplog.at_level(logging.INFO, "pearl_exporter"):
        await server.poll()
        missing = server.found
        # five have left the window, and five that are new were not read
        assert missing.window.calls == before.window.calls - 5 == 596
        assert (missing.live, missing.pending) == (before.live, before.pending)
        assert missing.missing == 596
        text = server.app.exposition.render(Format.TEXT).decode()
        assert 'pearl_outbound_missing_calls{outbound="spring"} 596.0' in text
        assert 'pearl_outbound_up{outbound="spring"} 1.0' in text
        await server.poll_until(75)
    told = [each.getMessage() for each in caplog.records if "missing" in each.getMessage()]
    assert [text.split(":")[0] for text in told] == [
        "the API lists none of the calls that it listed before",
        "no call is missing any more",
    ]
    found = server.found
    assert found.missing == 0
    assert positive(found.ledger.uncounted) == {}
    assert positive(found.ledger.by_status) == positive(settled_by(T0 + 70))
    assert found.window.calls == 601
    # from here on each of them settles, and once
    await server.poll_until(300)
    assert positive(server.found.ledger.by_status) == positive(settled_by(T0 + 295))


async def test_an_empty_answer_after_a_restart_loses_nothing(tmp_path):
    store = open_store(f"sqlite:///{tmp_path}/state.db")
    server = Server(lambda seconds, _: None if 40 <= seconds < 45 else 0, store)
    await server.app.start(polling=False)
    await server.poll_until(40)
    before = server.found
    await server.restart()
    await server.poll()
    assert server.found.window.calls == before.window.calls - 5
    await server.restart()
    assert server.found.missing == 596
    await server.poll_until(300)
    assert positive(server.found.ledger.by_status) == positive(settled_by(T0 + 295))
    assert positive(server.found.ledger.uncounted) == {}
    await store.aclose()


@pytest.mark.parametrize("behind", [7, 60, 400])
@pytest.mark.parametrize("turn", [1, 2, 3])
async def test_a_balancer_with_a_replica_behind_loses_nothing(behind, turn):
    """Requests in turn go to a fresh replica and to one that is behind."""
    server = Server(lambda *_: 0)
    await server.app.start(polling=False)
    await server.poll()
    server._lag = lambda _, request: behind * (request // turn % 2)
    for _ in range(80):
        failure = await server.app.pollers[0].poll()
        assert failure is None or failure.reason == "inconsistent"
        server.now += 5
    server._lag = lambda *_: 0
    await server.poll_until(int(server.now) - T0 + SETTLE + 5)
    found, last = server.found, int(server.now) - 5
    assert positive(found.ledger.uncounted) == {}
    assert found.missing == 0
    assert found.window.calls == 601
    assert positive(found.ledger.by_status) == positive(settled_by(last))


async def test_many_deleted_calls_leave_once_it_is_sure():
    """All that started before some moment, as if the platform kept no more."""
    server = Server(lambda *_: 0)
    await server.app.start(polling=False)
    await server.poll_until(40)
    server._lag = lambda *_: None
    await server.poll_until(40 + SETTLE)
    assert server.found.missing > 0
    assert positive(server.found.ledger.uncounted) == {}
    await server.poll()
    found = server.found
    assert (found.missing, found.live, found.pending, found.window.calls) == (0, 0, 0, 0)
    never = found.ledger.started - found.ledger.settled
    assert positive(found.ledger.uncounted) == {"deleted": never}
