"""Which format and encoding a scrape gets, by the headers that scrapers really send."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearl_exporter.exposition.render import Format
from pearl_exporter.web.negotiation import accepts_gzip, choose_format

OM, TEXT = Format.OPENMETRICS, Format.TEXT
PROTOBUF = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
)

SCRAPERS = {
    "Prometheus 2.42": (
        (
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;"
            "q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
        ),
        OM,
    ),
    "Prometheus 2.42, native histograms": (
        (
            f"{PROTOBUF},application/openmetrics-text;version=1.0.0;q=0.8,"
            "application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
        ),
        OM,
    ),
    "Prometheus 2.53": (
        (
            "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;"
            "version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
        ),
        OM,
    ),
    "Prometheus 3": (
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
            "application/openmetrics-text;version=0.0.1;q=0.5,"
            "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,"
            "*/*;q=0.2"
        ),
        OM,
    ),
    "Prometheus 3, only the text asked for": (
        (
            "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,"
            "*/*;q=0.2"
        ),
        TEXT,
    ),
    "Prometheus 2.4 and older": ("text/plain;version=0.0.4;q=1,*/*;q=0.1", TEXT),
    "vmagent": ("text/plain;version=0.0.4;q=1,*/*;q=0.1", TEXT),
    "Telegraf": (f"{PROTOBUF};q=0.7,text/plain;version=0.0.4;q=0.3", TEXT),
    "curl": ("*/*", TEXT),
    "nobody in particular": ("", TEXT),
    "Chromium": (
        (
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,"
            "*/*;q=0.8,application/signed-exchange;v=b3;q=0.7"
        ),
        TEXT,
    ),
    "Firefox": ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", TEXT),
}


@pytest.mark.parametrize("scraper", SCRAPERS)
def test_real_scrapers_get_what_they_like_best(scraper: str) -> None:
    accept, wanted = SCRAPERS[scraper]
    assert choose_format(accept) is wanted


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("application/openmetrics-text", OM),
        ("Application/OpenMetrics-Text; Version=1.0.0", OM),
        ('application/openmetrics-text; version="1.0.0"', OM),
        ("  application/openmetrics-text ;version = 1.0.0 ; charset=utf-8 ", OM),
        ("application/openmetrics-text;version=0.0.1", OM),
        ("application/openmetrics-text;version=2.0.0", TEXT),
        ("application/openmetrics-text;version=abc", TEXT),
        ("application/openmetrics-text;version=", OM),
        ("application/openmetrics-text;q=0", TEXT),
        ("application/openmetrics-text;q=0.0,*/*", TEXT),
        ("application/openmetrics-text;q=0.4,text/plain;q=0.5", TEXT),
        ("text/plain;q=0.5,application/openmetrics-text;q=0.5", OM),
        ("text/plain,application/openmetrics-text;q=0.9", TEXT),
        ("text/plain;version=1.0.0,application/openmetrics-text;q=0.1", OM),
        ("application/openmetrics-text;q=0.001", OM),
        ("application/openmetrics-text;q=nan", TEXT),
        ("application/openmetrics-text;q=inf", TEXT),
        ("application/openmetrics-text;q=-1", TEXT),
        ("application/openmetrics-text;q=2", TEXT),
        ("application/openmetrics-text;q=high", TEXT),
        ("application/openmetrics-text;q", TEXT),
        ("application/json", TEXT),
        (",,;;,==,;q=,", TEXT),
        ("x" * 100_000, TEXT),
    ],
)
def test_the_better_liked_of_the_two_is_chosen(accept: str, wanted: Format) -> None:
    assert choose_format(accept) is wanted


@pytest.mark.parametrize(
    ("accept_encoding", "wanted"),
    [
        ("gzip", True),  # Prometheus, all versions
        ("gzip, deflate, br, zstd", True),  # browsers
        ("zstd, gzip;q=0.5", True),
        ("GZIP", True),
        ("gzip;q=0.001", True),
        ("*", True),
        ("*;q=0.1", True),
        ("", False),
        ("identity", False),
        ("deflate, br", False),
        ("gzip;q=0", False),
        ("gzip;q=0.000", False),
        ("gzip; q=0, *;q=1", False),
        ("*;q=0", False),
        ("identity;q=1, *;q=0", False),
        ("gzip;q=oops", False),
        ("gzipped", False),
        (";;;,,q=1", False),
    ],
)
def test_gzip_only_for_whom_it_is_welcome(accept_encoding: str, wanted: bool) -> None:
    assert accepts_gzip(accept_encoding) is wanted


WORDS = st.sampled_from(
    ["application/openmetrics-text", "text/plain", "*/*", "gzip", "*", *";,=q", "version", "1.0.0"]
) | st.sampled_from(["0.5", "nan", "inf", "-0", "1e999", '"', " ", "\t", "\x00", "é", "²", "q=0"])


@given(st.one_of(st.text(), st.lists(WORDS, max_size=30).map("".join)))
def test_no_header_makes_it_raise(header: str) -> None:
    assert choose_format(header) in Format
    assert accepts_gzip(header) in (True, False)
