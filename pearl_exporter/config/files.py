"""Small files that the configuration names: read with a bound, and whether they have changed."""

import errno
import os
import select
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PIPE_SECONDS = 5.0
"""How long a pipe may take to be written whole: one that nobody writes must not hang the start."""

_REMEDIES = {
    errno.EACCES: "; the user that runs this must be able to read it",
    errno.EISDIR: "; wanted a file",
}
"""What to do, by what the system says."""


def read_capped(path: Path, most_bytes: int, too_large: str) -> bytes:
    """Give what is in the file.

    Raises ValueError, with the reason for the user, where it can't be read; ``too_large`` is the
    reason where it holds more than ``most_bytes``.
    """
    # opening a pipe would wait for its writer
    with reasons(), open(path, "rb", opener=_open_at_once) as file:
        if stat.S_ISFIFO(os.fstat(file.fileno()).st_mode):
            content = _read_pipe(file.fileno(), most_bytes + 1)
        else:
            os.set_blocking(file.fileno(), True)
            content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise ValueError(too_large)
    return content


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _read_pipe(descriptor: int, most_bytes: int) -> bytes:
    """What is written to a pipe until its writer closes it, as a shell's ``<(...)`` is."""
    until, content = time.monotonic() + _PIPE_SECONDS, bytearray()
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while len(content) < most_bytes:
        left = until - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise ValueError(
                f"is a pipe that nobody has written whole within {_PIPE_SECONDS:.0f} s"
            )
        piece = os.read(descriptor, most_bytes - len(content))
        if not piece:
            break
        content += piece
    if not content:
        raise ValueError("is a pipe with nothing in it; what it held can be read only once")
    return bytes(content)


@contextmanager
def reasons() -> Iterator[None]:
    """Turns what the system refuses into a ValueError with the reason for the user."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ValueError(f"can't be read: {reason}{_REMEDIES.get(error.errno or 0, '')}") from None


def file_stamp(path: Path) -> object:
    """What changes when a file does; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)
