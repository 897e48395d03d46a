"""The SQLite engine: the state's file, its lock, its connections and the errors they raise."""

import errno
import fcntl
import logging
import os
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from pearl_exporter.errors import STATE_UNCHANGED_HINT, WRITE_ACCESS_HINT, DiskError, StateError
from pearl_exporter.state.wal import is_log_sound

FOLDER_MESSAGE = "it is a folder: name a file in it, such as pearl-exporter.db"

_NO_WRITE_ACCESS = {errno.EACCES, errno.EPERM, errno.EROFS}
_DISK_TROUBLE = {errno.ENOSPC, errno.EDQUOT, errno.EIO}

_MAGIC = b"SQLite format 3\0"
"""The first 16 bytes of every SQLite file (https://www.sqlite.org/fileformat.html)."""

_SHARED_LOCK = (0x40000002, 510)
"""The bytes on which SQLite's shared lock lies, as start and length (its ``os_unix.c``)."""

_OWN_LOCK = (1 << 62, 1)
"""The byte of the state file that an exporter locks: far behind all that SQLite reads or locks."""

_log = logging.getLogger(__name__)


def file_beside(path: Path, suffix: str) -> Path:
    """Return the path of the state's lock or log: one file, by whatever link the state is named.

    A path that is no link stays relative: the folders above the working directory may be closed.
    """
    real = path.resolve() if path.is_symlink() else path
    return real.with_name(f"{real.name}{suffix}")


class FileStamp(NamedTuple):
    """Changes whenever anybody writes to a file, or puts another one in its place."""

    device: int
    inode: int
    size: int
    modified_ns: int

    @classmethod
    def of(cls, found: os.stat_result) -> Self:
        """Return the stamp of a file that was looked up."""
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)

    @property
    def identity(self) -> tuple[int, int]:
        """Which file it is, whatever has been written to it."""
        return self.device, self.inode


def _stamp_at(path: Path) -> FileStamp | None:
    """Return the stamp of the file at a path; None if there is none."""
    try:
        return FileStamp.of(path.stat())
    except FileNotFoundError:
        return None


