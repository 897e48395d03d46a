"""The naive exporter as a measured process: polls of one outbound, or rounds over many."""

import json
import time
from datetime import UTC, datetime

from bench.cost.naive_exporter import Row, WindowGauges, new_client, poll
from bench.support.process_stats import peak_rss_bytes, rss_bytes
from bench.support.processes import Figures, measured_arguments, progress
from bench.support.simulated_api import INTERVAL_SECONDS, set_api_time, traffic


def polls(arguments: Figures) -> Figures:
    """Poll one outbound ``polls`` times with the API's clock set. Return the cost of each poll."""
    url, now_ms = arguments["url"], arguments["now_ms"]
    gauges, costs = WindowGauges(), []
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
            progress(f"  naive exporter: a poll of {len(rows):,} calls in {wall:.0f} s")
    return {
        "polls": costs,
        "calls": len(rows),
        "rss_before": before,
        "rss_after": rss_bytes(),
        "rss_peak": peak_rss_bytes(),
    }


def rounds(arguments: Figures) -> Figures:
    """Poll many outbounds for ``seconds``. Return when each poll began and ended, in ms."""
    gauges, reads, durations = WindowGauges(), [], []
    ends = time.monotonic() + arguments["seconds"]
    with new_client(arguments["url"], "bench:bench") as client:
        while time.monotonic() < ends:
            began = time.monotonic()
            for outbound in arguments["outbounds"]:
                now = datetime.now(UTC)
                poll(client, gauges, outbound, arguments["window"], now)
                reads.append((outbound, now.timestamp() * 1000, time.time() * 1000))
            durations.append(time.monotonic() - began)
            time.sleep(max(0.0, arguments["interval"] - durations[-1]))
    cpu_share = time.process_time() / arguments["seconds"]
    return {"reads": reads, "rounds": durations, "cpu_share": cpu_share}


def main() -> None:
    """Run what the arguments ask for, and print its figures."""
    arguments = measured_arguments()
    print(json.dumps(rounds(arguments) if "outbounds" in arguments else polls(arguments)))


if __name__ == "__main__":
    main()
