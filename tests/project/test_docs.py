"""The documentation says what is so: every metric, key, command, query and link in it exists."""

import json
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest
import yaml

from pearl_exporter.cli import main
from pearl_exporter.config import ConfigError, load_settings
from pearl_exporter.errors import Reason
from pearl_exporter.exposition.exporter_metrics import ExporterMetrics
from pearl_exporter.exposition.outbound_metrics import OUTBOUND_METRICS
from pearl_exporter.exposition.platform_metrics import PLATFORM_METRICS
from pearl_exporter.web.endpoints import build_endpoints
from pearl_exporter.web.view import View
from tests.support.config_keys import settings_keys
from tests.support.programs import PACKAGES

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
METRICS = ROOT / "docs" / "metrics.md"
CONFIGURATION = ROOT / "docs" / "configuration.md"
COMMANDS = ROOT / "docs" / "commands.md"
ENDPOINTS = ROOT / "docs" / "endpoints.md"
QUERIES = ROOT / "docs" / "promql.md"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "bench" / "README.md"])
RECORDED = r"\w*:[\w:]*\w"
"""Series of the rules in ``deploy/``: tested with them."""
APT_GET = r"apt-get install ([\w-]+)"
KEYS = {key.path: key for key in settings_keys()}

Metrics = dict[str, tuple[str, frozenset[str]]]
"""Type and labels, by name."""


def test_there_are_pages_to_test():
    names = {page.relative_to(ROOT).as_posix() for page in PAGES}
    assert names >= {"README.md", "CONTRIBUTING.md", "docs/metrics.md", "docs/how-it-reads.md"}
    assert names >= {"docs/install.md", "docs/runbooks/README.md", "bench/README.md"}


def test_the_readme_is_short():
    assert len(README.read_text().splitlines()) <= 180


# What a page holds


def fences(page: Path) -> Iterator[tuple[str, str]]:
    """Language and text of every fenced block; in a list item, without its indentation."""
    pattern = r"^( *)```(\w*)\n(.*?)^\1```$"
    for indent, language, text in re.findall(pattern, page.read_text(), re.MULTILINE | re.DOTALL):
        yield language, re.sub(rf"^{indent}", "", text, flags=re.MULTILINE)


def blocks(page: Path, language: str) -> list[str]:
    return [text for each, text in fences(page) if each == language]


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return re.sub(r"^( *)```.*?^\1```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def code(page: Path) -> Iterator[str]:
    """Every piece of code: lines of shell blocks, with their continuations, and inline code."""
    for language in ("sh", "console", ""):
        for block in blocks(page, language):
            yield from block.replace("\\\n", " ").splitlines()
    yield from re.findall(r"`([^`\n]+)`", prose(page))


def table(page: Path, first_column: str) -> list[list[str]]:
    """The cells of every row whose first cell is code that matches."""
    rows = [line.strip().strip("|").split(" | ") for line in prose(page).splitlines()]
    cells = [[cell.strip() for cell in row] for row in rows]
    return [row for row in cells if re.fullmatch(f"`(?:{first_column})`", row[0]) and len(row) > 1]


def queries(page: Path) -> list[str]:
    return [
        query.strip() for block in blocks(page, "promql") for query in re.split(r"\n\n+", block)
    ]


def queries_alone(page: Path) -> list[str]:
    """Every query of the page, without its comment."""
    return [re.sub(r"^#.*\n", "", query) for query in queries(page)]


# Metrics


def metrics_of_outbounds() -> Metrics:
    return {row.name: (row.kind, frozenset({"outbound", *row.labels})) for row in OUTBOUND_METRICS}


def metrics_of_exporter() -> Metrics:
    exporter = ExporterMetrics(budget=tuple, clock_skew_seconds=lambda: 0.0)
    families = [
        family for family in exporter.registry.collect() if family.name.startswith("pearl_")
    ]
    assert all(family.samples for family in families), "labels are read off the samples"
    return {
        family.name + ("_total" if family.type == "counter" else ""): (
            family.type,
            frozenset(label for sample in family.samples for label in sample.labels) - {"le"},
        )
        for family in families
    }


def metrics_of_platform() -> Metrics:
    return {row.name: ("gauge", frozenset(row.labels)) for row in PLATFORM_METRICS}


@cache
def all_metrics() -> Metrics:
    return metrics_of_outbounds() | metrics_of_platform() | metrics_of_exporter()


def test_the_metrics_page_lists_exactly_the_metrics():
    rows = table(METRICS, r"pearl_\w+")
    listed = {
        name.strip("`"): (kind, frozenset(re.findall(r"`(\w+)`", labels)))
        for name, kind, labels, _ in rows
    }
    assert len(listed) == len(rows), "a metric is listed twice"
    assert listed == all_metrics()


def test_metrics_are_listed_on_their_page_alone():
    listed = {
        page: [name for name, *_ in table(page, "|".join(all_metrics()))]
        for page in PAGES
        if page != METRICS
    }
    assert {page: names for page, names in listed.items() if names} == {}
    assert len(table(METRICS, "|".join(all_metrics()))) == len(all_metrics())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_metric_that_is_named_exists(page):
    series = {
        name + suffix
        for name, (kind, _) in all_metrics().items()
        for suffix in {
            "histogram": ("", "_bucket", "_count", "_sum"),
            "gaugehistogram": ("", "_bucket", "_gcount", "_gsum"),
        }.get(kind, ("",))
    }
    named = set(re.findall(r"\bpearl_\w*[a-z]\b", re.sub(RECORDED, "", page.read_text())))
    # the package, and a table of the state
    assert named - {"pearl_exporter", "pearl_exporter_schema"} <= series


def test_the_metrics_page_explains_every_reason_of_a_failed_poll():
    listed = [reason.strip("`") for reason, *_ in table(METRICS, "|".join(Reason))]
    assert listed == list(Reason)


# PromQL


def promtool(*arguments: str) -> None:
    """Runs promtool, without which this test fails, since a query that nobody parsed may be none.

    On Debian it is in the package prometheus.
    """
    run = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_prometheus_can_parse_every_query(page, tmp_path):
    rules = [
        {"record": f"query_{number}", "expr": query} for number, query in enumerate(queries(page))
    ]
    file = tmp_path / "rules.json"  # JSON is YAML
    file.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))
    promtool("check", "rules", str(file))


