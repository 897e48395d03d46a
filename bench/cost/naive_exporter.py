"""The naive exporter: what a competent script of one afternoon does.

    python -m bench.cost.naive_exporter --url http://127.0.0.1:10043 --token t --outbound ID

Each poll reads the whole window again, page by page with skip and limit, and sets gauges. It keeps
nothing between polls: it has no counters and no state, and does not notice a row that moves to
another page while it reads.
"""

import argparse
import time
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from prometheus_client import CollectorRegistry, Gauge, start_http_server

PAGE_SIZE = 100
BUCKETS = (5, 10, 15, 30, 45, 60, 90, 120, 180, 300, 600, 1200, 1800, 3600)
LIVE_STATUSES = (1, 20, 40)

Row = dict[str, Any]


class WindowGauges:
    """The calls of the window as gauges, by outbound."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.calls = self._gauge("naive_window_calls", "Calls by outcome", "status")
        self.states = self._gauge("naive_window_telephony_calls", "Calls by state", "call_status")
        self.tags = self._gauge("naive_window_tagged_calls", "Calls by tag", "tag")
        self.durations = self._gauge("naive_window_duration_bucket", "Durations", "le")
        self.live = self._gauge("naive_live_calls", "Live calls")

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, ["outbound", *labels], registry=self.registry)

    def show(self, outbound: str, rows: list[Row]) -> None:
        """Set the gauges of an outbound to the figures of these rows."""
        _set(self.calls, outbound, Counter(row["conversationStatus"] for row in rows))
        _set(self.states, outbound, Counter(row["status"] for row in rows))
        tags = Counter(tag.strip() for row in rows for tag in set(row["tags"] or ()))
        _set(self.tags, outbound, tags)
        lengths = [row["duration"] for row in rows if row["duration"]]
        for bound in BUCKETS:
            within = sum(length <= bound for length in lengths)
            self.durations.labels(outbound, bound).set(within)
        live = sum(row["conversationStatus"] in LIVE_STATUSES for row in rows)
        self.live.labels(outbound).set(live)


def _set(gauge: Gauge, outbound: str, counts: Counter[Any]) -> None:
    for value, number in counts.items():
        gauge.labels(outbound, value).set(number)


def poll(
    client: httpx.Client, gauges: WindowGauges, outbound: str, window_seconds: float, now: datetime
) -> list[Row]:
    """Read the whole window that ends at ``now``, set the gauges, and return the rows."""
    search = {
        "fromDate": _date(now - timedelta(seconds=window_seconds)),
        "toDate": _date(now),
        "limit": PAGE_SIZE,
        "sortProp": "startTime",
        "isAscending": True,
    }
    rows: list[Row] = []
    while True:
        answer = client.post(f"/v1/Outbound/{outbound}/Calls", json={**search, "skip": len(rows)})
        answer.raise_for_status()
        page = answer.json()
        rows += page["results"] or ()
        if not page["results"] or len(rows) >= page["count"]:
            break
    gauges.show(outbound, rows)
    return rows


def _date(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def new_client(url: str, token: str) -> httpx.Client:
    """Return a client that keeps its connections."""
    return httpx.Client(
        base_url=url,
        headers={"Authorization": f"Bearer {token}"},
        timeout=60,
        trust_env=False,
        limits=httpx.Limits(keepalive_expiry=300),
    )


def run(
    client: httpx.Client, gauges: WindowGauges, outbounds: Iterable[str], window_seconds: float
) -> None:
    """Poll each outbound once, one after the other."""
    for outbound in outbounds:
        poll(client, gauges, outbound, window_seconds, datetime.now(UTC))


def main() -> None:
    """Poll and serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--outbound", action="append", required=True)
    parser.add_argument("--window", type=float, default=3600, help="seconds")
    parser.add_argument("--interval", type=float, default=30, help="seconds")
    parser.add_argument("--port", type=int, default=10099)
    arguments = parser.parse_args()
    gauges = WindowGauges()
    start_http_server(arguments.port, addr="127.0.0.1", registry=gauges.registry)
    with new_client(arguments.url, arguments.token) as client:
        while True:
            began = time.monotonic()
            run(client, gauges, arguments.outbound, arguments.window)
            time.sleep(max(0.0, arguments.interval - (time.monotonic() - began)))


if __name__ == "__main__":
    main()
