"""In the end, every counter against what may have become of each simulated call, see `fates`.

A counter is right if it lies between the least and the most that the calls' fates can amount to.
Where the rows keep what they say these are the same, but for a call or two at an edge.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from bench.soak.equality import ALIASES, Stillness, names
from bench.soak.fates import FOLLOW_MS, Fate, Tracking, fates_of
from bench.soak.lab import Lab
from bench.soak.scraping import Scrape, label
from pearl_exporter.counting.calls import call_status_label, status_label

Series = tuple[str, str]
"""A metric, and the value of its one label beside the outbound."""

_SINCE = "pearl_outbound_tracking_since_timestamp_seconds"
_REVISIONS = "pearl_call_revisions_total"
_LABELS = {
    "pearl_calls_started_total": "",
    "pearl_calls_uncounted_total": "reason",
    "pearl_calls_total": "status",
    "pearl_telephony_calls_total": "call_status",
    "pearl_tagged_calls_total": "tag",
    "pearl_untagged_calls_total": "",
    "pearl_call_duration_seconds_count": "status",
    "pearl_call_duration_seconds_sum": "status",
}


@dataclass
class Reckoned:
    """How the counters of all outbounds compare."""

    faults: list[str] = field(default_factory=list)
    exact: int = 0
    """Counters of which the truth allows one value alone."""
    bounded: int = 0
    """Those for which it leaves a range."""
    width: float = 0.0
    """Of how many calls the truth leaves open whether they were seen."""
    started: float = 0.0
    """Calls started, as published; likewise ``uncounted``, for any reason."""
    uncounted: float = 0.0


def reckon(lab: Lab, still: Stillness, gaps: dict[str, float]) -> tuple[Reckoned, Reckoned]:
    """Of the calm outbounds, and of the others. ``gaps``: the longest between polls, in seconds."""
    calm, others = Reckoned(), Reckoned()
    campaigns, published = lab.table.campaigns(lab.api.now_ms), counters(still.seen)
    revisions = still.seen.by_outbound(_REVISIONS)
    for (name, id_), campaign in zip(names(lab).items(), campaigns, strict=True):
        assert campaign.outbound_id == id_
        tracking = Tracking(
            first=lab.first_ms,
            since=round(still.seen.samples[f'{_SINCE}{{outbound="{name}"}}'] * 1000),
            paused=still.paused_ms,
            at=still.at_ms,
            until=still.until_ms[name],
            gap=round(gaps[name] * 1000),
        )
        calls = campaign.calls(tracking.since - FOLLOW_MS, tracking.at)
        least, most = bounds_of([fates_of(campaign, call, tracking) for call in calls])
        reckoned = calm if lab.is_calm(name) else others
        compare(reckoned, name, published[name], (least, most))
        if lab.is_calm(name) and revisions[name]:
            reckoned.faults.append(f"{name}: {revisions[name]:g} revisions, wanted none")
    return calm, others


def bounds_of(calls: list[frozenset[Fate]]) -> tuple[Counter[Series], Counter[Series]]:
    """The least and the most that each series may say of calls with these possible fates."""
    least, most = Counter[Series](), Counter[Series]()
    for fates in calls:
        told = [Counter(dict(_told(fate))) for fate in fates]
        for series in {series for each in told for series in each}:
            amounts = [each[series] for each in told]
            least[series] += min(amounts)
            most[series] += max(amounts)
    return least, most


def _told(fate: Fate) -> Iterator[tuple[Series, int]]:
    """What a call of this fate adds to which series."""
    if fate.has_started:
        yield ("pearl_calls_started_total", ""), 1
    if fate.uncounted:
        yield ("pearl_calls_uncounted_total", fate.uncounted), 1
    if fate.row is None:
        return
    outcome, call_status, duration, tags = fate.row
    status = status_label(ALIASES.get(outcome, outcome))
    yield ("pearl_calls_total", status), 1
    yield ("pearl_telephony_calls_total", call_status_label(call_status)), 1
    for tag in tags:
        yield ("pearl_tagged_calls_total", tag), 1
    if duration > 0:
        yield ("pearl_call_duration_seconds_count", status), 1
        yield ("pearl_call_duration_seconds_sum", status), duration
        if not tags:
            yield ("pearl_untagged_calls_total", ""), 1


def counters(seen: Scrape) -> dict[str, dict[Series, float]]:
    """The counters of calls, as they were scraped, by outbound."""
    found: dict[str, dict[Series, float]] = {}
    for series, value in seen.samples.items():
        metric = series.partition("{")[0]
        if (key := _LABELS.get(metric)) is not None:
            told = found.setdefault(label(series, "outbound"), {})
            told[metric, label(series, key) if key else ""] = value
    return found


def compare(
    reckoned: Reckoned,
    name: str,
    published: dict[Series, float],
    bounds: tuple[Counter[Series], Counter[Series]],
) -> None:
    least, most = bounds
    for series in sorted({*published, *most}):
        value, low, high = published.get(series, 0.0), least[series], most[series]
        reckoned.exact += low == high
        reckoned.bounded += low != high
        if not low <= value <= high:
            wanted = f"{low}" if low == high else f"{low} to {high}"
            reckoned.faults.append(f"{name}: {' '.join(series)}: {value:g}, wanted {wanted}")
    started = ("pearl_calls_started_total", "")
    reckoned.width += most[started] - least[started]
    reckoned.started += published.get(started, 0.0)
    reckoned.uncounted += sum(
        value for (metric, _), value in published.items() if "uncounted" in metric
    )