def test_there_are_queries_and_a_broken_one_would_be_noticed(tmp_path):
    assert len(queries(QUERIES)) > 10
    assert len(queries(README)) == 3
    assert set(queries_alone(README)) <= set(queries_alone(QUERIES))
    file = tmp_path / "rules.json"
    rule = {"record": "broken", "expr": queries(QUERIES)[0] + " / ("}
    file.write_text(json.dumps({"groups": [{"name": "queries", "rules": [rule]}]}))
    with pytest.raises(AssertionError, match="could not parse expression"):
        promtool("check", "rules", str(file))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_queries_select_by_labels_that_the_metric_has(page):
    metrics = all_metrics()
    for query in queries(page):
        for name, matchers in re.findall(r"(?<![\w:])(pearl_\w+)\{([^}]*)\}", query):
            metric = name if name in metrics else re.sub("_(bucket|g?count|g?sum)$", "", name)
            assert set(re.findall(r"(\w+)\s*[=!]", matchers)) <= {*metrics[metric][1], "le"}


def test_the_scrape_configuration_is_one():
    promtool("check", "config", str(ROOT / "deploy" / "prometheus" / "prometheus.yml"))


# Links


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert file.is_relative_to(ROOT), target
        assert not anchor or anchor in anchors(file), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page):
    folders = "docs|deploy|tests|bench|pearl_exporter"
    for piece in code(page):
        for name in re.findall(rf"(?<![\w./])(?:{folders})/[\w./-]*\w", piece):
            assert (ROOT / name).exists(), name


# Commands


def commands(page: Path) -> list[tuple[str, list[str]]]:
    """Each use of the program: its command, and its options."""
    used = [
        words.split()
        for piece in code(page)
        for words in re.findall(r"(?:pearl-exporter|-m pearl_exporter)((?: [^ ;|#]+)+)", piece)
    ]
    return [(words[0], [word for word in words if word.startswith("--")]) for words in used]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_and_option_that_is_named_exists(page):
    assert isinstance(main, click.Group)
    for command, options in commands(page):
        assert command in main.commands, command
        known = {name for parameter in main.commands[command].params for name in parameter.opts}
        assert set(options) <= {*known, "--help"}, command


