"""What Prometheus stored of the windows, against the simulator's own count of the same moment.

The tables are written out again here, from the contract: the exporter's own are under test.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple

import httpx

from tests.support.prometheus import Prometheus

STATUSES = {
    1: "new", 10: "need_retry", 20: "in_call_queue", 30: "wrong_country_code", 40: "on_call",
    70: "voice_mail_left", 100: "success", 110: "not_successful", 130: "complete",
    150: "unreachable", 200: "error", 220: "blacklisted", 300: "queue_abandon", 500: "error",
}  # fmt: skip
CALL_STATUSES = {
    3: "in_progress", 4: "completed", 5: "busy", 6: "failed", 7: "no_answer", 8: "canceled",
}  # fmt: skip
BUCKETS = (5, 10, 15, 30, 45, 60, 90, 120, 180, 300, 600, 1200, 1800, 3600)

Figures = dict[tuple[str, str], float]
"""What is said of one outbound's window, by metric and the value of its label."""

_METRICS = {
    "pearl_window_calls": "status",
    "pearl_window_telephony_calls": "call_status",
    "pearl_window_tagged_calls": "tag",
    "pearl_window_untagged_calls": "",
    "pearl_window_call_duration_seconds_bucket": "le",
    "pearl_window_call_duration_seconds_gcount": "",
    "pearl_window_call_duration_seconds_gsum": "",
}

_MOMENT = "pearl_outbound_data_timestamp_seconds"
_TOOK = "pearl_outbound_poll_duration_seconds"


class Scraped(NamedTuple):
    """One outbound's window in one scrape: ``at_ms`` is the moment of which it says to be."""

    outbound: str
    at_ms: int
    poll_seconds: float
    figures: Figures


def scraped_windows(server: Prometheus, job: str, seconds: int) -> list[Scraped]:
    """Every different poll that Prometheus has seen in the last ``seconds``."""
    figures: dict[tuple[str, float], Figures] = defaultdict(dict)
    moments: dict[tuple[str, float], float] = {}
    took: dict[tuple[str, float], float] = {}
    # one query, so that it sees each scrape whole or not at all
    names = "|".join((*_METRICS, _MOMENT, _TOOK))
    history = server.history(f'{{__name__=~"{names}",job="{job}"}}', seconds)
    for labels, samples in history.items():
        named = dict(labels)
        metric, outbound = named["__name__"], named["outbound"]
        for at, value in samples.items():
            if metric in _METRICS:
                figures[outbound, at][metric, named.get(_METRICS[metric], "")] = value
            else:
                (moments if metric == _MOMENT else took)[outbound, at] = value
    polls: dict[tuple[str, int], Scraped] = {}
    for (outbound, at), each in sorted(figures.items()):
        at_ms = round(moments[outbound, at] * 1000)
        polls[outbound, at_ms] = Scraped(outbound, at_ms, took[outbound, at], each)
    return list(polls.values())


def true_figures(
    api: httpx.Client, outbound: str, *, as_of_ms: int, from_ms: int, tags: set[str]
) -> Figures:
    """What an exact exporter publishes of the calls that start in ``[from_ms, as_of_ms]``."""
    asked = {"outbound": outbound, "at": as_of_ms, "window": (as_of_ms - from_ms) / 1000}
    answer = api.get("/_sim/truth", params=asked)
    answer.raise_for_status()
    truth: dict[str, Any] = answer.json()
    assert truth["from_ms"] == from_ms
    figures: Figures = {("pearl_window_calls", name): 0 for name in STATUSES.values()}
    figures |= {("pearl_window_telephony_calls", name): 0 for name in CALL_STATUSES.values()}
    # a tag once seen keeps its series
    figures |= {("pearl_window_tagged_calls", tag): 0 for tag in tags}
    _count(figures, "pearl_window_calls", STATUSES, truth["by_status"])
    both = {**STATUSES, **CALL_STATUSES}
    _count(figures, "pearl_window_telephony_calls", both, truth["by_call_status"])
    figures |= {("pearl_window_tagged_calls", tag): n for tag, n in truth["by_tag"].items()}
    figures["pearl_window_untagged_calls", ""] = truth["untagged"]
    durations = truth["durations"]
    for bound in (*BUCKETS, float("inf")):
        le = "+Inf" if bound == float("inf") else f"{bound:.1f}"
        within = sum(duration <= bound for duration in durations)
        figures["pearl_window_call_duration_seconds_bucket", le] = within
    figures["pearl_window_call_duration_seconds_gcount", ""] = len(durations)
    figures["pearl_window_call_duration_seconds_gsum", ""] = sum(durations)
    return figures


def _count(
    figures: Figures, metric: str, names: Mapping[int, str], by_code: Mapping[str, int]
) -> None:
    for code, number in by_code.items():
        label = names.get(int(code), f"unknown_{code}")
        figures[metric, label] = figures.get((metric, label), 0) + number


def tags_of(figures: Figures) -> set[str]:
    return {value for metric, value in figures if metric == "pearl_window_tagged_calls"}


def without_zeros(figures: Figures) -> Figures:
    """Unknown codes once seen keep their series at 0; which were seen, the moment can't tell."""
    return {
        key: value for key, value in figures.items() if value or not key[1].startswith("unknown")
    }
