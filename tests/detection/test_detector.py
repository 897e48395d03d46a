"""The detector of an outbound, call by call."""

from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pearl_exporter.counting.calls import Call, CallValues
from pearl_exporter.counting.row_changes import outline
from pearl_exporter.detection.bins import DAY_MS, EPOCH_MS, HOUR_MS, MINUTE_MS
from pearl_exporter.detection.detector import Detector, SavedDetector
from pearl_exporter.detection.evidence import LIMITS
from pearl_exporter.detection.signals import Signal
from pearl_exporter.detection.usual import Prior

MIDNIGHT = 1_780_272_000_000
WARNING, PAGE = LIMITS["normal"]
GOOD = {"status": 130, "call_status": 4, "duration": 30.0}
BAD = {"status": 500, "call_status": 6}


def calls(
    share: float, first: int, minutes: int, *, a_minute: int = 5, seed: int = 1
) -> list[Call]:
    random = Random(seed)
    return [
        Call(
            f"{first}-{minute}-{place}",
            first + minute * MINUTE_MS + place * (MINUTE_MS // a_minute),
            **(BAD if random.random() < share else GOOD),
        )
        for minute in range(minutes)
        for place in range(a_minute)
    ]


def add(detector: Detector, some: Iterable[Call]) -> None:
    for call in some:
        detector.add({(call.start, outline(call)): 1}, call.start)


def evidence(detector: Detector, now: int, **how) -> float:
    stretch = detector.assess(Signal.ERROR, now, **how).stretch
    return stretch.evidence if stretch else 0.0


WEEK = [
    call
    for day in range(7)
    for call in calls(0.04, MIDNIGHT + day * DAY_MS + 9 * HOUR_MS, 480, a_minute=2, seed=day)
]
TODAY = MIDNIGHT + 7 * DAY_MS + 9 * HOUR_MS


def after_a_week() -> Detector:
    detector = Detector()
    add(detector, WEEK)
    return detector


def test_a_usual_day_is_no_evidence():
    detector = after_a_week()
    for minute in range(0, 480, 10):
        first = TODAY + minute * MINUTE_MS
        add(detector, calls(0.04, first, 10, seed=minute))
        assert evidence(detector, first + 10 * MINUTE_MS) < WARNING


def test_an_incident_with_the_first_calls_of_the_day_is_found():
    detector = after_a_week()
    add(detector, calls(0.5, TODAY, 10))
    assessment = detector.assess(Signal.ERROR, TODAY + 10 * MINUTE_MS)
    assert assessment.usual.mean == pytest.approx(0.04, rel=0.2)
    assert assessment.stretch.evidence > PAGE
    assert assessment.stretch.start == TODAY
    assert assessment.stretch.calls == 50


def test_only_the_signal_that_is_bad_has_evidence():
    detector = after_a_week()
    add(detector, calls(0.5, TODAY, 10))
    for signal in (Signal.UNREACHABLE, Signal.VOICE_MAIL, Signal.SHORT, Signal.NOT_SUCCESSFUL):
        stretch = detector.assess(signal, TODAY + 10 * MINUTE_MS).stretch
        assert stretch is None or stretch.evidence == 0


def test_evidence_falls_soon_after_the_end_and_stays_low():
    detector = after_a_week()
    add(detector, calls(0.5, TODAY, 30))
    end = TODAY + 30 * MINUTE_MS
    assert evidence(detector, end) > PAGE
    for minute in range(120):
        add(detector, calls(0.04, end + minute * MINUTE_MS, 1, seed=minute))
        now = evidence(detector, end + (minute + 1) * MINUTE_MS)
        if minute >= 8:
            assert now < WARNING


def test_evidence_ends_two_hours_after_the_last_call():
    detector = after_a_week()
    add(detector, calls(0.5, TODAY, 30))
    end = TODAY + 30 * MINUTE_MS
    assert evidence(detector, end + HOUR_MS) > PAGE
    assert detector.assess(Signal.ERROR, end + 2 * HOUR_MS).stretch is None


def test_an_incident_of_a_day_does_not_become_usual():
    detector = after_a_week()
    add(detector, calls(0.4, TODAY, 480))
    now = TODAY + 480 * MINUTE_MS
    assessment = detector.assess(Signal.ERROR, now)
    assert assessment.usual.mean == pytest.approx(0.04, rel=0.2)
    assert assessment.stretch.evidence > PAGE
    # the start of a stretch is known to about a twelfth of its calls
    assert TODAY <= assessment.stretch.start <= TODAY + 40 * MINUTE_MS


def test_a_chronic_share_of_30_percent_is_no_evidence():
    detector = Detector()
    prior = Prior(0.03, 20.0)
    for minute in range(0, 600, 5):
        first = TODAY + minute * MINUTE_MS
        add(detector, calls(0.3, first, 5, seed=minute))
        assert evidence(detector, first + 5 * MINUTE_MS, prior=lambda: prior) < PAGE
    usual = detector.assess(Signal.ERROR, first + 5 * MINUTE_MS, prior=lambda: prior).usual
    assert usual.mean == pytest.approx(0.3, rel=0.1)


def test_a_new_outbound_whose_calls_all_fail_is_found():
    detector = Detector()
    add(detector, calls(0.97, TODAY, 10))
    now = TODAY + 10 * MINUTE_MS
    assert detector.assess(Signal.ERROR, now).usual is None
    assert evidence(Detector(detector.saved()), now, prior=lambda: Prior(0.03, 20.0)) > PAGE


def test_a_live_call_is_a_call_that_is_not_bad_yet():
    detector = after_a_week()
    detector.add({(TODAY, CallValues(40, 3, 0.0, ())): 10}, TODAY)
    stretch = detector.assess(Signal.ERROR, TODAY + MINUTE_MS).stretch
    assert (stretch.calls, stretch.bad) == (10, 0)


def test_calls_that_an_outage_held_back_fall_into_place():
    together, late = after_a_week(), after_a_week()
    before, during = calls(0.04, TODAY, 20), calls(0.6, TODAY + 20 * MINUTE_MS, 20)
    now = TODAY + 40 * MINUTE_MS
    add(together, [*before, *during])
    add(late, during)
    late.assess(Signal.ERROR, now - MINUTE_MS)
    add(late, before)
    assert late.assess(Signal.ERROR, now) == together.assess(Signal.ERROR, now)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(WEEK), unique_by=lambda call: call.id, max_size=300), st.randoms())
