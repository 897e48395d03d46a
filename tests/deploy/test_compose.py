"""The compose file: valid, wired to the folders beside it, and understood by the exporter."""

import re
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

from tests.deploy.tools import DEPLOY, ROOT, loaded, options_of, run_tool
from tests.support.programs import debian_program, eventually, running, running_pearl
from tests.support.prometheus import Prometheus

FOLDER = DEPLOY / "compose"
FILE = FOLDER / "compose.yaml"
PROMETHEUS = FOLDER / "prometheus" / "prometheus.yml"
COMPOSE = yaml.safe_load(FILE.read_text())
SERVICES = COMPOSE["services"]


def mounts(service: str) -> dict[str, str]:
    """Source by target."""
    found = {}
    for volume in SERVICES[service]["volumes"]:
        if isinstance(volume, dict):
            found[volume["target"]] = volume["source"]
        else:
            source, target, *_ = volume.split(":")
            found[target] = source
    return found


def in_project(service: str, path: str) -> Path | None:
    """The file of this project that a path in the container is."""
    for target, source in mounts(service).items():
        if source.startswith(".") and PurePosixPath(path).is_relative_to(target):
            return FOLDER / source / PurePosixPath(path).relative_to(target)
    return None


def own_files() -> set[Path]:
    """Files that docs/deploy.md has one make here."""
    return {FOLDER / "exporter" / "config.yml", FOLDER / "exporter" / "nlpearl-token"}


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_mounted_is_a_folder_that_is_there(service):
    """A file that is mounted alone stays the old one where it is replaced outside."""
    sources = [source for source in mounts(service).values() if source.startswith(".")]
    for source in sources:
        assert (FOLDER / source).is_dir(), source
    assert "secrets" not in SERVICES[service], "the engine mounts a secret as a file alone"


def test_it_is_valid_by_the_compose_specification():
    run = run_tool("check-jsonschema", "--builtin-schema", "vendor.compose-spec", FILE)
    assert run.returncode == 0, run.stdout


def test_an_unknown_key_would_be_noticed(tmp_path):
    bad = tmp_path / "compose.yaml"
    bad.write_text(FILE.read_text().replace("read_only:", "read_onyl:"))
    run = run_tool("check-jsonschema", "--builtin-schema", "vendor.compose-spec", bad)
    assert run.returncode == 1
    assert "read_onyl" in run.stdout


@pytest.mark.parametrize("service", SERVICES)
def test_every_image_is_pinned(service):
    name, _, tag = SERVICES[service]["image"].rpartition(":")
    assert name
    assert tag[:1].isdigit() or tag[:2].strip("v").isdigit()


@pytest.mark.parametrize("service", SERVICES)
def test_ports_are_this_machines_alone(service):
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[service]["ports"])


def test_the_named_volumes_are_declared():
    named = {
        source
        for service in SERVICES
        for source in mounts(service).values()
        if not source.startswith(".")
    }
    assert named == set(COMPOSE["volumes"])


@pytest.mark.parametrize("service", ["exporter", "demo"])
def test_the_exporter_is_confined(service):
    settings = SERVICES[service]
    assert settings["read_only"] is True
    assert settings["cap_drop"] == ["ALL"]
    assert settings["security_opt"] == ["no-new-privileges:true"]


def test_an_exporter_has_the_name_that_is_scraped():
    profiles = {name: SERVICES[name]["profiles"] for name in ("exporter", "demo")}
    assert profiles == {"exporter": ["serve"], "demo": ["demo"]}
    config = yaml.safe_load(PROMETHEUS.read_text())
    (job,) = config["scrape_configs"]
    (target,) = job["static_configs"][0]["targets"]
    host, _, port = target.partition(":")
    for name in profiles:
        assert host in SERVICES[name]["networks"]["default"]["aliases"]
        assert SERVICES[name]["ports"] == [f"127.0.0.1:{port}:{port}"]


def test_the_exporter_takes_its_command_variables_and_files(tmp_path):
    service = SERVICES["exporter"]
    options = options_of(service["command"])
    token = service["environment"]["PEARL_API_TOKEN_FILE"]
    assert {in_project("exporter", str(path)) for path in (options["config"], token)} == own_files()
    example = FOLDER / "exporter" / "config.example.yml"
    assert loaded(example, service["environment"], tmp_path).outbounds


def test_the_state_is_where_the_image_has_its_volume():
    assert mounts("exporter")["/var/lib/pearl-exporter"] == "state"


