"""What every page shows around its content, and the paths of the pages. Pure."""

from dataclasses import dataclass
from urllib.parse import quote

from pearl_exporter import __version__
from pearl_exporter.counting.calls import Instant
from pearl_exporter.web.pages.formatting import moment

RELOAD_SECONDS = 15
"""How often a page reloads itself."""

OVERVIEW_PATH = "/"


@dataclass(frozen=True, slots=True)
class Frame:
    """What a page shows around its content: see ``templates/page.html``.

    Attributes:
        title: The title of the window.
        generated_at: When the page was made, in UTC.
        version: The exporter's version.
        reload_seconds: How often the page reloads itself; None: not at all.
        toggle_path: Where the same page is with reloading turned off, or on; None: nowhere.
        links_to_overview: Whether the page has a link to all outbounds.
    """

    title: str
    generated_at: str
    version: str = __version__
    reload_seconds: int | None = None
    toggle_path: str | None = None
    links_to_overview: bool = True


def frame_of(title: str, path: str, now: Instant, *, reloads: bool) -> Frame:
    """Return the frame of the page at ``path``, which reloads itself or, if asked so, does not."""
    separator = "&" if "?" in path else "?"
    return Frame(
        title=title,
        generated_at=moment(now),
        reload_seconds=RELOAD_SECONDS if reloads else None,
        toggle_path=f"{path}{separator}refresh={int(not reloads)}",
        links_to_overview=path != OVERVIEW_PATH,
    )


def outbound_path(name: str) -> str:
    """Return the path of an outbound's page.

    Browsers resolve a path segment of dots as a folder (RFC 3986, section 5.2.4), also when the
    dots are percent-encoded. Such a name goes into the query.
    """
    quoted = quote(name, safe="")
    return f"/outbounds/?name={quoted}" if name in (".", "..") else f"/outbounds/{quoted}"