class SqliteFile:
    """The file at ``path``, relative to the working directory if the path is relative.

    Two locks keep a second exporter out. One is on a file beside the state, whose name does not
    change when the state is replaced. The other one is on the state's inode, which is one file by
    whatever path: a bind mount of the file alone has another folder. The kernel releases both when
    the process ends, however it ends.

    The state and its log are watched: what another program does to them while they are in use would
    be noticed by the next start at the earliest, and then the counters of days may be lost.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock: BinaryIO | None = None
        self._inode: BinaryIO | None = None
        """The state itself. It stays open until SQLite has closed it: closing a descriptor of the
        state drops the POSIX locks that SQLite holds on it."""
        self._identity: tuple[int, int] | None = None
        """Device and inode of the file in use, whatever is at its path by now."""
        self._log: FileStamp | None = None
        """SQLite's log as the last transaction left it; None before one."""

    def take(self) -> None:
        """Make the folder and the file if they are missing, and lock out a second exporter.

        Raises:
            StateError: The file is in use, has several names, or is no SQLite database.
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
            self._inode = _open_private(path)
            _lock_bytes(self._inode, fcntl.F_WRLCK, _OWN_LOCK)
            self._check_names(os.fstat(self._inode.fileno()).st_nlink)
            self._identity = _identity(path)
        except BlockingIOError:
            self.release()
            raise StateError(
                "it is in use by another pearl-exporter: stop that one, or set another state.url"
            ) from None
        except BaseException:
            self.release()
            raise

    def _check_names(self, links: int) -> None:
        """Raise `StateError` if the file has several names.

        SQLite's log lies beside the name by which the file was opened. Opened by another name, the
        file lacks what is in the log, and is damaged by the first write.
        """
        if links > 1:
            raise StateError(
                f"it has {links} names (hard links), and SQLite's log lies beside one of them: "
                "remove the others, or copy the file"
            )

    def _check_magic(self, path: Path) -> None:
        """Raise `StateError` unless the file is an SQLite database, or empty and to become one."""
        with path.open("rb") as file:
            start = file.read(len(_MAGIC))
        if start and start != _MAGIC:
            raise StateError(f"it is no SQLite database, or a damaged one; {STATE_UNCHANGED_HINT}")
        if not start:
            _log.warning("the state is empty: tracking starts over", extra={"state": self.path})

    def check_place(self) -> None:
        """Raise `StateError` if the file in use, or its log, is no longer the one at its path.

        SQLite would go on writing to a file that was removed, and a restart would find none of it.
        """
        if self._identity is not None and _identity(Path(self.path)) != self._identity:
            raise StateError(
                "the file was removed or replaced while it was in use: put it back, or restart"
            )
        now = _stamp_at(self._log_path)
        if self._log is None or now == self._log:
            return
        if now is None or now.identity != self._log.identity:
            raise StateError(
                f"its log ({self._log_path.name}) was removed or replaced while it was in use: "
                "restart"
            )
        if not self._is_log_sound():
            raise StateError(
                f"its log ({self._log_path.name}) was damaged by another program while it was in "
                "use: restart"
            )

    def note_log(self) -> None:
        """Remember the log as the transaction that has just ended has left it.

        It is the same file for as long as the connection lasts. If it is not, it was taken away
        meanwhile, and the next `check_place` shall find that.
        """
        now = _stamp_at(self._log_path)
        if now is not None and (self._log is None or now.identity == self._log.identity):
            self._log = now

    def forget_log(self, *_: object) -> None:
        """Forget the log: a new connection may make another one."""
        self._log = None

    @property
    def _log_path(self) -> Path:
        return file_beside(Path(self.path), "-wal")

    def _is_log_sound(self) -> bool:
        """Return whether the log is sound; another program may have used SQLite to write there."""
        return is_log_sound(self._log_path, file_beside(Path(self.path), "-shm"))

    def checkpoint(self, connection: Connection) -> None:
        """Copy the log into the file, as far as no reader needs the file as it is."""
        connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")

    def keep_damage_out(self) -> None:
        """Keep SQLite from copying a damaged log into the file when it closes the file.

        SQLite does that without looking at the checksums. It needs its exclusive lock for it, and a
        lock of this process, by another open file, prevents that. The next start checks the log,
        and takes of it what is sound.
        """
        now = _stamp_at(self._log_path)
        if self._log is None or now is None or self._inode is None:
            return
        # where it is another file, SQLite still has the right one open
        if now != self._log and now.identity == self._log.identity and not self._is_log_sound():
            with suppress(BlockingIOError):  # then SQLite does not get its lock either
                _lock_bytes(self._inode, fcntl.F_RDLCK, _SHARED_LOCK)

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
        """Give up the locks. To be called when SQLite has closed the file."""
        for file in (self._inode, self._lock):
            if file is not None:
                file.close()
        self._inode = self._lock = None


def _lock_bytes(file: BinaryIO, kind: int, span: tuple[int, int]) -> None:
    """Lock bytes of an open file, for as long as it is open; raise `BlockingIOError` if they are.

    This is Linux' lock of an open file description. Closing another descriptor of the file does not
    drop it, and it is held against this process as well. Where there is none (another system, some
    network file systems) the lock beside the state remains.

    Args:
        file: The file.
        kind: ``F_WRLCK`` or ``F_RDLCK``.
        span: The first byte and how many.
    """
    if not hasattr(fcntl, "F_OFD_SETLK"):
        return
    start, length = span
    # struct flock: type, whence, start, length, and a process id that has to be 0
    request = struct.pack("hhqqi0q", kind, os.SEEK_SET, start, length, 0)
    try:
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, request)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            raise BlockingIOError(errno.EAGAIN, "locked") from None
        _log.debug("the state file can't be locked", extra={"error": str(error)})


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
    found = _stamp_at(path)
    return None if found is None else found.identity


def _open_private(path: Path) -> BinaryIO:
    """Open a file without changing its content; a new one is readable by its owner alone."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b")
