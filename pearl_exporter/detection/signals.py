"""Which shares of an outbound's calls are watched, and what a call says of each. Pure."""

from enum import StrEnum
from typing import NamedTuple

from pearl_exporter.counting.calls import Call, CallValues, is_answered, is_live
from pearl_exporter.counting.row_changes import MAX_SHORT_SECONDS

ERROR, UNREACHABLE, VOICE_MAIL = 500, 150, 70
SUCCESS, NOT_SUCCESSFUL = 100, 110
"""Outcome codes, as in `counting.calls`."""

BUSY, FAILED = 5, 6
"""Telephony states."""


class Signal(StrEnum):
    """A share of calls that is watched: the values of label ``signal``."""

    ERROR = "error"
    UNREACHABLE = "unreachable"
    VOICE_MAIL = "voice_mail"
    TELEPHONY_FAILED = "telephony_failed"
    SHORT = "short"
    UNANSWERED = "unanswered"
    NOT_SUCCESSFUL = "not_successful"


class Population(StrEnum):
    """The calls of which a signal is a share.

    Attributes:
        ALL: All calls. One that goes on is not bad yet.
        ANSWERED: Calls that are over and that somebody answered.
        JUDGED: Calls whose outcome says whether the conversation was a success.
    """

    ALL = "all"
    ANSWERED = "answered"
    JUDGED = "judged"


POPULATIONS = dict.fromkeys(Signal, Population.ALL) | {
    Signal.SHORT: Population.ANSWERED,
    Signal.NOT_SUCCESSFUL: Population.JUDGED,
}


class Marks(NamedTuple):
    """What the first finished read of a call says.

    Attributes:
        populations: Those that the call belongs to, beside all calls.
        bad: The signals for which it is bad.
    """

    populations: tuple[Population, ...]
    bad: tuple[Signal, ...]


def marks_of(call: Call | CallValues) -> Marks | None:
    """Return what a call says of the signals; None as long as it goes on.

    A call without an outcome, or with an unknown one, is not bad.
    """
    if is_live(call):
        return None
    populations, bad = [], []
    if call.status == ERROR:
        bad.append(Signal.ERROR)
    elif call.status == UNREACHABLE:
        bad.append(Signal.UNREACHABLE)
    elif call.status == VOICE_MAIL:
        bad.append(Signal.VOICE_MAIL)
    if call.call_status in (BUSY, FAILED):
        bad.append(Signal.TELEPHONY_FAILED)
    if is_answered(call):
        populations.append(Population.ANSWERED)
        if call.duration <= MAX_SHORT_SECONDS:
            bad.append(Signal.SHORT)
    else:
        bad.append(Signal.UNANSWERED)
    if call.status in (SUCCESS, NOT_SUCCESSFUL):
        populations.append(Population.JUDGED)
        if call.status == NOT_SUCCESSFUL:
            bad.append(Signal.NOT_SUCCESSFUL)
    return Marks(tuple(populations), tuple(bad))
