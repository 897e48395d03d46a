"""What time it is: on this machine, and at the API by the ``Date`` header of its answers.

The window of a poll is of the API's time, since calls are dated by the API. This machine's clock
may be wrong, and may be set; the ``Date`` header has whole seconds, and may be a proxy's, which has
a wrong clock of its own. So the API's time is this machine's, corrected by the median of the last
headers if they differ by more than the header's own error.

A correction by more than `MAX_UNPROVED_SKEW_SECONDS` needs a witness. The *anchor* is the first
header that was within 5 minutes of this machine's clock, or a clock that calls bore out. Headers
within 5 minutes of what the anchor was compared with are used, else the time goes on from the
anchor. So a ``Date`` that stands still, or runs at another rate, leads the time astray by 5 minutes
at most, and a step of this machine's clock by nothing.

As long as the two clocks differ by more, calls are asked every few minutes which one is right: see
`polling.clock_evidence`. What few calls got wrong, more calls put right.
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache
from statistics import median_low
from typing import NamedTuple

from pearl_exporter.counting.calls import Instant

TOLERATED_SKEW_SECONDS = 2.0
"""A difference up to this is not corrected: it may be the header's whole seconds and the way."""

STEP_CONFIRM_SECONDS = 300.0
"""How long a changed wall clock must stay so to be believed while no ``Date`` confirms it.

A step may be a fault as well as its correction, and a T that is hours ahead forgets calls.
"""

_BELIEVABLE = (1_577_836_800.0, 4_102_444_800.0)
"""The plausible range of a clock, in seconds since the epoch: from 2020 to 2100.

Trusting an absurd one at the first poll would count all history, or exceed Python's dates.
"""

MAX_UNPROVED_SKEW_SECONDS = 300.0
"""A header that is further off is believed only if calls bear it out."""

LOGGED_SKEW_SECONDS = 10.0
"""A correction by more is logged. Less may be a busy machine, on which answers wait to be read."""

LOG_SKEW_SECONDS = 300.0
"""At most once in this long the log says how far this machine's clock is corrected."""

_ASK_AGAIN_SECONDS = 300.0
"""How often each outbound is asked for calls that decide between two clocks."""

_HEADERS_KEPT = 5
"""The median of this many headers is believed, so that one wrong header moves nothing."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Clock:
    """This machine's two clocks, both in seconds; tests replace them."""

    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic


@lru_cache(maxsize=4)  # answers that come in one second have one date
def parse_http_date(text: str) -> float | None:
    """Return a date as HTTP headers have it as seconds since the epoch; None if it is not one."""
    try:
        date = parsedate_to_datetime(text)
        # -0000 says no time zone, but in HTTP all dates are in UTC (RFC 9110, section 5.6.7)
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


