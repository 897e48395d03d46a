"""The page for people at ``/``: one table, readable on a phone, without a script. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape
from typing import NamedTuple

from pearl_exporter import __version__
from pearl_exporter.calls import Instant
from pearl_exporter.config.durations import format_duration
from pearl_exporter.snapshot import OutboundSnapshot

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --bad: #c62828; --good: #2e7d32; --dim: #666; }
@media (prefers-color-scheme: dark) { :root { --bad: #ff8a80; --good: #81c784; --dim: #aaa; } }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 72rem; padding: 1rem; }
h1 { font-size: 1.4rem; margin: 0 0 .25rem; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; }
th, td { text-align: left; padding: .4rem .6rem; border-bottom: 1px solid var(--line); }
th, td.n { white-space: nowrap; } td.n, th.n { text-align: right; }
td { font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.bad { color: var(--bad); font-weight: 600; } .good { color: var(--good); font-weight: 600; }
.dim, footer { color: var(--dim); } small { display: block; }
@media (max-width: 44rem) {
  thead { position: absolute; clip-path: inset(50%); }
  tr { display: block; padding: .5rem 0; border-bottom: 2px solid var(--line); }
  td, td.n { display: flex; gap: 1rem; justify-content: space-between; border: 0;
    padding: .15rem 0; text-align: right; white-space: normal; }
  td::before { content: attr(data-label); color: var(--dim); text-align: left; flex: none; }
  td:first-child { font-weight: 600; font-size: 1.1rem; justify-content: start; text-align: left; }
  td:first-child::before { content: none; }
}
"""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="15">
<title>pearl-exporter</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>pearl-exporter</h1>
<p>{summary} Metrics are at <a href="/metrics">/metrics</a>.</p>
{table}
</main>
<footer>pearl-exporter {version}, {now} UTC. Windows are as of the last successful poll.</footer>
</body>
</html>
"""

_TABLE = """<table>
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
    _Column("Next poll"),
)


def render_page(
    outbounds: tuple[OutboundSnapshot, ...],
    seconds_to_next_poll: Mapping[str, float | None],
    now: Instant,
) -> str:
    """The whole page as HTML, every name escaped."""
    rows = "\n".join(
        _row(each, seconds_to_next_poll.get(each.outbound_id), now) for each in outbounds
    )
    heads = "".join(
        f'<th scope="col"{_class(column.is_number and "n")}>{column.title}</th>'
        for column in _COLUMNS
    )
    return _PAGE.format(
        style=_STYLE,
        summary=_summary(outbounds),
        table=_TABLE.format(heads=heads, rows=rows) if outbounds else "",
        version=escape(__version__),
        now=datetime.fromtimestamp(now / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S"),
    )


def _summary(outbounds: tuple[OutboundSnapshot, ...]) -> str:
    if not outbounds:
        return "No outbound is configured."
    failing = sum(each.health.last_reason is not None for each in outbounds)
    if failing:
        return f"{failing} of {len(outbounds)} outbounds can't be polled."
    return f"{_plural(len(outbounds), 'outbound')}, no poll failing."


def _row(outbound: OutboundSnapshot, seconds_to_next_poll: float | None, now: Instant) -> str:
    stale = outbound.is_stale(now)
    window = None if stale else outbound.calls.window
    share = "–" if window is None else None
    cells = (
        escape(outbound.name),
        _state(outbound, stale=stale),
        _ago(outbound.health.last_success, now),
        "–" if window is None else _calls(window.calls, outbound.window_seconds),
        share or _share(outbound, "error"),
        share or _share(outbound, "unreachable"),
        "–" if window is None else f"{outbound.calls.live:,}",
        _until(seconds_to_next_poll),
    )
    return "<tr>{}</tr>".format(
        "".join(
            f'<td data-label="{column.title}"{_class(column.is_number and "n")}>{cell}</td>'
            for column, cell in zip(_COLUMNS, cells, strict=True)
        )
    )


def _state(outbound: OutboundSnapshot, *, stale: bool) -> str:
    health = outbound.health
    if health.last_reason is not None:
        message = escape(health.last_message or "")
        age = " (its window is too old to be shown)" if stale and health.last_success else ""
        reason = f'<span class="bad">{escape(health.last_reason)}</span>'
        return f'<span>{reason}<small class="dim">{message}{age}</small></span>'
    if not health.up:
        return '<span class="dim">waiting for the first poll</span>'
    if stale:
        return '<span class="bad">stale</span>'
    return '<span class="good">up</span>'


def _calls(number: int, window_seconds: float) -> str:
    window = format_duration(window_seconds)
    return f'<span>{number:,} <span class="dim">in {window}</span></span>'


def _share(outbound: OutboundSnapshot, status: str) -> str:
    window = outbound.calls.window
    if window is None or not window.calls:
        return "–"
    return f"{window.by_status.get(status, 0) / window.calls:.1%}"


def _ago(then: Instant | None, now: Instant) -> str:
    return "never" if then is None else f"{_span((now - then) / 1000)} ago"


def _until(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return "now" if seconds <= 0 else f"in {_span(seconds)}"


def _span(seconds: float) -> str:
    whole = max(0, round(seconds))
    if whole < 120:  # noqa: PLR2004 - two minutes
        return f"{whole} s"
    if whole < 7200:  # noqa: PLR2004 - two hours
        return f"{whole // 60} min"
    return f"{whole // 3600} h"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _class(name: str | bool) -> str:  # noqa: FBT001 - "condition and name" at the call
    return f' class="{name}"' if name else ""
