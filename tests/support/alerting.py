"""A real Prometheus with the rules of ``deploy/``, a real Alertmanager with its configuration.

The rules speak of minutes. To be tried in seconds, every duration in them can be divided by one
number, and nothing else is changed.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.support.alertmanager import Alertmanager, Webhook, alertmanager
from tests.support.prometheus import Prometheus, prometheus

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = sorted((DEPLOY / "prometheus" / "rules").glob("*.yml"))
_UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = r"(?:\d+[smhd])+"


class Alerting(NamedTuple):
    prometheus: Prometheus
    alertmanager: Alertmanager
    webhook: Webhook


class Notification(NamedTuple):
    """One alert of one notification: when it came, to whom, and what it says."""

    at: float
    receiver: str
    status: str
    labels: dict[str, str]
    annotations: dict[str, str]


@contextmanager
def alerting(folder: Path, target: str, *, faster: int = 1) -> Iterator[Alerting]:
    """Watches pearl-exporter at ``target``; ``faster`` divides all durations of the rules."""
    folder.mkdir(parents=True, exist_ok=True)
    webhook = Webhook()
    try:
        config = folder / "alertmanager.yml"
        config.write_text(alertmanager_config(webhook.url, faster))
        rules = folder / "rules.yml"
        groups = [group for file in RULES for group in sped_up(file.read_text(), faster)["groups"]]
        rules.write_text(yaml.safe_dump({"groups": groups}))
        with alertmanager(folder / "alertmanager", config) as manager:
            address = {"static_configs": [{"targets": [manager.url.removeprefix("http://")]}]}
            more = {"rule_files": [str(rules)], "alerting": {"alertmanagers": [address]}}
            every = f"{15_000 // faster}ms"
            targets = {"pearl": target}
            with prometheus(folder / "prometheus", targets, every=every, more=more) as server:
                yield Alerting(server, manager, webhook)
    finally:
        webhook.close()


def sped_up(text: str, faster: int) -> dict[str, Any]:
    """The rules of a file, with every duration divided."""

    def shorter(found: re.Match[str]) -> str:
        return divided(found[0], faster)

    def of_query(query: str) -> str:
        query = re.sub(rf"(?<=\[){_DURATION}|(?<=:){_DURATION}(?=\])", shorter, query)
        query = re.sub(rf"(?<=offset ){_DURATION}", shorter, query)
        query = query.replace("> bool 120)", f"> bool {120 / faster:g})")
        return re.sub(r"\b15 \* ", f"{15 / faster:g} * ", query)

    loaded: dict[str, Any] = yaml.safe_load(text)
    for group in loaded["groups"]:
        group["interval"] = divided(group["interval"], faster)
        for rule in group["rules"]:
            rule["expr"] = of_query(rule["expr"])
            for key in ("for", "keep_firing_for"):
                if key in rule:
                    rule[key] = divided(rule[key], faster)
    return loaded


def alertmanager_config(url: str, faster: int) -> str:
    """That of ``deploy/``, with the webhook as its receivers and shorter waits."""
    text = (DEPLOY / "alertmanager" / "alertmanager.yml").read_text()
    text = text.replace("http://localhost:5001", url)
    return re.sub(
        rf"(?<=(?:wait|rval): ){_DURATION}", lambda found: divided(found[0], faster), text
    )


def divided(duration: str, faster: int) -> str:
    parts = re.findall(r"(\d+)([smhd])", duration)
    milliseconds = sum(int(number) * _UNITS_MS[unit] for number, unit in parts) // faster
    return f"{milliseconds}ms" if milliseconds < 60_000 else f"{milliseconds // 1_000}s"


def notifications(
    webhook: Webhook, alert: str | None = None, status: str | None = None
) -> list[Notification]:
    """Return what the webhook has received, in its order."""
    return [
        Notification(at, path.strip("/"), each["status"], each["labels"], each["annotations"])
        for at, path, body in list(webhook.got)
        for each in body["alerts"]
        if alert in (None, each["labels"]["alertname"]) and status in (None, each["status"])
    ]