class SteadyWall:
    """The wall clock's time, without believing a step at once.

    A step is believed once it has lasted for `STEP_CONFIRM_SECONDS`; until then time goes on as if
    the clock had not been set. Steps up to `TOLERATED_SKEW_SECONDS`, and slow corrections, are
    followed at once.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # wall minus monotonic time: constant while the clock is not set
        self._offset: float | None = None
        # the offset of a step that is not believed yet, and since when it has been so
        self._doubted: tuple[float, float] | None = None

    @property
    def offset(self) -> float:
        """How many seconds it was ahead of the monotonic clock when it was last looked at."""
        return (
            self._clock.wall() - self._clock.monotonic() if self._offset is None else self._offset
        )

    def __call__(self) -> float:
        """Return the time in seconds since the epoch."""
        monotonic = self._clock.monotonic()
        offset = self._clock.wall() - monotonic
        if self._offset is None or abs(offset - self._offset) <= TOLERATED_SKEW_SECONDS:
            self._offset, self._doubted = offset, None
        elif self._doubted is None or abs(offset - self._doubted[0]) > TOLERATED_SKEW_SECONDS:
            self._doubted = (offset, monotonic)
            self._log_step("clock was set, ignoring it until it has stayed so", offset)
        elif monotonic - self._doubted[1] >= STEP_CONFIRM_SECONDS:
            self._log_step("clock was set and has stayed so, using it", offset)
            self._offset, self._doubted = offset, None
        return monotonic + self._offset

    def _log_step(self, text: str, offset: float) -> None:
        step = offset - (self._offset or 0.0)
        _log.warning(
            text, extra={"step_seconds": round(step), "confirm_seconds": STEP_CONFIRM_SECONDS}
        )


class Doubt(NamedTuple):
    """Two clocks that differ by more than `MAX_UNPROVED_SKEW_SECONDS`.

    Attributes:
        used: The present by the clock that is gone by.
        other: The present by the other one.
        other_offset: How many seconds that one is ahead of the monotonic clock.
        is_other_header: Whether the other one is that of the API's headers, or this machine's.
    """

    used: Instant
    other: Instant
    other_offset: float
    is_other_header: bool


class _Anchor(NamedTuple):
    """What the time goes on from while headers are not believed. Offsets as in `Doubt`.

    Attributes:
        offset: The offset from which it goes on.
        near: Headers within `MAX_UNPROVED_SKEW_SECONDS` of this offset are believed.
    """

    offset: float
    near: float


class ApiClock:
    """The API's clock: this machine's, corrected by ``Date`` if they differ by more than 2 s.

    Headers are kept against the monotonic clock, so that a step of this machine's wall clock does
    not move the API's time. Without a ``Date`` that is believed it is a `SteadyWall`'s time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._steady_wall = SteadyWall(clock)
        # offsets: seconds that a clock is ahead of the monotonic one
        self._headers: deque[float] = deque(maxlen=_HEADERS_KEPT)
        self._anchor: _Anchor | None = None
        # who was asked since this monotonic second
        self._asked: set[str] = set()
        self._asked_since = clock.monotonic()
        self._logged_why = ""
        self._logged_skew = 0.0
        self._may_log_skew_at = clock.monotonic()

    @property
    def is_known(self) -> bool:
        """Whether the API's time is known by a ``Date`` that was believed."""
        return self._anchor is not None

    def observe(self, date_header: str, received: float) -> None:
        """Learn the API's time from an answer; ignore nonsense.

        A server dates an answer when it begins to send it, however long it took to find it: only
        the way here lies in between.

        Args:
            date_header: The text of the header ``Date``.
            received: The monotonic second at which the head of the answer came.
        """
        date = parse_http_date(date_header)
        if date is None or not _is_believable(date):
            return
        # the header is cut to whole seconds: half a second later is the best guess
        self._headers.append(date + 0.5 - received)
        if self._anchor is None:
            for clock in (self._wall_offset, self._steady_wall.offset):
                if _is_near(self._header_offset, clock):
                    self._anchor = _Anchor(self._header_offset, near=clock)
        self._log_correction()

    def doubt(self, outbound: str) -> Doubt | None:
        """Return the two clocks between which an outbound's calls may decide.

        It is None if there is no need, or if the outbound was asked in the last 5 minutes. Another
        one may have calls that tell.
        """
        if not self._headers:
            return None
        used, is_other_header = self._used_offset, not self.is_header_used
        other = self._header_offset if is_other_header else self._wall_offset
        if _is_near(used, other):
            return None
        monotonic = self._clock.monotonic()
        if monotonic - self._asked_since >= _ASK_AGAIN_SECONDS:
            self._asked, self._asked_since = set(), monotonic
        if outbound in self._asked:
            return None
        used_now, other_now = (int((monotonic + offset) * 1000) for offset in (used, other))
        if not _is_believable(other_now / 1000):
            return None
        return Doubt(used_now, other_now, other, is_other_header)

    def decide(self, doubt: Doubt, outbound: str, *, is_other_right: bool | None) -> None:
        """Take the verdict of an outbound's calls.

        Args:
            doubt: The clocks between which they decide.
            outbound: Whose calls they are.
            is_other_right: Whether the clock that is not gone by is right; None if no call tells.
        """
        self._asked.add(outbound)
        if is_other_right is None and _is_near(doubt.other_offset, self._wall_offset):
            # both clocks agree: the machine has slept, while its monotonic clock stood still
            is_other_right = True
        if is_other_right:
            self._anchor = _Anchor(doubt.other_offset, near=doubt.other_offset)
        if is_other_right is doubt.is_other_header:  # the header is right
            self._logged_why = ""
            self._log_correction()
            return
        why = "no call shows which clock is right" if is_other_right is None else "calls differ"
        if why != self._logged_why and (doubt.is_other_header or is_other_right):
            self._logged_why = why
            _log.warning(
                "the Date of the API's answers is far off, not using it",
                extra={"skew": self.skew_text, "why": why},
            )

    def _log_correction(self) -> None:
        """Log that this machine's clock is corrected by more or less than was logged before."""
        if not self.is_header_used:
            return  # `decide` logs that
        skew, monotonic = self.skew_seconds, self._clock.monotonic()
        if abs(skew - self._logged_skew) <= LOGGED_SKEW_SECONDS:
            return
        if monotonic < self._may_log_skew_at:
            return  # two servers that differ may answer in turns
        self._may_log_skew_at = monotonic + LOG_SKEW_SECONDS
        if abs(skew) > LOGGED_SKEW_SECONDS:
            self._logged_skew = skew
            _log.warning("clocks differ, using the API's", extra={"skew": self.skew_text})
        else:
            self._logged_skew = 0.0
            _log.info("clocks agree again")

    @property
    def _header_offset(self) -> float:
        return median_low(self._headers)

    @property
    def _wall_offset(self) -> float:
        return self._clock.wall() - self._clock.monotonic()

    @property
    def is_header_used(self) -> bool:
        """Whether the time goes by the last headers."""
        return self._anchor is not None and _is_near(self._header_offset, self._anchor.near)

    @property
    def skew_seconds(self) -> float:
        """How far this machine's clock is ahead of the API's ``Date``, believed or not.

        It is 0 as long as there was no ``Date``.
        """
        if not self._headers:
            return 0.0
        return self._clock.wall() - (self._clock.monotonic() + self._header_offset)

    @property
    def skew_text(self) -> str:
        """The skew for people: which clock is ahead or behind, and how far."""
        skew = self.skew_seconds
        side = "ahead of" if skew > 0 else "behind"
        return f"this machine's clock is {abs(skew):.0f} s {side} the API's"

    @property
    def _used_offset(self) -> float:
        if self._anchor is None:
            return self._steady_wall() - self._clock.monotonic()
        return self._header_offset if self.is_header_used else self._anchor.offset

    @property
    def header_seconds(self) -> float:
        """The present by the last headers, believed or not, in seconds since the epoch.

        By that clock the API dates what it says in other headers.
        """
        if not self._headers:
            return self.now() / 1000
        return self._clock.monotonic() + self._header_offset

    def now(self) -> Instant:
        """Return the present instant at the API."""
        if self._anchor is None:
            return int(self._steady_wall() * 1000)
        wall, believed = self._clock.wall(), self._clock.monotonic() + self._used_offset
        return int((believed if abs(wall - believed) > TOLERATED_SKEW_SECONDS else wall) * 1000)


def _is_believable(seconds: float) -> bool:
    return _BELIEVABLE[0] <= seconds < _BELIEVABLE[1]


def _is_near(offset: float, other: float) -> bool:
    return abs(offset - other) <= MAX_UNPROVED_SKEW_SECONDS
