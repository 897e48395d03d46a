"""Durations as Prometheus writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pearl_exporter.config.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("0s", 0.0),
        ("250ms", 0.25),
        ("30s", 30.0),
        ("90s", 90.0),
        ("1h30m", 5400.0),
        ("1d", 86_400.0),
        ("1w", 604_800.0),
        ("1y", 31_536_000.0),
        ("1y2w3d4h5m6s7ms", 31_536_000 + 1_209_600 + 259_200 + 14_400 + 300 + 6.007),
    ],
)
def test_reads_what_prometheus_reads(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "30", "5x", "30m1h", "1h1h", "-1s", "+1s", "1.5h", "1 h", "s", "30S", "1M", "٣s", "30s\n"],
)
def test_refuses_what_prometheus_refuses(text):
    with pytest.raises(ValueError, match=r"^wanted a duration such as 30s, 1h30m or 1d$"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.25, "250ms"),
        (90, "1m30s"),
        (5400, "1h30m"),
        (604_800, "1w"),
        (864_000, "10d"),
        (31_536_000, "1y"),
    ],
)
def test_writes_as_prometheus_writes(seconds, text):
    assert format_duration(seconds) == text


@pytest.mark.parametrize("seconds", [-1, float("inf"), float("nan")])
def test_refuses_to_write_what_is_no_duration(seconds):
    with pytest.raises(ValueError, match="wanted a finite number from 0"):
        format_duration(seconds)


@given(st.integers(0, 10**12))
def test_what_is_written_reads_the_same(milliseconds):
    assert parse_duration(format_duration(milliseconds / 1000)) == milliseconds / 1000


@given(st.text(alphabet="0123456789ywdhms ", max_size=12))
def test_reading_raises_nothing_but_value_error(text):
    try:
        seconds = parse_duration(text)
    except ValueError:
        return
    assert seconds >= 0
