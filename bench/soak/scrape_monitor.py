"""Checks of every scrape of a soak: no counter falls, and every call is somewhere."""

from dataclasses import dataclass, field

from bench.support.scrape import Scrape

DATA_TIMESTAMP = "pearl_outbound_data_timestamp_seconds"
_STARTED = "pearl_calls_started_total"
_PARTS = (
    "pearl_calls_total",
    "pearl_live_calls",
    "pearl_pending_calls",
    "pearl_calls_uncounted_total",
)
"""Every started call is in exactly one of these."""
_ABOUT_POLLS = "pearl_exporter_"
_MAX_REPORTED = 5


@dataclass
class ScrapeMonitor:
    """Checks scrapes in the order in which they were made.

    Attributes:
        failures: Every check that failed, one line each.
        scrapes: How many scrapes were checked.
        balances: How many outbounds' sums of calls were checked.
        failed_scrapes: How many scrapes got no answer.
        slowest_seconds: The duration of the slowest scrape.
        last: The last scrape.
    """

    failures: list[str] = field(default_factory=list)
    scrapes: int = 0
    balances: int = 0
    failed_scrapes: int = 0
    slowest_seconds: float = 0.0
    last: Scrape | None = None
    _highest: dict[str, float] = field(default_factory=dict)

    def check(self, scrape: Scrape) -> None:
        """Check a scrape that was made after all scrapes checked before."""
        self.scrapes += 1
        self.last = scrape
        fallen = [
            f"{series}: {self._highest[series]:g} -> {scrape.samples[series]:g}"
            for series in scrape.counters
            if scrape.samples[series] < self._highest.get(series, 0.0)
        ]
        self.failures += fallen[:_MAX_REPORTED]
        # The counters of calls survive when an outbound is removed and added again. Those of its
        # polls begin at 0.
        gone = [each for each in self._highest.keys() - scrape.counters if _is_about_polls(each)]
        for series in gone:
            del self._highest[series]
        self._highest.update((series, scrape.samples[series]) for series in scrape.counters)
        self._check_balance(scrape)

    def _check_balance(self, scrape: Scrape) -> None:
        parts = {name: scrape.by_outbound(name) for name in _PARTS}
        for outbound, started in scrape.by_outbound(_STARTED).items():
            if outbound not in parts["pearl_live_calls"]:
                continue  # its data are stale, or it was never read
            self.balances += 1
            found = sum(values.get(outbound, 0.0) for values in parts.values())
            if found != started:
                self.failures.append(
                    f"{outbound}: {started:g} calls started, "
                    f"settled + live + pending + uncounted are {found:g}"
                )


def _is_about_polls(series: str) -> bool:
    return series.startswith(_ABOUT_POLLS)
