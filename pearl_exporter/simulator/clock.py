"""The simulated time: it runs with a real clock, faster or slower, and can be stopped and set."""

import time
from collections.abc import Callable


class SimulatedClock:
    """A clock that returns simulated epoch milliseconds when it is called.

    Args:
        wall: Returns the real time in seconds.
        speed: Simulated seconds in a real second.
        start_ms: The simulated time at which the clock starts, by default the real time.
        paused: Whether the clock stands still until `resume`.

    Raises:
        ValueError: The speed is not above 0.
    """

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        speed: float = 1.0,
        *,
        start_ms: int | None = None,
        paused: bool = False,
    ) -> None:
        if speed <= 0:
            raise ValueError(f"speed is {speed}, wanted above 0")
        self._wall = wall
        self._speed = speed
        self._real = wall()
        self._base_ms = self._real * 1000 if start_ms is None else float(start_ms)
        self._paused = paused

    def __call__(self) -> int:
        """Return the simulated time in epoch milliseconds."""
        if self._paused:
            return int(self._base_ms)
        return int(self._base_ms + (self._wall() - self._real) * 1000 * self._speed)

    @property
    def paused(self) -> bool:
        """Whether the time is stopped."""
        return self._paused

    @property
    def speed(self) -> float:
        """Simulated seconds in a real second."""
        return self._speed

    def pause(self) -> None:
        """Stop the time."""
        self.set_ms(self())
        self._paused = True

    def resume(self) -> None:
        """Let the time run on from where it stopped."""
        self.set_ms(self())
        self._paused = False

    def advance(self, seconds: float) -> None:
        """Move the time ahead at once.

        Raises:
            ValueError: The step goes back.
        """
        if seconds < 0:
            raise ValueError(f"advance_seconds is {seconds}, wanted 0 or more")
        self.set_ms(self() + round(seconds * 1000))

    def set_ms(self, moment_ms: int) -> None:
        """Set the time, also back: a campaign has an answer for any moment after its start."""
        self._real = self._wall()
        self._base_ms = float(moment_ms)