def test_the_demo_listens_where_others_can_reach_it():
    assert str(options_of(SERVICES["demo"]["command"])["listen"]) == ":10042"


def test_what_the_readme_has_one_make_is_not_committed():
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert {f"/{path.relative_to(ROOT)}" for path in own_files()} <= set(ignored)


# Prometheus, Alertmanager and Grafana find their files


def config_file(service: str) -> Any:
    (flag,) = [each for each in SERVICES[service]["command"] if each.startswith("--config.file=")]
    return in_project(service, flag.partition("=")[2])


def test_prometheus_reads_the_file_beside_the_compose_file():
    assert config_file("prometheus").resolve() == PROMETHEUS


def test_every_rule_file_is_read_and_nothing_else():
    patterns = yaml.safe_load(PROMETHEUS.read_text())["rule_files"]
    read = set()
    for pattern in patterns:
        folder = in_project("prometheus", str(PurePosixPath(pattern).parent))
        assert folder is not None, pattern
        read |= {file.resolve() for file in folder.glob(PurePosixPath(pattern).name)}
    assert read == rule_files()


def rule_files() -> set[Path]:
    return {
        file
        for file in (DEPLOY / "prometheus").rglob("*.yml")
        if "groups" in yaml.safe_load(file.read_text())
    }


def test_prometheus_knows_the_alertmanager_of_the_stack():
    config = yaml.safe_load(PROMETHEUS.read_text())
    (manager,) = config["alerting"]["alertmanagers"]
    assert manager["static_configs"] == [{"targets": ["alertmanager:9093"]}]
    assert config_file("alertmanager").resolve() == DEPLOY / "alertmanager" / "alertmanager.yml"


def on_this_machine(text: str, folders: dict[str, Path]) -> str:
    """The text with the paths of the container replaced, and with this machine for its host."""
    targets = "|".join(map(re.escape, sorted(folders, key=len, reverse=True)))
    text = re.sub(rf"(?<![\w/])({targets})\b", lambda found: str(folders[found[0]]), text)
    return text.replace("alertmanager:9093", "127.0.0.1:1")


def test_prometheus_runs_so_configured_and_scrapes_the_demo(tmp_path):
    """The compose file's own command and configuration, in a real Prometheus and exporter."""
    folders = {
        target: FOLDER / source if source.startswith(".") else tmp_path / source
        for target, source in mounts("prometheus").items()
    }
    folders["/etc/prometheus"] = tmp_path / "etc"
    config = tmp_path / "etc" / "prometheus.yml"
    config.parent.mkdir()
    with running_pearl(tmp_path / "demo", "demo", "--listen", "127.0.0.1:0") as demo:
        address = demo.says("the metrics").rpartition("http://")[2].removesuffix("/metrics")
        text = PROMETHEUS.read_text()
        text = text.replace("pearl-exporter:10042", address).replace(": 15s", ": 1s")
        config.write_text(on_this_machine(text, folders))
        flags = [on_this_machine(word, folders) for word in SERVICES["prometheus"]["command"]]
        command = [debian_program("prometheus"), *flags, "--web.listen-address=127.0.0.1:0"]
        with running(command, tmp_path / "run") as process:
            listens = process.says('"Listening on"').rpartition("address=")[2].split()[0]
            process.says("Server is ready to receive web requests")
            server = Prometheus(f"http://{listens}")
            eventually(lambda: server.value('up{job="pearl"}'), what="a scrape")
            groups = re.findall(r'rules\{rule_group="([^;"]+);', server.own_metrics())
            assert {Path(file).resolve() for file in groups} == rule_files()
            server.close()


def provisioned(kind: str) -> list[Any]:
    files = sorted((DEPLOY / "grafana" / "provisioning" / kind).glob("*.y*ml"))
    return [each for file in files for each in yaml.safe_load(file.read_text())[key_of(kind)]]


def key_of(kind: str) -> str:
    return {"datasources": "datasources", "dashboards": "providers"}[kind]


def test_grafana_loads_the_dashboards_of_this_project():
    for provider in provisioned("dashboards"):
        folder = in_project("grafana", provider["options"]["path"])
        assert folder is not None
        assert folder.resolve() == DEPLOY / "grafana" / "dashboards"


def test_grafana_asks_the_prometheus_of_the_stack():
    for source in provisioned("datasources"):
        assert source["url"] == "http://prometheus:9090"
