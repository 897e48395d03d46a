"""A state that cannot be written stops the counting, never the exporter, and loses nothing.

A real `serve` whose files may not grow: the kernel refuses its writes beyond a limit, as it would
on a full disk, until the limit is lifted.
"""

import resource
import subprocess
import time
from contextlib import ExitStack, contextmanager

import httpx

from pearl_exporter.simulator import SimulatedClock, build_simulator
from tests.end_to_end.scrape import Scrape
from tests.end_to_end.test_kill import (
    Exporter,
    Watch,
    compare,
    configured,
    has_settled,
    last_scrape,
    rows_of,
    steady_campaign,
)
from tests.support.patience import HANGING_SECONDS, PATIENT
from tests.support.programs import pearl_command, without_coverage
from tests.support.serving import serving

FULL_AT_BYTES = 65_536
"""Less than the state has, enough for the log and for SQLite's own index of what it has written."""

FAILURES = "pearl_exporter_poll_failures_total"
UNLIMITED = resource.RLIM_INFINITY


class LimitedExporter(Exporter):
    """An exporter whose disk fills up and has room again."""

    def fill_disk(self) -> None:
        self._limit(FULL_AT_BYTES)

    def make_room(self) -> None:
        self._limit(UNLIMITED)

    def _limit(self, size: int) -> None:
        resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (size, UNLIMITED))

    def start_on_a_full_disk(self) -> None:
        with limited(FULL_AT_BYTES):
            self.start()

    @property
    def log(self) -> list[str]:
        return self._log.read_text().splitlines()

    def get(self, path: str) -> int:
        return httpx.get(f"{self.url}{path}", **PATIENT).status_code


@contextmanager
def limited(size: int):
    """What is started now inherits the limit."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class Frozen(Watch):
    """As `Watch`; and what is published of the calls changes with a committed poll alone."""

    def __init__(self) -> None:
        super().__init__()
        self.by_poll: dict = {}

    def __call__(self, scraped: Scrape) -> None:
        super().__call__(scraped)
        polled_at = scraped.value("pearl_outbound_data_timestamp_seconds")
        if polled_at is not None:
            assert self.by_poll.setdefault(polled_at, self.last) == self.last


def fails_by_state(exporter: Exporter, watch: Watch, times: int) -> Scrape:
    """Waits for so many more polls in a row that fail as the state can't be written."""
    failures, last = None, None

    def failed(scraped: Scrape) -> bool:
        nonlocal failures, last
        watch(scraped)
        now = scraped.value(FAILURES, reason="state")
        if failures is None or scraped.value("pearl_outbound_up") == 1:
            failures = now
        last = scraped
        return now - failures >= times

    return exporter.scrape_until(failed)


def other_failures(scraped: Scrape) -> dict[str, float]:
    """The failures by reason, but for those of the state."""
    failures = dict(scraped.by_label(FAILURES, "reason"))
    del failures["state"]
    return failures


def test_a_full_disk_stops_the_counting_and_nothing_else(tmp_path):
    campaign, clock, watch = steady_campaign(calls_a_day=900_000), SimulatedClock(), Frozen()
    clock.pause()
    first_seen = rows_of(campaign, clock())
    with ExitStack() as stack:
        api = stack.enter_context(serving(build_simulator([campaign], clock=clock)))
        config = configured(tmp_path, api)
        exporter = stack.enter_context(LimitedExporter(config, tmp_path))
        begun = exporter.scrape_until(lambda each: each.value("pearl_outbound_up") == 1)
        since = begun.value("pearl_outbound_tracking_since_timestamp_seconds")
        clock.resume()
        clock.set_ms(round(time.time() * 1000))
        counted = begun.value("pearl_calls_started_total")
        well = exporter.scrape_until(lambda each: each.value("pearl_calls_started_total") > counted)
        watch(well)

        exporter.fill_disk()
        full = fails_by_state(exporter, watch, times=3)
        assert full.value("pearl_outbound_up") == 0
        # a poll may have failed before, when the API's time was set
        assert other_failures(full) == other_failures(well)
        assert [exporter.get(path) for path in ("/", "/-/healthy", "/-/ready")] == [200] * 3
        told = [line for line in exporter.log if "poll failed" in line]
        assert "state.db: disk" in told[-1]
        assert "reason=state" in told[-1]
        assert not any("Traceback" in line for line in exporter.log)

        exporter.kill()
        exporter.start_on_a_full_disk()
        watch(exporter.scrape_until(lambda _: True))
        fails_by_state(exporter, watch, times=1)
        exporter.make_room()
        exporter.scrape_until(lambda each: watch(each) or each.value("pearl_outbound_up") == 1)
        assert "polls succeed again" in exporter.log[-1]

        final = last_scrape(exporter, clock)
        watch(final)
        assert exporter.stop() == 0
    assert final.value("pearl_outbound_tracking_since_timestamp_seconds") == since
    before = {key for key, call in first_seen.items() if has_settled(call, round(since * 1000))}
    compare(final, rows_of(campaign, clock()), before)


def test_a_state_that_cannot_be_made_ends_the_start(tmp_path):
    config = configured(tmp_path, "http://127.0.0.1:1")
    with limited(0):
        ended = subprocess.run(
            pearl_command("serve", "--config", config),
            env=without_coverage(),
            stderr=subprocess.PIPE,
            text=True,
            timeout=HANGING_SECONDS,
            check=False,
        )
    assert ended.returncode == 1, "a service manager is to try again"
    assert f"state.url: {tmp_path}/state.db: disk" in ended.stderr
    assert "is the disk full? Make room" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert (tmp_path / "state.db").stat().st_size == 0
