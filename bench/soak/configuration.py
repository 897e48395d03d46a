"""What exporter and simulated API of a soak are given: intervals, calls, and the configuration."""

import json
from pathlib import Path
from typing import Any

from bench.support.simulated_api import SimulatedApi, Workload
from pearl_exporter.counting.settlement import CountingRules

INTERVAL_SECONDS = 15
"""So short that all that is kept about the last polls is full before the warm-up is over."""

WINDOW_SECONDS = 360
"""So short that the state's journal is full before the warm-up of half an hour is over."""

WIDER_WINDOW_SECONDS = WINDOW_SECONDS + 90
CALLS_A_DAY = 7200.0
"""Of each outbound: 30 calls in its window."""
SETTLE_SECONDS = 60
SETTLE_UNANSWERED_SECONDS = 30
FOLLOW_SECONDS = 1200
SCAN_SECONDS = 120
CATCH_UP_SECONDS = 86_400
TOKENS = 3
"""Number of accounts, and so of API clients."""

VARIANTS = 4
"""Variants of the configuration; a reload switches to the next one."""


def workload_of(outbounds: int) -> Workload:
    """Return the simulated outbounds."""
    calls = round(CALLS_A_DAY * WINDOW_SECONDS / 86_400)
    return Workload(calls, calls_a_day=CALLS_A_DAY, outbounds=outbounds, history_ms=7_200_000)


def counting_rules() -> CountingRules:
    """Return how calls are counted by `write_config`."""
    return CountingRules(
        window_ms=WINDOW_SECONDS * 1000,
        settle_ms=SETTLE_SECONDS * 1000,
        settle_unanswered_ms=SETTLE_UNANSWERED_SECONDS * 1000,
        follow_ms=FOLLOW_SECONDS * 1000,
        catch_up_ms=CATCH_UP_SECONDS * 1000,
        scan_every_ms=SCAN_SECONDS * 1000,
        buckets=(),
        interval_ms=INTERVAL_SECONDS * 1000,
    )


def write_tokens(folder: Path, generation: int) -> None:
    """Write a new token into each token file. The API accepts any token."""
    for number in range(TOKENS):
        (folder / f"token-{number}").write_text(f"account-{number}:secret-{generation}\n")


def write_config(folder: Path, api: SimulatedApi, port: int, variant: int) -> Path:
    """Write the configuration file. It is JSON, which is YAML too.

    Args:
        folder: Where files are.
        api: The simulated API.
        port: Where the exporter listens.
        variant: 0 is the configuration at the start, 1 removes ten outbounds, 2 widens the windows
            of twenty, 3 makes new API clients.

    Returns:
        The path of the file.
    """
    outbounds = [
        {"id": id_, "name": f"outbound-{number}", "token_file": f"{folder}/token-{number % TOKENS}"}
        for number, id_ in enumerate(api.outbounds, 1)
    ]
    if variant == 1:
        outbounds = outbounds[: -min(10, len(outbounds) // 2)]
    if variant == 2:
        outbounds = [
            {**each, "window": f"{WIDER_WINDOW_SECONDS}s"} if number < 20 else each
            for number, each in enumerate(outbounds)
        ]
    config: dict[str, Any] = {
        "api": {
            "url": api.url,
            "timeout": "9s" if variant == 3 else "10s",
            "rate_limit": 20,
            "concurrency": 4,
        },
        "poll": {
            "interval": f"{INTERVAL_SECONDS}s",
            "window": f"{WINDOW_SECONDS}s",
            "settle": f"{SETTLE_SECONDS}s",
            "settle_unanswered": f"{SETTLE_UNANSWERED_SECONDS}s",
            "full_scan_every": f"{SCAN_SECONDS}s",
            "follow": f"{FOLLOW_SECONDS}s",
            "catch_up": f"{CATCH_UP_SECONDS}s",
        },
        "outbounds": outbounds,
        "state": {"url": f"sqlite:///{folder}/state.db"},
        "web": {"listen": f"127.0.0.1:{port}"},
    }
    path = folder / "config.yml"
    path.write_text(json.dumps(config))
    return path
