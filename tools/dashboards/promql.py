"""PromQL expressions: which series, how they are aggregated, and over which range.

Gauges of the window are as of the last poll and need no rate. Counters are always shown as rates,
over a range of at least four polls (see `queries`).
"""

from dataclasses import dataclass

RANGE = "$__rate_interval"


@dataclass(frozen=True)
class Selection:
    """Series that match some label matchers. In all methods ``by`` are the labels to keep."""

    matchers: str

    def where(self, matcher: str) -> "Selection":
        """Return a selection with one more matcher."""
        return Selection(f"{self.matchers}, {matcher}")

    def series(self, metric: str) -> str:
        """Return the selector of a metric's series."""
        return f"{metric}{{{self.matchers}}}"

    def sum(self, gauge: str, by: str = "") -> str:
        """Return the sum of a gauge."""
        return f"{_per('sum', by)} ({self.series(gauge)})"

    def max(self, gauge: str, by: str = "") -> str:
        """Return the largest value of a gauge."""
        return f"{_per('max', by)} ({self.series(gauge)})"

    def min(self, gauge: str, by: str = "") -> str:
        """Return the smallest value of a gauge."""
        return f"{_per('min', by)} ({self.series(gauge)})"

    def age(self, timestamp: str, by: str = "") -> str:
        """Return the seconds since the earliest of some timestamps."""
        return f"time() - {self.min(timestamp, by)}"

    def per_second(self, counter: str, by: str = "") -> str:
        """Return by how much a counter grows per second."""
        return f"{_per('sum', by)} (rate({self.series(counter)}[{RANGE}]))"

    def per_minute(self, counter: str, by: str = "") -> str:
        """Return by how much a counter grows per minute."""
        return f"60 * {self.per_second(counter, by)}"

    def window_share(self, status: str, by: str = "") -> str:
        """Return the share of an outcome among the calls of the window, live ones included."""
        part = self.where(f'status="{status}"').sum("pearl_window_calls", by)
        return ratio(part, self.sum("pearl_window_calls", by))

    def settled_share(self, status: str, by: str = "") -> str:
        """Return the share of an outcome among the calls that settled."""
        part = self.where(f'status="{status}"').per_second("pearl_calls_total", by)
        return ratio(part, self.per_second("pearl_calls_total", by))

    def success_rate(self, by: str = "") -> str:
        """Return successes / (successes + failures); absent without a success definition."""
        part = self.where('status="success"').sum("pearl_window_calls", by)
        both = self.where('status=~"success|not_successful"').sum("pearl_window_calls", by)
        return ratio(part, both)

    def answer_rate(self, by: str = "") -> str:
        """Return the share of settled calls that were answered by a person, not by voice mail."""
        answered = self.where('status!="voice_mail_left"')
        part = answered.per_second("pearl_call_duration_seconds_count", by)
        return ratio(part, self.per_second("pearl_calls_total", by))

    def window_quantile(self, share: float, by: str = "") -> str:
        """Return a quantile of the durations of the window's answered calls."""
        each = self.sum("pearl_window_call_duration_seconds_bucket", f"{by}, le".lstrip(", "))
        return f"histogram_quantile({share}, {each})"


def chosen(label: str) -> str:
    """Return the matcher for what is chosen in the variable that is called like the label.

    The value is a regular expression between backticks, where PromQL escapes nothing. Between
    quotes Grafana would leave a quote of the value as it is, and the quote would end the text.
    """
    return f"{label}=~`${{{label}:regex}}`"


JOBS = Selection(chosen("job"))
"""All series of the chosen jobs."""

CHOSEN = JOBS.where(chosen("outbound"))
"""The chosen outbounds; on the detail it is one."""

EXPORTERS = JOBS.where(chosen("instance"))
"""The chosen exporters."""

POLLED = EXPORTERS.where(chosen("outbound"))
"""The chosen outbounds of the chosen exporters."""


def ratio(part: str, whole: str) -> str:
    """Return ``part / whole``, absent where the whole is 0."""
    return f"{part}\n  / ({whole} > 0)"


def _per(operator: str, by: str) -> str:
    return f"{operator} by ({by})" if by else operator
