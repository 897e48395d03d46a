"""What all dashboards share: variables, annotations, links to each other, and the grid."""

from collections.abc import Iterable
from typing import Any

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as model

from deploy.grafana.generate.queries import DATA_SOURCE
from deploy.grafana.generate.selection import ALL, JOBS, ONE, Selection

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
"""A row's title and its panels, left to right; a line of the grid is 24 wide."""


def detail_link(outbound: str) -> str:
    """The address of *Outbound detail* for the outbound that a Grafana expression gives."""
    return f"/d/{DETAIL}?{_SAME_SOURCE}&var-outbound={outbound}&${{__url_time_range}}"


def data_link(title: str, url: str) -> build.DashboardLink:
    """What a click on a series opens."""
    return build.DashboardLink(title).type(model.DashboardLinkType.LINK).url(url)


def new_dashboard(uid: str, description: str) -> build.Dashboard:
    """An empty dashboard with links to the others, and marks where something happened."""
    selected = ONE if uid == DETAIL else ALL
    alerts = _ALERTS.where('outbound="$outbound"') if uid == DETAIL else _ALERTS
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
            _marks(("Alerts", "{{alertname}}", "red"), alerts.most("ALERTS", "alertname, outbound"))
        )
        .annotation(
            _marks(
                ("Catching up", "Calls of an outage are counted", "purple"),
                f"{selected.most('pearl_outbound_catching_up', 'outbound')} > 0",
            )
        )
    )
    for other, title in _TITLES.items():
        if other != uid:
            dashboard.link(_link(title, other))
    return dashboard


def finish(dashboard: build.Dashboard, sections: Iterable[Section]) -> model.Dashboard:
    """Lays out the rows and numbers the panels, so that an address of a panel stays the same."""
    for title, panels in sections:
        dashboard.with_row(build.Row(title))
        for panel in panels:
            dashboard.with_panel(panel)
    made = dashboard.build()
    for number, each in enumerate(made.panels or (), start=1):
        each.id_val = number
    for variable in made.templating.list_val or ():
        # what the model gives to all, and Grafana only to variables of a kind not used here
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


class _PrometheusMarks(model.AnnotationQuery):
    """Grafana's model of an annotation, with what the Prometheus data source adds to it."""

    def __init__(self, title: str, **fields: Any) -> None:
        super().__init__(**fields)
        self._title = title

    def to_json(self) -> dict[str, object]:
        return {**super().to_json(), "titleFormat": self._title, "tagKeys": "outbound"}


class _Marks(Builder[model.AnnotationQuery]):
    def __init__(self, made: model.AnnotationQuery) -> None:
        self._made = made

    def build(self) -> model.AnnotationQuery:
        return self._made


def _marks(about: tuple[str, str, str], expr: str) -> _Marks:
    name, title, color = about
    made = _PrometheusMarks(
        title, name=name, datasource=DATA_SOURCE, enable=True, hide=False, icon_color=color
    )
    made.expr = expr
    return _Marks(made)


# Variables


def data_source_variable() -> build.DatasourceVariable:
    """Which Prometheus to ask."""
    return build.DatasourceVariable("datasource").label("Data source").type("prometheus")


def job_variable() -> build.QueryVariable:
    """Which scrape jobs; all that scrape an exporter at first.

    All of them are listed in the query: a pattern for any job would take in the memory and the
    failures of other programs.
    """
    return _all_of(_labels("job", "Job", "label_values(pearl_exporter_build_info, job)"))


def instance_variable() -> build.QueryVariable:
    """Which exporters of the jobs; all at first."""
    query = f"label_values({JOBS.of('pearl_exporter_build_info')}, instance)"
    return _all_of(_labels("instance", "Instance", query))


def outbound_variable() -> build.QueryVariable:
    """One outbound of the jobs."""
    query = f"label_values({JOBS.of('pearl_outbound_info')}, outbound)"
    return _labels("outbound", "Outbound", query)


def outbounds_variable(selection: Selection) -> build.QueryVariable:
    """Which outbounds of this selection; all at first, by a pattern, since they may be many."""
    query = f"label_values({selection.of('pearl_outbound_info')}, outbound)"
    return _all_of(_labels("outbound", "Outbound", query)).all_value(".+")


def interval_variable() -> build.CustomVariable:
    """The least step of a graph, from which Grafana works out $__rate_interval (four of it)."""
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
