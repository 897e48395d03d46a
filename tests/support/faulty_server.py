"""Answers that go wrong on the wire, byte by byte: a server of sockets, one outbound for each."""

import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
EMPTY = b'{"count": 0, "results": []}'
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

Wire = Callable[[socket.socket], None]


def sends(*pieces: bytes) -> Wire:
    return lambda client: client.sendall(b"".join(pieces))


def sized(body: bytes, *more: bytes, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return HEAD + b"".join(more) + b"Content-Length: %d\r\n\r\n" % size + body


def on_and_on(begin: bytes, piece: bytes, seconds: float) -> Wire:
    def send(client: socket.socket) -> None:
        client.sendall(begin)
        while True:
            client.sendall(piece)
            time.sleep(seconds)

    return send


def _large(head: bytes, megabytes: int) -> Wire:
    def send(client: socket.socket) -> None:
        client.sendall(head + b"Content-Length: %d\r\n\r\n" % (megabytes * 1_000_000))
        for _ in range(megabytes):
            client.sendall(b" " * 1_000_000)

    return send


def _bomb() -> Wire:
    body = gzip.compress(b" " * 100_000_000, 6)
    return sends(sized(body, b"Content-Encoding: gzip\r\n"))


def _bomb_in_a_bomb() -> Wire:
    body = gzip.compress(gzip.compress(b" " * 500_000_000, 6))
    return sends(sized(body, b"Content-Encoding: gzip, gzip\r\n"))


ANSWERS: dict[str, tuple[Callable[[], Wire], set[str]]] = {
    "good": (lambda: sends(sized(EMPTY)), set()),
    "http-1.0": (lambda: sends(b"HTTP/1.0 200 OK\r\n\r\n", EMPTY), set()),
    "after-100": (lambda: sends(b"HTTP/1.1 100 Continue\r\n\r\n", sized(EMPTY)), set()),
    "switching": (lambda: sends(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n"), {"connection"}),
    "nothing": (lambda: sends(b""), {"connection"}),
    "head-cut": (lambda: sends(HEAD), {"connection"}),
    "body-cut": (lambda: sends(sized(EMPTY, length=100)), {"connection"}),
    "chunks-cut": (lambda: sends(CHUNKED, b'5\r\n{"cou'), {"connection"}),
    "no-chunk": (lambda: sends(CHUNKED, b"zz\r\n"), {"connection"}),
    "too-short": (lambda: sends(sized(EMPTY, length=9)), {"bad_response"}),
    "two-lengths": (lambda: sends(sized(EMPTY, b"Content-Length: 3\r\n")), {"connection"}),
    "head-drips": (lambda: on_and_on(HEAD + b"X: ", b"y", 0.05), {"timeout"}),
    "head-goes-on": (
        lambda: on_and_on(HEAD, b"X: " + b"y" * 999 + b"\r\n", 0.001),
        {"connection", "timeout"},
    ),
    "body-drips": (lambda: on_and_on(sized(b"", length=10**6), b" ", 0.05), {"timeout"}),
    "chunks-go-on": (lambda: on_and_on(CHUNKED, b"1\r\n \r\n", 0.05), {"timeout"}),
    "100-goes-on": (lambda: on_and_on(b"", b"HTTP/1.1 100 Go\r\n\r\n", 0.05), {"timeout"}),
}
"""What is sent, and the reasons by which a poll may fail for it; none if it is a good answer."""

LARGE: dict[str, tuple[Callable[[], Wire], set[str]]] = {
    "100-mb": (lambda: _large(HEAD, 100), {"bad_response"}),
    "100-mb-of-error": (lambda: _large(b"HTTP/1.1 400 No\r\n", 100), {"bad_request"}),
    "bomb": (_bomb, {"bad_response"}),
    "bomb-in-a-bomb": (_bomb_in_a_bomb, {"bad_response"}),
    "brackets": (
        lambda: sends(sized(b'{"count":0,"results":[' + b"[]," * 5_000_000 + b"0]}")),
        {"bad_response"},
    ),
}
"""The same, of those that are large."""


@contextmanager
def served(answers: dict[str, tuple[Callable[[], Wire], set[str]]]) -> Iterator[str]:
    """The URL of an API whose outbounds are the keys, each of which answers so."""
    made = {name: make() for name, (make, _) in answers.items()}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, made), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def _accept(listener: socket.socket, made: dict[str, Wire]) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_answer, args=(client, made), daemon=True).start()


def _answer(client: socket.socket, made: dict[str, Wire]) -> None:
    """Answers one request, then hangs up."""
    with closing(client), suppress(OSError):
        asked = b""
        while b"}" not in asked:
            piece = client.recv(65_536)
            if not piece:
                return
            asked += piece
        made[asked.split(b"/Outbound/")[1].split(b"/")[0].decode()](client)
        with suppress(OSError):
            client.shutdown(socket.SHUT_WR)
