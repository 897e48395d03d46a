"""The SQLite engine: the state's file, its lock, its connections and the errors they raise."""

import errno
import fcntl
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from pearl_exporter.errors import STATE_UNCHANGED_HINT, WRITE_ACCESS_HINT, DiskError, StateError

FOLDER_MESSAGE = "it is a folder: name a file in it, such as pearl-exporter.db"

_NO_WRITE_ACCESS = {errno.EACCES, errno.EPERM, errno.EROFS}
_DISK_TROUBLE = {errno.ENOSPC, errno.EDQUOT, errno.EIO}

_MAGIC = b"SQLite format 3\0"
"""The first 16 bytes of every SQLite file (https://www.sqlite.org/fileformat.html)."""

_log = logging.getLogger(__name__)


def file_beside(path: Path, suffix: str) -> Path:
    """Return the path of the state's lock or log: one file, by whatever link the state is named.

    A path that is no link stays relative: the folders above the working directory may be closed.
    """
    real = path.resolve() if path.is_symlink() else path
    return real.with_name(f"{real.name}{suffix}")


class SqliteFile:
    """The file at ``path``, relative to the working directory if the path is relative.

    The lock is the kernel's (flock), on a file beside the state. The kernel releases it when the
    process ends, however it ends. The lock is not on the database itself: closing a descriptor of
    the database would drop the POSIX locks that SQLite holds on it.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock: BinaryIO | None = None
        self._identity: tuple[int, int] | None = None
        """Device and inode of the file in use, whatever is at its path by now."""

    def take(self) -> None:
        """Make the folder and the file if they are missing, and lock out a second exporter.

        Raises:
            StateError: The file is in use, or is no SQLite database.
            OSError: The file can't be reached.
        """
        path = Path(self.path)
        if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises where a folder is closed
            raise StateError(FOLDER_MESSAGE)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = f"{os.strerror(error.errno or 0)}{_hint(error)}"
            raise StateError(f"its folder {path.parent} can't be made: {reason}") from error
        self._lock = _open_private(file_beside(path, ".lock"))
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists():
                self._check_magic(path)
            else:
                _open_private(path).close()
            self._identity = _identity(path)
        except BlockingIOError:
            self.release()
            raise StateError(
                "it is in use by another pearl-exporter: stop that one, or set another state.url"
            ) from None
        except BaseException:
            self.release()
            raise

    def _check_magic(self, path: Path) -> None:
        """Raise `StateError` unless the file is an SQLite database, or empty and to become one."""
        with path.open("rb") as file:
            start = file.read(len(_MAGIC))
        if start and start != _MAGIC:
            raise StateError(f"it is no SQLite database, or a damaged one; {STATE_UNCHANGED_HINT}")
        if not start:
            _log.warning("the state is empty: tracking starts over", extra={"state": self.path})

    def check_place(self) -> None:
        """Raise `StateError` if the file in use is no longer the one at its path.

        SQLite would go on writing to a file that was removed, and a restart would find none of it.
        """
        if self._identity is not None and _identity(Path(self.path)) != self._identity:
            raise StateError(
                "the file was removed or replaced while it was in use: put it back, or restart"
            )

    def check(self, connection: Connection) -> None:
        """Raise `StateError` if the database is damaged. To be called before any write to it."""
        result = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
        if result != "ok":
            first_fault = str(result).splitlines()[-1]
            raise StateError(f"it is damaged ({first_fault}); {STATE_UNCHANGED_HINT}")

    def use_wal(self, connection: Connection) -> None:
        """Switch the file to WAL mode, in which readers never wait for the writer."""
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")

    def release(self) -> None:
        """Give up the lock."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def configure_connection(connection: sqlite3.Connection, _record: object = None) -> None:
    """Set what SQLite keeps for each connection and not in the file.

    Args:
        connection: A new connection of the driver.
    """
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    # Forgotten bytes are overwritten, and not only marked as free: a copy of the file, or a look at
    # it without SQLite, must not find them. It costs a third more bytes written, and no time.
    connection.execute("PRAGMA secure_delete=ON")
    # Shorter than a stop may take, as another program may hold the database for longer.
    connection.execute("PRAGMA busy_timeout=1000")


@contextmanager
def as_state_errors(path: str) -> Iterator[None]:
    """Turn errors of SQLAlchemy, SQLite and the system into `StateError` with the path in front.

    A message has the driver's own words, never a statement or its values: those hold calls.
    """
    try:
        yield
    except DBAPIError as error:
        raise _state_error(path, error.orig) from None
    except sqlite3.Error as error:
        raise _state_error(path, error) from None
    except OSError as error:
        kind = DiskError if error.errno in _DISK_TROUBLE else StateError
        raise kind(f"{path}: {error.strerror or error}{_hint(error)}") from None
    except StateError as error:
        raise type(error)(f"{path}: {error}") from None


def _state_error(path: str, error: BaseException | None) -> StateError:
    """Return what SQLite said and, for the likely causes, what to do."""
    name, message = getattr(error, "sqlite_errorname", ""), " ".join(str(error).split())
    if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
        return DiskError(
            f"{path}: {message}: is the disk full? Make room, or set another state.url"
        )
    if is_damage(error):
        message = f"it is damaged ({message}); {STATE_UNCHANGED_HINT}"
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        message = f"{message}; {WRITE_ACCESS_HINT}"
    return StateError(f"{path}: {message}")


def is_damage(error: BaseException | None) -> bool:
    """Return whether the driver's error says that the file is no sound database."""
    name = getattr(error, "sqlite_errorname", "")
    return name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))


def _hint(error: OSError) -> str:
    return f"; {WRITE_ACCESS_HINT}" if error.errno in _NO_WRITE_ACCESS else ""


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return (found.st_dev, found.st_ino)


def _open_private(path: Path) -> BinaryIO:
    """Open a file without changing its content; a new one is readable by its owner alone."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b")
