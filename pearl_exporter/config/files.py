"""Small files that the configuration names: read up to a size limit, and watched for changes."""

import errno
import os
import select
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PIPE_SECONDS = 5.0
"""How long the writer of a pipe may take. Without a limit a forgotten pipe would hang the start."""

_HINTS = {
    errno.EACCES: "; the user that runs this must be able to read it",
    errno.EISDIR: "; wanted a file",
}
"""What to do about an error of the system."""


def read_capped(
    path: Path, max_bytes: int, too_large: str, *, pipe_seconds: float = PIPE_SECONDS
) -> bytes:
    """Return what is in the file.

    Args:
        path: The file.
        max_bytes: The largest size that is accepted.
        too_large: The reason that is raised for a larger file.
        pipe_seconds: How long the writer of a pipe may take.

    Raises:
        ValueError: It can't be read. The message is the reason, without the path.
    """
    # An ordinary open() of a pipe would wait for its writer, without end.
    with os_errors_as_reasons(), open(path, "rb", opener=_open_without_waiting) as file:
        if stat.S_ISFIFO(os.fstat(file.fileno()).st_mode):
            content = _read_pipe(file.fileno(), max_bytes + 1, pipe_seconds)
        else:
            os.set_blocking(file.fileno(), True)
            content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise ValueError(too_large)
    return content


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _read_pipe(descriptor: int, max_bytes: int, max_seconds: float) -> bytes:
    """Return what is written to a pipe (a shell's ``<(...)``) until its writer closes it."""
    until, content = time.monotonic() + max_seconds, bytearray()
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while len(content) < max_bytes:
        left = until - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise ValueError(f"is a pipe whose writer did not finish within {max_seconds:g} s")
        piece = os.read(descriptor, max_bytes - len(content))
        if not piece:
            break
        content += piece
    if not content:
        raise ValueError("is an empty pipe; what is in a pipe can be read only once")
    return bytes(content)


@contextmanager
def os_errors_as_reasons() -> Iterator[None]:
    """Turn an OSError within the block into a ValueError with the reason for the user."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ValueError(f"can't be read: {reason}{_HINTS.get(error.errno or 0, '')}") from None


def file_stamp(path: Path) -> object:
    """Return a value that changes when the file does; None if there is no such file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)
