"""Builds the image from the Dockerfile as it is, with buildah: no engine, no registry, no daemon.

The image that it begins with can't be fetched everywhere, so a stand-in is made from Debian's own
packages and given its name. Everything is kept in one folder.
"""

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_STORAGE = '[storage]\ndriver = "{0}"\ngraphroot = "{1}/store"\nrunroot = "{1}/run"\n'
_DRIVERS = ("overlay", "vfs")
"""The first that the file system can do; vfs, which copies every layer whole, it always can."""

_PACKAGES = {"buildah": "buildah", "mmdebstrap": "mmdebstrap", "ip": "iproute2"}


@dataclass(frozen=True)
class Buildah:
    """buildah with its images and containers in ``folder``."""

    folder: Path

    def __call__(self, *arguments: str | Path) -> str:
        variables = {
            "BUILDAH_ISOLATION": "chroot",
            "CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf"),
            "CONTAINERS_REGISTRIES_CONF": str(self.folder / "registries.conf"),
        }
        return run_to_end("buildah", *arguments, env=os.environ | variables)

    def config(self, image: str) -> dict[str, Any]:
        """The image's configuration, as an engine reads it."""
        told = json.loads(self("inspect", "--type", "image", image))
        config: dict[str, Any] = told["Docker"]["config"]
        return config


def buildah_in(folder: Path) -> Buildah:
    """Set up buildah in an empty folder; the test fails where it could not work, and says why."""
    if os.geteuid() != 0:
        pytest.fail("the image is built and run as root: call make image-test as root", False)
    for name, package in _PACKAGES.items():
        if shutil.which(name) is None:
            pytest.fail(f"this test needs {name}: apt-get install {package}", pytrace=False)
    for driver in _DRIVERS:
        buildah = Buildah(folder / driver)
        buildah.folder.mkdir(parents=True)
        storage = _STORAGE.format(driver, buildah.folder)
        (buildah.folder / "storage.conf").write_text(storage)
        registries = 'unqualified-search-registries = ["docker.io"]\n'
        (buildah.folder / "registries.conf").write_text(registries)
        try:
            buildah("images")
        except AssertionError as error:
            complaint = str(error)
        else:
            return buildah
    raise AssertionError(complaint)


def build_stand_in(buildah: Buildah) -> None:
    """Makes what the Dockerfile's FROM lines name."""
    bases = set(re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    assert len(bases) == 1, bases
    context = buildah.folder / "stand-in"
    context.mkdir()
    packages = "--include=python3,python3-venv,ca-certificates"
    tar = context / "base.tar"
    run_to_end("mmdebstrap", "-q", "--variant=minbase", packages, "trixie", tar, debian_mirror())
    shutil.copy(_CERTIFICATES, context)
    recipe = Path(__file__).with_name("stand-in.Dockerfile")
    buildah("bud", "-q", "--pull-never", "-f", recipe, "-t", bases.pop(), context)
    tar.unlink()


def build_image(buildah: Buildah, tag: str) -> None:
    """What ``docker build`` does with the project's folder."""
    network = ("--network", "host")
    buildah("bud", "-q", "--pull-never", *network, "--format", "docker", "-t", tag, ROOT)


def debian_mirror() -> str:
    """Where this machine has its Debian packages from."""
    sites = run_to_end("apt-get", "indextargets", "--format", "$(SITE)").split()
    assert sites, "apt knows no mirror"
    return min(sites)


def run_to_end(
    *command: str | Path, env: dict[str, str] | None = None, folder: Path | None = None
) -> str:
    """What a program prints; the test fails with all that it says if it does not end well."""
    run = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, check=False)
    assert run.returncode == 0, f"{' '.join(map(str, command))}\n{run.stdout}{run.stderr}"
    return run.stdout.strip()
