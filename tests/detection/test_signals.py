"""What a call says of each signal."""

import pytest

from pearl_exporter.counting.calls import Call
from pearl_exporter.detection.signals import Marks, Population, Signal, marks_of

ANSWERED, JUDGED = Population.ANSWERED, Population.JUDGED


def marks(status: int | None, call_status: int | None, duration: float = 0.0) -> Marks | None:
    return marks_of(Call("call", 0, status=status, call_status=call_status, duration=duration))


@pytest.mark.parametrize(
    ("status", "call_status", "duration", "populations", "bad"),
    [
        (500, 6, 0.0, (), (Signal.ERROR, Signal.TELEPHONY_FAILED, Signal.UNANSWERED)),
        (500, 4, 30.0, (ANSWERED,), (Signal.ERROR,)),
        (150, 7, 0.0, (), (Signal.UNREACHABLE, Signal.UNANSWERED)),
        (150, 5, 0.0, (), (Signal.UNREACHABLE, Signal.TELEPHONY_FAILED, Signal.UNANSWERED)),
        (70, 4, 12.0, (ANSWERED,), (Signal.VOICE_MAIL,)),
        (130, 4, 6.0, (ANSWERED,), (Signal.SHORT,)),
        (130, 4, 6.1, (ANSWERED,), ()),
        (100, 4, 90.0, (ANSWERED, JUDGED), ()),
        (110, 4, 90.0, (ANSWERED, JUDGED), (Signal.NOT_SUCCESSFUL,)),
        (110, 4, 3.0, (ANSWERED, JUDGED), (Signal.SHORT, Signal.NOT_SUCCESSFUL)),
        (None, 4, 20.0, (ANSWERED,), ()),
        (999, 4, 20.0, (ANSWERED,), ()),
    ],
)
def test_a_finished_call_is_bad_for_these_signals(status, call_status, duration, populations, bad):
    assert marks(status, call_status, duration) == (populations, bad)


@pytest.mark.parametrize(
    ("status", "call_status"), [(1, 3), (20, 8), (40, 3), (500, 3), (None, None), (999, 3)]
)
def test_a_call_that_goes_on_says_nothing_yet(status, call_status):
    assert marks(status, call_status) is None
