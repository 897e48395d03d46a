"""A history of polls, some of whose requests are answered badly."""

import json
import logging
from collections.abc import Mapping
from typing import NamedTuple

import httpx

from pearl_exporter.api.body import Body
from pearl_exporter.counting.calls import status_label
from pearl_exporter.counting.ledger import LedgerSnapshot
from pearl_exporter.polling.poller import Poller
from pearl_exporter.polling.snapshot import OutboundSnapshot
from pearl_exporter.simulator import default_campaigns
from tests.support.bad_answers import BAIT, Bad
from tests.support.saving import calls_of
from tests.support.world import DAWN_MS, HOUR_MS, World

WINDOW_SECONDS = 1200.0
WAITS = (0.0, 30.0, 30.0, 30.0, 30.0, 3900.0, 30.0, 30.0, 30.0, 300.0, 30.0)
"""Seconds before each poll: the first read, steady ones, and after an outage a backlog."""

FIRST_READ = 15
"""So many requests are the first poll's."""


class HistoryResult(NamedTuple):
    """What came of a history.

    ``complaints`` are errors in the log, and log lines that quote an answer; ``is_right`` says
    whether the window, without its missing calls, equals the API's table in the end.
    """

    requests: int
    reasons: frozenset[str]
    complaints: tuple[str, ...]
    is_right: bool
    ledger: LedgerSnapshot


async def history(bad: Mapping[int, Bad], *, is_sticky: bool = False) -> HistoryResult:
    """Lives through it. ``bad`` says which requests are answered how.

    If ``is_sticky``, all requests after a bad one are answered alike, until its poll ends.
    Asserts after every poll that no counter has gone down and that they balance.
    """
    spoiling: list[_Spoiling] = []

    def spoil(transport: httpx.AsyncBaseTransport) -> httpx.AsyncBaseTransport:
        spoiling.append(_Spoiling(transport, bad, is_sticky=is_sticky))
        return spoiling[0]

    world = World(
        default_campaigns(7, DAWN_MS, 1, history_ms=2 * HOUR_MS),
        transport=spoil,
        frozen=True,
        api={"page_size": 30},
        poll={"window": WINDOW_SECONDS, "follow": 7200.0, "full_scan_every": 60.0},
        outbound={"window": WINDOW_SECONDS, "settle": 60.0, "interval": 30.0},
    )
    heard = _Heard()
    logging.getLogger("pearl_exporter").addHandler(heard)
    try:
        await world.app.start(polling=False)
        polls = _Polls(world.app.pollers[0], spoiling[0])
        for wait in WAITS:
            await world.wait(wait)
            await polls.poll()
        requests = polls.transport.asked
        for _ in range(2):  # what was on its way at the first scan is there at the second
            await world.wait(61)
            await polls.until_scanned()
        await world.app.stop()
    finally:
        logging.getLogger("pearl_exporter").removeHandler(heard)
    calls = polls.poller.snapshot.calls
    held = {name: count for name, count in _listed(polls.poller).items() if count}
    return HistoryResult(
        requests, frozenset(polls.reasons), tuple(heard.lines), held == _truth(world), calls.ledger
    )


def _listed(poller: Poller) -> dict[str, int]:
    """The window's calls by outcome, without those that are missing and not gone yet."""
    found, saved = dict(poller.snapshot.calls.window.by_status), poller.saved()
    assert saved is not None
    for each in calls_of(saved).values():
        if each.is_missing and each.in_window:
            found[status_label(each.call.status)] -= 1
    return found


def _truth(world: World) -> dict[str, int]:
    now, outbound = world.now_ms, world.settings.outbounds[0]
    found: dict[str, int] = {}
    for call in world.served(outbound.id, now - int(WINDOW_SECONDS * 1000), now).values():
        found[status_label(call.status)] = found.get(status_label(call.status), 0) + 1
    return found


class _Polls:
    """One poller, whose every poll is looked at."""

    def __init__(self, poller: Poller, transport: "_Spoiling") -> None:
        self.poller = poller
        self.transport = transport
        self.reasons: set[str] = set()

    async def poll(self) -> bool:
        """Polls; gives whether that completed a scan of the whole window."""
        before = self.poller.snapshot
        error = await self.poller.poll()
        self.transport.sticking = None
        if error is not None:
            self.reasons.add(error.reason)
            assert BAIT not in str(error)
        after = self.poller.snapshot
        _assert_none_went_down(before.calls.ledger, after.calls.ledger)
        _assert_balance(after)
        return after.health.full_scan_at != before.health.full_scan_at

    async def until_scanned(self) -> None:
        for _ in range(200):
            if await self.poll():
                return
        raise AssertionError("no scan came to its end")


class _Spoiling(httpx.AsyncBaseTransport):
    def __init__(
        self, transport: httpx.AsyncBaseTransport, bad: Mapping[int, Bad], *, is_sticky: bool
    ) -> None:
        self._transport = transport
        self._bad = bad
        self._is_sticky = is_sticky
        self.asked = 0
        self.sticking: Bad | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        good = await self._transport.handle_async_request(request)
        bad = self._bad.get(self.asked, self.sticking)
        self.asked += 1
        if bad is None:
            return good
        if self._is_sticky:
            self.sticking = bad
        body = Body(good.headers.get("content-encoding", ""))
        async for piece in good.aiter_raw():
            body.take(piece)
        answer = bad.answer(json.loads(body.whole()))
        answer.headers["date"] = good.headers["date"]
        return answer


class _Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record)
        if record.exc_info or record.levelno >= logging.ERROR or BAIT in line:
            self.lines.append(line)


def _assert_none_went_down(old: LedgerSnapshot, new: LedgerSnapshot) -> None:
    assert new.started >= old.started
    for field in ("by_status", "by_call_status", "by_tag", "uncounted", "revisions"):
        now = getattr(new, field)
        assert all(now[key] >= count for key, count in getattr(old, field).items()), field


def _assert_balance(snapshot: OutboundSnapshot) -> None:
    calls = snapshot.calls
    counted = calls.ledger.settled + sum(calls.ledger.uncounted.values())
    assert calls.ledger.started == counted + calls.live + calls.pending
