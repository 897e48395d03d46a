"""SIGKILL at any moment costs no count: counters never fall, nothing is lost, nothing doubled.

A few kills here; ``python -m bench.soak.repeat kills`` makes more.
"""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import httpx
import pytest
import yaml

from pearl_exporter.api.decode_calls import decode_page
from pearl_exporter.counting.calls import Call, ended_at, is_live
from pearl_exporter.simulator import Campaign, Profile, SimulatedClock, build_simulator
from tests.end_to_end.scrape import Scrape, scrape
from tests.support.patience import HANGING_SECONDS
from tests.support.programs import eventually, without_coverage
from tests.support.serving import serving

pytestmark = pytest.mark.slow

OUTBOUND = "65f1c0000000000000000001"
SETTLE_SECONDS = 2
LOOK_EVERY_SECONDS = 0.1
"""Ten looks at a poll: more would find nothing, and take the CPU from who is looked at."""


def steady_campaign(calls_a_day: int = 300_000) -> Campaign:
    """One whose rows keep what they say, so that the truth about the counters can be told."""
    profile = Profile(
        outbound_id=OUTBOUND,
        name="steady",
        calls_a_day=calls_a_day,
        median_seconds=4.0,
        spread=0.3,
        longest_seconds=20.0,
        queue_seconds=1.0,
        late_row_share=0.0,
        late_outcome_share=0.0,
        revised_share=0.0,
        deleted_share=0.0,
        unknown_code_share=0.0,
        null_share=0.0,
    )
    return Campaign(profile, seed=5, start_ms=round(time.time() * 1000) - 300_000)


def configured(folder: Path, api: str) -> Path:
    path = folder / "config.yml"
    path.write_text(
        f"api: {{url: '{api}', token: t, rate_limit: 200, page_size: 50}}\n"
        f"poll: {{interval: 1s, window: 2m, settle: {SETTLE_SECONDS}s}}\n"
        f"state: {{url: 'sqlite:///{folder}/state.db'}}\n"
        f"web: {{listen: '127.0.0.1:{free_port()}'}}\n"
        f"outbounds: [{{id: {OUTBOUND}, name: steady}}]\n"
    )
    return path


class Exporter:
    """A real `serve` that is killed and started again on the same state."""

    def __init__(self, config: Path, folder: Path) -> None:
        listen = yaml.safe_load(config.read_text())["web"]["listen"]
        self.url = f"http://{listen}"
        self._command = [sys.executable, "-m", "pearl_exporter", "serve", "--config", str(config)]
        self._log = folder / "exporter.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        with self._log.open("ab") as log:
            command = self._command
            self._process = subprocess.Popen(command, stderr=log, env=without_coverage())

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(HANGING_SECONDS)

    def stop(self) -> int:
        self._process.terminate()
        return self._process.wait(HANGING_SECONDS)

    def scrape(self) -> Scrape | None:
        try:
            return Scrape(scrape(self.url))
        except httpx.TransportError:
            return None

    def scrape_until(self, condition) -> Scrape:
        def look() -> Scrape | None:
            assert self._process.poll() is None, self._log.read_text()
            scraped = self.scrape()
            return scraped if scraped is not None and condition(scraped) else None

        return eventually(look, every=LOOK_EVERY_SECONDS, what="such a scrape")


class Watch:
    """Looks at every scrape: no counter falls, no call is counted without having started."""

    def __init__(self) -> None:
        self.last: dict = {}

    def __call__(self, scraped: Scrape) -> None:
        counters = {
            series: value
            for series, value in scraped.counters.items()
            if not series[0].startswith("pearl_exporter_")
        }
        fallen = {s: (v, counters.get(s)) for s, v in self.last.items() if counters.get(s, -1) < v}
        assert not fallen
        self.last = counters
        if scraped.value("pearl_live_calls") is not None:
            assert scraped.value("pearl_calls_started_total") == sum(
                scraped.value(name)
                for name in (
                    "pearl_calls_total",
                    "pearl_live_calls",
                    "pearl_pending_calls",
                    "pearl_calls_uncounted_total",
                )
            )


def test_kills_under_load_lose_and_double_nothing(tmp_path):
    kills = int(os.environ.get("KILLS", "10"))
    final = kill_and_compare(tmp_path, kills=kills)
    started = final.value("pearl_calls_started_total")
    print(f"{kills} kills, {started:.0f} calls started")  # noqa: T201 - for bench.soak.repeat


def kill_and_compare(folder: Path, *, kills: int) -> Scrape:
    rng = random.Random(kills)
    campaign = steady_campaign()
    clock = SimulatedClock()
    clock.pause()  # what the first poll sees is known to the row
    first_seen = rows_of(campaign, clock())
    watch = Watch()
    with ExitStack() as stack:
        api = stack.enter_context(serving(build_simulator([campaign], clock=clock)))
        exporter = stack.enter_context(Exporter(configured(folder, api), folder))
        begun = exporter.scrape_until(lambda each: each.value("pearl_outbound_up") == 1)
        tracking_since = begun.value("pearl_outbound_tracking_since_timestamp_seconds")
        clock.resume()
        clock.set_ms(round(time.time() * 1000))
        for _ in range(kills):
            ends = time.monotonic() + rng.uniform(0.05, 1.5)
            while time.monotonic() < ends:
                scraped = exporter.scrape()
                if scraped is not None:
                    watch(scraped)
                time.sleep(LOOK_EVERY_SECONDS)
            exporter.kill()
            exporter.start()
            watch(exporter.scrape_until(lambda _: True))
        # on a slow machine there may have been too few calls to prove anything
        watch(exporter.scrape_until(lambda each: each.value("pearl_calls_started_total") > 100))
        final = last_scrape(exporter, clock)
        watch(final)
        assert exporter.stop() == 0
    assert final.value("pearl_outbound_tracking_since_timestamp_seconds") == tracking_since
    counted_before = {
        key for key, call in first_seen.items() if has_settled(call, round(tracking_since * 1000))
    }
    compare(final, rows_of(campaign, clock()), counted_before)
    return final


def last_scrape(exporter: Exporter, clock: SimulatedClock) -> Scrape:
    """What is published once the API's time stands still and everything of it is counted."""
    clock.pause()
    paused_at = clock() / 1000
    return exporter.scrape_until(
        lambda each: (
            (each.value("pearl_outbound_data_timestamp_seconds") or 0) > paused_at
            and each.value("pearl_outbound_catching_up") == 0
        )
    )


def rows_of(campaign: Campaign, now: int) -> dict[str, Call]:
    rows = campaign.rows(now - 900_000, now, now)
    page = decode_page(json.dumps({"count": len(rows), "results": rows}).encode())
    return {call.id: call for call in page.calls}


def has_settled(call: Call, now: int) -> bool:
    return not is_live(call) and ended_at(call, None) + SETTLE_SECONDS * 1000 <= now


def compare(final: Scrape, rows: dict[str, Call], before: set[str]) -> None:
    """All calls that had not settled when tracking began have started, and count once."""
    calls = [call for key, call in rows.items() if key not in before]
    assert final.value("pearl_calls_started_total") == len(calls) > 100
    assert not final.value("pearl_calls_uncounted_total")
    pending = final.value("pearl_pending_calls")
    for label, code in {"unreachable": 150, "error": 500, "success": 100}.items():
        finished = sum(call.status == code and not is_live(call) for call in calls)
        assert finished - pending <= final.value("pearl_calls_total", status=label) <= finished


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
