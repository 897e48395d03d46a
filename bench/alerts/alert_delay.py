"""Measure the delay of an alert: a real demo, Prometheus and Alertmanager, in real time.

    .venv/bin/python -m bench.alerts.alert_delay [--minutes 45]

The rules and the Alertmanager configuration are those of deploy/; only the receivers' addresses are
replaced. Two minutes after the demo's start most calls of one outbound begin to fail, for six
minutes. It prints when the first of them failed, when the page came, and when it was resolved.
"""

import argparse
import re
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from tests.support.alerting import Alerting, Notification, alerting, notifications
from tests.support.programs import running_pearl

DECISIVE_CALL = 20


def main() -> None:
    """Run the demo and report on its incident."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=int, default=45, help="maximum time to wait")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with running_pearl(folder / "demo", "demo", "--listen", "127.0.0.1:0") as demo:
            target = re.search(r"http://([^/\s]+)", demo.says("the metrics"))
            api = re.search(r"http://[^/\s]+", demo.says("the API"))
            assert target is not None
            assert api is not None
            with alerting(folder / "alerting", target[1]) as stack:
                report(stack, api[0], arguments.minutes * 60)


def report(stack: Alerting, api: str, seconds: int) -> None:
    """Print the notifications as they come, and the delays once the page is resolved.

    Args:
        stack: Prometheus, Alertmanager and webhook.
        api: Base URL of the simulated API.
        seconds: Maximum time to wait.
    """
    state = httpx.get(f"{api}/_sim/state", trust_env=False).json()
    outbound = next(each for each in state["outbounds"] if each["incidents"])
    incident = outbound["incidents"][0]
    began, ended = incident["start_ms"] / 1000, incident["end_ms"] / 1000
    deadline = time.time() + seconds
    printed = 0
    resolved: list[Notification] = []
    while time.time() < deadline and not resolved:
        received = notifications(stack.webhook)
        for each in received[printed:]:
            print(
                f"{each.at - began:7.1f} s  {each.receiver:6} {each.status:9}"
                f" {each.labels['alertname']:24} {each.labels.get('outbound', '')}"
                f"  {each.annotations['description'] if each.status == 'firing' else ''}",
                flush=True,
            )
        printed = len(received)
        resolved = notifications(stack.webhook, "PearlErrorSpike", "resolved")
        time.sleep(0.5)
    fired = notifications(stack.webhook, "PearlErrorSpike", "firing")
    assert fired, "no page came"
    query = {"outbound": outbound["id"], "at": round(ended * 1000), "window": 3600, "rows": 1}
    rows = httpx.get(f"{api}/_sim/truth", params=query, trust_env=False, timeout=60).json()["rows"]
    starts = sorted(start_of(row) for row in rows if row["conversationStatus"] == 500)
    decisive = [start for start in starts if start >= began][DECISIVE_CALL - 1]
    print(f"incident of {outbound['name']}: {ended - began:.0f} s, share {incident['share']}")
    print(f"failed call {DECISIVE_CALL} started         {decisive - began:6.1f} s after it began")
    print(f"page came                      {fired[0].at - began:6.1f} s after it began")
    print(f"outbound of the page           {fired[0].labels['outbound']}")
    if resolved:
        print(f"resolved                       {resolved[0].at - ended:6.1f} s after it ended")


def start_of(row: dict[str, Any]) -> float:
    """Return the start of a row as a Unix time."""
    # Python reads at most six digits of a fraction
    text = re.sub(r"(\.\d{1,6})\d*", r"\1", row["startTime"])
    moment = datetime.fromisoformat(text if re.search(r"(Z|[+-]\d\d:\d\d)$", text) else f"{text}Z")
    return moment.timestamp()


if __name__ == "__main__":
    main()
