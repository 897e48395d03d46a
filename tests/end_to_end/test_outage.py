"""The API dies and comes back, while the exporter is a real process and calls go on happening."""

import calendar
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pearl_exporter.simulator import Campaign, Profile, SimulatedClock, build_simulator
from tests.cli.simulated import base_url, write_config
from tests.end_to_end.api_server import ApiServer
from tests.end_to_end.scrape import Scrape, scrape
from tests.end_to_end.truth import true_figures, without_zeros
from tests.support.patience import PATIENT
from tests.support.programs import Running, eventually, running_pearl

pytestmark = pytest.mark.slow

WINDOW_MS = 120_000
SETTLE_MS, SETTLE_UNANSWERED_MS = 2_000, 1_000
TOKEN = "acct-4711:s3cr3t-k3y"
SHOWN_WHILE_FRESH = {
    "pearl_window_calls",
    "pearl_window_telephony_calls",
    "pearl_window_tagged_calls",
    "pearl_window_untagged_calls",
    "pearl_window_call_duration_seconds_bucket",
    "pearl_window_call_duration_seconds_gcount",
    "pearl_window_call_duration_seconds_gsum",
    "pearl_window_seconds",
    "pearl_live_calls",
    "pearl_pending_calls",
    "pearl_oldest_live_call_start_timestamp_seconds",
}
CALM = {
    "late_row_share": 0.0,
    "revised_share": 0.0,
    "deleted_share": 0.0,
    "plain_times": True,
}


class Exporter:
    """A ``serve`` under way. Every look at it checks what must hold at every scrape."""

    def __init__(self, process: Running) -> None:
        self.process = process
        self.url = base_url(process.says("msg=listening"))
        self._counters: dict[Any, float] = {}

    def look(self) -> Scrape:
        seen = Scrape(scrape(self.url))
        counters = seen.counters
        fallen = {key: value for key, value in self._counters.items() if counters[key] < value}
        assert not fallen, "counters never fall and never go"
        self._counters = counters
        if seen.value("pearl_live_calls") is not None:
            assert balance(seen) == 0
        return seen

    def look_until(self, found: Callable[[Scrape], Scrape | None], what: str) -> Scrape:
        """The first look that ``found`` gives back. Ten looks at a poll see all there is."""
        seen = eventually(lambda: found(self.look()), what=what, every=0.1)
        assert seen is not None
        return seen


def balance(seen: Scrape) -> float:
    parts = (
        "pearl_calls_total",
        "pearl_live_calls",
        "pearl_pending_calls",
        "pearl_calls_uncounted_total",
    )
    return (seen.value("pearl_calls_started_total") or 0) - sum(
        seen.value(part) or 0 for part in parts
    )


@pytest.fixture
def api() -> Iterator[ApiServer]:
    """About five calls a second, most of them short. Its time stands still at first."""
    clock = SimulatedClock(paused=True)
    profile = Profile(
        outbound_id="65f1c0ffee",
        name="busy",
        calls_a_day=400_000,
        median_seconds=10,
        hours=(1.0,) * 24,
        **CALM,
    )
    campaign = Campaign(profile, seed=3, start_ms=clock() - 3_600_000)
    server = ApiServer(build_simulator([campaign], clock=clock, token=TOKEN))
    yield server
    server.stop()


@pytest.fixture
def exporter(tmp_path: Path, api: ApiServer) -> Iterator[Exporter]:
    path = write_config(
        tmp_path,
        api.url,
        "65f1c0ffee",
        api={"rate_limit": 50, "page_size": 1000, "timeout": "3s"},
        poll={
            "interval": "1s",
            "window": "2m",
            "settle": "2s",
            "settle_unanswered": "1s",
            "stale_after": "3s",
            "give_up": "3s",
        },
    )
    with running_pearl(tmp_path / "run", "serve", "--config", path) as process:
        yield Exporter(process)


def test_an_outage_is_shown_and_made_up_for(api: ApiServer, exporter: Exporter) -> None:
    began_ms = api.simulator.clock()
    first = exporter.look_until(up, "a first good poll, of a time that stands")
    run_on(api)
    exporter.look_until(counting, "counting")

    api.stop()
    down_ms = api.simulator.clock()
    down = exporter.look_until(refused, "up is 0, as connections are refused")
    assert down.value("pearl_outbound_catching_up") == 1
    gone = exporter.look_until(stale, "the window has vanished")
    assert gone.value("pearl_outbound_up") == 0
    assert gone.value("pearl_outbound_data_timestamp_seconds") is not None
    assert gone.value("pearl_calls_started_total") == down.value("pearl_calls_started_total")
    page = httpx.get(exporter.url, **PATIENT).text
    assert "connection" in page
    assert "1 of 1" in page

    eventually(lambda: has_many_ended(api, down_ms), what="calls end in the outage")
    back_ms = api.simulator.clock()
    api.simulator.faults.set(["server_error:1,requests=1"], back_ms)
    api.start()
    again = exporter.look_until(up, "up again")
    assert again.names >= SHOWN_WHILE_FRESH - {"pearl_oldest_live_call_start_timestamp_seconds"}
    assert again.value("pearl_outbound_catching_up") == 0
    reasons = {reason for reason, number in failures(again).items() if number}
    assert reasons <= {"connection", "timeout", "server_error"}
    assert again.value("pearl_exporter_api_requests_total", code="503") == 1

    settled_ms = back_ms + SETTLE_MS + 3_000
    exporter.look_until(
        lambda seen: polled_after(seen, settled_ms), "all that ended in the outage has settled"
    )
    paused_ms = stand_still(api)
    last = exporter.look_until(lambda seen: polled_after(seen, paused_ms), "a poll of the pause")
    assert_window_is_true(api, last, paused_ms)
    assert_all_were_counted(api, first, last, began_ms, back_ms, paused_ms)


