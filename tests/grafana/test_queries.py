"""Every query of every panel, put to a real Prometheus that scrapes the demo."""

import math
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from pearl_exporter.simulator import Campaign, SimulatedClock, build_simulator
from pearl_exporter.simulator.presets import default_profiles
from tests.cli.simulated import TOKEN, base_url, write_config
from tests.grafana.files import DASHBOARDS, all_panels, each_dashboard, each_panel, name_of
from tests.support.programs import eventually, running_pearl
from tests.support.prometheus import Prometheus, first_scrape, prometheus
from tests.support.serving import serving
from tools.grafana_requests import ALL, Json, Value, View, interpolate, request_of

pytestmark = pytest.mark.slow

NAMES = (
    """Win "VIP" back, Mother's Day \\ 50%/$x {a|b} [c]+ (d)? ^e.f* 🎉""",
    "\N{RIGHT-TO-LEFT MARK}צה\"ל וג'ינס\N{ZERO WIDTH JOINER}",
    "plain",
)
"""The names of the outbounds: what a query, a regular expression and Grafana give a meaning to."""

OUTBOUNDS = set(NAMES)
DETAIL = "pearl-outbound-detail"

NEEDS_RULES = {"How unusual the shares are"}
"""Panels of recorded series alone. The rules are not loaded here: they take minutes to have values;
`test_thresholds.py` has them."""

NEEDS_INCIDENT = "pearl_signal_since_timestamp_seconds"
"""It is there only while a share is unusual, which the demo's are not in its first minutes."""

EMPTY_FOR_SOME = {"Success rate", "Oldest live"}
"""Columns that only some outbounds fill: those with a success definition, with a live call."""

RARE = {"Success rate", "Answer rate"}
"""Shares that only some outbounds have: with a success definition, with a call settled lately."""

EXPECTED = {
    "outbound": OUTBOUNDS,
    "reason": {"auth", "not_found", "rate_limited", "timeout", "connection", "server_error"}
    | {"bad_request", "bad_response", "inconsistent", "state", "deleted", "follow_expired"},
    "field": {"id", "start_time", "conversation_status", "status", "call_status"}
    | {"duration", "tags"},
    "code": {"200", "none"},  # none: on a busy machine a request may get no answer in time
}
"""The values of labels that are known beforehand."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that scrapes the demo's campaigns.

    They differ from the demo's in three ways. Nobody waits for the first conversation to count:
    they call ten times as often, and `poll.settle` is a second. And they are called `NAMES`.
    """
    folder: Path = tmp_path_factory.mktemp("grafana")
    clock = SimulatedClock()
    busy = [replace(each, calls_a_day=10 * each.calls_a_day) for each in default_profiles()]
    campaigns = [Campaign(each, seed=0, start_ms=clock() - 7_200_000) for each in busy]
    with serving(build_simulator(campaigns, clock=clock, token=TOKEN)) as url:
        outbounds = [
            {"id": each.outbound_id, "name": name} for each, name in zip(busy, NAMES, strict=True)
        ]
        # what is usual is learned from calls that began 30 to 60 minutes ago
        poll = {"interval": "1s", "window": "65m", "settle": "1s"}
        asked = {"enabled": True, "interval": "1s"}
        sections = {"poll": poll, "outbounds": outbounds, "api": {"rate_limit": 50}}
        sections |= {"discovery": asked, "account": asked}
        sections |= {"signals": {"error": {"ceiling": 0.5}}}
        config = write_config(folder, url, busy[0].outbound_id, **sections)
        flags = ("--enable-feature=exemplar-storage",)
        with running_pearl(folder / "serve", "serve", "--config", config) as process:
            target = base_url(process.says("address=")).removeprefix("http://")
            with prometheus(folder / "prometheus", {"pearl": target}, *flags) as server:
                first_scrape(server, "pearl")
                yield server


def view(uid: str, outbounds: Value = NAMES) -> View:
    """What a person has chosen: every outbound by its name, and on the detail one."""
    outbound = NAMES[0] if uid == DETAIL else outbounds
    chosen: dict[str, Value] = {"job": "pearl", "instance": ALL, "interval": "10s"}
    now = time.time()
    return View(chosen | {"outbound": outbound}, now - 600, now)


def answer(server: Prometheus, target: Json, seen: View) -> list[Json]:
    asked = request_of(target, seen)
    return server.ask(asked.path, **asked.parameters)["result"]


