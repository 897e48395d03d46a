"""A simulated API that can be stopped and comes back on the same port, its world unchanged."""

import socket
import threading

import httpx
import uvicorn

from pearl_exporter.simulator import Simulator
from tests.support.patience import HANGING_SECONDS, PATIENT


class ApiServer:
    """Serves one simulator, whose calls go on happening while it is down."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self._port = 0
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self._port))
        listener.listen(128)
        self._port = listener.getsockname()[1]
        self._server = uvicorn.Server(
            uvicorn.Config(
                self.simulator,
                date_header=False,
                log_config=None,
                access_log=False,
                ws="none",
                timeout_graceful_shutdown=1,
            )
        )
        self._thread = threading.Thread(target=self._serve, args=(listener,), daemon=True)
        self._thread.start()

    def _serve(self, listener: socket.socket) -> None:
        with listener:
            assert self._server is not None
            self._server.run([listener])

    def stop(self) -> None:
        """From then on connections are refused."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(HANGING_SECONDS)
        assert not self._thread.is_alive()
        self._server = self._thread = None

    def set_faults(self, *faults: str) -> None:
        answer = httpx.post(f"{self.url}/_sim/faults", json=list(faults), **PATIENT)
        assert answer.status_code == 200, answer.text
