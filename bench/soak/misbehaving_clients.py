"""Clients of the exporter that read slowly, or connect and send nothing."""

import socket
import threading
import time
from collections import Counter


class MisbehavingClients:
    """Threads that connect again and again.

    Attributes:
        connections: How many connections of each kind were made and ended.
    """

    def __init__(self, port: int, *, slow: int, silent: int) -> None:
        self.connections = Counter[str]()
        self._port = port
        self._is_over = threading.Event()
        self._threads = [
            threading.Thread(target=self._connect_repeatedly, args=(kind,), daemon=True)
            for kind in ["slow"] * slow + ["silent"] * silent
        ]

    def start(self) -> None:
        """Start all clients."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop all clients."""
        self._is_over.set()
        for thread in self._threads:
            thread.join(15)

    def _connect_repeatedly(self, kind: str) -> None:
        while not self._is_over.wait(5.0):
            try:
                with self._connected() as sock:
                    if kind == "slow":
                        sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: soak\r\n\r\n")
                    self._read_slowly(sock)
            except OSError:
                pass
            self.connections[kind] += 1

    def _connected(self) -> socket.socket:
        sock = socket.socket()
        # a small buffer, so that the exporter's writes block
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(1.0)
        sock.connect(("127.0.0.1", self._port))
        return sock

    def _read_slowly(self, sock: socket.socket) -> None:
        while not self._is_over.is_set():
            try:
                if not sock.recv(512):
                    return
            except TimeoutError:
                continue
            time.sleep(0.5)