def has_values(series: list[Json]) -> bool:
    """Whether there is a number among them."""
    values = [at for each in series for at in each.get("values", [each.get("value")])]
    return any(math.isfinite(float(value)) for _, value in values)


@each_panel
def test_every_query_of_it_returns_data_with_its_labels(server, uid, panel):
    def filled() -> list[list[Json]]:
        seen = view(uid)
        found = [answer(server, target, seen) for target in panel["targets"]]
        is_filled = [
            has_values(series) or NEEDS_INCIDENT in target["expr"]
            for target, series in zip(panel["targets"], found, strict=True)
        ]
        return found if panel["title"] in NEEDS_RULES or all(is_filled) else []

    answers = eventually(filled, what=f"data in every query of {name_of(uid, panel)}")
    for target, series in zip(panel["targets"], answers, strict=True):
        for label in re.findall(r"{{(\w+)}}", target.get("legendFormat", "")):
            values = {each["metric"][label] for each in series}
            assert values <= EXPECTED.get(label, values)
            assert label != "outbound" or values == OUTBOUNDS or panel["title"] in RARE
        if "legendFormat" not in target and panel["type"] in ("stat", "timeseries"):
            assert len(series) == 1, "one number, one series"


def test_every_row_of_the_overviews_table_is_filled(server):
    uid = "pearl-campaign-overview"
    panel = next(each for each in DASHBOARDS[uid]["panels"] if each["type"] == "table")
    names = panel["transformations"][1]["options"]["renameByName"]
    for target in panel["targets"]:
        if names[f"Value #{target['refId']}"] not in EMPTY_FOR_SOME:
            eventually(partial(is_of_all, server, target, uid), what=f"rows of {target['refId']}")


def is_of_all(server: Prometheus, target: Json, uid: str) -> bool:
    """Whether it has a row for each outbound; where a scrape took too long, there is none."""
    rows = answer(server, target, view(uid, ALL))
    return {each["metric"]["outbound"] for each in rows} == OUTBOUNDS


@pytest.mark.parametrize(
    ("uid", "panel"), [each for each in all_panels() if each[1]["type"] == "table"]
)
def test_a_table_names_columns_that_there_are(server, uid, panel):
    targets = panel["targets"]
    values = {f"Value #{each['refId']}" for each in targets} if targets[1:] else {"Value"}
    found = [
        eventually(partial(answer, server, each, view(uid)), what="rows")
        for each in targets
        if NEEDS_INCIDENT not in each["expr"]
    ]
    labels = {label for rows in found for each in rows for label in each["metric"]}
    organized = panel["transformations"][1]["options"]
    assert organized["renameByName"].keys() <= labels | values
    shown = organized["renameByName"].keys() | organized["excludeByName"].keys()
    assert labels | values <= shown


def test_the_heatmap_has_exemplars_that_name_calls(server):
    panel = next(each for each in DASHBOARDS[DETAIL]["panels"] if each["type"] == "heatmap")
    (target,) = panel["targets"]
    assert target["exemplar"] is True
    seen = view(DETAIL)
    asked = dict(request_of(target, seen).parameters)
    asked.pop("step")

    def labels_of_exemplars() -> list[dict[str, str]]:
        found = server.ask("/api/v1/query_exemplars", **(asked | {"end": time.time()}))
        return [each["labels"] for series in found for each in series["exemplars"]]

    labels = eventually(labels_of_exemplars, what="an exemplar")
    assert all(list(each) == ["call_id"] for each in labels)


@each_dashboard
def test_the_choices_of_its_variables_are_those_of_the_demo(server, uid):
    expected = {"job": {"pearl"}, "outbound": OUTBOUNDS}
    for each in DASHBOARDS[uid]["templating"]["list"]:
        if each["type"] != "query":
            continue
        asked = re.fullmatch(r"label_values\((.+), (\w+)\)", each["query"]["query"])
        assert asked
        series = server.ask("/api/v1/series", **{"match[]": interpolate(asked[1], view(uid), {})})
        found = {one[asked[2]] for one in series}
        assert asked[2] == each["name"]
        assert found == expected.get(each["name"], found)
        assert found


@each_dashboard
def test_its_marks_can_be_asked_for(server, uid):
    for each in DASHBOARDS[uid]["annotations"]["list"]:
        server.ask("/api/v1/query", query=interpolate(each["expr"], view(uid), {}))
