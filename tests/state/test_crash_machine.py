"""A poll cut at any point, by a failure or by the process's end, loses and doubles nothing.

The histories of `test_counting`, polled by the real `Poller` on a real SQLite file, by a machine
whose clock is set back and forth. Errors come at any request, at any statement of SQL or in the
middle of one, and at the commit, before it takes effect or after it did; so does the process's end.
The recount is fed those polls alone whose commit took effect.
"""

import asyncio
import sqlite3
import tempfile
from collections import Counter
from contextlib import closing, suppress
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule
from pydantic import SecretStr
from sqlalchemy import Engine, event

from pearl_exporter.api.budget import Budget
from pearl_exporter.api.clock import ApiClock, Clock
from pearl_exporter.api.session import Session
from pearl_exporter.api.token_breaker import BreakerState, TokenBreaker
from pearl_exporter.config import OutboundSettings, TokenSource
from pearl_exporter.counting.compact_ids import full_id, loaded_ids
from pearl_exporter.counting.journal import decode_entries
from pearl_exporter.counting.saved import SavedOutbound
from pearl_exporter.counting.tracked_call import CallPhase
from pearl_exporter.errors import ConnectionFailedError, Inconsistent, RateLimitedError, StateError
from pearl_exporter.polling.context import PollContext
from pearl_exporter.polling.plan_runner import PlanRunner
from pearl_exporter.polling.poller import Poller
from pearl_exporter.reading.contradictions import LATE_MS
from pearl_exporter.reading.cost import PlanLimits
from pearl_exporter.reading.plan import PollResult
from pearl_exporter.reading.search import Page, Search
from pearl_exporter.state.store import open_store
from tests.counting.test_counting_machine import MINUTE, Histories
from tests.support.observed_runner import ObservedRunner
from tests.support.oracle import Poll, Recount, positive
from tests.support.saving import calls_of
from tests.support.table import Table, by_id

pytestmark = pytest.mark.slow

OUTBOUND = OutboundSettings(
    id="outbound", name="outbound", token=TokenSource(literal=SecretStr("account:secret"))
)
MEMORY_FOLDER = Path("/dev/shm")
"""Where there is one, the state is written there: what is tried is not the disk."""

SECOND, HOUR = 1, 3600
STEPS = [1.5 * SECOND, 3 * SECOND, 40 * SECOND, 600 * SECOND, 3 * HOUR, 30 * HOUR]
"""By how much this machine's clock is set, forward or back."""


class Killed(BaseException):
    """The process's end."""


class DiskFull(sqlite3.OperationalError):
    def __init__(self) -> None:
        super().__init__("database or disk is full")


class Client:
    """The API's client: answers from a table, until it has a fault to raise."""

    budget = Budget(rate=1.0, configured_rate=1.0, waiting=0, is_refused=False)

    def __init__(self, answered, clock) -> None:
        self._answered = answered
        self._clock = clock
        self.table = Table()
        self.fault: BaseException | None = None
        self.good_requests = 0
        self._token = SimpleNamespace(current=lambda: "account:secret")
        self._breaker = TokenBreaker()

    def session(self, outbound_id: str, deadline: object) -> Session:
        parts = {"breaker": self._breaker, "token": self._token, "clock": self._clock}
        return Session(outbound_id, self._answer, **parts)

    def breaker_state(self, outbound_id: str) -> BreakerState:
        return self._breaker.state(outbound_id)

    def record_demand(self, outbound_id: str, requests: int) -> None:
        pass

    async def _answer(self, search: Search, on_sent) -> Page:
        on_sent()
        if self.fault is not None:
            if self.good_requests == 0:
                raise self.fault
            self.good_requests -= 1
        page = self.table.answer(search)
        self.table.on_search(self.table)
        self._answered()
        return page


class Disk:
    """SQLite's driver, which fails at one point: at, or in, a statement, or at a commit."""

    def __init__(self) -> None:
        self.repair()
        self.commits = 0
        """How many transactions took effect."""
        self.connections: list[Connection] = []
        event.listen(Engine, "do_connect", self._connect)

    def remove(self) -> None:
        event.remove(Engine, "do_connect", self._connect)

    def _connect(self, _dialect, _record, _arguments, options) -> None:
        options["factory"] = type("Connection", (Connection,), {"disk": self})

    def let_go(self) -> None:
        """What the process's end does, also for a connection that an exception still holds."""
        while self.connections:
            self.connections.pop().close()

    def repair(self) -> None:
        self.fault: BaseException | None = None
        self.point = ""
        self.good_statements = 0

    def fail(self, fault: BaseException, point: str, good_statements: int = 0) -> None:
        self.fault, self.point, self.good_statements = fault, point, good_statements

    def is_due(self) -> bool:
        """Whether the statement that comes now is the one to fail."""
        if self.point not in ("statement", "mid-statement"):
            return False
        self.good_statements -= 1
        return self.good_statements < 0

    def reach(self, point: str) -> None:
        if self.point == point:
            raise self.fault


