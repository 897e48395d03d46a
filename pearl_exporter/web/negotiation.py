"""Choose format and encoding of a scrape (RFC 9110, sections 12.5.1 and 12.5.3). Pure.

A part of a header that is not understood is ignored: a scrape never fails because of its headers.
"""

from collections.abc import Iterator
from typing import NamedTuple

from pearl_exporter.exposition.render import Format

_MAX_HEADER_LENGTH = 4096
_OPENMETRICS_VERSIONS = ("", "0.0.1", "1.0.0")
_TEXT_VERSIONS = ("", "0.0.4")


class _Preference(NamedTuple):
    """One element of ``Accept`` or ``Accept-Encoding``. ``quality`` is from 0 to 1; 0: never."""

    value: str
    version: str
    quality: float


def choose_format(accept: str) -> Format:
    """Return OpenMetrics 1.0 if its quality is at least that of the text format, else text 0.0.4.

    Other versions (OpenMetrics 2, text 1.0.0 with its UTF-8 names) are ignored. A client that
    accepts neither format gets text, since an error would end the scrape.

    Args:
        accept: The value of the ``Accept`` header; empty if there is none.
    """
    openmetrics = text = 0.0
    for each in _preferences(accept):
        if each.value == "application/openmetrics-text":
            if each.version in _OPENMETRICS_VERSIONS:
                openmetrics = max(openmetrics, each.quality)
        elif each.value == "text/plain" and each.version in _TEXT_VERSIONS:
            text = max(text, each.quality)
    return Format.OPENMETRICS if openmetrics > 0 and openmetrics >= text else Format.TEXT


def accepts_gzip(accept_encoding: str) -> bool:
    """Return whether a client with this ``Accept-Encoding`` header accepts gzip."""
    qualities = {each.value: each.quality for each in _preferences(accept_encoding)}
    return qualities.get("gzip", qualities.get("*", 0.0)) > 0


def _preferences(header: str) -> Iterator[_Preference]:
    for part in header[:_MAX_HEADER_LENGTH].lower().split(","):
        value, *parameters = (each.strip() for each in part.split(";"))
        named = dict(_parameter(each) for each in parameters)
        yield _Preference(value, named.get("version", ""), _quality(named.get("q", "1")))


def _parameter(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip(), value.strip().strip('"')


def _quality(text: str) -> float:
    try:
        quality = float(text)
    except ValueError:
        return 0.0
    return quality if 0 <= quality <= 1 else 0.0  # NaN is neither
