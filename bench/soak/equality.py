"""In the end, every window against the simulator's truth: exactly, and for every outbound."""

import json
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from bench.processes import fetch
from bench.soak.lab import SCAN_SECONDS, WINDOW_SECONDS, Lab
from bench.soak.scraping import DATA, Scrape
from bench.soak.scraping import fetch as scrape
from pearl_exporter.api.decode_calls import parse_instant
from pearl_exporter.counting.calls import call_status_label, status_label
from pearl_exporter.simulator.truth import distinct_tags, live

Rows = list[dict[str, Any]]

_STILL_SECONDS = 240.0
_SCANNED = "pearl_outbound_full_scan_success_timestamp_seconds"
ALIASES = {200: 500}


class Stillness(NamedTuple):
    """What was seen after the API's time had jumped to ``at_ms``, from ``paused_ms``, and stood."""

    paused_ms: int
    at_ms: int
    seen: Scrape
    """The last scrape of then."""
    until_ms: Mapping[str, int]
    """The latest T of a poll, by the name of the outbound."""


def stand_still(lab: Lab) -> Stillness:
    """Stops the API's time where a full scan is due, and waits for it.

    Raises TimeoutError if some outbound lags behind.
    """
    told = json.loads(fetch(f"{lab.api.url}/_sim/clock", {"paused": True}))
    # a Date has no milliseconds: at a whole second, no T is behind the API's time
    at_ms = (told["now_ms"] // 1000 + SCAN_SECONDS + 1) * 1000
    lab.api.set_time(at_ms)
    deadline = time.monotonic() + _STILL_SECONDS
    until_ms: dict[str, int] = {}
    while True:
        seen = Scrape(scrape(lab.url, "text"))
        for name, moment in seen.by_outbound(DATA).items():
            until_ms[name] = max(until_ms.get(name, 0), round(moment * 1000))
        behind = [name for name in names(lab) if not _has_arrived(seen, name, at_ms / 1000)]
        if not behind:
            return Stillness(told["now_ms"], at_ms, seen, until_ms)
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(behind)} outbounds without a full scan, as {behind[:3]}")
        time.sleep(2)


def _has_arrived(seen: Scrape, name: str, since: float) -> bool:
    stamps = (f'{each}{{outbound="{name}"}}' for each in (DATA, _SCANNED))
    is_behind = seen.samples.get(f'pearl_outbound_catching_up{{outbound="{name}"}}', 1.0)
    return not is_behind and all(seen.samples.get(each, 0.0) >= since for each in stamps)


def names(lab: Lab) -> dict[str, str]:
    """The outbounds' ids by their names."""
    return {f"outbound-{number}": id_ for number, id_ in enumerate(lab.api.outbounds, 1)}


def differences(lab: Lab, still: Stillness) -> list[str]:
    """Every figure of a window that is not what an exact exporter publishes, one line each."""
    found, seen, at_ms = [], still.seen, still.at_ms
    for name, id_ in names(lab).items():
        t_ms = round(seen.samples[f'{DATA}{{outbound="{name}"}}'] * 1000)
        rows = rows_of(lab, id_, at_ms, since_ms=t_ms - WINDOW_SECONDS * 1000)
        wanted = window_of([row for row in rows if _start(row) <= t_ms])
        for (metric, key), values in wanted.items():
            published = seen.by_label(metric, name, key)
            published = {value: number for value, number in published.items() if number}
            if published != values:
                found.append(f"{name}: {metric}: {published}, wanted {values}")
    return found


def window_of(rows: Rows) -> dict[tuple[str, str], dict[str, float]]:
    """What an exact exporter publishes of these rows: metric and label, values that are not 0."""
    answered = [row for row in rows if not live(row) and row["duration"] > 0]
    tags = Counter(tag for row in rows for tag in distinct_tags(row))
    statuses = (ALIASES.get(each, each) for each in (row["conversationStatus"] for row in rows))
    untagged = sum(not distinct_tags(row) for row in answered)
    plain = {
        "pearl_window_untagged_calls": untagged,
        "pearl_window_call_duration_seconds_gcount": len(answered),
        "pearl_window_call_duration_seconds_gsum": sum(row["duration"] for row in answered),
    }
    return {
        ("pearl_window_calls", "status"): dict(Counter(map(status_label, statuses))),
        ("pearl_window_telephony_calls", "call_status"): dict(
            Counter(call_status_label(row["status"]) for row in rows)
        ),
        ("pearl_window_tagged_calls", "tag"): dict(tags),
        **{(name, ""): {"": float(value)} if value else {} for name, value in plain.items()},
    }


def rows_of(lab: Lab, id_: str, at_ms: int, *, since_ms: int) -> Rows:
    """The API's rows as of a moment, from another one on."""
    window = (at_ms - since_ms) / 1000
    query = f"outbound={id_}&at={at_ms}&window={window}&rows=1"
    rows: Rows = json.loads(fetch(f"{lab.api.url}/_sim/truth?{query}"))["rows"]
    return rows


def _start(row: dict[str, Any]) -> int:
    start = parse_instant(row["startTime"])
    assert start is not None
    return start
