"""In the end, what is published against the simulator's truth: exactly, and for every outbound."""

import json
import time
from collections import Counter
from typing import Any

from bench.processes import fetch
from bench.soak.lab import SCAN_SECONDS, SETTLE_SECONDS, UNANSWERED_SECONDS, WINDOW_SECONDS, Lab
from bench.soak.scraping import Scrape
from bench.soak.scraping import fetch as scrape
from pearl_exporter.calls import call_status_label, status_label
from pearl_exporter.decode import parse_instant
from pearl_exporter.simulator.truth import distinct_tags, live
from pearl_exporter.store.look import look_for
from pearl_exporter.tracked import Phase

Rows = list[dict[str, Any]]

_STILL_SECONDS = 240.0
_DATA = "pearl_outbound_data_timestamp_seconds"
_SCANNED = "pearl_outbound_full_scan_success_timestamp_seconds"
_SINCE = "pearl_outbound_tracking_since_timestamp_seconds"
_ALIASES = {200: 500}


def stand_still(lab: Lab) -> tuple[int, Scrape]:
    """Stops the API's time where a full scan is due, and waits for it.

    Gives the moment, in ms, and a scrape of it. Raises TimeoutError if some outbound lags behind.
    """
    fetch(f"{lab.api.url}/_sim/clock", {"paused": True})
    told = fetch(f"{lab.api.url}/_sim/clock", {"advance_seconds": SCAN_SECONDS + 1})
    at_ms: int = json.loads(told)["now_ms"]
    deadline = time.monotonic() + _STILL_SECONDS
    while True:
        seen = Scrape(scrape(lab.url, "text"))
        behind = [name for name in names(lab) if not _has_arrived(seen, name, at_ms / 1000 - 1.5)]
        if not behind:
            return at_ms, seen
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(behind)} outbounds without a full scan, as {behind[:3]}")
        time.sleep(2)


def _has_arrived(seen: Scrape, name: str, since: float) -> bool:
    # a Date is in whole seconds, so a moment may seem to be a little before
    stamps = (f'{each}{{outbound="{name}"}}' for each in (_DATA, _SCANNED))
    is_behind = seen.samples.get(f'pearl_outbound_catching_up{{outbound="{name}"}}', 1.0)
    return not is_behind and all(seen.samples.get(each, 0.0) >= since for each in stamps)


def names(lab: Lab) -> dict[str, str]:
    """The outbounds' ids by their names."""
    return {f"outbound-{number}": id_ for number, id_ in enumerate(lab.api.outbounds, 1)}


def differences(lab: Lab, at_ms: int, seen: Scrape) -> list[str]:
    """Every figure that is not what an exact exporter publishes, one line each."""
    found = []
    for name, id_ in names(lab).items():
        t_ms = round(seen.samples[f'{_DATA}{{outbound="{name}"}}'] * 1000)
        rows = rows_of(lab, id_, at_ms, since_ms=t_ms - WINDOW_SECONDS * 1000)
        wanted = window_of([row for row in rows if _start(row) <= t_ms])
        for (metric, key), values in wanted.items():
            published = seen.by_label(metric, name, key)
            published = {value: number for value, number in published.items() if number}
            if published != values:
                found.append(f"{name}: {metric}: {published}, wanted {values}")
        if lab.is_calm(name):
            since_ms = round(seen.samples[f'{_SINCE}{{outbound="{name}"}}'] * 1000)
            begun = started_since(lab, id_, since_ms, at_ms=at_ms, t_ms=t_ms)
            published_started = seen.samples[f'pearl_calls_started_total{{outbound="{name}"}}']
            if published_started != len(begun):
                told = [each for row in begun if (each := _unstarted(lab, id_, row))]
                found.append(
                    f"{name}: {published_started:g} calls started, wanted {len(begun)}: "
                    f"tracked since {since_ms}: {told or 'forgotten by now'}"
                )
    return found


def window_of(rows: Rows) -> dict[tuple[str, str], dict[str, float]]:
    """What an exact exporter publishes of these rows: metric and label, values that are not 0."""
    answered = [row for row in rows if not live(row) and row["duration"] > 0]
    tags = Counter(tag for row in rows for tag in distinct_tags(row))
    statuses = (_ALIASES.get(each, each) for each in (row["conversationStatus"] for row in rows))
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


def _unstarted(lab: Lab, id_: str, row: dict[str, Any]) -> str | None:
    """What the state tells of a call that should have been counted as started, and was not."""
    for known in look_for(str(lab.state), row["id"]):
        if known.outbound_id == id_ and (known.call is None or known.call.phase is Phase.HISTORY):
            return f"{row} is {known.call and known.call.phase.name}; {known.told}"
    return None


def started_since(lab: Lab, id_: str, since_ms: int, *, at_ms: int, t_ms: int) -> Rows:
    """The calls that an exact exporter has seen start that began to track at ``since_ms``.

    Of what it saw first, those that had not settled then, and all that came after. Of an outbound
    whose rows keep what they say.
    """
    first_ms = lab.first_ms
    before = rows_of(lab, id_, first_ms, since_ms=first_ms - 3 * 3_600_000)
    after = rows_of(lab, id_, at_ms, since_ms=first_ms)
    return [row for row in before if _is_to_count(row, since_ms)] + [
        row for row in after if first_ms < _start(row) <= t_ms
    ]


def _is_to_count(row: dict[str, Any], since_ms: int) -> bool:
    if live(row):
        return True
    wait = SETTLE_SECONDS if row["duration"] > 0 else UNANSWERED_SECONDS
    settles_ms: float = _start(row) + (row["duration"] + wait) * 1000
    return settles_ms > since_ms


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
