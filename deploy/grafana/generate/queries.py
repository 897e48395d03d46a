"""The queries: which series, how they are summed, and over which range.

Polls come every 30 s by default, so a graph's step is at least `$interval`, and a rate's range at
least four of it. Gauges of the window need no rate; they are as of the last poll.
"""

from grafana_foundation_sdk.builders import prometheus
from grafana_foundation_sdk.models.dashboard import DataSourceRef
from grafana_foundation_sdk.models.prometheus import PromQueryFormat, QueryEditorMode

DATA_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")

OUTBOUND = 'job=~"$job", outbound=~"$outbound"'
EXPORTER = 'job=~"$job", instance=~"$instance"'
OUTBOUND_OF_EXPORTER = f'{EXPORTER}, outbound=~"$outbound"'

RANGE = "$__rate_interval"


def graph(expr: str, legend: str = "") -> prometheus.Dataquery:
    """A query over the whole time range."""
    query = _query(expr).range()
    return query.legend_format(legend) if legend else query


def now(expr: str, legend: str = "") -> prometheus.Dataquery:
    """A query as of the end of the time range."""
    query = _query(expr).instant()
    return query.legend_format(legend) if legend else query


def column(expr: str) -> prometheus.Dataquery:
    """A column of a table, as of the end of the time range."""
    return _query(expr).instant().format(PromQueryFormat.TABLE)


def buckets(expr: str) -> prometheus.Dataquery:
    """A histogram's buckets over time, with the exemplars that Prometheus has of them."""
    return graph(expr, "{{le}}").format(PromQueryFormat.HEATMAP).exemplar(True)


def buckets_now(expr: str) -> prometheus.Dataquery:
    """A histogram's buckets as of the end of the time range, each without those below it."""
    return now(expr, "{{le}}").format(PromQueryFormat.HEATMAP)


def _query(expr: str) -> prometheus.Dataquery:
    return (
        prometheus.Dataquery()
        .datasource(DATA_SOURCE)
        .editor_mode(QueryEditorMode.CODE)
        .expr(expr)
        .interval("$interval")
    )


# Expressions


def a_minute(counter: str, by: str, selector: str = OUTBOUND) -> str:
    """How often a minute, by labels."""
    return f"60 * {_sum(by)} (rate({counter}{{{selector}}}[{RANGE}]))"


def total(gauge: str, by: str, selector: str = OUTBOUND) -> str:
    """The sum of a gauge, by labels."""
    return f"{_sum(by)} ({gauge}{{{selector}}})"


def ratio(part: str, whole: str) -> str:
    """Part of whole, absent where the whole is 0."""
    return f"{part}\n  / ({whole} > 0)"


def window_share(status: str, by: str = "outbound") -> str:
    """The share of an outcome among the window's calls, those going on included."""
    part = total("pearl_window_calls", by, f'{OUTBOUND}, status="{status}"')
    return ratio(part, total("pearl_window_calls", by))


def settled_share(status: str, by: str = "outbound") -> str:
    """The share of an outcome among the calls that settled."""
    part = a_minute("pearl_calls_total", by, f'{OUTBOUND}, status="{status}"')
    return ratio(part, a_minute("pearl_calls_total", by))


def success_rate(by: str = "outbound") -> str:
    """Success of success and not successful; absent without a success definition."""
    both = f'{OUTBOUND}, status=~"success|not_successful"'
    part = total("pearl_window_calls", by, f'{OUTBOUND}, status="success"')
    return ratio(part, total("pearl_window_calls", by, both))


def answer_rate(by: str = "outbound") -> str:
    """Calls that settled with a duration, voice mails left aside, of all that settled."""
    answered = f'{OUTBOUND}, status!="voice_mail_left"'
    part = a_minute("pearl_call_duration_seconds_count", by, answered)
    return ratio(part, a_minute("pearl_calls_total", by))


def age(timestamp: str, by: str, selector: str = OUTBOUND) -> str:
    """Seconds since a moment."""
    return f"time() - max by ({by}) ({timestamp}{{{selector}}})"


def quantile(share: float, by: str, *, of_window: bool = True) -> str:
    """The duration that a share of the calls stays under. The window's buckets are gauges."""
    selected = f"{{{OUTBOUND}}}"
    labels = f"{by}, le" if by else "le"
    if of_window:
        each = f"sum by ({labels}) (pearl_window_call_duration_seconds_bucket{selected})"
    else:
        each = f"sum by ({labels}) (rate(pearl_call_duration_seconds_bucket{selected}[{RANGE}]))"
    return f"histogram_quantile({share}, {each})"


def _sum(by: str) -> str:
    return f"sum by ({by})" if by else "sum"
