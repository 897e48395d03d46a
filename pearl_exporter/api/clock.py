"""What time it is: on this machine, and at the API by the ``Date`` header of its answers.

The window of a poll is of the API's time, since calls are dated by the API. This machine's clock
may be wrong, and may be set; the ``Date`` header has whole seconds, and may be a proxy's. So the
API's time is this machine's, corrected by the median of the last headers if they differ by more
than the header's own error.
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache
from statistics import median

from pearl_exporter.counting.calls import Instant

TOLERATED_SKEW_SECONDS = 2.0
"""A difference up to this is not corrected: it may be the header's whole seconds and the way."""

STEP_CONFIRM_SECONDS = 300.0
"""How long a changed wall clock must stay so to be believed while no ``Date`` confirms it.

A step may be a fault as well as its correction, and a T that is hours ahead forgets calls.
"""

_BELIEVABLE = (1_577_836_800.0, 4_102_444_800.0)
"""The plausible range of a ``Date``, in seconds since the epoch: from 2020 to 2100.

Trusting an absurd one at the first poll would count all history, or exceed Python's dates.
"""

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


class ApiClock:
    """The API's clock: this machine's, corrected by ``Date`` if they differ by more than 2 s.

    Headers are kept against the monotonic clock, so that a step of this machine's wall clock does
    not move the API's time. Without any ``Date`` it is a `SteadyWall`'s time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._steady_wall = SteadyWall(clock)
        # the API's time minus monotonic time, by each of the last headers
        self._offsets: deque[float] = deque(maxlen=_HEADERS_KEPT)

    @property
    def is_known(self) -> bool:
        """Whether any answer has had a plausible ``Date`` yet."""
        return bool(self._offsets)

    def observe(self, date_header: str, received: float) -> None:
        """Learn the API's time from an answer; ignore nonsense.

        A server dates an answer when it begins to send it, however long it took to find it: only
        the way here lies in between.

        Args:
            date_header: The text of the header ``Date``.
            received: The monotonic second at which the head of the answer came.
        """
        date = parse_http_date(date_header)
        if date is not None and _BELIEVABLE[0] <= date < _BELIEVABLE[1]:
            # the header is cut to whole seconds: half a second later is the best guess
            self._offsets.append(date + 0.5 - received)

    @property
    def skew_seconds(self) -> float:
        """How far this machine's clock is ahead of the API's; 0 as long as that is not known."""
        if not self._offsets:
            return 0.0
        return self._clock.wall() - (self._clock.monotonic() + median(self._offsets))

    @property
    def skew_text(self) -> str:
        """The skew for people: which clock is ahead or behind, and how far."""
        skew = self.skew_seconds
        side = "ahead of" if skew > 0 else "behind"
        return f"this machine's clock is {abs(skew):.0f} s {side} the API's"

    def now(self) -> Instant:
        """Return the present instant at the API."""
        if not self._offsets:
            return int(self._steady_wall() * 1000)
        wall, skew = self._clock.wall(), self.skew_seconds
        return int((wall - skew if abs(skew) > TOLERATED_SKEW_SECONDS else wall) * 1000)
