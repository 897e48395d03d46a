"""Runs an ASGI application behind a real socket, for tests that need one."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from tests.support.patience import HANGING_SECONDS


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """Serve ``app`` with uvicorn in a thread, on a free port of 127.0.0.1; yields its base URL.

    The socket listens before the thread starts, so nobody waits for the server: a request that
    comes early is queued. uvicorn adds no ``Date`` of its own.
    """
    # Named as TCP, or asyncio does not know it for what it is and leaves Nagle's delay of 40 ms on.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        config = uvicorn.Config(
            app,
            date_header=False,
            server_header=False,
            log_config=None,
            access_log=False,
            ws="none",
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.start()
        try:
            yield url
        finally:
            server.should_exit = True
            thread.join(HANGING_SECONDS)
            if thread.is_alive():
                raise TimeoutError("uvicorn does not stop")
