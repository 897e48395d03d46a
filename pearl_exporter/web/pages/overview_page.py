"""The page for people at ``/``: one table of all outbounds, readable on a phone. Pure."""

from collections.abc import Mapping
from html import escape
from typing import NamedTuple

from pearl_exporter.config.durations import format_duration
from pearl_exporter.counting.calls import Instant
from pearl_exporter.polling.snapshot import OutboundSnapshot
from pearl_exporter.web.pages.charts import last_hours, sparkline
from pearl_exporter.web.pages.layout import frame, last_success, path_of, read_progress, until
from pearl_exporter.web.pages.next_steps import reason_in_words

_TABLE = """<table class="stack">
<caption>Failing outbounds come first, then those without a window, then by the share of errors,
then by name. "Last hours" counts calls in steps of 5 minutes, for 6 hours: error and unreachable
hang below the line.</caption>
<thead><tr>{heads}</tr></thead>
<tbody>
{rows}
</tbody>
</table>"""


class _Column(NamedTuple):
    title: str
    is_number: bool = False


_COLUMNS = (
    _Column("Outbound"),
    _Column("State"),
    _Column("Last success"),
    _Column("Calls in window", is_number=True),
    _Column("Error", is_number=True),
    _Column("Unreachable", is_number=True),
    _Column("Live", is_number=True),
    _Column("Last hours"),
    _Column("Next poll"),
)


def render_page(
    outbounds: tuple[OutboundSnapshot, ...],
    seconds_to_next_poll: Mapping[str, float | None],
    now: Instant,
    *,
    is_discovering: bool = False,
    refreshes: bool = True,
) -> str:
    """The whole page as HTML, every name escaped.

    ``is_discovering`` says that discovery has had no answer yet.
    """
    rows = "\n".join(
        _row(each, seconds_to_next_poll.get(each.outbound_id), now)
        for each in sorted(outbounds, key=lambda each: _worst_first(each, now))
    )
    heads = "".join(
        f'<th scope="col"{_class(column.is_number and "n")}>{column.title}</th>'
        for column in _COLUMNS
    )
    summary = _summary(outbounds, is_discovering=is_discovering)
    table = _TABLE.format(heads=heads, rows=rows) if outbounds else ""
    body = (
        f"<h1>pearl-exporter</h1>\n"
        f'<p>{summary} Metrics are at <a href="/metrics">/metrics</a>.</p>\n{table}\n'
        '<p class="dim">Windows are as of the last successful poll.</p>'
    )
    return frame("pearl-exporter", body, now, address="/", refreshes=refreshes)


def _worst_first(outbound: OutboundSnapshot, now: Instant) -> tuple[bool, bool, float, str]:
    is_failing, stale = outbound.health.last_reason is not None, outbound.is_stale(now)
    return (not is_failing, not stale, -(share_of(outbound, "error") or 0.0), outbound.name)


def _summary(outbounds: tuple[OutboundSnapshot, ...], *, is_discovering: bool) -> str:
    if not outbounds:
        if is_discovering:
            return "Waiting for the platform's list of outbounds."
        return "No outbound is polled: none is configured, and none was discovered."
    failing = sum(each.health.last_reason is not None for each in outbounds)
    if failing:
        return f"{failing} of {len(outbounds)} outbounds can't be polled."
    waiting = sum(not each.health.up for each in outbounds)
    tail = f", {waiting} yet to be read for the first time since the start" if waiting else ""
    return f"{_plural(len(outbounds), 'outbound')}, no poll failing{tail}."


def _row(outbound: OutboundSnapshot, seconds_to_next_poll: float | None, now: Instant) -> str:
    stale = outbound.is_stale(now)
    window = None if stale else outbound.calls.window
    cells = (
        f'<a href="{escape(path_of(outbound.name))}"><bdi>{escape(outbound.name)}</bdi></a>',
        state_of(outbound, now),
        last_success(outbound, now),
        "–" if window is None else _calls(window.calls, outbound.window_seconds),
        "–" if stale else percent(share_of(outbound, "error")),
        "–" if stale else percent(share_of(outbound, "unreachable")),
        "–" if window is None else f"{outbound.calls.live:,}",
        sparkline(last_hours(outbound, now), now, outbound.name, "spark"),
        until(seconds_to_next_poll),
    )
    return "<tr>{}</tr>".format(
        "".join(
            f'<td data-label="{column.title}"{_class(column.is_number and "n")}>{cell}</td>'
            for column, cell in zip(_COLUMNS, cells, strict=True)
        )
    )


def state_of(outbound: OutboundSnapshot, now: Instant) -> str:
    """How its polls fare, as HTML."""
    health, stale = outbound.health, outbound.is_stale(now)
    reading = read_progress(outbound)
    if health.last_reason is not None:
        message = escape(health.last_message or "")
        age = " (its window is too old to be shown)" if stale and health.last_success else ""
        reason = f'<span class="bad">{escape(reason_in_words(health.last_reason))}</span>'
        more = "".join(
            f'<small class="dim">{each}</small>' for each in (message + age, reading) if each
        )
        return f"<span>{reason}{more}</span>"
    if reading is not None:
        return reading
    if not health.up:
        return '<span class="dim">waiting for the first poll</span>'
    if stale:
        return '<span class="bad">stale</span>'
    return '<span class="good">up</span>'


def share_of(outbound: OutboundSnapshot, status: str) -> float | None:
    """The share of an outcome in the window; None where there is no call."""
    window = outbound.calls.window
    if window is None or not window.calls:
        return None
    return window.by_status.get(status, 0) / window.calls


def percent(share: float | None) -> str:
    """A share as people read it."""
    return "–" if share is None else f"{share:.1%}"


def _calls(number: int, window_seconds: float) -> str:
    window = format_duration(window_seconds)
    return f'<span>{number:,} <span class="dim">in {window}</span></span>'


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _class(name: str | bool) -> str:  # noqa: FBT001 - "condition and name" at the call
    return f' class="{name}"' if name else ""