def test_the_order_of_arrival_does_not_matter(some, random):
    one, other = Detector(), Detector()
    shuffled = [*some]
    random.shuffle(shuffled)
    add(one, some)
    add(other, shuffled)
    now = TODAY
    assert one.assess(Signal.ERROR, now, prior=lambda: Prior(0.1, 10.0)) == other.assess(
        Signal.ERROR, now, prior=lambda: Prior(0.1, 10.0)
    )


@settings(max_examples=12, deadline=None)
@given(
    st.integers(1, 60),
    st.integers(EPOCH_MS, 8 * HOUR_MS),
    st.lists(st.floats(0, 1), min_size=1, max_size=6),
)
def test_a_restart_changes_nothing(minutes, later, shares):
    detector = after_a_week()
    add(detector, calls(0.6, TODAY, minutes))
    now = TODAY + minutes * MINUTE_MS
    detector.assess(Signal.ERROR, now)
    restored = Detector(detector.saved())
    assert restored.assess(Signal.ERROR, now) == detector.assess(Signal.ERROR, now)
    for place, share in enumerate(shares):
        more = calls(share, now + later + place * 10 * MINUTE_MS, 10, seed=place)
        for each in (detector, restored):
            add(each, more)
        at = more[-1].start + 1
        assert restored.assess(Signal.ERROR, at) == detector.assess(Signal.ERROR, at)
    assert restored.saved() == detector.saved()


@pytest.mark.parametrize("ended", [{"sleepy": 1}, {"error": "yesterday"}, {"error": None}])
def test_a_damaged_end_is_named(ended):
    with pytest.raises(ValueError, match="saved ends of incidents are damaged: got "):
        Detector(SavedDetector({}, ended))


def test_damaged_bins_are_named():
    with pytest.raises(ValueError, match="saved bins are damaged: got "):
        Detector(SavedDetector({1: [1, 2]}, {}))
