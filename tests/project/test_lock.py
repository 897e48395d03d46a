"""The image's packages are locked by hash, in step with constraints.txt: `make lock`."""

import re
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.third_party import runtime_packages

ROOT = Path(__file__).parents[2]
LOCKS = ("image.txt", "image-build.txt")


def locked(name: str) -> dict[str, tuple[str, set[str]]]:
    """Version and hashes by package."""
    text = (ROOT / "requirements" / name).read_text()
    blocks = re.findall(
        r"^(\S+)==(\S+) \\\n((?: +--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", text, re.MULTILINE
    )
    rest = [line for line in text.splitlines() if not line.startswith(("#", " "))]
    assert len(rest) == len(blocks), "a package without hashes, or a line of another kind"
    return {
        canonicalize_name(package): (version, set(re.findall(r"sha256:(\w+)", hashes)))
        for package, version, hashes in blocks
    }


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = (line.split("==") for line in lines if "==" in line)
    return {canonicalize_name(package): version for package, version in pins}


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_the_versions_of_the_constraints(name):
    pinned = constraints()
    versions = {package: version for package, (version, _) in locked(name).items()}
    assert versions == {package: pinned.get(package) for package in versions}


def test_the_image_has_what_runs_and_nothing_else():
    names = {canonicalize_name(each.metadata["Name"]) for each in runtime_packages()}
    assert set(locked("image.txt")) == names


def test_what_builds_is_there_whole():
    wanted, left = set(), ["hatchling"]
    while left:
        name = canonicalize_name(left.pop())
        wanted.add(name)
        needs = map(Requirement, distribution(name).requires or ())
        needed = [
            each for each in needs if each.marker is None or each.marker.evaluate({"extra": ""})
        ]
        left += [each.name for each in needed if canonicalize_name(each.name) not in wanted]
    assert set(locked("image-build.txt")) >= wanted


def test_locked_releases_have_hashes_for_all_processors():
    """A package of machine code has a file for each; of one alone, arm64 could not be built."""
    locks = locked("image.txt")
    for name in ("msgspec", "google-re2", "pydantic-core", "bcrypt", "pyyaml", "sqlalchemy"):
        assert len(locks[name][1]) >= 20, name
    assert all(len(hashes) >= 2 for _, hashes in locks.values()), "a wheel and a source each"


def test_the_dockerfile_installs_by_hash_alone():
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    installs = re.findall(r"python -m pip (?:--python \S+ )?(?:install|wheel)\b([^&]*)", text)
    assert len(installs) == 4
    assert all("--require-hashes" in each or "--no-index" in each for each in installs)
    assert set(re.findall(r"requirements/(\S+)", text)) == set(LOCKS)


def test_the_lock_is_for_the_python_of_the_image():
    (tag,) = set(
        re.findall(r"^FROM \S+/python:(3\.\d+)-", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    )
    assert f"--python-version {tag} " in (ROOT / "Makefile").read_text()
