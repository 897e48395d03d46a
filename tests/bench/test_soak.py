"""How a soak judges, by values; the soak itself takes half an hour: make soak."""

import random
from collections.abc import Callable
from dataclasses import fields

import pytest

from bench.soak.limits import FIGURES, JOURNAL_FULL_SECONDS, exceeded_limits
from bench.soak.report import SoakResult, growth_failures, write
from bench.soak.resource_samples import Sample
from bench.soak.scrape_monitor import ScrapeMonitor
from bench.soak.trend import Trend, least_squares, trend_of
from bench.support.scrape import Scrape, label_value

EXPOSITION = """# HELP pearl_calls_total x
# TYPE pearl_calls_total counter
pearl_calls_total{{outbound="a",status="success"}} {settled}
# TYPE pearl_calls_started_total counter
pearl_calls_started_total{{outbound="a"}} {started}
# TYPE pearl_live_calls gauge
pearl_live_calls{{outbound="a"}} 2.0
# TYPE pearl_call_duration_seconds histogram
pearl_call_duration_seconds_bucket{{outbound="a",le="5.0"}} {settled} # {{call_id="x"}} 3.0
"""


def scrape(settled: int, started: int) -> Scrape:
    return Scrape(EXPOSITION.format(settled=settled, started=started))


def test_the_slope_of_a_straight_line_is_certain():
    slope, standard_error = least_squares([0, 1, 2, 3], [5, 7, 9, 11])
    assert slope == pytest.approx(2)
    assert standard_error == pytest.approx(0, abs=1e-9)


def test_noise_has_no_slope_and_a_leak_in_noise_has():
    dice, times = random.Random(1), [10.0 * number for number in range(150)]
    noise = [100 + dice.gauss(0, 1) for _ in times]
    assert trend_of(times, noise).min_slope < 2
    leak = [value + time / 3600 * 20 for time, value in zip(times, noise, strict=True)]
    assert 15 < trend_of(times, leak).min_slope < 20


def test_correlated_samples_make_the_slope_less_certain():
    """A step is no line: with independent samples its slope would seem certain."""
    times = [float(number) for number in range(60)]
    step = [0.0] * 30 + [1.0] * 30
    _, correlated = least_squares(times, step)
    shuffled = step[:]
    random.Random(2).shuffle(shuffled)
    _, independent = least_squares(times, shuffled)
    assert correlated > independent


@pytest.mark.parametrize(
    ("trend", "phrases"),
    [
        (Trend(100, 101, 99, 102, slope=30, standard_error=12), []),
        (Trend(100, 107, 99, 108, slope=8, standard_error=1), ["grew by 7"]),
        (Trend(100, 101, 99, 102, slope=30, standard_error=2), ["grows by at least 26"]),
    ],
)
def test_memory_is_judged_by_its_growth_and_its_least_slope(trend, phrases):
    found = exceeded_limits(FIGURES["rss"], trend)
    assert [each.partition(",")[0] for each in found] == [
        each if "grew" in each else f"{each} an hour" for each in phrases
    ]


def soak(minutes: float, state: Callable[[float], float]) -> SoakResult:
    """A soak in which nothing changes but the size of the state file."""
    times = [10.0 * number for number in range(round(minutes * 6))]
    still = dict.fromkeys((each.name for each in fields(Sample)), 1)
    samples = [Sample(**{**still, "at": at, "state": state(at), "types": {}}) for at in times]
    return SoakResult(minutes, 1, minutes * 15, samples, [], {}, [])


def test_the_state_file_is_judged_once_its_journal_is_full():
    full = soak(30, lambda at: 1e6 + 1e6 * min(at, JOURNAL_FULL_SECONDS))
    assert growth_failures(full) == []
    growing = soak(30, lambda at: 1e6 + 1e3 * at)
    assert "state file, MB: grew by" in growth_failures(growing)[0]


def test_a_soak_too_short_for_the_journal_says_so(tmp_path):
    assert "| too short to judge |" in write(soak(20, lambda at: 1e6 + 1e3 * at), tmp_path)


def test_falling_counters_and_lost_calls_are_reported():
    monitor = ScrapeMonitor()
    monitor.check(scrape(settled=5, started=7))
    assert (monitor.failures, monitor.balances) == ([], 1)
    monitor.check(scrape(settled=4, started=7))
    assert len([each for each in monitor.failures if "5 -> 4" in each]) == 2  # counter and bucket
    assert any("7 calls started" in each and "are 6" in each for each in monitor.failures)


def test_counters_of_polls_may_begin_at_0_again():
    """An outbound that is removed and added again keeps the counters of its calls."""
    counters = (
        "# TYPE pearl_exporter_polls_total counter\n"
        'pearl_exporter_polls_total{{outbound="a"}} {polls}\n'
        "# TYPE pearl_calls_total counter\n"
        'pearl_calls_total{{outbound="a",status="success"}} {calls}\n'
    )
    monitor = ScrapeMonitor()
    monitor.check(Scrape(counters.format(polls=9, calls=5)))
    monitor.check(Scrape(""))
    monitor.check(Scrape(counters.format(polls=1, calls=5)))
    assert monitor.failures == []
    monitor.check(Scrape(counters.format(polls=2, calls=4)))
    assert len(monitor.failures) == 1


def test_counters_are_known_by_their_type():
    counters = {series.partition("{")[0] for series in scrape(1, 3).counters}
    assert counters == {
        "pearl_calls_total",
        "pearl_calls_started_total",
        "pearl_call_duration_seconds_bucket",
    }


def test_labels_are_read_with_their_escapes():
    assert label_value(r'x{tag="says \"maybe\"\\later\n",outbound="a"}', "tag") == (
        'says "maybe"\\later\n'
    )
    assert label_value("x", "tag") == ""
