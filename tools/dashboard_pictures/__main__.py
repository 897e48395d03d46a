"""Draw pictures of the dashboards from the data of a Prometheus.

Grafana's own React components draw the panels, from the answers to the queries that Grafana would
send. Grafana itself does not run. Needed are node, npm, chromium and fonts for the demo's tags (on
Debian: apt-get install nodejs npm chromium fonts-noto-core fonts-noto-cjk fonts-noto-color-emoji),
and a Prometheus that scrapes the demo and runs the rules of deploy/prometheus/rules:

    npm ci --legacy-peer-deps --ignore-scripts --prefix tools/dashboard_pictures
    python -m tools.dashboard_pictures http://127.0.0.1:9091 --minutes 20
"""

import argparse
import json
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import httpx

from tools.grafana_requests import ALL, Json, View, request_of

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
DASHBOARDS = ROOT / "deploy" / "grafana" / "dashboards"
ICONS = HERE / "node_modules" / "@grafana" / "ui" / "dist" / "public" / "img"
IMAGES = ROOT / "docs" / "images"

WIDTH = 1432
LINE_HEIGHT = 38

CHOSEN = {"job": "pearl", "instance": ALL, "outbound": ALL, "interval": "30s"}


class Picture(NamedTuple):
    """One picture: some rows of a dashboard.

    Attributes:
        name: File name of the image without its suffix.
        uid: The dashboard's uid.
        rows: Titles of the rows to draw.
        outbound: The chosen outbound, or `ALL`.
    """

    name: str
    uid: str
    rows: tuple[str, ...]
    outbound: str = ALL


PICTURES = (
    Picture(
        "campaign-overview",
        "pearl-campaign-overview",
        ("All outbounds now", "Each outbound now, worst first", "Shares over time"),
    ),
    Picture("outbound-detail", "pearl-outbound-detail", ("Now", "Outcomes"), "spring-renewals"),
    Picture("outbound-tags", "pearl-outbound-detail", ("Telephony", "Tags"), "spring-renewals"),
    Picture("exporter-health", "pearl-exporter-health", ("Now", "The API", "Rows")),
)


def main() -> None:
    """Draw every picture, or the one that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prometheus", help="the address of Prometheus")
    parser.add_argument("--minutes", type=float, default=20, help="length of the time range")
    parser.add_argument("--end", type=float, default=time.time(), help="its end, a Unix time")
    parser.add_argument("--only", default="", help="the one picture to draw")
    parser.add_argument("--images", type=Path, default=IMAGES, help="where the images go")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        httpx.Client(base_url=arguments.prometheus) as client,
    ):
        site = Path(folder)
        subprocess.run(["node", HERE / "build.mjs", site], check=True)
        (site / "public" / "build").mkdir(parents=True)
        (site / "public" / "build" / "img").symlink_to(ICONS)
        with _serving(site) as url:
            for picture in PICTURES:
                if arguments.only in ("", picture.name):
                    chosen = CHOSEN | {"outbound": picture.outbound}
                    start = arguments.end - 60 * arguments.minutes
                    view = View(chosen, start, arguments.end, 400)
                    height = _write_page(picture, view, client, site)
                    _screenshot(url, height, site, arguments.images / f"{picture.name}.png")


class _SilentHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def _serving(folder: Path) -> Iterator[str]:
    """Serve a folder on localhost. A page opened as a file could not fetch its icons."""
    handler = partial(_SilentHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def _write_page(picture: Picture, view: View, client: httpx.Client, site: Path) -> int:
    """Write a page with the panels and Prometheus' answers. Return its height in pixels."""
    made = json.loads((DASHBOARDS / f"{picture.uid}.json").read_text())
    shown, hidden, panels = False, 0, []
    for panel, following in zip(made["panels"], [*made["panels"][1:], None], strict=True):
        place = panel["gridPos"]
        if panel["type"] == "row":
            shown = panel["title"] in picture.rows
        if shown:
            answers = [_answer(target, view, client) for target in panel.get("targets", ())]
            moved = {**place, "y": place["y"] - hidden}
            panels.append({**panel, "answers": answers, "gridPos": moved})
        elif following:
            hidden += max(0, following["gridPos"]["y"] - place["y"])
    content = {"panels": panels, "start": view.start_seconds, "end": view.end_seconds}
    data = json.dumps(content).replace("</", "<\\u002f")
    (site / "index.html").write_text(
        '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">'
        '<link rel="stylesheet" href="page.css"><div id="page"></div>'
        f"<script>window.picture={data}</script>"
        '<script src="page.js"></script>'
    )
    places = [each["gridPos"] for each in panels]
    lines: int = max(each["y"] + each["h"] for each in places) - min(each["y"] for each in places)
    return lines * LINE_HEIGHT - 8 + 2 * 16


def _answer(target: Json, view: View, client: httpx.Client) -> Json:
    request = request_of(target, view)
    parameters = {key: str(value) for key, value in request.parameters.items()}
    answer = client.post(request.path, data=parameters)
    answer.raise_for_status()
    result = answer.json()["data"]["result"]
    return {"target": target, "step": request.parameters.get("step", 0), "result": result}


def _screenshot(url: str, height: int, site: Path, image: Path) -> None:
    """Open the page in Chromium and write its screenshot.

    Raises:
        RuntimeError: The page wrote to its console, which only errors do.
    """
    image.parent.mkdir(exist_ok=True)
    command = [
        "chromium",
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--enable-logging=stderr",
        f"--user-data-dir={site / 'profile'}",
        "--virtual-time-budget=8000",
        f"--window-size={WIDTH},{height}",
        f"--screenshot={image}",
        url,
    ]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    if errors := [line for line in run.stderr.splitlines() if "CONSOLE" in line]:
        raise RuntimeError("\n".join([f"{image.name} was not drawn without errors:", *errors]))


if __name__ == "__main__":
    main()
