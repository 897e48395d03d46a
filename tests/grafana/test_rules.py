"""What a good dashboard keeps to. The first half are the rules of Grafana's own dashboard-linter.

Three of its rules do not fit. It wants `.+` for all jobs, which takes in other programs; `instance`
in every query, but an outbound is the same when another instance polls it; and `[$__rate_interval]`
everywhere, while a ranking is of `$__range`.
"""

import re

import pytest
from grafana_foundation_sdk.models import units
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from pearl_exporter.config import fields
from pearl_exporter.patterns import Pattern
from tests.grafana.files import (
    DASHBOARDS,
    all_panels,
    each_dashboard,
    each_panel,
    expressions,
)
from tests.grafana.promql import RANGE, RATE_INTERVAL, selectors
from tests.project.test_docs import all_metrics
from tools.grafana_requests import ALL, View, interpolate

UNITS = {value for name, value in vars(units).items() if name[0].isupper()}
COUNTERS = {name for name, (kind, _) in all_metrics().items() if kind == "counter"}
HISTOGRAMS = {name for name, (kind, _) in all_metrics().items() if kind == "histogram"}
GROWING = COUNTERS | {
    f"{name}_{part}" for name in HISTOGRAMS for part in ("bucket", "count", "sum")
}

WITHOUT_JOB = {"ALERTS", "pearl:threshold"}
"""Alerts of rules that have summed it away, and limits that hold for all jobs."""


def is_accepted(name: str) -> bool:
    """Whether ``outbounds[].name`` accepts it as it is."""
    try:
        return TypeAdapter(fields.Name).validate_python(name) == name
    except ValidationError:
        return False


# to Grafana an outbound called `$__all` is All
NAMES = st.text(min_size=1, max_size=20).filter(lambda name: name != ALL and is_accepted(name))

each_query = pytest.mark.parametrize("expr", sorted(set(expressions())))


def variables(uid):
    return {each["name"]: each for each in DASHBOARDS[uid]["templating"]["list"]}


def test_there_are_three_dashboards():
    assert DASHBOARDS.keys() == {
        "pearl-campaign-overview",
        "pearl-outbound-detail",
        "pearl-exporter-health",
    }


@each_dashboard
def test_its_uid_is_its_file_name_and_grafana_cannot_edit_it(uid):
    made = DASHBOARDS[uid]
    assert made["uid"] == uid
    assert made["editable"] is False
    assert "id" not in made  # a number of one Grafana's database
    assert made["title"]
    assert made["description"]


# Variables


@each_dashboard
def test_the_data_source_is_a_variable(uid):
    found = variables(uid)["datasource"]
    assert (found["type"], found["query"], found["label"]) == (
        "datasource",
        "prometheus",
        "Data source",
    )


