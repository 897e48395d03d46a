"""The kinds of queries that a panel sends.

The step of a graph is at least ``$interval``, the longer of poll and scrape interval. Grafana makes
``$__rate_interval`` at least four times that. A rate over fewer polls jumps or is empty.
"""

from grafana_foundation_sdk.builders import prometheus
from grafana_foundation_sdk.models.dashboard import DataSourceRef
from grafana_foundation_sdk.models.prometheus import PromQueryFormat, QueryEditorMode

DATA_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")


def over_range(expr: str, legend: str = "") -> prometheus.Dataquery:
    """Return a query over the whole time range."""
    query = _query(expr).range()
    return query.legend_format(legend) if legend else query


def instant(expr: str, legend: str = "") -> prometheus.Dataquery:
    """Return a query at the end of the time range."""
    query = _query(expr).instant()
    return query.legend_format(legend) if legend else query


def table_column(expr: str) -> prometheus.Dataquery:
    """Return a query for one column of a table, at the end of the time range."""
    return _query(expr).instant().format(PromQueryFormat.TABLE)


def heatmap(expr: str) -> prometheus.Dataquery:
    """Return a query for the buckets of a histogram over time, with their exemplars."""
    return over_range(expr, "{{le}}").format(PromQueryFormat.HEATMAP).exemplar(True)


def heatmap_instant(expr: str) -> prometheus.Dataquery:
    """Return a query for the buckets of a histogram at the end of the range, not cumulative."""
    return instant(expr, "{{le}}").format(PromQueryFormat.HEATMAP)


def _query(expr: str) -> prometheus.Dataquery:
    return (
        prometheus.Dataquery()
        .datasource(DATA_SOURCE)
        .editor_mode(QueryEditorMode.CODE)
        .expr(expr)
        .interval("$interval")
    )
