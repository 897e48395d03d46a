"""What every page shows around its content, and the paths of the pages. Pure.

All paths are relative: behind a proxy that strips a prefix from them, links work without a setting.
"""

import re
from dataclasses import dataclass
from urllib.parse import quote

from pearl_exporter import __version__
from pearl_exporter.counting.calls import Instant
from pearl_exporter.web.pages.formatting import moment

RELOAD_SECONDS = 15
"""How often a page reloads itself."""

_NEEDS_QUERY = re.compile(r"[/\\]|\A\.\.?\Z")
"""Names that can't be a segment of a path. Proxies take an encoded slash for a slash, or refuse it.

Browsers resolve a segment of dots as a folder (RFC 3986, section 5.2.4), also when the dots are
percent-encoded.
"""


@dataclass(frozen=True, slots=True)
class Frame:
    """What a page shows around its content: see ``templates/page.html``.

    Attributes:
        title: The title of the window.
        generated_at: When the page was made, in UTC.
        version: The exporter's version.
        reload_seconds: How often the page reloads itself; None: not at all.
        toggle_path: Where the same page is with reloading turned off, or on; None: nowhere.
        overview_path: Where all outbounds are; None on their own page.
    """

    title: str
    generated_at: str
    version: str = __version__
    reload_seconds: int | None = None
    toggle_path: str | None = None
    overview_path: str | None = None


@dataclass(frozen=True, slots=True)
class PageRequest:
    """How an outbound's page was asked for.

    Attributes:
        reloads: Whether the page reloads itself.
        overview_path: Where the overview is, relative to the address of the page.
    """

    reloads: bool = True
    overview_path: str = "../"


def frame_of(
    title: str, path: str, now: Instant, *, reloads: bool, overview_path: str | None = None
) -> Frame:
    """Return the frame of the page at ``path``, which reloads itself or, if asked so, does not."""
    separator = "&" if "?" in path else "?"
    return Frame(
        title=title,
        generated_at=moment(now),
        reload_seconds=RELOAD_SECONDS if reloads else None,
        toggle_path=f"{path}{separator}refresh={int(not reloads)}",
        overview_path=overview_path,
    )


def outbound_path(name: str) -> str:
    """Return the path of an outbound's page, relative to the overview."""
    quoted = quote(name, safe="")
    return f"outbounds/?name={quoted}" if _NEEDS_QUERY.search(name) else f"outbounds/{quoted}"


def overview_path(own_path: str) -> str:
    """Return the path of the overview, relative to the page at ``own_path``, which is encoded."""
    return "../" * (own_path.count("/") - 1) or "./"
