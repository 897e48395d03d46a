"""Fill the templates of the pages with what a page shows.

The templates are Jinja2 with autoescape: every value is text and is escaped. The one exception is
the style, a file of this package.
"""

import base64
import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from pearl_exporter.web.pages.layout import Frame

if TYPE_CHECKING:
    from jinja2 import Environment

_FOLDER = Path(__file__).parent

STYLE = (_FOLDER / "style.css").read_text(encoding="utf-8")
"""The style, exactly as it stands between ``<style>`` and ``</style>``."""

_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""A page loads nothing, runs nothing, and has this one style (CSP Level 3, hash source)."""


def load_templates() -> None:
    """Compile all templates, so that a broken one stops the start and not a page."""
    environment = _environment()
    for name in environment.list_templates():
        environment.get_template(name)


def render(template: str, frame: Frame, page: object) -> str:
    """Return a page as HTML.

    Args:
        template: The file's name in ``templates/``.
        frame: What the page shows around its content.
        page: What the content shows. A name that the template asks for and the page does not have
            is an error.
    """
    return _environment().get_template(template).render(frame=frame, page=page)


@cache
def _environment() -> "Environment":
    # Imported here: only a serving exporter needs Jinja2, and `--help` is to answer at once.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415
    from markupsafe import Markup  # noqa: PLC0415

    environment = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals["style"] = Markup(STYLE)  # noqa: S704 - a file of this package
    return environment
