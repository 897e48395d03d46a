"""How long until an incident is told? A real demo, Prometheus and Alertmanager, at their own pace.

    .venv/bin/python bench/alert_delay.py [--minutes 45]

The rules and the Alertmanager configuration are those of deploy/, unchanged but for the receivers'
addresses. Two minutes after the demo's start most calls of one outbound begin to fail, for six
minutes. Prints when the first of them failed, when the page came, and when it was resolved.
"""

import argparse
import re
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.end_to_end.alerting import Alerting, alerting, told
from tests.support.programs import running_pearl


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=int, default=45, help="how long to wait at most")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with running_pearl(folder / "demo", "demo", "--listen", "127.0.0.1:0") as demo:
            target = re.search(r"http://([^/\s]+)", demo.says("the metrics"))
            api = re.search(r"http://[^/\s]+", demo.says("the API"))
            assert target is not None
            assert api is not None
            with alerting(folder / "alerting", target[1]) as stack:
                report(stack, api[0], given.minutes * 60)


def report(stack: Alerting, api: str, seconds: int) -> None:
    state = httpx.get(f"{api}/_sim/state", trust_env=False).json()
    outbound = next(each for each in state["outbounds"] if each["incidents"])
    incident = outbound["incidents"][0]
    began, ended = incident["start_ms"] / 1000, incident["end_ms"] / 1000
    deadline = time.time() + seconds
    shown = 0
    resolved = []
    while time.time() < deadline and not resolved:
        notifications = told(stack.webhook)
        for each in notifications[shown:]:
            print(
                f"{each.at - began:7.1f} s  {each.receiver:6} {each.status:9}"
                f" {each.labels['alertname']:24} {each.labels.get('outbound', '')}"
                f"  {each.annotations['description'] if each.status == 'firing' else ''}",
                flush=True,
            )
        shown = len(notifications)
        resolved = told(stack.webhook, "PearlErrorSpike", "resolved")
        time.sleep(0.5)
    fired = told(stack.webhook, "PearlErrorSpike", "firing")
    assert fired, "no page came"
    asked = {"outbound": outbound["id"], "at": round(ended * 1000), "window": 3600, "rows": 1}
    rows = httpx.get(f"{api}/_sim/truth", params=asked, trust_env=False, timeout=60).json()["rows"]
    starts = sorted(start_of(row) for row in rows if row["conversationStatus"] == 500)
    twentieth = [start for start in starts if start >= began][19]
    print(f"incident of {outbound['name']}: {ended - began:.0f} s, share {incident['share']}")
    print(f"20th failed call started       {twentieth - began:6.1f} s after it began")
    print(f"page came                      {fired[0].at - began:6.1f} s after it began")
    print(f"page named                     {fired[0].labels['outbound']}")
    if resolved:
        print(f"resolved                       {resolved[0].at - ended:6.1f} s after it ended")


def start_of(row: dict) -> float:
    text = row["startTime"]
    text = re.sub(r"(\.\d{1,6})\d*", r"\1", text)
    moment = datetime.fromisoformat(text if re.search(r"(Z|[+-]\d\d:\d\d)$", text) else f"{text}Z")
    return moment.timestamp()


if __name__ == "__main__":
    main()
