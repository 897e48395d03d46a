"""The rules of ``deploy/``, rewritten so that they can be evaluated over the past by queries.

A recorded series must be stored if another rule takes a range of it. Any other recorded series is
replaced by its expression in parentheses. So the rules become a few stages. Each stage is queried
over the series that the stages before it have stored.
"""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

FOLDER = Path(__file__).parents[2] / "deploy" / "prometheus" / "rules"
SELECTOR = re.compile(r"(?<![\w:])([a-zA-Z_]\w*:[\w:]*\w)(\{[^}]*\})?")


class Stage(NamedTuple):
    """Recording rules that are evaluated together, every ``seconds``."""

    seconds: int
    rules: list[dict[str, Any]]


@cache  # it takes a quarter of a second; nobody changes what it returns
def _all_rules() -> list[dict[str, Any]]:
    loaded = [yaml.safe_load(file.read_text()) for file in sorted(FOLDER.glob("*.yml"))]
    return [rule for each in loaded for group in each["groups"] for rule in group["rules"]]


class RuleFiles:
    """All rules of the files, by their names."""

    def __init__(self) -> None:
        rules = _all_rules()
        self.alerts = {rule["alert"]: rule for rule in rules if "alert" in rule}
        self.recorded: dict[str, list[dict[str, Any]]] = {}
        for rule in rules:
            if "record" in rule:
                self.recorded.setdefault(rule["record"], []).append(rule)

    def stored(self, name: str, stored: set[str], **labels: str) -> list[dict[str, Any]]:
        """Return the recording rules of a name, with all but stored series replaced.

        Args:
            name: The recorded series.
            stored: The series that are stored.
            labels: Rules that set one of these labels to another value are left out.
        """
        return [
            {**rule, "expr": self.inline(rule["expr"], stored, **labels)}
            for rule in self.recorded[name]
            if _agrees(rule, labels)
        ]

    def inline(self, query: str, stored: set[str], **only: str) -> str:
        """Return the query with every recorded series that is not stored replaced."""

        def replaced(found: re.Match[str]) -> str:
            name, matchers = found[1], dict(re.findall(r'(\w+)="([^"]*)"', found[2] or ""))
            if name in stored:
                return found[0]
            labels = {**only, **matchers}
            parts = []
            for rule in self.recorded[name]:
                if not _agrees(rule, labels):
                    continue
                own = {key: str(value) for key, value in rule.get("labels", {}).items()}
                inner = f"({self.inline(rule['expr'], stored, **only)})"
                for key, value in own.items():
                    inner = f'label_replace({inner}, "{key}", "{value}", "", "")'
                parts.append(inner)
                matchers = {key: each for key, each in matchers.items() if key not in own}
            assert parts, found[0]
            assert not matchers, f"{found[0]}: {matchers} cannot be matched"
            return parts[0] if len(parts) == 1 else "(" + " or ".join(parts) + ")"

        return SELECTOR.sub(replaced, re.sub(r"\s+", " ", query))


def _agrees(rule: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    own = rule.get("labels", {})
    return all(str(own.get(key, value)) == value for key, value in labels.items())


SHARE = "outbound_status:pearl_calls_share"
RATES = (
    "outbound:pearl_calls_started:rate1m",
    "outbound_status:pearl_calls:rate1m",
    "outbound:pearl_calls:rate1m",
)


def stages(rules: RuleFiles) -> list[list[Stage]]:
    """Return what must be stored, in order. The rules of one stage do not need each other.

    Windows of 40 minutes and more are evaluated once a minute, all others every 15 seconds.
    """
    steps: list[list[tuple[int, tuple[str, ...], dict[str, str]]]] = [
        [(15, RATES[:2], {})],
        [(15, RATES[2:], {})],
        [(15, WINDOWS, {"speed": "fast"}), (60, WINDOWS, {"speed": "slow"}), (60, LONG, {})],
        [(60, PAST, {})],
        [(60, USUAL, {})],
        [(15, OUTCOMES[:1], {}), (60, OUTCOMES[1:], {})],
    ]
    stored: set[str] = set()
    made: list[list[Stage]] = []
    for step in steps:
        made.append(
            [
                Stage(seconds, [r for name in names for r in rules.stored(name, stored, **labels)])
                for seconds, names, labels in step
            ]
        )
        stored |= {name for _, names, _ in step for name in names}
    return made


WINDOWS = ("outbound_status:pearl_calls:increase", "outbound:pearl_calls_seen:increase")
LONG = (
    "outbound:pearl_calls_success:increase40m",
    "outbound:pearl_calls_decided:increase40m",
    "outbound:pearl_calls_success:increase",
    "outbound:pearl_calls_decided:increase",
    "outbound:pearl_calls_started:increase40m",
)
PAST = (
    "outbound_status:pearl_calls:increase7d",
    "outbound:pearl_calls_seen:increase7d",
    "outbound:pearl_calls_decided:increase7d",
    "outbound:pearl_calls_success:usual",
)
USUAL = (f"{SHARE}:usual", f"{SHARE}:limit", "outbound:pearl_calls_success:limit")
OUTCOMES = (f"{SHARE}:raised", "outbound:pearl_calls_success:fallen")
STORED = {*RATES, *WINDOWS, *LONG, *PAST, *USUAL, *OUTCOMES}


def alert_query(rules: RuleFiles, name: str) -> str:
    """Return an alert's expression over the stored series."""
    query = rules.alerts[name]["expr"]
    found = re.fullmatch(rf'{SHARE}:alarm\{{.*(speed="\w+").*\}} == 1', query)
    if found is None:
        return rules.inline(query, STORED)
    speed = f"{{{found[1]}}}"
    alarm = rules.inline(f"{SHARE}:alarm{speed}", STORED)
    matchers = re.search(r"\{.*\}", query)
    assert matchers is not None, query
    return alarm.replace(f"{SHARE}:raised{speed}", f"{SHARE}:raised{matchers[0]}") + " == 1"
