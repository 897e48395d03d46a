"""What all pages for people share: frame, style, policy, and words for times. Pure, no script."""

import base64
import hashlib
from datetime import UTC, datetime
from html import escape
from urllib.parse import quote

from pearl_exporter import __version__
from pearl_exporter.counting.calls import Instant
from pearl_exporter.polling.snapshot import OutboundSnapshot

REFRESH_SECONDS = 15

LIGHT = {
    "bg": "#ffffff",
    "fg": "#1b1f24",
    "dim": "#57606a",
    "line": "#d0d7de",
    "panel": "#f6f8fa",
    "link": "#0550ae",
    "bad": "#b3261e",
    "good": "#1a6b2d",
    "bar": "#0b6bcb",
}
DARK = {
    "bg": "#0d1117",
    "fg": "#e6edf3",
    "dim": "#9aa5b1",
    "line": "#30363d",
    "panel": "#161b22",
    "link": "#79b8ff",
    "bad": "#ff8a80",
    "good": "#7ee08f",
    "bar": "#4aa3ff",
}
"""Colours by their use, in either theme."""


def _variables(colours: dict[str, str]) -> str:
    return " ".join(f"--{name}: {colour};" for name, colour in colours.items())


STYLE = (
    f"""
:root {{ color-scheme: light dark; {_variables(LIGHT)} }}
@media (prefers-color-scheme: dark) {{ :root {{ {_variables(DARK)} }} }}
"""
    """
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 76rem; padding: 1rem;
  background: var(--bg); color: var(--fg); }
h1 { font-size: 1.5rem; line-height: 1.25; margin: .5rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
a { color: var(--link); }
a:focus-visible, [tabindex]:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.skip { position: absolute; left: 1rem; top: -4rem; background: var(--bg); padding: .5rem; }
.skip:focus { top: .5rem; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; }
caption { text-align: left; color: var(--dim); padding-bottom: .25rem; }
th, td { text-align: left; padding: .4rem .6rem; border-bottom: 1px solid var(--line);
  vertical-align: top; }
thead th { color: var(--dim); font-weight: 600; font-size: .875rem; vertical-align: bottom; }
td.n, th.n { text-align: right; }
td.n, .polls tbody th, .polls td.w { white-space: nowrap; }
.polls { min-width: 64rem; } tbody th { overflow-wrap: anywhere; }
.shares tbody th { width: 50%; }
td { font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.bad { color: var(--bad); font-weight: 600; } .good { color: var(--good); font-weight: 600; }
.dim, footer { color: var(--dim); } small { display: block; }
.panel { background: var(--panel); border: 1px solid var(--line); border-left: .4rem solid
  var(--good); border-radius: .4rem; padding: .75rem 1rem; overflow-wrap: anywhere; }
.panel.failing { border-left-color: var(--bad); } .panel p { margin: .25rem 0; }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr));
  gap: 0 2rem; align-items: start; } .grid > * { min-width: 0; }
.spark { display: block; width: 9rem; height: 2rem; }
.stack td:nth-child(3), .stack td:last-child { white-space: nowrap; }
.chart { display: block; width: 100%; height: 6rem; }
.meter { display: block; width: 100%; min-width: 2.5rem; height: .75rem; margin-top: .4rem; }
.bar { fill: var(--bar); } .low { fill: var(--bad); } .track { fill: var(--line); }
.gap { fill: var(--dim); opacity: .5; }
.base { stroke: var(--dim); vector-effect: non-scaling-stroke; }
.scroll { overflow-x: auto; }
@media (max-width: 44rem) {
  .stack thead { position: absolute; clip-path: inset(50%); width: 1px; height: 1px;
    overflow: hidden; }
  .stack tr { display: block; padding: .5rem 0; border-bottom: 2px solid var(--line); }
  .stack td, .stack td.n { display: flex; gap: 1rem; justify-content: space-between; border: 0;
    padding: .15rem 0; text-align: right; }
  .stack td::before { content: attr(data-label); color: var(--dim); text-align: left; flex: none; }
  .stack td:first-child { font-weight: 600; font-size: 1.1rem; justify-content: start;
    text-align: left; }
  .stack td:first-child::before { content: none; }
}
"""
)

_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{refresh}<title>{title}</title>
<style>{style}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
{nav}<main id="main" tabindex="-1">
{body}
</main>
<footer><p>pearl-exporter {version}, {now} UTC. {pause}</p></footer>
</body>
</html>
"""


def frame(
    title: str, body: str, now: Instant, *, address: str | None, refreshes: bool = True
) -> str:
    """A whole page around ``body``, which is HTML already; ``title`` is text.

    ``address`` is the page's own; one without, as of an error, does not load itself anew.
    """
    is_fresh = refreshes and address is not None
    return _PAGE.format(
        refresh=f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}">\n' if is_fresh else "",
        title=escape(title),
        style=STYLE,
        nav="" if address == "/" else _NAV,
        body=body,
        version=escape(__version__),
        now=moment(now),
        pause="" if address is None else _pause(address, refreshes=refreshes),
    )


_NAV = '<nav aria-label="Pages"><a href="/">All outbounds</a></nav>\n'


def _pause(address: str, *, refreshes: bool) -> str:
    link = escape(f"{address}{'&' if '?' in address else '?'}refresh={int(not refreshes)}")
    if refreshes:
        return f'Loads anew every {REFRESH_SECONDS} s: <a href="{link}">stop that</a>.'
    return f'Stays as it is: <a href="{link}">load it anew by itself</a>.'


def path_of(name: str) -> str:
    """Where an outbound's page is. A browser takes dots alone for a folder: they go as a query."""
    quoted = quote(name, safe="")
    return f"/outbounds/?name={quoted}" if name in (".", "..") else f"/outbounds/{quoted}"


def moment(instant: Instant) -> str:
    """A moment in UTC, to the second."""
    return datetime.fromtimestamp(instant / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def short_moment(instant: Instant, now: Instant) -> str:
    """The same, without the year, and without the day if that is today."""
    text, today = moment(instant), moment(now)[:10]
    return text[11:] if text.startswith(today) else text[5:]


def ago(then: Instant | None, now: Instant) -> str:
    """How long ago something was."""
    return "never" if then is None else f"{span((now - then) / 1000)} ago"


def last_success(outbound: OutboundSnapshot, now: Instant) -> str:
    """How long ago an outbound's last good poll was; after a restart the saved state tells."""
    ended, polled_at = outbound.health.last_success, outbound.calls.polled_at
    if ended is None and polled_at is not None:
        return f"{ago(polled_at, now)}, before the restart"
    return ago(ended, now)


def read_progress(outbound: OutboundSnapshot) -> str | None:
    """How far a long read that is under way has come, in words."""
    so_far = outbound.read_progress
    if so_far is None:
        return None
    which = "first read" if outbound.calls.polled_at is None else "reading everything anew"
    return f"{which}: {so_far.received:,} of {so_far.expected:,} calls"


def until(seconds: float | None) -> str:
    """How soon something will be."""
    if seconds is None:
        return "–"
    return "now" if round(seconds) <= 0 else f"in {span(seconds)}"


def span(seconds: float) -> str:
    """A length of time, roughly."""
    whole = max(0, round(seconds))
    if whole < 120:  # noqa: PLR2004 - two minutes
        return f"{whole} s"
    if whole < 7200:  # noqa: PLR2004 - two hours
        return f"{whole // 60} min"
    return f"{whole // 3600} h"
