"""What is released: the same bytes wherever and whenever it is built, all that belongs in it."""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tools.third_party import ALLOWED, PAGE, licences_of, page, runtime_packages

ROOT = Path(__file__).parents[2]
PARTS = ("pearl_exporter", "docs", "tests", "deploy", "tools", "bench")
MADE_HERE = shutil.ignore_patterns("__pycache__", "node_modules", "bundle*")


def built(folder: Path, *, mtime: int, mode: int, **env: str) -> Path:
    """Builds a copy of this project whose files are of another time and for others to read."""
    source, output = folder / "source", folder / "dist"
    for part in PARTS:
        shutil.copytree(ROOT / part, source / part, symlinks=True, ignore=MADE_HERE)
    for file in (each for each in ROOT.iterdir() if each.is_file()):
        if not file.name.startswith(".coverage"):
            shutil.copy(file, source / file.name)
    for file in source.rglob("*"):
        if file.is_file() and not file.is_symlink():
            os.utime(file, (mtime, mtime))
            file.chmod(mode)
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(output)],
        cwd=source,
        env={**os.environ, **env},
        capture_output=True,
        check=True,
    )
    return output


@pytest.fixture(scope="module")
def builds(tmp_path_factory) -> tuple[Path, Path]:
    one = built(tmp_path_factory.mktemp("one"), mtime=1_000_000_000, mode=0o644, TZ="UTC")
    other_folder = tmp_path_factory.mktemp("another") / "deeper"
    other = built(other_folder, mtime=1_700_000_001, mode=0o600, TZ="Asia/Kathmandu", LANG="C")
    return one, other


def digests(folder: Path) -> dict[str, str]:
    return {each.name: hashlib.sha256(each.read_bytes()).hexdigest() for each in folder.iterdir()}


def test_two_builds_are_the_same_to_the_byte(builds):
    one, other = builds
    assert len(digests(one)) == 2
    assert digests(one) == digests(other)


def test_the_wheel_holds_the_program_and_its_licence_alone(builds):
    (file,) = builds[0].glob("*.whl")
    with zipfile.ZipFile(file) as wheel:
        names = wheel.namelist()
    code = [name for name in names if name.startswith("pearl_exporter/")]
    assert {Path(name).suffix for name in code} == {".css", ".html", ".py", ".typed"}
    pages = ROOT / "pearl_exporter/web/pages"
    found = [*ROOT.glob("pearl_exporter/**/*.py"), pages / "style.css"]
    found += pages.glob("templates/*.html")
    files = [each.relative_to(ROOT).as_posix() for each in found]
    assert sorted(code) == sorted([*files, "pearl_exporter/py.typed"])
    rest = {Path(name).name for name in names if name not in code}
    assert rest == {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "LICENSE"}


def test_the_sdist_holds_the_project_and_no_local_path(builds):
    (file,) = builds[0].glob("*.tar.gz")
    with tarfile.open(file) as sdist:
        members = sdist.getmembers()
    names = {member.name.partition("/")[2] for member in members}
    wanted = {
        "LICENSE", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "THIRD_PARTY.md",
        "constraints.txt", "Makefile", "Dockerfile", "docs/privacy.md", "pyproject.toml",
        "tests/exposition/golden/metrics.om", "pearl_exporter/py.typed",
        "pearl_exporter/web/pages/style.css", "pearl_exporter/web/pages/templates/page.html",
        "deploy/prometheus/rules/pearl-alerts.yml",
        "deploy/kubernetes/pearl-exporter/files/prometheus/rules/pearl-alerts.yml",
        "deploy/grafana/dashboards/pearl-outbound-detail.json",
        "deploy/kubernetes/pearl-exporter/files/dashboards/pearl-outbound-detail.json",
    }  # fmt: skip
    assert wanted <= names
    bad = (".venv", ".git/", "__pycache__", "node_modules", ".db", ".prom", "nlpearl-token")
    assert not [name for name in names if any(part in name for part in bad)]
    assert {(member.uid, member.gid, member.uname) for member in members} == {(0, 0, "")}


def test_the_page_of_third_party_packages_is_what_is_installed():
    """`make third-party` writes it."""
    assert PAGE.read_text() == page()


def test_every_runtime_package_has_a_licence_that_we_may_go_with():
    found = {each.metadata["Name"]: licences_of(each) for each in runtime_packages()}
    assert len(found) > 20
    assert {*found} >= {"httpx", "SQLAlchemy", "pydantic_core", "certifi"}
    assert {name: its for name, its in found.items() if not {*its} <= ALLOWED} == {}


def test_every_runtime_package_is_pinned():
    lines = (ROOT / "constraints.txt").read_text().lower().replace("_", "-").splitlines()
    pinned = dict(line.split("==") for line in lines if "==" in line)
    for each in runtime_packages():
        assert pinned[each.metadata["Name"].lower().replace("_", "-")] == each.version