def up(seen: Scrape) -> Scrape | None:
    return seen if seen.value("pearl_outbound_up") == 1 else None


def counting(seen: Scrape) -> Scrape | None:
    return seen if seen.value("pearl_calls_total") else None


def refused(seen: Scrape) -> Scrape | None:
    """Down for what was done to it: on a busy machine a poll may have failed before."""
    told = seen.value("pearl_outbound_up") == 0 and failures(seen).get("connection")
    return seen if told else None


def failures(seen: Scrape) -> dict[str, float]:
    return dict(seen.by_label("pearl_exporter_poll_failures_total", "reason"))


def stale(seen: Scrape) -> Scrape | None:
    shown = SHOWN_WHILE_FRESH & seen.names
    return None if shown else seen


def data_ms(seen: Scrape) -> int:
    return round((seen.value("pearl_outbound_data_timestamp_seconds") or 0) * 1000)


def polled_after(seen: Scrape, moment_ms: int) -> Scrape | None:
    return seen if data_ms(seen) > moment_ms else None


def run_on(api: ApiServer) -> None:
    """The simulated time is the real one from now on."""
    api.simulator.clock.set_ms(round(time.time() * 1000))
    api.simulator.clock.resume()


def stand_still(api: ApiServer) -> int:
    api.simulator.clock.pause()
    return api.simulator.clock()


def assert_window_is_true(api: ApiServer, seen: Scrape, paused_ms: int) -> None:
    tags = set(seen.by_label("pearl_window_tagged_calls", "tag"))
    with httpx.Client(base_url=api.url, **PATIENT) as client:
        truth = true_figures(
            client,
            "65f1c0ffee",
            as_of_ms=paused_ms,
            from_ms=data_ms(seen) - WINDOW_MS,
            tags=tags,
        )
    labels = {
        "pearl_window_calls": "status",
        "pearl_window_telephony_calls": "call_status",
        "pearl_window_tagged_calls": "tag",
        "pearl_window_call_duration_seconds_bucket": "le",
    }
    figures = {
        (metric, value): number
        for metric in {metric for metric, _ in truth}
        for value, number in seen.by_label(metric, labels.get(metric, "")).items()
    }
    assert without_zeros(figures) == without_zeros(truth)


def assert_all_were_counted(  # the moments, in their order
    api: ApiServer, first: Scrape, last: Scrape, began_ms: int, back_ms: int, paused_ms: int
) -> None:
    """Whoever had not settled when tracking began is started; whoever ended by now has settled."""
    t0_ms = round((first.value("pearl_outbound_tracking_since_timestamp_seconds") or 0) * 1000)
    at_first = {row["id"]: row for row in rows(api, began_ms)}
    history = {
        key for key, row in at_first.items() if finished(row) and settles_at_ms(row) <= t0_ms
    }
    by_now = {row["id"]: row for row in rows(api, paused_ms)}
    # a call that was older than the window when tracking began was read only if it was live
    unread = {
        key
        for key, row in at_first.items()
        if start_ms(row) < t0_ms - WINDOW_MS and row["conversationStatus"] not in (1, 20, 40)
    }
    counted = by_now.keys() - history - unread
    assert last.value("pearl_calls_started_total") == len(counted)
    over, over_by_now = ended(api, back_ms), ended(api, paused_ms)
    settled = last.value("pearl_calls_total") or 0
    assert len(counted & over) <= settled <= len(counted & over_by_now)
    assert last.value("pearl_calls_uncounted_total") == 0
    assert last.value("pearl_outbound_uncounted_seconds_total") == 0


def rows(api: ApiServer, at_ms: int) -> list[dict[str, Any]]:
    asked = {"outbound": "65f1c0ffee", "at": at_ms, "window": 3_600, "rows": 1}
    answer = httpx.get(f"{api.url}/_sim/truth", params=asked, **PATIENT)
    found: list[dict[str, Any]] = answer.json()["rows"]
    return found


def ended(api: ApiServer, at_ms: int) -> set[str]:
    """The calls that were over at that moment, by what the API said then."""
    return {row["id"] for row in rows(api, at_ms) if finished(row)}


def has_many_ended(api: ApiServer, since_ms: int) -> bool:
    """Whether more than five calls have ended since then, by the world of an API that is down."""
    (campaign,) = api.simulator.campaigns.values()
    now_ms = api.simulator.clock()
    over = [
        {row["id"] for row in campaign.rows(now_ms - 3_600_000, now_ms, at_ms) if finished(row)}
        for at_ms in (since_ms, now_ms)
    ]
    return len(over[1] - over[0]) > 5


def finished(row: dict[str, Any]) -> bool:
    if row["conversationStatus"] in (1, 20, 40) or row["status"] == 3:
        return False
    known = (10, 30, 70, 100, 110, 130, 150, 200, 220, 300, 500)
    return row["conversationStatus"] in known or row["status"] in (4, 5, 6, 7)


def start_ms(row: dict[str, Any]) -> int:
    whole, _, fraction = row["startTime"].removesuffix("Z").partition(".")
    return round(calendar_seconds(whole) * 1000) + int(fraction[:3])


def calendar_seconds(text: str) -> int:
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%S"))


def settles_at_ms(row: dict[str, Any]) -> int:
    wait = SETTLE_MS if row["duration"] > 0 else SETTLE_UNANSWERED_MS
    return start_ms(row) + round(row["duration"] * 1000) + wait
