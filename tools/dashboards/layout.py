"""What all dashboards share: variables, annotations, links to each other, and the grid."""

from collections.abc import Iterable
from typing import Any

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model

from tools.dashboards.promql import CHOSEN, JOBS, Selection, chosen
from tools.dashboards.queries import DATA_SOURCE

OVERVIEW = "pearl-campaign-overview"
DETAIL = "pearl-outbound-detail"
HEALTH = "pearl-exporter-health"

_TITLES = {
    OVERVIEW: "Campaign overview",
    DETAIL: "Outbound detail",
    HEALTH: "Exporter health",
}
_ALERTS = Selection('alertname=~"Pearl.+", alertstate="firing"')
_SAME_SOURCE = "${datasource:queryparam}&${job:queryparam}&${interval:queryparam}"

Panels = list[Builder[model.Panel]]

Section = tuple[str, Panels]
"""Title of a row and its panels from left to right. The grid has 24 columns."""


def detail_link(outbound: str) -> str:
    """Return the address of *Outbound detail* for an outbound, which is a Grafana expression."""
    return f"/d/{DETAIL}?{_SAME_SOURCE}&var-outbound={outbound}&${{__url_time_range}}"


def data_link(title: str, url: str) -> build.DashboardLink:
    """Return a link that a click on a series opens."""
    return build.DashboardLink(title).type(model.DashboardLinkType.LINK).url(url)


def new_dashboard(uid: str, description: str) -> build.Dashboard:
    """Return an empty dashboard with links to the others and annotations of alerts and outages."""
    alerts = _ALERTS.where(chosen("outbound")) if uid == DETAIL else _ALERTS
    dashboard = (
        build.Dashboard(_TITLES[uid])
        .uid(uid)
        .description(description)
        .tags(["nlpearl", "pearl-exporter"])
        .readonly()
        .refresh("30s")
        .time("now-3h", "now")
        .timezone("browser")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .annotation(
            _annotation(
                ("Alerts", "{{alertname}}", "red"), alerts.max("ALERTS", "alertname, outbound")
            )
        )
        .annotation(
            _annotation(
                ("Catching up", "Calls of an outage are counted", "purple"),
                f"{CHOSEN.max('pearl_outbound_catching_up', 'outbound')} > 0",
            )
        )
    )
    for other, title in _TITLES.items():
        if other != uid:
            dashboard.link(_link(title, other))
    return dashboard


def finish(dashboard: build.Dashboard, sections: Iterable[Section]) -> model.Dashboard:
    """Return the dashboard with its rows. Panels are numbered, so their addresses are stable."""
    for title, panels in sections:
        dashboard.with_row(build.Row(title))
        for panel in panels:
            dashboard.with_panel(panel)
    made = dashboard.build()
    for number, each in enumerate(made.panels or (), start=1):
        each.id_val = number
    for variable in made.templating.list_val or ():
        # the model sets these on every variable; Grafana knows them on interval variables only
        variable.auto = variable.auto_min = variable.auto_count = None
    return made


def _link(title: str, uid: str) -> build.DashboardLink:
    return (
        build.DashboardLink(title)
        .type(model.DashboardLinkType.LINK)
        .url(f"/d/{uid}?{_SAME_SOURCE}")
        .icon("dashboard")
        .tooltip(f"Open {title}")
        .keep_time(True)
    )


class _PrometheusAnnotation(model.AnnotationQuery):
    """Grafana's model of an annotation, with the two keys that the Prometheus plugin adds."""

    def __init__(self, title: str, **fields: Any) -> None:
        super().__init__(**fields)
        self._title = title

    def to_json(self) -> dict[str, object]:
        return {**super().to_json(), "titleFormat": self._title, "tagKeys": "outbound"}


class _AnnotationBuilder(Builder[model.AnnotationQuery]):
    def __init__(self, made: model.AnnotationQuery) -> None:
        self._made = made

    def build(self) -> model.AnnotationQuery:
        return self._made


def _annotation(info: tuple[str, str, str], expr: str) -> _AnnotationBuilder:
    name, title, color = info
    made = _PrometheusAnnotation(
        title, name=name, datasource=DATA_SOURCE, enable=True, hide=False, icon_color=color
    )
    made.expr = expr
    return _AnnotationBuilder(made)


def data_source_variable() -> build.DatasourceVariable:
    """Return the variable for the Prometheus to query."""
    return build.DatasourceVariable("datasource").label("Data source").type("prometheus")


def job_variable() -> build.QueryVariable:
    """Return the variable for the jobs. At first all jobs that scrape an exporter are chosen.

    They are listed one by one in the query. A pattern for any job would include the memory and
    failures of other programs.
    """
    return _all_of(_labels("job", "Job", "label_values(pearl_exporter_build_info, job)"))


def instance_variable() -> build.QueryVariable:
    """Return the variable for the exporters of the jobs. At first all are chosen."""
    query = f"label_values({JOBS.series('pearl_exporter_build_info')}, instance)"
    return _all_of(_labels("instance", "Instance", query))


def outbound_variable() -> build.QueryVariable:
    """Return the variable for one outbound of the jobs."""
    query = f"label_values({JOBS.series('pearl_outbound_info')}, outbound)"
    return _labels("outbound", "Outbound", query)


def outbounds_variable(selection: Selection) -> build.QueryVariable:
    """Return the variable for outbounds. At first a pattern chooses all, since they may be many."""
    query = f"label_values({selection.series('pearl_outbound_info')}, outbound)"
    return _all_of(_labels("outbound", "Outbound", query)).all_value(".+")


def interval_variable() -> build.CustomVariable:
    """Return the variable for the smallest step of a graph. $__rate_interval is four times that."""
    choices = ("10s", "30s", "1m", "2m", "5m", "10m")
    options = [
        model.VariableOption(text=each, value=each, selected=each == "30s") for each in choices
    ]
    return (
        build.CustomVariable("interval")
        .label("Poll interval")
        .description("The longer one of poll.interval and Prometheus' scrape interval.")
        .values(",".join(choices))
        .options(options)
        .current(options[choices.index("30s")])
    )


def _labels(name: str, label: str, query: str) -> build.QueryVariable:
    return (
        build.QueryVariable(name)
        .label(label)
        .datasource(DATA_SOURCE)
        .query({"query": query, "refId": f"variable-{name}"})
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
    )


def _all_of(variable: build.QueryVariable) -> build.QueryVariable:
    return (
        variable.multi(True)
        .include_all(True)
        .current(model.VariableOption(text="All", value="$__all", selected=True))
    )
