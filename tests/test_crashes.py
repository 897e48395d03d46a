"""A poll cut at any point, by a failure or by the process's end, loses and doubles nothing.

The histories of `test_counting`, polled by the real `Poller` on a real SQLite file. Errors come at
any request and at the commit; the process ends at any request, before a commit takes effect or
after it did, before anybody heard of it. The recount is fed those polls alone whose commit took
effect.
"""

import asyncio
import tempfile
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule
from pydantic import SecretStr

from pearl_exporter.clock import ApiClock, Clock
from pearl_exporter.config import OutboundSettings, TokenSource
from pearl_exporter.errors import ConnectionFailedError, Inconsistent, RateLimitedError, StateError
from pearl_exporter.plan import Reading
from pearl_exporter.poller import Assignment, Poller, Surroundings
from pearl_exporter.store import open_store
from pearl_exporter.sync import Page, Search
from pearl_exporter.tracker import Tracker
from tests.recount import Poll, Recount, positive
from tests.table import Table, by_id
from tests.test_counting import Histories

OUTBOUND = OutboundSettings(
    id="outbound", name="outbound", token=TokenSource(literal=SecretStr("account:secret"))
)
MEMORY_FOLDER = Path("/dev/shm")
"""Where there is one, the state is written there: what is tried is not the disk."""


class Killed(BaseException):
    """The process's end."""


class Client:
    """The API's client: answers from a table, until it is told to raise."""

    def __init__(self) -> None:
        self.table = Table()
        self.fault: BaseException | None = None
        self.good_requests = 0
        self.token = SimpleNamespace(current=lambda: "account:secret")
        self.limiter = SimpleNamespace(rate=1.0)

    async def search(self, outbound_id: str, search: Search, patience: object) -> Page:
        if self.fault is not None:
            if self.good_requests == 0:
                raise self.fault
            self.good_requests -= 1
        page = self.table.answer(search)
        self.table.on_search(self.table)
        return page


class CrashingStore:
    """The real store; what it is told to raise comes before or after a commit takes effect."""

    def __init__(self, path: Path, committed) -> None:
        self._store = open_store(f"sqlite:///{path}")
        self._committed = committed
        self.before: BaseException | None = None
        self.after: BaseException | None = None
        self.load, self.load_progress = self._store.load, self._store.load_progress
        self.aclose = self._store.aclose

    async def commit(self, outbound_id, delta) -> None:
        if self.before is not None:
            raise self.before
        await self._store.commit(outbound_id, delta)
        self._committed()
        if self.after is not None:
            raise self.after


class Crashes(Histories):
    def __init__(self) -> None:
        super().__init__()
        folder = MEMORY_FOLDER if MEMORY_FOLDER.is_dir() else None
        self.folder = tempfile.TemporaryDirectory(dir=folder)
        self.loop = asyncio.new_event_loop()
        self.client = Client()
        self.poller: Poller | None = None
        self.store: CrashingStore | None = None
        self.under_way: Poll | None = None

    def teardown(self) -> None:
        super().teardown()
        self.stop()
        self.loop.close()
        self.folder.cleanup()

    def stop(self) -> None:
        if self.store is not None:
            self.loop.run_until_complete(self.store.aclose())
        self.store = self.poller = None

    def committed(self) -> None:
        assert self.under_way is not None
        self.polls.append(self.under_way)

    def running(self) -> Poller:
        """The poller; started anew on what was saved, if it is not running."""
        if self.poller is None:
            self.store = CrashingStore(Path(self.folder.name) / "state.db", self.committed)
            clock = Clock(wall=lambda: self.now / 1000, monotonic=lambda: self.now / 1000)
            around = Surroundings(
                store=self.store,
                clock=clock,
                api_clock=ApiClock(clock),
                observer=SimpleNamespace(
                    read_rows=lambda received, rejected: None,
                    met_unknown_codes=lambda field, calls: None,
                ),
                publish=lambda snapshot: None,
                on_progress=lambda name, received, expected: None,
            )
            self.poller = Poller(Assignment(OUTBOUND, self.rules, 100, self.client), around)
            self.poller._commit = self.observed(self.poller._commit)
            self.loop.run_until_complete(self.poller.start())
            self.check_counters()
        return self.poller

    def observed(self, commit):
        """The seam: what a poll has read, as it is about to be committed."""

        async def observe(tracker: Tracker, reading: Reading, now: int) -> None:
            self.reading = reading
            unread = None if reading.unread is None else reading.unread[0]
            rows = by_id(reading.calls)
            self.under_way = Poll(now, tuple(reading.ranges), rows, unread)
            await commit(tracker, reading, now)

        return observe

    def read(self, limit: int) -> Reading:
        poller = self.running()
        self.client.table, poller._page_size = self.table, limit
        with (
            patch("pearl_exporter.plan.SMALL_WINDOW_PAGES", self.small_window_pages),
            patch.object(poller, "_spare_requests", lambda: self.spare),
        ):
            failure = self.loop.run_until_complete(poller.poll())
        if failure is not None:
            raise failure
        self.tracker = SimpleNamespace(snapshot=lambda: poller.snapshot.calls)
        return self.reading

    @rule()
    def restart(self):
        self.stop()
        self.running()

    @precondition(lambda self: self.polls)
    @rule(
        limit=st.sampled_from([1, 2, 3, 100]),
        good_requests=st.integers(0, 6),
        fault=st.sampled_from([Killed, ConnectionFailedError, RateLimitedError]),
    )
    def poll_cut_at_a_request(self, limit, good_requests, fault):
        self.running()
        self.client.fault, self.client.good_requests = fault("cut"), good_requests
        try:
            self.cut(limit)
        finally:
            self.client.fault = None

    @rule(limit=st.sampled_from([1, 2, 3, 100]), where=st.sampled_from(["before", "after"]))
    def poll_killed_at_the_commit(self, limit, where):
        self.running()
        setattr(self.store, where, Killed("cut"))
        self.cut(limit)

    @rule(limit=st.sampled_from([1, 2, 3, 100]), where=st.sampled_from(["before", "after"]))
    def poll_that_can_not_commit(self, limit, where):
        """Also where the disk says so though it has written all."""
        self.running()
        setattr(self.store, where, StateError("disk full"))
        self.cut(limit)
        setattr(self.store, where, None)
        for _ in range(2):  # what the failed commit left out of the state would count twice now
            self.cut(limit)
            self.restart()

    def cut(self, limit: int) -> None:
        published = self.running().snapshot.calls
        try:
            self.read(limit)
        except Killed:
            self.stop()
            self.running()
        except (ConnectionFailedError, RateLimitedError, StateError, Inconsistent):
            assert self.running().snapshot.calls == published
        else:
            self.check()

    def check_counters(self) -> None:
        """What is published after a start is what the committed polls amount to."""
        found = self.poller.snapshot.calls
        if not self.polls:
            assert found.ledger.started == 0
            return
        wanted, ledger = Recount(self.polls, self.rules), found.ledger
        assert ledger.started == wanted.started
        assert positive(ledger.by_status) == wanted.by_status
        assert positive(ledger.by_tag) == wanted.by_tag
        assert positive(ledger.revisions) == positive(wanted.revisions)
        assert positive(ledger.uncounted) == positive(wanted.uncounted)
        assert (found.live, found.pending) == (wanted.live, wanted.pending)


Crashes.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestCrashes = Crashes.TestCase
