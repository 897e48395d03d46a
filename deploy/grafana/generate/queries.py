"""The kinds of queries.

A graph's step is at least `$interval`, the longer one of poll and scrape interval, and Grafana
makes $__rate_interval at least four of it: a rate over fewer polls than that jumps or is empty.
"""

from grafana_foundation_sdk.builders import prometheus
from grafana_foundation_sdk.models.dashboard import DataSourceRef
from grafana_foundation_sdk.models.prometheus import PromQueryFormat, QueryEditorMode

DATA_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")


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
