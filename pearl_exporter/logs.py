"""Log to standard error as logfmt or JSON, without the text of unexpected exceptions.

The text of an exception may quote an API's answer, and so a customer's phone number. An exception
that is not a `PearlError` is logged by its type and place alone.
"""

import json
import logging
import sys
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING

from logfmter import Logfmter
from logfmter.formatter import RESERVED

from pearl_exporter.errors import PearlError

if TYPE_CHECKING:  # the command line imports this module, and must not import the settings
    from pearl_exporter.config import LogSettings

_Raised = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def set_up_logging(settings: "LogSettings") -> None:
    """Log to standard error: the exporter's lines from ``level`` on, and libraries' warnings.

    The HTTP libraries log errors alone, whatever the level: at debug they would log headers, and a
    header has the token.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if settings.format == "json" else _LogfmtFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("pearl_exporter").setLevel(settings.level.upper())
    # the poll reports a failed request, once
    for name in ("httpx", "httpcore", "uvicorn"):
        logging.getLogger(name).setLevel(logging.ERROR)


def print_uncaught(
    _kind: type[BaseException], error: BaseException, _traceback: TracebackType | None
) -> None:
    """Write an exception that ends the program to standard error: for `sys.excepthook`."""
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
