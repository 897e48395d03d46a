"""Write THIRD_PARTY.md: the packages that pearl-exporter installs, and their licences.

    make third-party

With ``--pinned`` it prints the packages with their versions as requirements instead. Everything is
read from the metadata of the installed packages. Only licences of `ALLOWED` may occur.
"""

import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageMetadata, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "THIRD_PARTY.md"

ALLOWED = frozenset(
    {"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MPL-2.0", "PSF-2.0"}
)
"""Licences that allow to distribute a package together with pearl-exporter, and in the image."""

_BY_CLASSIFIER = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
_BY_TEXT = {
    "MIT License": "MIT",
    "Apache License 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "BSD": "BSD-3-Clause",
}


def runtime_packages() -> list[Distribution]:
    """Return all direct and indirect dependencies of pearl-exporter, ordered by name."""
    found: dict[str, Distribution] = {}
    left = list(_needs(distribution("pearl-exporter"), frozenset()))
    while left:
        requirement = left.pop()
        name = canonicalize_name(requirement.name)
        if name not in found:
            found[name] = distribution(name)
            left += _needs(found[name], frozenset(requirement.extras))
    return [found[name] for name in sorted(found)]


def _needs(package: Distribution, extras: frozenset[str]) -> Iterator[Requirement]:
    for text in package.requires or ():
        requirement = Requirement(text)
        if requirement.marker is None or any(
            requirement.marker.evaluate({"extra": extra}) for extra in ("", *extras)
        ):
            yield requirement


def licences_of(package: Distribution) -> tuple[str, ...]:
    """Return the SPDX names of a package's licences.

    Raises:
        LookupError: The package's metadata name no licence that is known here.
    """
    about = package.metadata
    if expression := _field(about, "License-Expression"):
        return tuple(sorted(set(re.findall(r"[\w.+-]+", expression)) - {"AND", "OR", "WITH"}))
    classifiers = [each.rpartition(" :: ")[2] for each in about.get_all("Classifier") or ()]
    named = [_BY_CLASSIFIER[each] for each in classifiers if each in _BY_CLASSIFIER]
    text = _field(about, "License").strip()
    if not named and (text in ALLOWED or text in _BY_TEXT):
        named = [_BY_TEXT.get(text, text)]
    if not named:
        raise LookupError(f"{about['Name']}: its metadata name no known licence, got {text!r}")
    return tuple(sorted(set(named)))


def _field(about: PackageMetadata, name: str) -> str:
    values: list[str] = about.get_all(name) or [""]
    return values[0]


def page() -> str:
    """Return the content of THIRD_PARTY.md."""
    rows = "\n".join(
        f"| {each.metadata['Name']} | {each.version} | {', '.join(licences_of(each))} |"
        for each in runtime_packages()
    )
    return f"""# Third-party packages

What `pip install pearl-exporter` installs beside it, with the versions of
[constraints.txt](constraints.txt). Written by `make third-party` from the packages' own metadata.
The licences' texts come with each package, in its `.dist-info` folder. The image has Debian's
packages and Python besides.

| package | version | licence |
|---|---|---|
{rows}
"""


def main() -> None:
    """Write the page, or print the requirements."""
    if sys.argv[1:] == ["--pinned"]:
        for each in runtime_packages():
            sys.stdout.write(f"{each.metadata['Name']}=={each.version}\n")
    else:
        PAGE.write_text(page())


if __name__ == "__main__":
    main()
