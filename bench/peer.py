"""The naive peer as a measured process: polls of one outbound, or sweeps over many in real time."""

import json
import time
from datetime import UTC, datetime, timedelta

from bench.naive_peer import Gauges, Row, new_client, poll
from bench.processes import Figures, given, peak_rss_bytes, progress, rss_bytes
from bench.world import INTERVAL_SECONDS, set_api_time, traffic


def polls(arguments: Figures) -> Figures:
    """So many polls of one outbound, in a world whose time is set; what each cost."""
    url, now_ms = arguments["url"], arguments["now_ms"]
    gauges, costs = Gauges(), []
    rows: list[Row] = []
    with new_client(url, "bench:bench") as client:
        before = rss_bytes()
        for _ in range(arguments["polls"]):
            requests, received = traffic(url)
            now = datetime.fromtimestamp(now_ms / 1000, UTC)
            cpu, wall = time.process_time(), time.perf_counter()
            rows = poll(client, gauges, arguments["outbound"], arguments["window"], now)
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            now_requests, now_received = traffic(url)
            costs.append(
                {
                    "cpu": cpu,
                    "wall": wall,
                    "requests": now_requests - requests,
                    "bytes": now_received - received,
                }
            )
            now_ms += round(INTERVAL_SECONDS * 1000)
            set_api_time(url, now_ms)
            progress(f"  peer: a poll of {len(rows):,} calls in {wall:.0f} s")
    return {
        "polls": costs,
        "calls": len(rows),
        "rss_before": before,
        "rss_after": rss_bytes(),
        "rss_peak": peak_rss_bytes(),
    }


def sweeps(arguments: Figures) -> Figures:
    """Polls of many outbounds for so many seconds; when each began and was shown."""
    gauges, shown, spans = Gauges(), [], []
    ends = time.monotonic() + arguments["seconds"]
    with new_client(arguments["url"], "bench:bench") as client:
        while time.monotonic() < ends:
            began = time.monotonic()
            for outbound in arguments["outbounds"]:
                asked = datetime.now(UTC)
                poll(client, gauges, outbound, arguments["window"], asked)
                shown.append((outbound, asked.timestamp() * 1000, time.time() * 1000))
            spans.append(time.monotonic() - began)
            time.sleep(max(0.0, arguments["interval"] - spans[-1]))
    elapsed = timedelta(seconds=arguments["seconds"]).total_seconds()
    return {"shown": shown, "sweeps": spans, "cpu_share": time.process_time() / elapsed}


def main() -> None:
    arguments = given()
    print(json.dumps(sweeps(arguments) if "outbounds" in arguments else polls(arguments)))


if __name__ == "__main__":
    main()
