"""A state's SQLite file: its lock, and the look at it before anything in it is touched."""

import errno
import fcntl
import logging
import os
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import Connection

from pearl_exporter.errors import LEFT, MAY_WRITE, StateError

A_FOLDER = "it is a folder: name a file in it, such as pearl-exporter.db"

_NO_WRITING = {errno.EACCES, errno.EPERM, errno.EROFS}

_MAGIC = b"SQLite format 3\0"

_log = logging.getLogger(__name__)


def remedy(error: OSError) -> str:
    """What to do where the system forbids writing; empty for any other error."""
    return f"; {MAY_WRITE}" if error.errno in _NO_WRITING else ""


def beside(path: Path, suffix: str) -> Path:
    """The lock or the log of a state: one and the same, by whatever link the state is named.

    A path that is no link stays relative: the folders above the working directory may be closed.
    """
    real = path.resolve() if path.is_symlink() else path
    return real.with_name(f"{real.name}{suffix}")


class SqliteFile:
    """The file at ``path``, relative to the working directory if it is relative.

    The lock is the kernel's, on a file beside it, and goes with the process, whatever ends it. It
    is not on the database itself, where closing it would drop SQLite's own locks.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock: BinaryIO | None = None
        self._taken: tuple[int, int] | None = None
        """Device and number of the file that is in use, whatever stands at its path by now."""

    def take(self) -> None:
        """Makes the folder if there is none and locks the file against a second exporter.

        Raises `StateError` if it is in use or no SQLite database, OSError if it can't be reached.
        """
        path = Path(self.path)
        if os.path.isdir(path):  # noqa: PTH112 - which raises nothing
            raise StateError(A_FOLDER)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            told = f"{reason}{remedy(error)}"
            raise StateError(f"its folder {path.parent} can't be made: {told}") from error
        self._lock = _private(beside(path, ".lock"))
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists():
                self._look_at(path)
            else:
                _private(path).close()
            self._taken = _identity(path)
        except BlockingIOError:
            self.release()
            raise StateError(
                "it is in use by another pearl-exporter: stop that one, or name another state.url"
            ) from None
        except BaseException:
            self.release()
            raise

    def _look_at(self, path: Path) -> None:
        """An empty file becomes a database; anything else must be one already."""
        with path.open("rb") as file:
            start = file.read(len(_MAGIC))
        if start and start != _MAGIC:
            raise StateError(f"it is no SQLite database, or a damaged one; {LEFT}")
        if not start:
            _log.warning("the state is empty: tracking begins anew", extra={"state": self.path})

    def check_place(self) -> None:
        """Raises `StateError` if the file in use is no longer the one that a start would find.

        SQLite would go on writing to the one that was removed, and all of it would be lost.
        """
        if self._taken is not None and _identity(Path(self.path)) != self._taken:
            raise StateError(
                "the file was removed or replaced while it was in use: put it back, or restart"
            )

    def check(self, connection: Connection) -> None:
        """Raises `StateError` if the database is damaged, before anything is written to it."""
        result = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
        if result != "ok":
            first_fault = str(result).splitlines()[-1]
            raise StateError(f"it is damaged ({first_fault}); {LEFT}")

    def use_wal(self, connection: Connection) -> None:
        """Lets readers look at the state while it is written."""
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")

    def release(self) -> None:
        """Gives up the lock."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return (found.st_dev, found.st_ino)


def _private(path: Path) -> BinaryIO:
    """A file that is new, or as it is, for its owner alone to read."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b")
