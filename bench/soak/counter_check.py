"""In the end of a soak: every counter against the oracle, recounted from the recorded polls."""

from collections import Counter
from collections.abc import Mapping, Sequence

from bench.soak.recorded_polls import RecordedPoll
from bench.support.scrape import Scrape, label_value
from pearl_exporter.counting.settlement import CountingRules
from tests.support.oracle import Poll, Recount

Series = tuple[str, str]
"""A metric, and the value of its one label besides the outbound ("" if it has none)."""

_LABELS = {
    "pearl_calls_started_total": "",
    "pearl_calls_uncounted_total": "reason",
    "pearl_calls_total": "status",
    "pearl_telephony_calls_total": "call_status",
    "pearl_tagged_calls_total": "tag",
    "pearl_untagged_calls_total": "",
    "pearl_call_duration_seconds_count": "status",
    "pearl_call_duration_seconds_sum": "status",
    "pearl_call_revisions_total": "field",
    "pearl_live_calls": "",
    "pearl_pending_calls": "",
    "pearl_outbound_missing_calls": "",
    "pearl_outbound_uncounted_seconds_total": "",
}


def recount_of(polls: Sequence[RecordedPoll], rules: CountingRules) -> Recount:
    """Return the oracle's recount of the recorded polls of one outbound."""
    return Recount(
        [
            Poll(
                each.now,
                each.ranges,
                {row.id: row for row in each.rows},
                each.unread,
                each.unreadable_ids,
                each.window_ms,
                each.is_contradicted,
            )
            for each in polls
        ],
        rules,
    )


def wanted_counters(recount: Recount) -> dict[Series, float]:
    """Return the counters that the exporter must publish, without zeros."""
    by_label: dict[str, Mapping[str, float]] = {
        "pearl_calls_uncounted_total": recount.uncounted,
        "pearl_calls_total": recount.by_status,
        "pearl_telephony_calls_total": recount.by_call_status,
        "pearl_tagged_calls_total": recount.by_tag,
        "pearl_call_duration_seconds_count": Counter(
            {status: len(each) for status, each in recount.durations.items()}
        ),
        "pearl_call_duration_seconds_sum": {
            status: sum(each) for status, each in recount.durations.items()
        },
        "pearl_call_revisions_total": recount.revisions,
        "pearl_calls_started_total": {"": recount.started},
        "pearl_untagged_calls_total": {"": recount.untagged},
        "pearl_live_calls": {"": recount.live},
        "pearl_pending_calls": {"": recount.pending},
        "pearl_outbound_missing_calls": {"": len(recount.missing)},
        "pearl_outbound_uncounted_seconds_total": {"": recount.uncounted_ms / 1000},
    }
    return {
        (metric, value): number
        for metric, values in by_label.items()
        for value, number in values.items()
        if number
    }


def published_counters(scrape: Scrape) -> dict[str, dict[Series, float]]:
    """Return the counters of calls of a scrape by outbound, without zeros."""
    found: dict[str, dict[Series, float]] = {}
    for series, number in scrape.samples.items():
        metric = series.partition("{")[0]
        if number and (label := _LABELS.get(metric)) is not None:
            own = found.setdefault(label_value(series, "outbound"), {})
            own[metric, label_value(series, label) if label else ""] = number
    return found


def counter_failures(
    published: Mapping[Series, float], wanted: Mapping[Series, float]
) -> list[str]:
    """Return a line for every counter that differs."""
    return [
        f"{' '.join(series)}: {published.get(series, 0.0):g}, wanted {wanted.get(series, 0.0):g}"
        for series in sorted({*published, *wanted})
        if published.get(series, 0.0) != wanted.get(series, 0.0)
    ]
