"""The rules as files: promtool accepts them, names exist, each alert tells what to do."""

import json
import re

import pytest
import yaml

from pearl_exporter.counting.calls import CALL_STATUS_LABELS, STATUS_LABELS, UNKNOWN
from pearl_exporter.counting.ledger import UNCOUNTED
from pearl_exporter.errors import Reason
from tests.project.test_docs import all_metrics
from tests.rules.promtool import FILES, ROOT, WINDOWS, alerts, groups, promtool, rules

RUNBOOKS = ROOT / "docs" / "runbooks"
PAGE = ROOT / "docs" / "alerts.md"
DASHBOARDS = {"pearl-campaign-overview", "pearl-outbound-detail", "pearl-exporter-health"}
SCOPES = {"campaign", "outbound", "exporter", "account", "budget"}

each_alert = pytest.mark.parametrize("name", sorted(alerts()))
each_rule = pytest.mark.parametrize(
    "rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"]
)


def recorded() -> set[str]:
    return {rule["record"] for rule in rules() if "record" in rule}


def test_promtool_accepts_them_and_has_nothing_to_remark():
    promtool("check", "rules", "--lint=all", "--lint-fatal", *FILES)


def test_the_whole_configuration_is_accepted():
    said = promtool("check", "config", ROOT / "deploy" / "prometheus" / "prometheus.yml")
    assert f"{len(FILES)} rule files found" in said


@each_alert
def test_every_alert_has_labels_texts_and_links(name):
    rule = alerts()[name]
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert rule["labels"]["scope"] in SCOPES
    notes = rule["annotations"]
    assert set(notes) == {"summary", "description", "runbook_url", "dashboard_url"}
    assert "{{" not in notes["summary"], "a summary is one sentence that groups well"
    assert notes["summary"].endswith(".")
    assert "{{" in notes["description"]
    assert notes["runbook_url"] == f"docs/runbooks/{name}.md"
    uid = re.match(
        r"/d/([\w-]+)(\?var-outbound=\{\{ \$labels.outbound \| urlquery \}\})?$",
        notes["dashboard_url"],
    )
    assert uid is not None
    assert uid[1] in DASHBOARDS
    assert (uid[1] == "pearl-outbound-detail") == bool(uid[2])


@each_alert
def test_an_alert_has_a_runbook_of_three_parts_with_its_severity(name):
    text = (RUNBOOKS / f"{name}.md").read_text()
    assert text.startswith(f"# {name}\n")
    assert f"Severity: {alerts()[name]['labels']['severity']}." in text
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == [
        "What it means",
        "Look at",
        "What to do",
    ]


def test_any_name_can_be_put_into_a_runbooks_queries(tmp_path):
    text = "\n".join(page.read_text() for page in RUNBOOKS.glob("*.md"))
    assert 'outbound="' not in text
    blocks = re.findall(r"```promql\n(.*?)```", text, re.DOTALL)
    named = [
        query.replace("spring-renewals", """Win "VIP" \\ Mother's 🎉""")
        for block in blocks
        for query in re.split(r"\n\n+", block.strip())
    ]
    assert sum("VIP" in query for query in named) > 10
    rules = [{"record": f"a:{number}:b", "expr": query} for number, query in enumerate(named)]
    file = tmp_path / "queries.json"
    groups_ = [{"name": "queries", "rules": rules}]
    file.write_text(json.dumps({"groups": groups_}, ensure_ascii=False))
    promtool("check", "rules", file)


def test_there_are_no_runbooks_of_alerts_that_are_none():
    assert {page.stem for page in RUNBOOKS.glob("*.md")} == {*alerts(), "README"}


@pytest.mark.parametrize("page", [PAGE, RUNBOOKS / "README.md"], ids=lambda page: page.name)
def test_the_pages_list_every_alert_with_its_severity(page):
    text = page.read_text().partition("\n## Thresholds")[0]
    rows = re.findall(r"^\| [`[](Pearl\w+)\S* \| (\w+) \|", text, re.MULTILINE)
    assert dict(rows) == {name: rule["labels"]["severity"] for name, rule in alerts().items()}
    assert len(rows) == len(alerts())


def test_silence_never_pages():
    assert alerts()["PearlOutboundSilent"]["labels"]["severity"] != "critical"


