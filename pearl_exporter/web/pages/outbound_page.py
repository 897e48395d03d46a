"""The page of one outbound, at ``/outbounds/<name>``. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from pearl_exporter.api.budget import Budget
from pearl_exporter.config.durations import format_duration
from pearl_exporter.counting.calls import Instant
from pearl_exporter.counting.histogram import HistogramSnapshot
from pearl_exporter.polling.poll_history import PollFindings, PollRecord
from pearl_exporter.polling.snapshot import OutboundSnapshot
from pearl_exporter.web.pages.charts import in_words, last_hours, meter, sparkline
from pearl_exporter.web.pages.layout import (
    frame,
    last_success,
    moment,
    path_of,
    read_progress,
    short_moment,
    until,
)
from pearl_exporter.web.pages.next_steps import next_step, reason_in_words
from pearl_exporter.web.pages.overview_page import percent

_MOST_TAGS = 10
_POLLS = (
    "Ended (UTC)",
    "Asked for",
    "Starts asked (UTC)",
    "Pages",
    "Rows",
    "New",
    "Late",
    "Settled",
    "Revised",
    "Deleted",
    "Took",
    "Error",
)
_FIRST_NUMBER, _LAST_NUMBER = 3, 10


def render_outbound(
    outbound: OutboundSnapshot,
    seconds_to_next_poll: float | None,
    now: Instant,
    *,
    budget: Budget | None = None,
    refreshes: bool = True,
) -> str:
    """The whole page as HTML, everything that came from elsewhere escaped.

    ``budget`` is what the outbound's token allows right now, if that is known.
    """
    parts = (
        f"<h1><bdi>{escape(outbound.name)}</bdi></h1>",
        _headline(outbound, seconds_to_next_poll, now, budget),
        _window(outbound, now),
        _hours(outbound, now),
        _last_polls(outbound.polls, now),
        '<div class="grid">',
        _counters(outbound),
        _settings(outbound),
        "</div>",
    )
    title = f"{outbound.name} – pearl-exporter"
    address = path_of(outbound.name)
    return frame(title, "\n".join(parts), now, address=address, refreshes=refreshes)


def render_unknown(now: Instant) -> str:
    """The page where there is no such outbound."""
    body = (
        "<h1>No such outbound</h1>\n<p>No outbound that is configured or discovered has exactly "
        "this name.</p>"
    )
    return frame("No such outbound – pearl-exporter", body, now, address=None)


def _headline(
    outbound: OutboundSnapshot, seconds: float | None, now: Instant, budget: Budget | None
) -> str:
    health = outbound.health
    lines = [f"Last success: {last_success(outbound, now)}. Next poll: {until(seconds)}."]
    reading = read_progress(outbound)
    if reading is not None:
        lines.insert(0, f"{reading[0].upper()}{reading[1:]}.")
    if health.last_reason is not None:
        when = until(seconds) if seconds is not None else "yet to be planned"
        head = f"Its polls fail: {escape(reason_in_words(health.last_reason))}"
        step = next_step(health.last_reason, when, budget)
        lines = [escape(health.last_message or ""), step, *lines]
    elif not health.up:
        head = "Waiting for its first poll"
        if budget is not None and budget.trouble is not None:
            lines.insert(0, f"A request failed, and is sent again: {escape(budget.trouble)}.")
    elif outbound.is_stale(now):
        head = "Its last good poll is too old: the window is not shown"
    else:
        head = "Its polls succeed"
    if health.catching_up and health.up:
        lines.append("Calls of an outage are still being read, oldest first.")
    mood, css = ("good" if health.up else "dim", "panel")
    if health.last_reason is not None:
        mood, css = "bad", "panel failing"
    text = "".join(f"<p>{line}</p>" for line in lines if line)
    return f'<div class="{css}"><p class="{mood}">{head}</p>{text}</div>'


def _window(outbound: OutboundSnapshot, now: Instant) -> str:
    window = outbound.calls.window
    span = format_duration(outbound.window_seconds)
    if window is None or outbound.is_stale(now):
        return f"<h2>The window of {span}</h2>\n<p>It is not known now.</p>"
    tags = sorted(window.by_tag.items(), key=lambda item: (-item[1], item[0]))[:_MOST_TAGS]
    calls = window.calls
    return (
        f"<h2>{calls:,} calls in the window of {span}</h2>\n"
        f"<p>{outbound.calls.live:,} live, {outbound.calls.pending:,} yet to settle. "
        f'{_durations(window.durations)}</p>\n<div class="grid">'
        f"{_shares('By outcome', window.by_status, calls)}"
        f"{_shares('By telephony state', window.by_call_status, calls)}"
        f"{_shares(f'By tag, the {_MOST_TAGS} most frequent', dict(tags), calls)}</div>"
    )


def _shares(caption: str, counts: Mapping[str, int], total: int) -> str:
    found = sorted(((n, label) for label, n in counts.items() if n), key=lambda each: -each[0])
    if not found:
        return f'<p class="dim">{escape(caption)}: none.</p>'
    rows = "".join(
        f'<tr><th scope="row"><bdi>{escape(label)}</bdi></th><td class="n">{number:,}</td>'
        f'<td class="n">{percent(number / total)}</td><td>{meter(number / total)}</td></tr>'
        for number, label in found
    )
    head = _heads(("Label", "Calls", "Share", "Bar"), numbers=range(1, 3))
    return (
        f'<table class="shares"><caption>{escape(caption)}</caption>'
        f"{head}<tbody>{rows}</tbody></table>"
    )


def _durations(durations: HistogramSnapshot) -> str:
    median, most = quantile(durations, 0.5), quantile(durations, 0.9)
    if median is None or most is None:
        return "No answered call has ended in it."
    return (
        f"Answered calls last, approximately: median {median}, 90th percentile {most}, "
        "as far as the histogram's buckets tell."
    )


def quantile(durations: HistogramSnapshot, share: float) -> str | None:
    """The bucket in which a quantile lies, in words; None without calls."""
    wanted, seen = share * sum(durations.counts), 0
    if not wanted:
        return None
    for bound, count in zip(durations.bounds, durations.counts, strict=False):
        seen += count
        if seen >= wanted:
            return f"up to {format_duration(bound)}"
    return f"more than {format_duration(durations.bounds[-1])}" if durations.bounds else None


def _hours(outbound: OutboundSnapshot, now: Instant) -> str:
    hours = last_hours(outbound, now)
    counts = hours.calls()
    words = escape(in_words(hours))
    chart = sparkline(hours, now, outbound.name, "chart")
    table = _shares("Counted in these hours, by outcome", counts, sum(counts.values()))
    return (
        f"<h2>The last hours</h2>\n<p>Calls counted when they settled: {words}. Error and "
        "unreachable hang below the line; a low grey band is a time without a good poll."
        f"</p>\n{chart}\n{table}"
    )


def _last_polls(polls: Sequence[PollRecord], now: Instant) -> str:
    if not polls:
        return "<h2>Last polls</h2>\n<p>There was none yet.</p>"
    rows = "\n".join(_poll(each, now) for each in polls)
    head = _heads(_POLLS, numbers=range(_FIRST_NUMBER, _LAST_NUMBER + 1))
    return (
        '<h2 id="polls">Last polls</h2>\n'
        # no caption: it would be as wide as the table, and scroll with it
        '<p class="dim">Newest first. Late: first seen although it started where an earlier poll '
        'had read.</p>\n<div class="scroll" role="region" aria-labelledby="polls" tabindex="0">'
        f'<table class="polls" aria-labelledby="polls">{head}<tbody>\n{rows}\n</tbody>'
        "</table></div>"
    )


def _poll(record: PollRecord, now: Instant) -> str:
    asked = record.asked
    starts = "–"
    if asked.start is not None and asked.end is not None:
        starts = f"{short_moment(asked.start, now)} to {short_moment(asked.end, now)}"
    numbers: list[str] = [f"{each:,}" for each in (asked.requests, asked.rows)]
    numbers += _found(record.found)
    numbers.append(f"{record.duration_seconds:.2f} s")
    error = "–"
    if record.reason is not None:
        words = escape(reason_in_words(record.reason))
        error = f'<span class="bad">{words}</span>: {escape(record.message or "")}'
    cells = [f"<td>{escape(', '.join(asked.purposes) or '–')}</td>", f'<td class="w">{starts}</td>']
    cells += [f'<td class="n">{each}</td>' for each in numbers]
    at = short_moment(record.at, now)
    return f'<tr><th scope="row">{at}</th>{"".join(cells)}<td>{error}</td></tr>'


def _found(found: PollFindings | None) -> list[str]:
    if found is None:
        return ["–"] * len(PollFindings.__struct_fields__)
    counted = (found.new, found.late, found.settled, found.revised, found.deleted)
    return [f"{each:,}" for each in counted]


def _counters(outbound: OutboundSnapshot) -> str:
    calls, ledger, health = outbound.calls, outbound.calls.ledger, outbound.health
    rows = [
        ("Calls first seen", f"{ledger.started:,}"),
        ("Calls settled", f"{ledger.settled:,}"),
        ("Changes to settled calls", f"{sum(ledger.revisions.values()):,}"),
        ("Calls never counted", f"{sum(ledger.uncounted.values()):,}"),
        ("Polls since the start", f"{health.polls:,}"),
        *((f"Failed: {reason}", f"{n:,}") for reason, n in health.failures.items() if n),
    ]
    since = calls.tracking_since
    caption = "Counted since tracking began" + (f", {moment(since)} UTC" if since else "")
    return _facts("Counters", caption, rows)


def _settings(outbound: OutboundSnapshot) -> str:
    spans, idle = outbound.spans, []
    if spans.idle_interval > spans.interval:
        idle.append(("Interval while idle, up to", format_duration(spans.idle_interval)))
    rows = [
        ("Id", escape(outbound.outbound_id)),
        ("Window", format_duration(outbound.window_seconds)),
        ("Interval, configured", format_duration(spans.interval)),
        ("Interval, in force", format_duration(round(outbound.health.interval_seconds, 3))),
        *idle,
        ("Settle, answered", format_duration(spans.settle)),
        ("Settle, unanswered", format_duration(spans.settle_unanswered)),
        ("Too old after", format_duration(outbound.stale_after_seconds)),
        *((f"Label {escape(key)}", escape(text)) for key, text in outbound.labels.items()),
    ]
    return _facts("Settings", "In force for this outbound", rows)


def _facts(title: str, caption: str, rows: Iterable[tuple[str, str]]) -> str:
    body = "".join(f'<tr><th scope="row">{name}</th><td>{text}</td></tr>' for name, text in rows)
    return f"<div><h2>{title}</h2>\n<table><caption>{caption}</caption>{body}</table></div>"


def _heads(titles: Iterable[str], numbers: range) -> str:
    cells = "".join(
        f'<th scope="col" class="n">{title}</th>'
        if place in numbers
        else f'<th scope="col">{title}</th>'
        for place, title in enumerate(titles)
    )
    return f"<thead><tr>{cells}</tr></thead>"
