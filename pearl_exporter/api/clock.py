"""What time it is: here, and at the API, by the ``Date`` header of its answers."""

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
"""A difference up to this may be the header's whole seconds and the way there: no correction."""

STEP_CONFIRM_SECONDS = 300.0
"""How long a wall clock that was set must stay so to be believed where no ``Date`` vouches for it.

A step may as well be a fault as its correction, and a T that is hours ahead forgets calls.
"""

_BELIEVABLE = (1_577_836_800.0, 4_102_444_800.0)
"""From 2020 to 2100: a ``Date`` before or after it is no clock's, but a fault's.

Gone by once, at a first poll, it would count all history, or end where Python's dates end.
"""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Clock:
    """This machine's two clocks, both in seconds; tests put their own in place."""

    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic


@lru_cache(maxsize=4)  # answers that come in one second bear one date
def parse_http_date(text: str) -> float | None:
    """A date as HTTP headers have it, as seconds since the epoch; None if it is none."""
    try:
        date = parsedate_to_datetime(text)
        # -0000 gives no zone, but in HTTP all dates are in UTC
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


class SteadyWall:
    """The wall clock's time, which does not take a step at face value.

    A step is believed once it has lasted for `STEP_CONFIRM_SECONDS`; until then time goes on as if
    the clock had not been set. Steps up to `TOLERATED_SKEW_SECONDS`, and slow corrections, are
    followed at once.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset: float | None = None
        self._doubted: tuple[float, float] | None = None

    def __call__(self) -> float:
        """The time in seconds since the epoch."""
        monotonic = self._clock.monotonic()
        offset = self._clock.wall() - monotonic
        if self._offset is None or abs(offset - self._offset) <= TOLERATED_SKEW_SECONDS:
            self._offset, self._doubted = offset, None
        elif self._doubted is None or abs(offset - self._doubted[0]) > TOLERATED_SKEW_SECONDS:
            self._doubted = (offset, monotonic)
            self._tell(
                f"going on as if not until it stays so for {STEP_CONFIRM_SECONDS:.0f} s", offset
            )
        elif monotonic - self._doubted[1] >= STEP_CONFIRM_SECONDS:
            self._tell("believing it from now on", offset)
            self._offset, self._doubted = offset, None
        return monotonic + self._offset

    def _tell(self, what: str, offset: float) -> None:
        step = offset - (self._offset or 0.0)
        way = "forward" if step > 0 else "back"
        _log.warning("this machine's clock was set %s by %.0f s: %s", way, abs(step), what)


class ApiClock:
    """The API's clock: this machine's, corrected by ``Date`` where they differ by more than 2 s.

    The middle one of the last five headers is believed, so that one wrong header from some proxy
    moves nothing. They are kept against the monotonic clock, so that a step of this machine's wall
    clock does not move the API's time. Where answers have no ``Date`` it is a `SteadyWall`'s.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._steady_wall = SteadyWall(clock)
        self._offsets: deque[float] = deque(maxlen=5)

    @property
    def is_known(self) -> bool:
        """Whether any answer has told its time yet."""
        return bool(self._offsets)

    def observe(self, date_header: str, received: float) -> None:
        """Takes the ``Date`` of an answer whose head came at this monotonic second.

        A server dates an answer when it begins to send it, however long it took to find it: what
        lies between is the way here alone. Nonsense is ignored.
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
        """The skew for people: which clock is where."""
        skew = self.skew_seconds
        side = "ahead of" if skew > 0 else "behind"
        return f"this machine's clock is {abs(skew):.0f} s {side} the API's"

    def now(self) -> Instant:
        """The present instant, as the API would say."""
        if not self._offsets:
            return int(self._steady_wall() * 1000)
        wall, skew = self._clock.wall(), self.skew_seconds
        return int((wall - skew if abs(skew) > TOLERATED_SKEW_SECONDS else wall) * 1000)
