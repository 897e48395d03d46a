"""The token that requests bear: read anew when its file changes, or when it was refused."""

import logging

from pearl_exporter.config import TokenSource
from pearl_exporter.config.files import file_stamp

_log = logging.getLogger(__name__)


class Token:
    """The bearer token of one source, read anew when its file changes."""

    def __init__(self, source: TokenSource) -> None:
        self._source = source
        self._stamp = self._file_stamp()
        self._value = source.read()
        self._told: str | None = None

    def current(self) -> str:
        """The token as it is now; while its file can't be read, the last good one."""
        stamp = self._file_stamp()
        if stamp != self._stamp:
            try:
                self._value = self._source.read()
                self._stamp, self._told = stamp, None
            except ValueError as error:
                self._tell(str(error))
        return self._value

    def read_anew(self) -> str:
        """The token, read also where its file looks unchanged: it was refused, so who knows."""
        self._stamp = object()
        return self.current()

    def _tell(self, fault: str) -> None:
        """Warns of a fault once, not at every request for as long as it lasts."""
        if fault != self._told:
            self._told = fault
            _log.warning(
                "the token file can't be used, going on with the token read before: %s",
                fault,
                extra={"token_file": str(self._source.file)},
            )

    def _file_stamp(self) -> object:
        return None if self._source.file is None else file_stamp(self._source.file)
