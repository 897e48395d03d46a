"""The page of one outbound, at ``/outbounds/<name>``. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from pearl_exporter.api.budget import Budget
from pearl_exporter.config.durations import format_duration
from pearl_exporter.counting.calls import Instant
from pearl_exporter.counting.histogram import HistogramSnapshot
from pearl_exporter.polling.poll_history import PollRecord
from pearl_exporter.polling.snapshot import OutboundSnapshot
from pearl_exporter.web.pages.charts import Sparkline, in_words, last_hours, sparkline
from pearl_exporter.web.pages.failure_reasons import next_step, reason_in_words
from pearl_exporter.web.pages.formatting import (
    NO_VALUE,
    last_success,
    moment,
    percent,
    read_progress,
    short_moment,
    until,
)
from pearl_exporter.web.pages.layout import Frame, PageRequest, frame_of, outbound_path
from pearl_exporter.web.pages.rendering import render

_MAX_TAGS = 10


@dataclass(frozen=True, slots=True)
class PollStatus:
    """The panel on top: whether polls succeed, and what happens next.

    ``mood`` is the class of the headline in the stylesheet: ``good``, ``bad`` or ``dim``.
    """

    headline: str
    mood: str
    is_failing: bool
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CountRow:
    """The calls with one label. ``percent`` is the length of the bar, from 0 to 100."""

    label: str
    calls: str
    share: str
    percent: float


@dataclass(frozen=True, slots=True)
class CountTable:
    """Calls by label, the most frequent first."""

    caption: str
    rows: tuple[CountRow, ...]


@dataclass(frozen=True, slots=True)
class WindowSection:
    """The calls in the window as of the last good poll."""

    calls: str
    live: str
    pending: str
    durations: str
    by_outcome: CountTable
    by_telephony_state: CountTable
    by_tag: CountTable


@dataclass(frozen=True, slots=True)
class LastHoursSection:
    """The calls counted in the last hours: in words, as a chart and as a table."""

    summary: str
    chart: Sparkline
    by_outcome: CountTable


@dataclass(frozen=True, slots=True)
class PollRow:
    """One of the last polls. ``reason`` is None if the poll succeeded."""

    ended: str
    purposes: str
    starts: str
    pages: str
    rows: str
    new: str
    late: str
    settled: str
    revised: str
    deleted: str
    took: str
    reason: str | None
    message: str


@dataclass(frozen=True, slots=True)
class FactTable:
    """Pairs of a name and a value."""

    title: str
    caption: str
    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class OutboundPage:
    """What ``templates/outbound.html`` shows. ``window`` is None where it is not known."""

    name: str
    status: PollStatus
    window_span: str
    window: WindowSection | None
    last_hours: LastHoursSection
    polls: tuple[PollRow, ...]
    counters: FactTable
    settings: FactTable


def render_outbound(
    outbound: OutboundSnapshot,
    seconds_to_next_poll: float | None,
    now: Instant,
    *,
    budget: Budget | None = None,
    asked: PageRequest = PageRequest(),  # noqa: B008 - frozen
) -> str:
    """Return the page as HTML.

    Args:
        outbound: What is known of the outbound.
        seconds_to_next_poll: None if no poll is planned.
        now: The present.
        budget: What the outbound's token allows right now; None if unknown.
        asked: How the page was asked for.
    """
    page = OutboundPage(
        name=outbound.name,
        status=_status(outbound, seconds_to_next_poll, now, budget),
        window_span=format_duration(outbound.window_seconds),
        window=_window(outbound, now),
        last_hours=_last_hours(outbound, now),
        polls=tuple(_poll(each, now) for each in outbound.polls),
        counters=_counters(outbound),
        settings=_settings(outbound),
    )
    title = f"{outbound.name} – pearl-exporter"
    above, path = asked.overview_path, outbound_path(outbound.name)
    frame = frame_of(title, f"{above}{path}", now, reloads=asked.reloads, overview_path=above)
    return render("outbound.html", frame, page)


def render_unknown_outbound(now: Instant, overview_path: str) -> str:
    """Return the page for a name that no outbound has, as HTML."""
    title = "No such outbound – pearl-exporter"
    frame = Frame(title, moment(now), overview_path=overview_path)
    return render("unknown_outbound.html", frame, None)


def _status(
    outbound: OutboundSnapshot, seconds: float | None, now: Instant, budget: Budget | None
) -> PollStatus:
    health = outbound.health
    lines = [f"Last success: {last_success(outbound, now)}. Next poll: {until(seconds)}."]
    reading = read_progress(outbound)
    if reading is not None:
        lines.insert(0, f"{reading[0].upper()}{reading[1:]}.")
    mood = "good" if health.up else "dim"
    if health.last_reason is not None:
        mood, headline = "bad", f"Its polls fail: {reason_in_words(health.last_reason)}"
        when = until(seconds) if seconds is not None else "yet to be planned"
        step = next_step(health.last_reason, when, budget)
        lines = [health.last_message or "", step, *lines]
    elif not health.up:
        headline = "Waiting for its first poll"
        if budget is not None and budget.trouble is not None:
            lines.insert(0, f"A request failed, and is sent again: {budget.trouble}.")
    elif outbound.is_stale(now):
        headline = "Its last good poll is too old: the window is not shown"
    else:
        headline = "Its polls succeed"
    if health.catching_up and health.up:
        lines.append("Calls of an outage are still being read, oldest first.")
    if missing := outbound.calls.missing:
        lines.append(
            f"Calls that the API does not list any more: {missing:,}. They stay counted as they "
            "were until a later poll misses them again."
        )
    return PollStatus(
        headline,
        mood,
        is_failing=health.last_reason is not None,
        lines=tuple(line for line in lines if line),
    )


def _window(outbound: OutboundSnapshot, now: Instant) -> WindowSection | None:
    window = outbound.calls.window
    if window is None or outbound.is_stale(now):
        return None
    tags = sorted(window.by_tag.items(), key=lambda item: (-item[1], item[0]))[:_MAX_TAGS]
    return WindowSection(
        calls=f"{window.calls:,}",
        live=f"{outbound.calls.live:,}",
        pending=f"{outbound.calls.pending:,}",
        durations=_durations(window.durations),
        by_outcome=_count_table("By outcome", window.by_status, window.calls),
        by_telephony_state=_count_table("By telephony state", window.by_call_status, window.calls),
        by_tag=_count_table(f"By tag, the {_MAX_TAGS} most frequent", dict(tags), window.calls),
    )


def _count_table(caption: str, counts: Mapping[str, int], total: int) -> CountTable:
    found = sorted(((n, label) for label, n in counts.items() if n), key=lambda each: -each[0])
    rows = tuple(
        CountRow(label, f"{n:,}", percent(n / total), round(100 * min(n / total, 1.0), 1))
        for n, label in found
    )
    return CountTable(caption, rows)


def _durations(durations: HistogramSnapshot) -> str:
    median, most = quantile(durations, 0.5), quantile(durations, 0.9)
    if median is None or most is None:
        return "No answered call has ended in it."
    return (
        f"Answered calls last, approximately: median {median}, 90th percentile {most}, "
        "as precisely as the histogram's buckets allow."
    )


def quantile(durations: HistogramSnapshot, share: float) -> str | None:
    """Return the bucket that has a quantile, in words.

    Args:
        durations: The histogram.
        share: The quantile, from 0 to 1.

    Returns:
        None if the histogram is empty.
    """
    wanted, seen = share * sum(durations.counts), 0
    if not wanted:
        return None
    for bound, count in zip(durations.bounds, durations.counts, strict=False):
        seen += count
        if seen >= wanted:
            return f"up to {format_duration(bound)}"
    return f"more than {format_duration(durations.bounds[-1])}" if durations.bounds else None


def _last_hours(outbound: OutboundSnapshot, now: Instant) -> LastHoursSection:
    hours = last_hours(outbound, now)
    counts = hours.calls()
    caption = "Counted in these hours, by outcome"
    return LastHoursSection(
        summary=in_words(hours),
        chart=sparkline(hours, now, outbound.name),
        by_outcome=_count_table(caption, counts, sum(counts.values())),
    )


def _poll(record: PollRecord, now: Instant) -> PollRow:
    asked, found = record.asked, record.found
    starts = NO_VALUE
    if asked.start is not None and asked.end is not None:
        starts = f"{short_moment(asked.start, now)} to {short_moment(asked.end, now)}"
    return PollRow(
        ended=short_moment(record.at, now),
        purposes=", ".join(asked.purposes) or NO_VALUE,
        starts=starts,
        pages=f"{asked.requests:,}",
        rows=f"{asked.rows:,}",
        new=NO_VALUE if found is None else f"{found.new:,}",
        late=NO_VALUE if found is None else f"{found.late:,}",
        settled=NO_VALUE if found is None else f"{found.settled:,}",
        revised=NO_VALUE if found is None else f"{found.revised:,}",
        deleted=NO_VALUE if found is None else f"{found.deleted:,}",
        took=f"{record.duration_seconds:.2f} s",
        reason=None if record.reason is None else reason_in_words(record.reason),
        message=record.message or "",
    )


def _counters(outbound: OutboundSnapshot) -> FactTable:
    ledger, health, since = outbound.calls.ledger, outbound.health, outbound.calls.tracking_since
    return FactTable(
        "Counters",
        "Counted since tracking began" + (f", {moment(since)} UTC" if since else ""),
        (
            ("Calls first seen", f"{ledger.started:,}"),
            ("Calls settled", f"{ledger.settled:,}"),
            ("Changes to settled calls", f"{sum(ledger.revisions.values()):,}"),
            ("Calls never counted", f"{sum(ledger.uncounted.values()):,}"),
            ("Polls since the start", f"{health.polls:,}"),
            *((f"Failed: {reason}", f"{n:,}") for reason, n in health.failures.items() if n),
        ),
    )


def _settings(outbound: OutboundSnapshot) -> FactTable:
    spans, idle = outbound.spans, []
    if spans.idle_interval > spans.interval:
        idle.append(("Interval while idle, up to", format_duration(spans.idle_interval)))
    return FactTable(
        "Settings",
        "In force for this outbound",
        (
            ("Id", outbound.outbound_id),
            ("Window", format_duration(outbound.window_seconds)),
            ("Interval, configured", format_duration(spans.interval)),
            ("Interval, in force", format_duration(round(outbound.health.interval_seconds, 3))),
            *idle,
            ("Settle, answered", format_duration(spans.settle)),
            ("Settle, unanswered", format_duration(spans.settle_unanswered)),
            ("Too old after", format_duration(outbound.stale_after_seconds)),
            *((f"Label {key}", text) for key, text in outbound.labels.items()),
        ),
    )
