"""The systemd unit: valid, confined, and understood by the exporter."""

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.tools import DEPLOY, loaded, options_of
from tests.support.patience import HANGING_SECONDS

UNIT = DEPLOY / "systemd" / "pearl-exporter.service"
SPECIFIERS = {"%d": "/run/credentials/pearl-exporter.service", "%S": "/var/lib"}


def settings(name: str) -> list[str]:
    lines = [line.partition("=") for line in UNIT.read_text().splitlines()]
    return [value for key, _, value in lines if key == name]


def analyze(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    if shutil.which("systemd-analyze") is None:
        pytest.fail("this test needs systemd-analyze: apt-get install systemd", pytrace=False)
    return subprocess.run(
        ["systemd-analyze", *arguments],
        capture_output=True,
        text=True,
        timeout=HANGING_SECONDS,
        check=False,
    )


def verified(text: str, folder: Path) -> str:
    """What systemd says of a unit whose program is there. It ends well over an unknown key."""
    program = folder / "pearl-exporter"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = folder / UNIT.name
    unit.write_text(text.replace("/opt/pearl-exporter/bin/pearl-exporter", str(program)))
    run = analyze("verify", "--man=no", unit)
    # what is wrong with other units of this machine is not ours
    return "\n".join(line for line in run.stderr.splitlines() if UNIT.name in line)


def test_systemd_has_no_complaint(tmp_path):
    assert verified(UNIT.read_text(), tmp_path) == ""


@pytest.mark.parametrize("mistake", ["ProtectHomes=yes", "Restart=sometimes"])
def test_systemd_would_have_one(tmp_path, mistake):
    text = UNIT.read_text().replace("[Service]", f"[Service]\n{mistake}")
    assert mistake.partition("=")[2] in verified(text, tmp_path) or "Unknown key" in verified(
        text, tmp_path
    )


def test_its_exposure_is_low():
    run = analyze("security", "--offline=true", "--threshold=15", "--no-pager", UNIT)
    assert run.returncode == 0, run.stdout


def test_the_threshold_would_be_noticed(tmp_path):
    loose = tmp_path / UNIT.name
    loose.write_text(UNIT.read_text().replace("CapabilityBoundingSet=", ""))
    run = analyze("security", "--offline=true", "--threshold=15", "--no-pager", loose)
    assert run.returncode == 1


def test_the_exporter_takes_its_command_and_variables(tmp_path):
    (command,) = settings("ExecStart")
    program, *arguments = shlex.split(command)
    assert program == "/opt/pearl-exporter/bin/pearl-exporter"
    assert options_of(arguments) == {"config": Path("/etc/pearl-exporter/config.yml")}
    environ = {}
    for line in settings("Environment"):
        name, _, value = line.partition("=")
        for specifier, meaning in SPECIFIERS.items():
            value = value.replace(specifier, meaning)
        environ[name] = value
    (credential,) = settings("LoadCredential")
    assert environ["PEARL_API_TOKEN_FILE"] == f"{SPECIFIERS['%d']}/{credential.partition(':')[0]}"
    config = tmp_path / "config.yml"
    config.write_text("outbounds: [{id: a}]\n")
    found = loaded(config, environ, tmp_path)
    assert found.state.url == "sqlite:////var/lib/pearl-exporter/pearl-exporter.db"
    assert settings("StateDirectory") == ["pearl-exporter"]


def test_a_bad_configuration_is_not_tried_again_and_again():
    assert settings("Restart") == ["on-failure"]
    assert settings("RestartPreventExitStatus") == ["2"]
