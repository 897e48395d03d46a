"""The bearer token of requests, read again when its file changes or when it was refused."""

import logging

from pearl_exporter.config import TokenSource
from pearl_exporter.config.files import file_stamp

_log = logging.getLogger(__name__)


class Token:
    """The bearer token of one source.

    Raises:
        ValueError: The token can't be read at first, with the reason for the user.
    """

    def __init__(self, source: TokenSource) -> None:
        self._source = source
        self._stamp = self._file_stamp()
        self._value = source.read()
        self._last_problem: str | None = None

    def current(self) -> str:
        """Return the token as it is now; while its file can't be read, the last good one."""
        stamp = self._file_stamp()
        if stamp != self._stamp:
            try:
                self._value = self._source.read()
                self._stamp, self._last_problem = stamp, None
            except ValueError as error:
                self._log_problem(str(error))
        return self._value

    def read_again(self) -> str:
        """Return the token, read even if its file looks unchanged: it was refused."""
        self._stamp = object()
        return self.current()

    def _log_problem(self, problem: str) -> None:
        """Warn of a problem once, not at every request for as long as it lasts."""
        if problem != self._last_problem:
            self._last_problem = problem
            _log.warning(
                "token file can't be read, keeping the last token",
                extra={"token_file": str(self._source.file), "problem": problem},
            )

    def _file_stamp(self) -> object:
        return None if self._source.file is None else file_stamp(self._source.file)
