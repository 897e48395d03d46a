"""In the end of a soak: every published window against the simulator's truth of that moment."""

import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from bench.soak.configuration import SCAN_SECONDS, WINDOW_SECONDS
from bench.soak.environment import Environment
from bench.soak.scrape_monitor import DATA_TIMESTAMP
from bench.support.scrape import TEXT, Scrape, fetch
from pearl_exporter.counting.calls import Call
from tests.support.oracle import CALL_NAMES, NAMES, name, recount_window

_TIMEOUT_SECONDS = 240.0
_SCAN_TIMESTAMP = "pearl_outbound_full_scan_success_timestamp_seconds"
_ALIASES = {200: 500}
"""Codes that the exporter counts as another one."""

Figures = dict[tuple[str, str], Mapping[str, float]]
"""The values of a metric by one of its labels, by (metric, label)."""


class Standstill(NamedTuple):
    """The state after the API's clock has jumped from ``paused_ms`` to ``at_ms`` and stopped.

    ``scrape`` is a scrape in which every outbound has polled and scanned as of then.
    """

    paused_ms: int
    at_ms: int
    scrape: Scrape


def stop_clock(environment: Environment) -> Standstill:
    """Move the API's clock to where a full scan is due, stop it, and wait for the scans.

    Raises:
        TimeoutError: An outbound was not polled and scanned in time.
    """
    paused = json.loads(fetch(f"{environment.api.url}/_sim/clock", {"paused": True}))
    # A Date header has no milliseconds. At a whole second no T is behind the API's clock.
    at_ms = (paused["now_ms"] // 1000 + SCAN_SECONDS + 1) * 1000
    environment.api.set_time(at_ms)
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while True:
        scrape = Scrape(fetch(f"{environment.url}/metrics", accept=TEXT))
        behind = [
            name
            for name in environment.ids_by_name
            if not _is_up_to_date(scrape, name, at_ms / 1000)
        ]
        if not behind:
            return Standstill(paused["now_ms"], at_ms, scrape)
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(behind)} outbounds without a full scan, first {behind[:3]}")
        time.sleep(2)


def _is_up_to_date(scrape: Scrape, outbound: str, since: float) -> bool:
    samples = scrape.samples
    is_behind = samples.get(f'pearl_outbound_catching_up{{outbound="{outbound}"}}', 1.0)
    stamps = (f'{each}{{outbound="{outbound}"}}' for each in (DATA_TIMESTAMP, _SCAN_TIMESTAMP))
    return not is_behind and all(samples.get(each, 0.0) >= since for each in stamps)


def polled_at_ms(standstill: Standstill, outbound: str) -> int:
    """Return T of the poll that the last scrape shows of an outbound."""
    return round(standstill.scrape.samples[f'{DATA_TIMESTAMP}{{outbound="{outbound}"}}'] * 1000)


def window_failures(
    environment: Environment, standstill: Standstill, outbound: str, missing: Iterable[Call]
) -> list[str]:
    """Return a line for every figure of a window that differs from the simulator's truth.

    Args:
        environment: The exporter and the simulated API.
        standstill: The moment at which they are compared.
        outbound: The outbound's name.
        missing: The last rows of the calls that the API has deleted and the exporter still shows.
    """
    start_ms = polled_at_ms(standstill, outbound) - WINDOW_SECONDS * 1000
    id_ = environment.ids_by_name[outbound]
    wanted = window_figures(_truth(environment, id_, start_ms, standstill.at_ms), missing)
    failures = []
    for (metric, label), values in wanted.items():
        published = standstill.scrape.by_label(metric, outbound, label)
        published = {value: number for value, number in published.items() if number}
        if published != values:
            failures.append(f"{metric}: {published}, wanted {values}")
    return failures


def _truth(environment: Environment, id_: str, start_ms: int, at_ms: int) -> dict[str, Any]:
    query = f"outbound={id_}&at={at_ms}&window={(at_ms - start_ms) / 1000}"
    truth: dict[str, Any] = json.loads(fetch(f"{environment.api.url}/_sim/truth?{query}"))
    return truth


def window_figures(truth: Mapping[str, Any], missing: Iterable[Call] = ()) -> Figures:
    """Return what the exporter must publish of a window, without zeros.

    A deleted call stays in the window until two reads have missed it. Until then it counts as the
    row that was read last.

    Args:
        truth: `pearl_exporter.simulator.truth.Truth` as JSON.
        missing: The last rows of such calls.
    """
    deleted = recount_window(missing)
    by_status = Counter(deleted.by_status)
    for code, calls in truth["by_status"].items():
        by_status[name(_ALIASES.get(int(code), int(code)), NAMES)] += calls
    by_call_status = Counter(deleted.by_call_status)
    for code, calls in truth["by_call_status"].items():
        by_call_status[name(int(code), CALL_NAMES, NAMES)] += calls
    durations = [*truth["durations"], *deleted.durations]
    plain = {
        "pearl_window_untagged_calls": truth["untagged"] + deleted.untagged,
        "pearl_window_call_duration_seconds_gcount": len(durations),
        "pearl_window_call_duration_seconds_gsum": sum(durations),
    }
    return {
        ("pearl_window_calls", "status"): dict(by_status),
        ("pearl_window_telephony_calls", "call_status"): dict(by_call_status),
        ("pearl_window_tagged_calls", "tag"): dict(deleted.by_tag + Counter(truth["by_tag"])),
        **{(metric, ""): {"": float(value)} if value else {} for metric, value in plain.items()},
    }
