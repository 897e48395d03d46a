"""Small files that the configuration names: read with a bound, and whether they have changed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def read_capped(path: Path, most_bytes: int, too_large: str) -> bytes:
    """Give what is in the file.

    Raises ValueError, with the reason for the user, where it can't be read; ``too_large`` is the
    reason where it holds more than ``most_bytes``.
    """
    with reasons(), path.open("rb") as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise ValueError(too_large)
    return content


@contextmanager
def reasons() -> Iterator[None]:
    """Turns what the system refuses into a ValueError with the reason for the user."""
    try:
        yield
    except OSError as error:
        raise ValueError(f"can't be read: {error.strerror or type(error).__name__}") from None


def file_stamp(path: Path) -> object:
    """What changes when a file does; None where there is none."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return (stat.st_mtime_ns, stat.st_size, stat.st_ino)
