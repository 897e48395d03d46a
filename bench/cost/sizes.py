"""How much is measured: at full size, for a fast look, and for the tests."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """The sizes of one run of the benchmark.

    Attributes:
        windows: Calls in the window, for what a poll costs.
        polls: Polls after the first read.
        repeats: How often a short first read is measured.
        first_reads: Calls of a first read.
        large: Calls of the large state, for memory, start-up and the state file.
        outbounds: Outbounds of the visibility delay.
        interval: Their poll interval in seconds.
        seconds: For how long they are scraped after the first interval.
        settle: Seconds from a call's end until it is counted.
    """

    windows: tuple[int, ...]
    polls: int
    repeats: int
    first_reads: tuple[int, ...]
    large: int
    outbounds: int
    interval: int
    seconds: int
    settle: int

    @property
    def steady(self) -> int:
        """Calls in the window of a usual poll: the largest window up to 100,000."""
        return max(each for each in self.windows if each <= 100_000)


FULL = Sizes(
    windows=(1_000, 10_000, 100_000, 1_000_000),
    polls=500,
    repeats=5,
    first_reads=(100_000, 1_000_000),
    large=1_000_000,
    outbounds=200,
    interval=30,
    seconds=240,
    settle=120,
)
QUICK = Sizes(
    windows=(1_000, 10_000),
    polls=60,
    repeats=3,
    first_reads=(10_000,),
    large=50_000,
    outbounds=50,
    interval=10,
    seconds=30,
    settle=15,
)
TINY = Sizes(
    windows=(500,),
    polls=4,
    repeats=1,
    first_reads=(500,),
    large=500,
    outbounds=3,
    interval=1,
    seconds=2,
    settle=1,
)
"""Enough to see that everything runs. Its figures mean nothing."""