@each_dashboard
def test_no_data_source_is_fixed(uid):
    made = DASHBOARDS[uid]
    targets = [target for panel in made["panels"] for target in panel.get("targets", ())]
    queried = [each for each in made["templating"]["list"] if each["type"] == "query"]
    panels = [each for each in made["panels"] if each["type"] != "row"]
    for each in (*panels, *targets, *queried, *made["annotations"]["list"]):
        assert each["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


@each_dashboard
def test_the_job_is_a_variable(uid):
    job = variables(uid)["job"]
    assert (job["multi"], job["includeAll"]) == (True, True)
    assert "allValue" not in job, "any job's memory is not the exporter's"
    assert job["query"]["query"] == "label_values(pearl_exporter_build_info, job)"


@each_dashboard
def test_queried_variables_have_a_label_and_follow_the_time(uid):
    for each in variables(uid).values():
        assert each["label"]
        if each["type"] == "query":
            assert each["refresh"] == 2


def test_outbounds_are_chosen_and_only_one_in_the_detail():
    for uid in DASHBOARDS:
        outbound = variables(uid)["outbound"]
        assert outbound.get("multi", False) == (uid != "pearl-outbound-detail")


@each_dashboard
def test_every_variable_that_is_used_is_there(uid):
    used = set(re.findall(r"\$\{?(\w+)", str(DASHBOARDS[uid])))
    assert {name for name in used if not name.startswith("__")} == variables(uid).keys()


# Panels


@each_panel
def test_it_says_what_it_shows(uid, panel):
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["targets"]


@each_panel
def test_it_has_a_unit_that_grafana_knows(uid, panel):
    unit = panel["fieldConfig"]["defaults"]["unit"]
    overridden = [
        each["value"]
        for override in panel["fieldConfig"]["overrides"]
        for each in override["properties"]
        if each["id"] == "unit"
    ]
    for each in (unit, *overridden):
        assert each in UNITS or each.startswith("suffix:"), each


@each_dashboard
def test_each_panel_has_a_number_and_a_place_of_its_own(uid):
    panels = DASHBOARDS[uid]["panels"]
    assert [each["id"] for each in panels] == list(range(1, len(panels) + 1))
    cells = [
        (x, y)
        for grid in (each["gridPos"] for each in panels)
        for x in range(grid["x"], grid["x"] + grid["w"])
        for y in range(grid["y"], grid["y"] + grid["h"])
    ]
    assert len(cells) == len(set(cells)), "panels overlap"
    assert {x for x, _ in cells} == set(range(24)), "the grid is 24 wide"


# Queries


@each_query
def test_prometheus_could_parse_it(expr):
    assert selectors(expr)


@each_query
def test_it_selects_the_job(expr):
    for each in selectors(expr):
        if each.metric not in WITHOUT_JOB:
            assert each.matchers["job"] == ("=~", "${job:regex}")


@each_query
@given(name=NAMES)
@example(name="""Win "VIP" back""")
@example(name="Mother's Day")
@example(name=r"\d+ {a|b}")
@example(name=".+")
@settings(max_examples=10, deadline=None)
def test_it_selects_the_outbound_by_any_name(expr, name):
    """The query with the name in it is parsed, and its matcher fits this name alone."""
    seen = View({"job": "pearl", "instance": ALL, "outbound": name, "interval": "30s"}, 0, 3600)
    for each in selectors(interpolate(expr, seen, {"__rate_interval": "2m"})):
        if "outbound" in each.matchers:
            operator, pattern = each.matchers["outbound"]
            assert operator == "=~"
            assert Pattern(pattern).matches(name)
            assert not Pattern(pattern).matches(f"{name}x")


@each_dashboard
def test_no_chosen_label_is_between_quotes(uid):
    """Grafana escapes a quote in neither variables nor annotations."""
    listed = DASHBOARDS[uid]["templating"]["list"]
    asked = [each["query"]["query"] for each in listed if each["type"] == "query"]
    for text in (*asked, *expressions()):
        rest = re.sub(r"=~`\$\{(job|instance|outbound):regex\}`", "", text)
        assert not re.search(r"\$\{?(job|instance|outbound)", rest), text


@each_query
def test_it_selects_by_labels_that_the_metric_has(expr):
    kinds = {"job", "instance", "le"}
    for each in selectors(expr):
        if each.metric.startswith("pearl_"):
            _, labels = all_metrics()[metric_of(each.metric)]
            assert each.matchers.keys() <= labels | kinds


@each_query
def test_it_takes_the_rate_of_counters_and_of_nothing_else(expr):
    for each in selectors(expr):
        is_counter = each.metric in GROWING or re.match("(process|python).*_total$", each.metric)
        as_it_stands = each.metric == "pearl_outbound_uncounted_seconds_total"
        is_rate = bool({"rate", "increase"} & {*each.functions})
        assert is_rate == bool(is_counter and not as_it_stands)


@each_query
def test_its_ranges_fit_the_polls(expr):
    for each in selectors(expr):
        assert each.range in (None, RATE_INTERVAL) or (
            each.range == RANGE and expr.count("@ end()")
        )


@each_panel
def test_its_least_step_is_a_poll(uid, panel):
    assert {target["interval"] for target in panel["targets"]} == {"$interval"}


def test_the_interval_is_that_of_polls_by_default():
    for uid in DASHBOARDS:
        interval = variables(uid)["interval"]
        assert interval["current"]["value"] == "30s"  # poll.interval's default
        assert [each["value"] for each in interval["options"]] == interval["query"].split(",")


# All of it


def metric_of(series: str) -> str:
    """The metric that a series belongs to."""
    known = all_metrics()
    return series if series in known else re.sub("_(bucket|g?count|g?sum)$", "", series)


def test_every_metric_is_shown_and_no_other():
    shown = {metric_of(each.metric) for expr in expressions() for each in selectors(expr)}
    assert {each for each in shown if each.startswith("pearl_")} == set(all_metrics())


def test_the_dashboards_link_to_each_other():
    for uid, made in DASHBOARDS.items():
        linked = {re.match(r"/d/([\w-]+)\?", each["url"])[1] for each in made["links"]}
        assert linked == DASHBOARDS.keys() - {uid}
        assert all(
            each["keepTime"] and "${job:queryparam}" in each["url"] for each in made["links"]
        )


def test_a_click_on_an_outbound_opens_its_detail():
    urls = re.findall(
        r"'(/d/pearl-outbound-detail[^']*)'", str(DASHBOARDS["pearl-campaign-overview"])
    )
    clicked = [url for url in urls if "var-outbound" in url]
    by_outbound = [
        panel["title"]
        for uid, panel in all_panels()
        if uid == "pearl-campaign-overview"
        and (panel["type"] == "table" or "{{outbound}}" in str(panel["targets"]))
    ]
    assert len(clicked) == len(by_outbound)
    for url in clicked:
        assert "percentencode" in url  # a name may hold anything
        assert "${__url_time_range}" in url
