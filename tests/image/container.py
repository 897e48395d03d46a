"""Runs an image as an engine would, with the kernel's own means.

Its process is PID 1 of its own namespaces, is the image's user without any capability, and sees a
root file system that is read-only but for the volumes. The configuration is all from the image.
"""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.image.builder import Buildah
from tests.support.programs import Running, eventually, running

_DEVICES = ("null", "zero", "full", "random", "urandom")
_FETCH = """
import sys, urllib.request as r
asked = r.Request(sys.argv[1], headers={"Accept": sys.argv[2]})
print(r.build_opener(r.ProxyHandler({})).open(asked, timeout=5).read().decode(), end="")
"""


@dataclass(frozen=True)
class Image:
    """An image in buildah's store, unpacked at ``root``."""

    config: Mapping[str, Any]
    root: Path

    def command(self, *words: str, env: Mapping[str, str]) -> list[str]:
        """What is executed for these words, inside of the root."""
        user, group = self.config["User"].split(":")
        variables = [*self.config["Env"], *(f"{name}={value}" for name, value in env.items())]
        return [
            *("setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups"),
            *("--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"),
            *("env", "-i", "-C", self.config["WorkingDir"], *variables, *words),
        ]


@contextmanager
def unpacked(buildah: Buildah, tag: str) -> Iterator[Image]:
    """The image's files, mounted until the block ends."""
    container = buildah("from", "--pull-never", tag)
    try:
        yield Image(buildah.config(tag), Path(buildah("mount", container)))
    finally:
        buildah("rm", container)


@dataclass(frozen=True)
class Container:
    """A container under way; ``pid`` is its first process, as seen from outside."""

    process: Running
    image: Image
    pid: int

    def get(self, url: str, accept: str = "*/*") -> str:
        """The body that a URL answers in the container's network."""
        run = self._enter("--net", sys.executable, "-c", _FETCH, url, accept)
        assert run.returncode == 0, f"{url}: {run.stderr}"
        return run.stdout

    def health(self) -> int:
        """Runs the image's health check in the container: 0 if it is well."""
        kind, *words = self.image.config["Healthcheck"]["Test"]
        assert kind == "CMD", kind
        inside = ("--mount", "--pid", "--net", "--root", "--wd")
        return self._enter(*inside, *self.image.command(*words, env={})).returncode

    def status(self) -> dict[str, str]:
        """The kernel's view of its first process."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def stop(self) -> int:
        """Sends the image's stop signal; the exit code, which must come within 5 s."""
        self.send(signal.Signals[self.image.config["StopSignal"]])
        return self.process.ends(seconds=5)

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        self.process.ends(seconds=5)

    def _enter(self, *command: str) -> "subprocess.CompletedProcess[str]":
        target = ("nsenter", f"--target={self.pid}")
        return subprocess.run(
            [*target, *command], capture_output=True, text=True, timeout=20, check=False
        )


@contextmanager
def running_container(
    image: Image,
    folder: Path,
    *arguments: str,
    volume: Path,
    env: Mapping[str, str] | None = None,
    files: Mapping[Path, str] | None = None,
    network_of: Container | None = None,
) -> Iterator[Container]:
    """Runs the image's entry point until the block ends.

    ``volume`` is mounted where the image says, ``files`` (source, and path inside) are mounted to
    be read, and ``network_of`` is another container whose network is shared.
    """
    words = [*image.config["Entrypoint"], *(arguments or image.config["Cmd"])]
    inside = image.command(*words, env=env or {})
    script = _mounts(image, volume, files or {}, own_network=network_of is None)
    script += f"exec {shlex.join(['chroot', str(image.root), *inside])}\n"
    share = ["nsenter", f"--target={network_of.pid}", "--net"] if network_of else []
    spaces = ["--mount", "--pid", "--fork", "--kill-child", *([] if share else ["--net"])]
    with running([*share, "unshare", *spaces, "sh", "-ec", script], folder) as process:
        container = Container(process, image, _child(process))
        try:
            yield container
        finally:
            if process.process.poll() is None:  # unshare itself heeds no SIGTERM
                container.kill()


def _mounts(image: Image, volume: Path, files: Mapping[Path, str], *, own_network: bool) -> str:
    """The shell commands that put the container's file system together."""
    (at,) = image.config["Volumes"]
    root, run, dev = str(image.root), f"{image.root}/run", f"{image.root}/dev"
    commands = [
        *([["ip", "link", "set", "lo", "up"]] if own_network else []),
        ["mount", "--bind", root, root],
        ["mount", "-t", "tmpfs", "tmpfs", run],
        *_mounted((source, f"{root}{inside}") for source, inside in files.items()),
        ["mount", "-o", "remount,bind,ro", run],
        ["mount", "-o", "remount,bind,ro", root],
        ["mount", "--bind", str(volume), f"{root}{at}"],
        ["mount", "-t", "proc", "proc", f"{root}/proc"],
        ["mount", "-t", "tmpfs", "tmpfs", dev],
        *_mounted((Path("/dev", name), f"{dev}/{name}") for name in _DEVICES),
        ["mount", "-o", "remount,ro", dev],
    ]
    return "".join(f"{shlex.join(command)}\n" for command in commands)


def _mounted(files: Iterable[tuple[Path, str]]) -> Iterator[list[str]]:
    for source, inside in files:
        yield ["install", "-D", "/dev/null", inside]  # what a file is mounted over has to be there
        yield ["mount", "--bind", str(source), inside]


def _child(process: Running) -> int:
    """The process that ``unshare`` forked: the container's first."""
    pid = process.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children")

    def first() -> str | None:
        assert process.process.poll() is None, process.stderr
        return next(iter(children.read_text().split()), None)

    found = eventually(first, what="the container has a process")
    assert found is not None
    return int(found)


def owned_by(image: Image, folder: Path, mode: int = 0o700) -> Path:
    """A new folder that belongs to the image's user, as an engine makes a volume."""
    folder.mkdir(parents=True, mode=mode)
    os.chown(folder, *map(int, image.config["User"].split(":")))
    return folder
