"""The expressions: which series, how they are summed, and over which range.

Gauges of the window need no rate; they are as of the last poll. Counters are always shown as
rates, over a range of at least four polls (see `queries`).
"""

from dataclasses import dataclass

RANGE = "$__rate_interval"


@dataclass(frozen=True)
class Selection:
    """Series by their label matchers, and what is worked out of them; ``by`` are labels to keep."""

    matchers: str

    def where(self, matcher: str) -> "Selection":
        """A narrower selection."""
        return Selection(f"{self.matchers}, {matcher}")

    def of(self, metric: str) -> str:
        """The series of a metric."""
        return f"{metric}{{{self.matchers}}}"

    def total(self, gauge: str, by: str = "") -> str:
        """The sum of a gauge."""
        return f"{_per('sum', by)} ({self.of(gauge)})"

    def most(self, gauge: str, by: str = "") -> str:
        """The largest value of a gauge."""
        return f"{_per('max', by)} ({self.of(gauge)})"

    def least(self, gauge: str, by: str = "") -> str:
        """The smallest value of a gauge."""
        return f"{_per('min', by)} ({self.of(gauge)})"

    def age(self, timestamp: str, by: str = "") -> str:
        """Seconds since the earliest of some moments."""
        return f"time() - {self.least(timestamp, by)}"

    def a_second(self, counter: str, by: str = "") -> str:
        """How much a counter grows a second."""
        return f"{_per('sum', by)} (rate({self.of(counter)}[{RANGE}]))"

    def a_minute(self, counter: str, by: str = "") -> str:
        """How much a counter grows a minute."""
        return f"60 * {self.a_second(counter, by)}"

    def window_share(self, status: str, by: str = "") -> str:
        """The share of an outcome among the window's calls, those going on included."""
        part = self.where(f'status="{status}"').total("pearl_window_calls", by)
        return ratio(part, self.total("pearl_window_calls", by))

    def settled_share(self, status: str, by: str = "") -> str:
        """The share of an outcome among the calls that settled."""
        part = self.where(f'status="{status}"').a_second("pearl_calls_total", by)
        return ratio(part, self.a_second("pearl_calls_total", by))

    def success_rate(self, by: str = "") -> str:
        """Success of success and not successful; absent without a success definition."""
        part = self.where('status="success"').total("pearl_window_calls", by)
        both = self.where('status=~"success|not_successful"').total("pearl_window_calls", by)
        return ratio(part, both)

    def answer_rate(self, by: str = "") -> str:
        """Calls that settled with a duration, voice mails left aside, of all that settled."""
        answered = self.where('status!="voice_mail_left"')
        part = answered.a_second("pearl_call_duration_seconds_count", by)
        return ratio(part, self.a_second("pearl_calls_total", by))

    def window_quantile(self, share: float, by: str = "") -> str:
        """The duration that a share of the window's answered calls stay under."""
        each = self.total("pearl_window_call_duration_seconds_bucket", f"{by}, le".lstrip(", "))
        return f"histogram_quantile({share}, {each})"


JOBS = Selection('job=~"$job"')
"""All of the chosen jobs."""

ALL = JOBS.where('outbound=~"$outbound"')
"""The chosen outbounds."""

ONE = JOBS.where('outbound="$outbound"')
"""The chosen outbound. Grafana escapes a single value for a string, not for an expression."""

EXPORTERS = JOBS.where('instance=~"$instance"')
"""The chosen exporters."""

POLLED = EXPORTERS.where('outbound=~"$outbound"')
"""The chosen outbounds of the chosen exporters."""


def ratio(part: str, whole: str) -> str:
    """Part of whole, absent where the whole is 0."""
    return f"{part}\n  / ({whole} > 0)"


def _per(operator: str, by: str) -> str:
    return f"{operator} by ({by})" if by else operator
