"""The compose file, as Docker Compose itself understands it."""

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.deploy.tools import DEPLOY
from tests.image.debian import unpacked_package

pytestmark = pytest.mark.image

FILE = DEPLOY / "compose" / "compose.yaml"


@pytest.fixture(scope="module")
def docker_compose(tmp_path_factory) -> Path:
    files = unpacked_package("docker-compose", "trixie", tmp_path_factory.mktemp("debian"))
    return files / "usr" / "bin" / "docker-compose"


def run(program: Path, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("profile", "exporter"), [("demo", "demo"), ("serve", "exporter")])
def test_each_profile_has_one_exporter_and_the_stack(docker_compose, profile, exporter):
    told = run(docker_compose, "-f", FILE, "--profile", profile, "config")
    assert told.returncode == 0, told.stderr
    assert told.stderr == ""
    services = yaml.safe_load(told.stdout)["services"]
    assert set(services) == {exporter, "prometheus", "alertmanager", "grafana"}
    assert services[exporter]["read_only"] is True


def test_the_demo_needs_no_file_and_no_secret_of_the_users(docker_compose):
    told = run(docker_compose, "-f", FILE, "--profile", "demo", "config")
    demo = yaml.safe_load(told.stdout)["services"]["demo"]
    assert not {"secrets", "volumes", "environment"} & set(demo)


def test_a_mistake_would_be_noticed(docker_compose, tmp_path):
    bad = tmp_path / "compose.yaml"
    bad.write_text(FILE.read_text().replace("read_only:", "read_onyl:"))
    assert run(docker_compose, "-f", bad, "config", "-q").returncode != 0
