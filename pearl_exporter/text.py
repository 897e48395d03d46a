"""Checks of texts that come from outside: the API, the configuration, the command line. Pure."""

import re
import unicodedata

MAX_TEXT = 128
"""Characters of an id, a name or a label's value."""

_OUTBOUND_ID = re.compile(rf"[A-Za-z0-9_.~-]{{1,{MAX_TEXT}}}")

_CONTROL_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode's categories: control, surrogate, line separator, paragraph separator."""


def is_unicode(text: str) -> bool:
    """Return whether ``text`` can be written as UTF-8, that is, has no lone surrogate.

    JSON can hold half a surrogate pair, and Python reads bytes that are not UTF-8 as surrogates.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def has_control_characters(text: str) -> bool:
    """Return whether ``text`` has a control character, a line break or a lone surrogate."""
    return any(unicodedata.category(character) in _CONTROL_CATEGORIES for character in text)


def is_quotable(text: str) -> bool:
    """Return whether ``text`` can stand between backticks in PromQL, where nothing is escaped.

    The dashboards' queries put names there: Grafana escapes nothing for a string in quotes.
    """
    return "`" not in text


def is_outbound_id(text: str) -> bool:
    """Return whether ``text`` can be an outbound's id.

    The id becomes a segment of the API's path, so it has no slash and is not ``.`` or ``..``. Nor
    has it a colon: every NLPearl token has one, and a token pasted for an id would become a label.
    """
    return _OUTBOUND_ID.fullmatch(text) is not None and bool(text.strip("."))
