"""A real Alertmanager, and a webhook that keeps what it is told."""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from tests.support.patience import PATIENT
from tests.support.programs import debian_program, running


class Alertmanager:
    """Its HTTP API."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(base_url=url, **PATIENT)

    def tell(self, alerts: list[Mapping[str, str]]) -> None:
        """Tells it, as Prometheus does, that alerts of these labels fire."""
        self._http.post("/api/v2/alerts", json=[{"labels": each} for each in alerts])

    def alerts(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._http.get("/api/v2/alerts").json()
        return found

    def close(self) -> None:
        self._http.close()


@contextmanager
def alertmanager(folder: Path, config: Path) -> Iterator[Alertmanager]:
    folder.mkdir(parents=True)
    command = [
        debian_program("prometheus-alertmanager"),
        f"--config.file={config}",
        f"--storage.path={folder / 'data'}",
        "--web.listen-address=127.0.0.1:0",
        "--cluster.listen-address=",
    ]
    with running(command, folder) as process:
        address = process.says('"Listening on"').rpartition("address=")[2].split()[0]
        server = Alertmanager(f"http://{address}")
        try:
            yield server
        finally:
            server.close()


class Webhook:
    """Everything that was posted to it: when, under which path, and what."""

    def __init__(self) -> None:
        self.got: list[tuple[float, str, dict[str, Any]]] = []
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                webhook.got.append((time.time(), self.path, body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing: what came is in ``got``."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
