"""The Dockerfile, without building it: that and the running image are tested by make image-test."""

import importlib
import json
import re

import pytest

from pearl_exporter import __version__
from tests.deploy.tools import ROOT, TOKEN, loaded, options_of, run_tool

TEXT = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
STATE = "/var/lib/pearl-exporter"


def instructions(name: str) -> list[str]:
    return re.findall(rf"^{name} +(.*)$", TEXT, re.MULTILINE)


def test_hadolint_has_no_complaint():
    run = run_tool("hadolint", "--failure-threshold", "style", ROOT / "Dockerfile")
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_hadolint_would_have_one(tmp_path):
    bad = tmp_path / "Dockerfile"
    bad.write_text("FROM python\nRUN cd /tmp && pip install httpx\n")
    assert run_tool("hadolint", bad).returncode == 1


def test_both_stages_are_of_one_pinned_image():
    stages = {stage.removesuffix(" AS build") for stage in instructions("FROM")}
    assert len(instructions("FROM")) == 2
    (stage,) = stages
    assert re.fullmatch(r"docker\.io/library/python:3\.\d+-slim-[a-z]+", stage)
    assert f'image.base.name="{stage}"' in TEXT


def test_the_version_is_the_programs():
    assert f'image.version="{__version__}"' in TEXT


@pytest.mark.parametrize("file", ["docs/deploy.md", "deploy/compose/compose.yaml"])
def test_others_name_the_image_by_that_version(file):
    named = re.findall(r"pearl-exporter:(\d[\w.]*)", (ROOT / file).read_text())
    assert set(named) == {__version__}


def test_the_state_is_absolute_and_on_the_volume(tmp_path):
    (environment,) = instructions("ENV")
    environ = dict(each.split("=", 1) for each in environment.split())
    given = {"PEARL_API_TOKEN": TOKEN, "PEARL_OUTBOUNDS": "a"}
    settings = loaded(None, environ | given, tmp_path)
    assert settings.state.url == f"sqlite:///{STATE}/pearl-exporter.db"
    assert instructions("VOLUME") == [STATE]


def test_the_command_is_one_and_its_address_is_the_exposed_one(tmp_path):
    (command,) = instructions("CMD")
    assert options_of(json.loads(command)) == {"config": None}
    settings = loaded(None, {"PEARL_API_TOKEN": TOKEN, "PEARL_OUTBOUNDS": "a"}, tmp_path)
    assert instructions("EXPOSE") == [str(settings.web.listen.port)]


def test_the_health_check_is_there_and_asks_the_exposed_port():
    (check,) = instructions("HEALTHCHECK")
    *_, module = json.loads(check.partition("CMD")[2])
    healthcheck = importlib.import_module(module)
    assert healthcheck.DEFAULT_ADDRESS.rpartition(":")[2] in instructions("EXPOSE")


@pytest.mark.parametrize("secret", [".git", "nlpearl-token", "config.yml", "data", ".venv"])
def test_the_build_sees_only_what_is_named(secret):
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    assert patterns[0] == "*"
    assert f"!{secret}" not in patterns
    copied = [line.split()[:-1] for line in instructions("COPY") if "--from" not in line]
    named = {pattern[1:] for pattern in patterns if pattern.startswith("!")}
    assert {name for names in copied for name in names} == named
