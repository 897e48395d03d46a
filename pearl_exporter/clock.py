"""What time it is: here, and at the API, by the ``Date`` header of its answers."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from statistics import median

from pearl_exporter.calls import Instant

TOLERATED_SKEW_SECONDS = 2.0
"""A difference up to this may be the header's whole seconds and the way there: no correction."""


@dataclass(frozen=True)
class Clock:
    """This machine's two clocks, both in seconds; tests put their own in place."""

    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic


def parse_http_date(text: str) -> float | None:
    """A date as HTTP headers have it, as seconds since the epoch; None if it is none."""
    try:
        date = parsedate_to_datetime(text)
        # -0000 gives no zone, but in HTTP all dates are in UTC
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


class ApiClock:
    """The API's clock: this machine's, corrected by ``Date`` where they differ by more than 2 s.

    The middle one of the last five headers is believed, so that one wrong header from some proxy
    moves nothing. They are kept against the monotonic clock, so that a step of this machine's wall
    clock does not move the API's time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
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
        if date is not None:
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
        wall = self._clock.wall()
        skew = self.skew_seconds
        return int((wall - skew if abs(skew) > TOLERATED_SKEW_SECONDS else wall) * 1000)