@pytest.mark.parametrize("page", ["docs/install.md", "CONTRIBUTING.md"])
def test_every_debian_package_that_a_test_asks_for_is_named(page):
    tests = set(ROOT.glob("tests/**/*.py")) - set(ROOT.glob("tests/image/*.py"))
    asked = {name for file in tests for name in re.findall(APT_GET, file.read_text())}
    found = re.search(rf"{APT_GET}((?: [\w-]+)*)", (ROOT / page).read_text())
    assert found
    assert {found[1], *found[2].split()} >= {*PACKAGES.values(), *asked}
    assert "chromium" in asked


def test_the_page_on_commands_names_every_command():
    assert isinstance(main, click.Group)
    assert {command for command, _ in commands(COMMANDS)} == set(main.commands)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_that_is_named_exists(page):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {target for piece in code(page) for target in re.findall(r"^make ([a-z-]+)", piece)}
    assert named <= targets


def test_the_page_on_endpoints_lists_each_and_no_other():
    nothing = View(*[lambda *_: None] * 6)  # type: ignore[arg-type,list-item]
    routes = {route.path for route in build_endpoints(nothing).routes}
    named = {path.strip("`") for path, _ in table(ENDPOINTS, r"/[\w/<>-]*")}
    assert {path.replace("<name>", "{name:path}") for path in named} == routes


# Configuration


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_yaml_example_is_valid(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for text in blocks(page, "yaml"):
        file = tmp_path / "example.yml"
        file.write_text(text)
        if "scrape_configs" in yaml.safe_load(text):
            promtool("check", "config", str(file))
            continue
        for name in re.findall(r"token_file: (\S+)", text):
            (tmp_path / name).write_text("account:secret")
        assert load_settings(file, {}).outbounds


def test_the_readme_has_examples_of_both_kinds():
    kinds = ["scrape_configs" in yaml.safe_load(text) for text in blocks(README, "yaml")]
    assert set(kinds) == {True, False}


def test_the_example_file_loads(tmp_path):
    filled_in = tmp_path / "config.yml"
    example = (ROOT / "docs" / "example-config.yml").read_text()
    filled_in.write_text(re.sub(r"\bYOUR_(?=[A-Z])", "MY_", example))
    settings = load_settings(filled_in, {})
    assert [outbound.name for outbound in settings.outbounds] == ["spring-renewals"]


def test_the_example_file_needs_its_placeholders_replaced():
    with pytest.raises(ConfigError) as refused:
        load_settings(ROOT / "docs" / "example-config.yml", {})
    token, outbound = refused.value.problems
    assert ': api.token: "YOUR_ACCOUNT_ID" is an example; replace it by your own' in token
    told = ': outbounds.0.id: "YOUR_OUTBOUND_ID" is an example; replace it by the id of one'
    assert told in outbound


def test_keys_are_listed_on_their_page_alone_with_their_defaults():
    pattern = r"\w+(\[\])?(\.\w+)+"
    rows = table(CONFIGURATION, pattern)
    assert [path.strip("`") for path, *_ in rows] == list(KEYS)
    for path, default, *_ in rows:
        assert default == KEYS[path.strip("`")].default, path
    names = "|".join(map(re.escape, KEYS))
    assert [page for page in PAGES if page != CONFIGURATION and table(page, names)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_key_that_is_named_exists(page):
    sections = "|".join({path.partition(".")[0] for path in KEYS}).replace("[", r"\[")
    for piece in re.findall(r"`([^`\n]+)`", prose(page)):
        if re.fullmatch(rf"(?:{sections})\.[a-z_]+", piece) and not piece.endswith((".yml", ".py")):
            assert piece in KEYS, piece


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_variable_that_is_named_exists(page):
    known = {key.variable for key in KEYS.values()} | {"PEARL_OUTBOUNDS", "PEARL_CONFIG"}
    # the page on configuration names two that are none on purpose
    none = {"PEARL_POLL__INTERVALL", "PEARL_EXPORTER_PORT"}
    named = set(re.findall(r"\bPEARL_[A-Z_]*[A-Z]\b", page.read_text()))
    assert named <= known | none


# What must not be in it


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_names_a_package_registry_or_a_home_folder(page):
    text = page.read_text()
    assert not re.search(r"pypi\.|/simple/|--(extra-)?index-url|(?<!\w)/(home|root|Users)/", text)


def test_runbooks_ask_for_an_age_that_survives_a_restart():
    for page in (ROOT / "docs" / "runbooks").glob("*.md"):
        assert "pearl_outbound_last_success" not in page.read_text(), page.name