def test_the_page_lists_every_threshold_and_the_rules_use_each():
    names = {rule["labels"]["name"] for rule in rules() if rule.get("record") == "pearl:threshold"}
    text = PAGE.read_text()
    section = text[text.index("\n## Thresholds") : text.index("\n## How a spike")]
    assert set(re.findall(r"^\| `(\w+)`", section, re.MULTILINE)) == names
    used = {
        name
        for rule in rules()
        if rule.get("alert") != "PearlRulesIncomplete"  # it names them all
        for name in re.findall(r'threshold\{name="(\w+)"', rule["expr"])
    }
    assert used == names


def test_thresholds_are_in_one_file_alone():
    for file in FILES:
        if file.name != "pearl-thresholds.yml":
            bare = [
                rule["alert"]
                for group in yaml.safe_load(file.read_text())["groups"]
                for rule in group["rules"]
                if "alert" in rule
                # 0 and 1 are what flags, booleans and "any at all" are compared with
                and re.search(r"[<>]=? *(?:bool *)?(?![01]\b)\d", rule["expr"])
            ]
            assert bare == []


@each_rule
def test_every_metric_and_label_value_that_a_rule_names_exists(rule):
    metrics = all_metrics()
    known = {name: labels for name, (_, labels) in metrics.items()}
    for name in re.findall(r"(?<![\w:])pearl_\w+(?![\w:])", without_recorded(rule["expr"])):
        metric = name if name in known else re.sub("_(bucket|g?count|g?sum)$", "", name)
        assert metric in known, name
    for name in re.findall(r"\w*:[\w:]+", re.sub(r"\[[^]]*\]", "", rule["expr"])):
        assert name in recorded(), name
    values = {
        "status": {*STATUS_LABELS.values(), UNKNOWN},
        "call_status": set(CALL_STATUS_LABELS.values()),
    }
    values["reason"] = {*Reason, *UNCOUNTED}
    for label, text in re.findall(r'(\w+)(?:=~|!~|!=|=)"([^"]*)"', rule["expr"]):
        if label in values:
            assert set(text.split("|")) <= values[label], text


def without_recorded(expr: str) -> str:
    return re.sub(r"\w*:[\w:]+", "", re.sub(r"\[[^]]*\]", "", expr))


@pytest.mark.parametrize("group", groups(), ids=lambda group: group["name"])
def test_a_group_is_no_larger_than_mimir_accepts(group):
    """Its ``ruler_max_rules_per_rule_group`` is 20 by default, and so it is in Grafana Cloud."""
    assert len(group["rules"]) <= 20


def test_rules_that_a_page_needs_are_in_one_group_in_order():
    """From the rates to the alarm of the fast windows, each after what it reads."""
    (group,) = (each for each in groups() if each["name"] == "pearl-windows-fast")
    made = [rule["record"] for rule in group["rules"]]
    for number, rule in enumerate(group["rules"]):
        read = set(re.findall(r"\w*:[\w:]+", re.sub(r"\[[^]]*\]", "", rule["expr"])))
        own = read & set(made)
        assert own <= set(made[: number + 1])
        assert {each.partition(":")[2] for each in read - own} <= {
            "threshold",
            "pearl_calls_seen:increase7d",
            "pearl_calls_share:usual",
            "pearl_calls_share:limit",
        }


def test_fast_and_slow_windows_are_judged_by_the_same_rules():
    def judged(speed: str) -> list[tuple[str, str]]:
        (group,) = (each for each in groups() if each["name"] == f"pearl-windows-{speed}")
        return [
            (rule["record"], rule["expr"].replace(f'{{speed="{speed}"}}', ""))
            for rule in group["rules"]
            if rule.get("labels") == {"speed": speed}
        ]

    assert judged("fast") == judged("slow")
    assert len(judged("fast")) == 6


def test_the_factor_of_the_windows_is_their_groups_interval():
    windows = [group for group in groups() if group["name"] in WINDOWS]
    assert [group["interval"] for group in windows] == ["15s"] * 3
    factors = [
        factor
        for group in windows
        for rule in group["rules"]
        for factor in re.findall(
            r"(\d+) \* (?:sum without \(status\) \(\s*)?sum_over_time", rule["expr"]
        )
    ]
    assert set(factors) == {"15"}
    assert len(factors) > 20


def test_recording_rules_are_named_level_metric_operation():
    assert all(
        re.fullmatch(r"[a-z_]+:[a-z_]+:[a-z_0-9]+", name)
        for name in recorded() - {"pearl:threshold"}
    )
