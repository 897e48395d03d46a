"""Writes THIRD_PARTY.md: what is installed beside the exporter when it runs, and its licences.

    make third-party

With --pinned it prints the packages with their versions instead, as requirements.

Read from the metadata of what is installed. Only the licences of `ALLOWED` may occur.
"""

import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "THIRD_PARTY.md"

ALLOWED = frozenset(
    {"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MPL-2.0", "PSF-2.0"}
)
"""Licences under which a package may be distributed beside ours, and in the image."""

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
    """What pearl-exporter needs to run, and what that needs, by name; on any system like ours."""
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
    """Its licences as SPDX names them; raises LookupError where its metadata name none we know."""
    about = package.metadata
    expression = about.get("License-Expression")
    if expression:
        return tuple(sorted(set(re.findall(r"[\w.+-]+", expression)) - {"AND", "OR", "WITH"}))
    classifiers = [each.rpartition(" :: ")[2] for each in about.get_all("Classifier") or ()]
    named = [_BY_CLASSIFIER[each] for each in classifiers if each in _BY_CLASSIFIER]
    text = (about.get("License") or "").strip()
    if not named and (text in ALLOWED or text in _BY_TEXT):
        named = [_BY_TEXT.get(text, text)]
    if not named:
        raise LookupError(f"{about['Name']}: its metadata name no licence that we know: {text!r}")
    return tuple(sorted(set(named)))


def page() -> str:
    """The whole page."""
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
    """The command."""
    if sys.argv[1:] == ["--pinned"]:
        for each in runtime_packages():
            sys.stdout.write(f"{each.metadata['Name']}=={each.version}\n")
    else:
        PAGE.write_text(page())


if __name__ == "__main__":
    main()