class Connection(sqlite3.Connection):
    disk: Disk

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.disk.connections.append(self)

    def cursor(self, factory=None):
        return super().cursor(Cursor)

    def commit(self):
        if not self.in_transaction:
            super().commit()
            return
        self.disk.reach("before commit")
        super().commit()
        self.disk.commits += 1
        self.disk.reach("after commit")

    def close(self):
        with suppress(sqlite3.ProgrammingError):  # it is closed already
            # as the kernel would: a statement cut in its midst, that somebody still holds, lets go
            super().rollback()
        super().close()


class Cursor(sqlite3.Cursor):
    def execute(self, sql, parameters=()):
        if sql.lstrip().upper().startswith(("COMMIT", "END")):
            self.connection.commit()
            return self
        if self.connection.disk.is_due():
            raise self.connection.disk.fault
        return super().execute(sql, parameters)

    def executemany(self, sql, rows):
        rows, disk = list(rows), self.connection.disk
        if disk.is_due():
            if disk.point == "mid-statement":
                super().executemany(sql, rows[: len(rows) // 2 + 1])
            raise disk.fault
        return super().executemany(sql, rows)


class WatchedStore:
    """The real store; reports which commits took effect, whatever became of them then."""

    def __init__(self, path: Path, disk: Disk, committed) -> None:
        self._store = open_store(f"sqlite:///{path}")
        self._disk = disk
        self._committed = committed
        self.load, self.load_progress = self._store.load, self._store.load_progress
        self.aclose = self._store.aclose

    async def commit(self, outbound_id, delta) -> None:
        before = self._disk.commits
        try:
            await self._store.commit(outbound_id, delta)
        finally:
            if self._disk.commits > before:
                self._committed()


class Crashes(Histories):
    rest_ms = 700  # a Date is cut to whole seconds: T may stand still for as long

    def __init__(self) -> None:
        super().__init__()
        folder = MEMORY_FOLDER if MEMORY_FOLDER.is_dir() else None
        self.folder = tempfile.TemporaryDirectory(dir=folder)
        self.loop = asyncio.new_event_loop()
        self.disk = Disk()
        self.limit = 100
        self.poller: Poller | None = None
        self.store: WatchedStore | None = None
        self.under_way: Poll | None = None
        self.ahead_seconds = 0.0
        self.has_date = True
        self.clock = Clock(
            wall=lambda: self.now / 1000 + self.ahead_seconds, monotonic=lambda: self.now / 1000
        )
        self.client = Client(self.answered, self.clock)

    def teardown(self) -> None:
        super().teardown()
        self.stop()
        self.disk.remove()
        self.loop.close()
        self.folder.cleanup()

    def stop(self) -> None:
        if self.store is not None:
            self.loop.run_until_complete(self.store.aclose())
            self.disk.let_go()
        self.store = self.poller = None

    def committed(self) -> None:
        assert self.under_way is not None
        self.polls.append(self.under_way)

    def answered(self) -> None:
        """An answer came, with the API's time or without."""
        if self.has_date:
            date = datetime.fromtimestamp(self.now // 1000, UTC)
            self.api_clock.observe(format_datetime(date, usegmt=True), self.clock.monotonic())

    @initialize(has_date=st.booleans(), ahead=st.sampled_from([0, 0, 0, *STEPS]))
    def machine(self, has_date, ahead):
        self.has_date, self.ahead_seconds = has_date, ahead

    @rule(seconds=st.sampled_from(STEPS), way=st.sampled_from([1, -1]))
    def clock_is_set(self, seconds, way):
        self.ahead_seconds += way * seconds

    @rule()
    def clock_is_set_right(self):
        self.ahead_seconds = 0.0

    @rule(seconds=st.sampled_from(STEPS), way=st.sampled_from([1, -1]), polls=st.integers(1, 2))
    def process_that_begins_and_ends_at_a_wrong_time(self, seconds, way, polls):
        self.clock_is_set(seconds, way)
        self.restart()
        for _ in range(polls):
            self.cut(100)
        self.clock_is_set(seconds, -way)
        self.restart()

    def running(self) -> Poller:
        """The poller; started again from what was saved, if it is not running."""
        if self.poller is None:
            self.api_clock = ApiClock(self.clock)
            path = Path(self.folder.name) / "state.db"
            self.store = WatchedStore(path, self.disk, self.committed)
            context = PollContext(
                store=self.store,
                clock=self.clock,
                api_clock=self.api_clock,
                observer=SimpleNamespace(
                    read_rows=lambda received, rejected: None,
                    read_rows_outside=lambda rows: None,
                    met_unusable_fields=lambda field, calls: None,
                    met_unknown_codes=lambda field, calls: None,
                ),
                publish=lambda snapshot: None,
                on_progress=lambda name, received, expected: None,
            )
            self.poller = Poller(
                OUTBOUND,
                self.rules,
                self.client,
                context,
                page_size=100,
                new_runner=self.new_runner,
                new_tracker=lambda _rules, saved: self.new_tracker(saved),
            )
            self.loop.run_until_complete(self.poller.start())
            self.check_counters()
        return self.poller

    def new_runner(self, search, context, log, _limits, **more) -> PlanRunner:
        """The seam: reads by the machine's limits, and tells it what a poll has read."""
        limits = PlanLimits(self.limit, self.catch_up_requests, self.max_whole_read_pages)
        return ObservedRunner(self.has_read, search, context, log, limits, **more)

    def has_read(self, now: int, reading: PollResult) -> None:
        self.reading, observation = reading, reading.observation
        unread = None if observation.unread is None else observation.unread[0]
        rows = by_id(observation.rows)
        self.under_way = Poll(
            now,
            tuple(observation.ranges),
            rows,
            unread,
            observation.unreadable_ids,
            is_contradicted=observation.is_contradicted,
        )

    def read(self, limit: int) -> PollResult:
        poller = self.running()
        self.client.table, self.limit = self.table, limit
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

    @precondition(lambda self: self.polls and self.table.rows)
    @rule(data=st.data(), milliseconds=st.sampled_from([MINUTE, 5 * MINUTE]))
    def rows_vanish_about_a_failed_poll(self, data, milliseconds):
        """A failed poll is no read: it neither confirms that a call is gone nor resets."""
        self.delete(data)
        for _ in range(2):
            self.poll_cut_at_a_request(100, 0, ConnectionFailedError)
            self.wait(milliseconds)
            self.cut(100)

    @rule(
        limit=st.sampled_from([1, 2, 3, 100]),
        good_statements=st.integers(0, 5),
        point=st.sampled_from(["statement", "mid-statement"]),
        fault=st.sampled_from([Killed, DiskFull]),
    )
    def poll_cut_at_a_statement(self, limit, good_statements, point, fault):
        self.running()
        self.disk.fail(fault(), point, good_statements)
        self.cut(limit)

    @rule(
        limit=st.sampled_from([1, 2, 3, 100]),
        point=st.sampled_from(["before commit", "after commit"]),
        fault=st.sampled_from([Killed, DiskFull]),
    )
    def poll_cut_at_the_commit(self, limit, point, fault):
        """Also where the disk says that it is full though it has written all."""
        self.running()
        self.disk.fail(fault(), point)
        self.cut(limit)
        for _ in range(2):  # what the failed commit left out of the state would count twice now
            self.cut(limit)
            self.restart()

    @precondition(lambda self: self.polls)
    @rule(limit=st.sampled_from([1, 2, 3]))
    def rest(self, limit):
        """A clock that is far behind is set right: without a Date, polls may fail until then."""
        if not self.has_date and self.ahead_seconds < -LATE_MS / 1000:
            self.clock_is_set_right()
            self.restart()
        super().rest(limit)

    def cut(self, limit: int) -> None:
        published = self.running().snapshot.calls
        try:
            self.read(limit)
        except Killed:
            self.disk.repair()
            self.stop()
            self.running()
        except (ConnectionFailedError, RateLimitedError, StateError, Inconsistent):
            assert self.running().snapshot.calls == published
        else:
            self.check()
        finally:
            self.disk.repair()

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
        assert found.missing == len(wanted.missing)
        self.check_journal()

    def check_journal(self) -> None:
        """Each tracked call that was counted was counted by exactly one poll; no other was.

        One that was forgotten, as by a clock that was ahead, and is read again, is history.
        """
        path = Path(self.folder.name) / "state.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            blocks = dict(connection.execute("SELECT key, calls FROM blocks"))
            entries = connection.execute("SELECT entries FROM journal").fetchall()
        counted = Counter(
            full_id(compact)
            for (each,) in entries
            for compact in loaded_ids(decode_entries(each).settled)
        )
        calls = calls_of(SavedOutbound(None, blocks))
        for call_id, each in calls.items():
            assert counted[call_id] <= 1, call_id
            if each.phase is not CallPhase.HISTORY:
                assert counted[call_id] == (each.phase is CallPhase.SETTLED), call_id


Crashes.TestCase.settings = settings(max_examples=120, stateful_step_count=30, deadline=None)
TestCrashes = Crashes.TestCase
