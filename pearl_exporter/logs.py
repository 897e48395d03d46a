"""Log to standard error as logfmt or JSON, without the text of unexpected exceptions.

The text of an exception may quote an API's answer, and so a customer's phone number. An exception
that is not a `PearlError` is logged by its type and place alone.

A server never waits for its log: whoever reads standard error may stop to do so, such as a log
driver that hangs or a terminal after Ctrl-S, and a write to a full pipe waits without end. So
`log_in_thread` puts lines into a bounded queue, which a thread of its own empties. Lines that find
no room are dropped and counted.
"""

import json
import logging
import os
import queue
import select
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from logging.handlers import QueueHandler
from types import TracebackType
from typing import TYPE_CHECKING

from logfmter import Logfmter
from logfmter.formatter import RESERVED

from pearl_exporter.errors import PearlError

if TYPE_CHECKING:  # the command line imports this module, and must not import the settings
    from pearl_exporter.config import LogSettings

MAX_QUEUED_LINES = 5000
"""How many lines may wait to be written."""

FLUSH_SECONDS = 1.0
"""How long the end of the program waits for lines that are still queued."""

_Raised = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def set_up_logging(settings: "LogSettings") -> None:
    """Log to standard error: the exporter's lines from ``level`` on, and libraries' warnings.

    The HTTP libraries log errors alone, whatever the level: at debug they would log headers, and a
    header has the token.
    """
    root = logging.getLogger()
    # a queue stays, with the lines that wait in it and the count of those that were dropped
    handler = _queue_of(root) or logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if settings.format == "json" else _LogfmtFormatter())
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("pearl_exporter").setLevel(settings.level.upper())
    # the poll reports a failed request, once
    for name in ("httpx", "httpcore", "uvicorn"):
        logging.getLogger(name).setLevel(logging.ERROR)


def log_in_thread() -> None:
    """Write log lines in a thread from now on, until the program ends.

    To be called after `set_up_logging`. At the end `logging` itself flushes its handlers.
    """
    root = logging.getLogger()
    # a program that was started without standard error has none: its descriptor may be another
    # file's by now
    if _queue_of(root) is None and sys.stderr is not None:
        handler = QueuedLines(sys.stderr.fileno())
        handler.setFormatter(root.handlers[0].formatter)
        root.handlers[:] = [handler]
        handler.start()


def flush_log() -> None:
    """Wait until what was logged is written, before something else is written to the same place."""
    handler = _queue_of(logging.getLogger())
    if handler is not None:
        handler.flush()


def dropped_lines() -> int:
    """Return how many log lines were dropped since the start."""
    handler = _queue_of(logging.getLogger())
    return 0 if handler is None else handler.dropped


def _queue_of(logger: logging.Logger) -> "QueuedLines | None":
    return next((each for each in logger.handlers if isinstance(each, QueuedLines)), None)


class QueuedLines(QueueHandler):
    """A handler that never waits: it puts lines into a queue, and a thread writes them.

    The thread is a daemon: one that waits for a reader must not keep the program from ending. It
    writes to the file descriptor, and not to `sys.stderr`, whose lock it would then hold at the
    end, which the interpreter needs.

    Args:
        descriptor: The file descriptor to write to.
        max_lines: How many lines may wait to be written.
    """

    def __init__(self, descriptor: int, max_lines: int = MAX_QUEUED_LINES) -> None:
        self._lines: queue.Queue[str] = queue.Queue(max_lines)
        super().__init__(self._lines)
        self._descriptor = descriptor
        self._thread = threading.Thread(target=self._write_all, name="log", daemon=True)
        # two numbers, as each is changed by one side alone: under the handler's lock, and in the
        # thread
        self._refused = 0
        self._unwritten = 0

    @property
    def dropped(self) -> int:
        """How many lines were dropped: the queue was full, or they could not be written."""
        return self._refused + self._unwritten

    def start(self) -> None:
        """Start to write."""
        self._thread.start()

    def prepare(self, record: logging.LogRecord) -> str:
        """Return the line of a record, made at once: what it quotes may change later."""
        return self.format(record)

    def enqueue(self, record: logging.LogRecord) -> None:
        """Put a record, of which `prepare` has made a line, into the queue, or drop it."""
        try:
            self._lines.put_nowait(str(record))
        except queue.Full:
            self._refused += 1

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802
        """Count a record of which no line can be made: `logging` would write to `sys.stderr`."""
        self._refused += 1

    def flush(self) -> None:
        """Wait until all lines are written, but no longer than `FLUSH_SECONDS`."""
        until = time.monotonic() + FLUSH_SECONDS
        while self._lines.unfinished_tasks and self._thread.is_alive():
            if time.monotonic() >= until:
                return
            time.sleep(0.005)

    def _write_all(self) -> None:
        while True:
            line = self._lines.get()
            try:
                _write(self._descriptor, f"{line}\n".encode(errors="backslashreplace"))
            except OSError:  # nobody will ever read it, or the disk is full
                self._unwritten += 1
            finally:
                self._lines.task_done()


def _write(descriptor: int, content: bytes) -> None:
    """Write everything, and wait as long as that takes; raise `OSError` if it can't be written."""
    while content:
        try:
            content = content[os.write(descriptor, content) :]
        except BlockingIOError:  # whoever else has the other end may have made it non-blocking
            select.select([], [descriptor], [])


def print_uncaught(
    _kind: type[BaseException], error: BaseException, _traceback: TracebackType | None
) -> None:
    """Write an exception that ends the program to standard error: for `sys.excepthook`."""
    flush_log()  # what led to it comes first
    sys.stderr.write(f"{traceback_of(error)}\n")


def traceback_of(error: BaseException) -> str:
    """Return a traceback of places and types, the first cause first.

    Only a `PearlError` is quoted.
    """
    lines = []
    for each in reversed([*_chain(error)]):
        lines += [line.rstrip("\n") for line in traceback.format_tb(each.__traceback__)]
        text = f": {each}" if isinstance(each, PearlError) else ""
        lines.append(f"{type(each).__module__}.{type(each).__qualname__}{text}")
    return "\n".join(("Traceback (most recent call last), without messages:", *lines))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and its causes, each once: a chain of causes may be a circle."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


class _LogfmtFormatter(Logfmter):
    """Formats a record as one line of ``key=value``."""

    def __init__(self) -> None:
        super().__init__(keys=["ts", "level"], mapping={"ts": "asctime", "level": "levelname"})

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802
        return _moment(record)

    def formatException(self, ei: _Raised) -> str:  # noqa: N802
        return traceback_of(ei[1]) if ei[1] is not None else ""


class _JsonFormatter(logging.Formatter):
    """Formats a record as one line with a JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"ts": _moment(record), "level": record.levelname, "msg": record.getMessage()}
        line |= {key: value for key, value in vars(record).items() if key not in RESERVED}
        if record.exc_info:
            line["exc_info"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)

    def formatException(self, ei: _Raised) -> str:  # noqa: N802
        return traceback_of(ei[1]) if ei[1] is not None else ""


def _moment(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
