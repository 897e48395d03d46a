"""How a soak reckons and judges, by values; the soak itself takes half an hour: make soak."""

import random
from collections.abc import Callable
from dataclasses import fields

import pytest

from bench.soak.figures import Course, course, least_squares
from bench.soak.page import Soak, grown, write
from bench.soak.samples import Sample
from bench.soak.scraping import Scrape, Watch, label
from bench.soak.verdict import FIGURES, JOURNAL_FULL_SECONDS, exceeded

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


def test_a_straight_line_is_found_with_no_doubt():
    slope, doubt = least_squares([0, 1, 2, 3], [5, 7, 9, 11])
    assert slope == pytest.approx(2)
    assert doubt == pytest.approx(0, abs=1e-9)


def test_noise_is_no_slope_and_a_leak_in_noise_is():
    dice, times = random.Random(1), [10.0 * number for number in range(150)]
    noise = [100 + dice.gauss(0, 1) for _ in times]
    assert course(times, noise).sure_slope < 2
    leak = [value + time / 3600 * 20 for time, value in zip(times, noise, strict=True)]
    assert 15 < course(times, leak).sure_slope < 20


def test_samples_that_resemble_their_neighbours_say_less():
    """A step is no line: as if by independent samples, its slope would look sure."""
    times = [float(number) for number in range(60)]
    step = [0.0] * 30 + [1.0] * 30
    _, doubt = least_squares(times, step)
    shuffled = step[:]
    random.Random(2).shuffle(shuffled)
    _, less = least_squares(times, shuffled)
    assert doubt > less


@pytest.mark.parametrize(
    ("went", "said"),
    [
        (Course(100, 101, 99, 102, slope=30, uncertainty=12), []),
        (Course(100, 107, 99, 108, slope=8, uncertainty=1), ["grew by 7"]),
        (Course(100, 101, 99, 102, slope=30, uncertainty=2), ["grows by at least 26"]),
    ],
)
def test_memory_is_judged_by_growth_and_by_what_of_its_slope_is_sure(went, said):
    found = exceeded(FIGURES["rss"], went)
    assert [each.partition(",")[0] for each in found] == [
        each if "grew" in each else f"{each} an hour" for each in said
    ]


def soak(minutes: float, state: Callable[[float], float]) -> Soak:
    """One in which all stands still but the state file, which is as large as it is told."""
    times = [10.0 * number for number in range(round(minutes * 6))]
    still = dict.fromkeys((each.name for each in fields(Sample)), 1)
    samples = [Sample(**{**still, "at": at, "state": state(at), "types": {}}) for at in times]
    return Soak(minutes, 1, minutes * 15, samples, [], {}, [])


def test_the_state_file_is_judged_once_its_journal_is_full():
    assert grown(soak(30, lambda at: 1e6 + 1e6 * min(at, JOURNAL_FULL_SECONDS))) == []
    assert "state file, MB: grew by" in grown(soak(30, lambda at: 1e6 + 1e3 * at))[0]


def test_a_soak_that_ends_before_the_journal_is_full_says_so(tmp_path):
    assert "| too short to judge |" in write(soak(20, lambda at: 1e6 + 1e3 * at), tmp_path)


def test_the_longest_time_between_two_polls_is_remembered():
    watch = Watch()
    for moment in (100, 115, 160, 160, 175):
        watch(Scrape(f'pearl_outbound_data_timestamp_seconds{{outbound="a"}} {moment}\n'))
    assert watch.gaps == {"a": 45}


def test_counters_that_fall_and_calls_that_are_nowhere_are_told():
    watch = Watch()
    watch(scrape(settled=5, started=7))
    assert (watch.faults, watch.balances) == ([], 1)
    watch(scrape(settled=4, started=7))
    assert len([each for each in watch.faults if "5 -> 4" in each]) == 2  # counter and bucket
    assert any("7 started, 6 found" in each for each in watch.faults)


def test_only_what_grows_by_its_type_must_grow():
    grows = {series.partition("{")[0] for series in scrape(1, 3).growing}
    assert grows == {
        "pearl_calls_total",
        "pearl_calls_started_total",
        "pearl_call_duration_seconds_bucket",
    }


def test_labels_are_read_with_their_escapes():
    assert label(r'x{tag="says \"maybe\"\\later\n",outbound="a"}', "tag") == (
        'says "maybe"\\later\n'
    )
    assert label("x", "tag") == ""
