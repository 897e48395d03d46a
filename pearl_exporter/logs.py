"""Log lines on standard error, as logfmt or JSON."""

import json
import logging
import sys
from datetime import UTC, datetime

from logfmter import Logfmter
from logfmter.formatter import RESERVED

from pearl_exporter.config import LogSettings


def set_up_logging(settings: LogSettings) -> None:
    """Sends our lines from ``level`` on, and other libraries' warnings, to standard error.

    The HTTP libraries never log below a warning, whatever our level: at debug they would write
    headers, and a header may be a token.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if settings.format == "json" else _LogfmtFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("pearl_exporter").setLevel(settings.level.upper())
    # a failed request is the poll's to report, once
    for name in ("httpx", "httpcore", "uvicorn"):
        logging.getLogger(name).setLevel(logging.ERROR)


class _LogfmtFormatter(Logfmter):
    """One line of ``key=value``."""

    def __init__(self) -> None:
        super().__init__(keys=["ts", "level"], mapping={"ts": "asctime", "level": "levelname"})

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802
        return _moment(record)


class _JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"ts": _moment(record), "level": record.levelname, "msg": record.getMessage()}
        line |= {key: value for key, value in vars(record).items() if key not in RESERVED}
        if record.exc_info:
            line["exc_info"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def _moment(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
