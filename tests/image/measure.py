"""Measure the image: its size, its start and stop, and its memory. It must be run as root.

    .venv/bin/python -m tests.image.measure [--starts 5]

It builds the image as `make image-test` does, and runs `serve` in it over a simulated API. A start
is the time from the container's first process to the first good answer of /metrics.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.image.builder import build_image, build_stand_in, buildah_in
from tests.image.container import Container, owned_by, unpacked
from tests.image.served import running_api, serving_container

TAG = "localhost/pearl-exporter:bench"
PROBE = """
import http.client, time
while True:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", 10042, timeout=5)
        connection.request("GET", "/metrics")
        if connection.getresponse().status == 200:
            break
    except OSError:
        time.sleep(0.005)
print(time.monotonic())
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        buildah = buildah_in(folder / "buildah")
        build_stand_in(buildah)
        began = time.monotonic()
        build_image(buildah, TAG)
        print(f"build          {time.monotonic() - began:.1f} s, without the base image")
        print(buildah("images", "--format", "{{.Name}}:{{.Tag}}  {{.Size}}"))
        with unpacked(buildah, TAG) as image:
            program = sum(file_sizes(image.root / "opt"))
            print(f"/opt           {program / 1e6:.0f} MB: the program and its packages")
            with running_api(image, folder / "api") as api:
                starts = [start(api, folder / str(number)) for number in range(arguments.starts)]
        for title, values, unit in zip(
            ("start", "stop", "memory"), zip(*starts, strict=True), ("s", "s", "MB"), strict=True
        ):
            low, middle, high = min(values), statistics.median(values), max(values)
            print(f"{title:14} {middle:.2f} {unit} (median; {low:.2f} to {high:.2f})")


def start(api: Container, folder: Path) -> tuple[float, float, float]:
    """Return seconds to start, seconds to stop, and MB of resident memory after 3 s of polls."""
    volume = owned_by(api.image, folder / "volume")
    probe = ["nsenter", f"--target={api.pid}", "--net", sys.executable, "-c", PROBE]
    with subprocess.Popen(probe, stdout=subprocess.PIPE, text=True) as probing:
        began = time.monotonic()
        with serving_container(api, folder / "serve", volume) as exporter:
            assert probing.stdout is not None
            started = float(probing.stdout.readline()) - began
            time.sleep(3)
            memory = int(exporter.status()["VmRSS"].split()[0]) / 1024
            began = time.monotonic()
            assert exporter.stop() == 0
            return started, time.monotonic() - began, memory


def file_sizes(folder: Path) -> Iterator[int]:
    for place, _, files in os.walk(folder):
        for file in files:
            yield (Path(place) / file).lstat().st_size


if __name__ == "__main__":
    main()
