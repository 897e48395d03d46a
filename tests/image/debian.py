"""Programs of a newer Debian than this machine's, unpacked without installing them."""

from pathlib import Path

from tests.image.builder import debian_mirror, run_to_end


def unpacked_package(name: str, suite: str, folder: Path) -> Path:
    """Fetches a package from a suite; the folder with its files. apt's own state is not touched."""
    for part in ("lists/partial", "cache/archives/partial"):
        (folder / part).mkdir(parents=True)
    sources = folder / "sources.list"
    sources.write_text(f"deb {debian_mirror()} {suite} main\n")
    options = {
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": folder / "lists",
        "Dir::Cache": folder / "cache",
        "APT::Sandbox::User": "root",
    }
    apt = [
        "apt-get",
        "-qq",
        *(word for each in options.items() for word in ("-o", "=".join(map(str, each)))),
    ]
    run_to_end(*apt, "update", folder=folder)
    run_to_end(*apt, "download", f"{name}/{suite}", folder=folder)
    (package,) = folder.glob("*.deb")
    run_to_end("dpkg", "-x", package, folder / "files")
    return folder / "files"
