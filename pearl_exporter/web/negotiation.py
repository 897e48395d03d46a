"""Which format and encoding a scrape gets (RFC 9110, sections 12.5.1 and 12.5.3). Pure.

What can't be understood of a header is passed over: a scrape never fails for its headers.
"""

from collections.abc import Iterator
from typing import NamedTuple

from pearl_exporter.exposition.render import Format

_MAX_HEADER_LENGTH = 4096
_OPENMETRICS_VERSIONS = ("", "0.0.1", "1.0.0")
_TEXT_VERSIONS = ("", "0.0.4")


class _Choice(NamedTuple):
    value: str
    version: str
    quality: float


def choose_format(accept: str) -> Format:
    """OpenMetrics 1.0 if it is accepted at least as gladly as the text format, else text 0.0.4.

    Versions that are not ours (OpenMetrics 2, text 1.0.0 with its UTF-8 names) don't count; the
    text format is the answer to whom nothing fits, since an error would end the scrape.
    """
    openmetrics = text = 0.0
    for choice in _choices(accept):
        if choice.value == "application/openmetrics-text":
            if choice.version in _OPENMETRICS_VERSIONS:
                openmetrics = max(openmetrics, choice.quality)
        elif choice.value == "text/plain" and choice.version in _TEXT_VERSIONS:
            text = max(text, choice.quality)
    return Format.OPENMETRICS if openmetrics > 0 and openmetrics >= text else Format.TEXT


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether the answer may be compressed with gzip."""
    qualities = {choice.value: choice.quality for choice in _choices(accept_encoding)}
    return qualities.get("gzip", qualities.get("*", 0.0)) > 0


def _choices(header: str) -> Iterator[_Choice]:
    for part in header[:_MAX_HEADER_LENGTH].lower().split(","):
        value, *parameters = (each.strip() for each in part.split(";"))
        named = dict(_parameter(each) for each in parameters)
        yield _Choice(value, named.get("version", ""), _quality(named.get("q", "1")))


def _parameter(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip(), value.strip().strip('"')


def _quality(text: str) -> float:
    try:
        quality = float(text)
    except ValueError:
        return 0.0
    return quality if 0 <= quality <= 1 else 0.0
