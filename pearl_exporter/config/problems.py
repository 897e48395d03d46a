"""The problems of a configuration: collected, then reported at once, one line each, no secret.

``config.yml:6: outbounds.0.intervall: unknown key; did you mean "interval"?`` for a file,
``PEARL_POLL__WINDOW: got "5x", wanted a duration such as 30s, 1h30m or 1d`` for the environment.
"""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path

from pearl_exporter.config.secrecy import looks_secret
from pearl_exporter.config.yaml_lines import Document, KeyPath
from pearl_exporter.errors import ConfigError

SectionKeys = Mapping[str, Iterable[str]]
"""The known keys of each section by its name; under the empty name, the names of the sections."""

_MAX_SHOWN = 60
_MAX_REPORTED = 100
_MAX_PATH = 200
_SECRET_KEY = re.compile(r"token|secret|password|authorization|proxy", re.IGNORECASE)


class Problems:
    """Problems by the path of their key, and where each key was written: a line or a variable."""

    def __init__(self, file: str = "") -> None:
        self._file = file
        self._lines: Mapping[KeyPath, int] = {}
        self._texts: dict[KeyPath, str] = {}
        self._variables: dict[KeyPath, str] = {}
        self._reported: set[KeyPath] = set()
        self._messages: list[tuple[int, str]] = []

    def add_document(self, document: Document) -> None:
        """Take over a document's lines, and the problems that reading it found."""
        self._lines, self._texts = document.lines, document.texts
        for line, path, message in document.problems:
            self._reported.add(path)
            self._add_at_line(line, path, message)

    def note_variable(self, path: KeyPath, variable: str) -> None:
        """Remember that the value at ``path`` comes from an environment variable."""
        self._texts.pop(path, None)
        self._variables[path] = variable

    def add(self, path: KeyPath, message: str) -> None:
        """Add a problem of a key; only the first one, since a second may follow from it."""
        if path in self._reported:
            return
        self._reported.add(path)
        # The nearest part of the path that was written somewhere says where.
        for length in range(len(path), 0, -1):
            variable = self._variables.get(path[:length])
            if variable is not None:
                # PEARL_POLL__WINDOW names the key itself, PEARL_OUTBOUNDS holds many keys.
                rest = "" if length == len(path) else f"{_dotted(path)}: "
                self.add_without_key(f"{variable}: {rest}{message}")
                return
            line = self._lines.get(path[:length])
            if line is not None:
                self._add_at_line(line, path, message)
                return
        self._add_at_line(0, path, message)

    def add_value(self, path: KeyPath, message: str, value: object) -> None:
        """Add a problem of a value; "got …" is put before a message that begins with "wanted"."""
        if message.startswith("wanted"):
            message = f"got {self._shown(path, value)}, {message}"
        self.add(path, message)

    def add_file(self, path: KeyPath, message: str, file: Path) -> None:
        """Add a problem of a file that a key names, with the path of the file."""
        self.add(path, f"{message}{_shown_path(file)}")

    def add_unknown(self, path: KeyPath, sections: SectionKeys) -> None:
        """Add an unknown key, with the nearest key that its section knows."""
        section, key = str(path[0]) if len(path) > 1 else "", str(path[-1])
        known = list(sections[section])
        elsewhere = [name for name, keys in sections.items() if name and key in keys]
        if near := get_close_matches(key, known, 1):
            hint = f'did you mean "{near[0]}"?'
        elif elsewhere:
            hint = f'"{key}" belongs under "{elsewhere[0]}"'
        else:
            hint = f"wanted one of {', '.join(known)}"
        self.add(path, f"unknown key; {hint}")

    def add_without_key(self, message: str) -> None:
        """Add a problem that belongs to no key of the file."""
        self._messages.append((0, message))

    def source_of(self, path: KeyPath) -> str:
        """Return what sets the value at ``path``: its variable, else the key itself."""
        return self._variables.get(path) or _dotted(path)

    def is_from_variable(self, path: KeyPath) -> bool:
        """Return whether an environment variable sets the value at ``path``."""
        return path in self._variables

    def keys_in(self, *section: str | int) -> set[str]:
        """Return the keys of a section that have a problem already."""
        depth = len(section)
        return {
            str(path[depth]) for path in self._reported if path[:depth] == section and path[depth:]
        }

    def raise_if_any(self) -> None:
        """Raise all problems at once, in the order of the file.

        Only a file that is no configuration at all has more than a hundred; the rest are counted.

        Raises:
            ConfigError: There is at least one problem.
        """
        if self._messages:
            # Line 0 is no line: those problems come last.
            ordered = sorted(self._messages, key=lambda each: each[0] or float("inf"))
            lines = [one_line(message) for _, message in ordered]
            rest = len(lines) - _MAX_REPORTED
            more = [f"and {rest} more"] if rest > 0 else []
            raise ConfigError([*dict.fromkeys(lines[:_MAX_REPORTED]), *more])

    def _add_at_line(self, line: int, path: KeyPath, message: str) -> None:
        where = f"{self._file}:{line}: " if line else f"{self._file}: " if self._file else ""
        key = f"{_dotted(path)}: " if path else ""
        self._messages.append((line, f"{where}{key}{message}"))

    def _shown(self, path: KeyPath, value: object) -> str:
        """Return how to write a value without showing what may be a secret."""
        if value is None:
            return "nothing"
        if isinstance(value, list):
            return f"a list of {len(value)}"
        if isinstance(value, dict):
            return "a mapping"
        text = self._texts.get(path, str(value))
        is_long = len(text) > _MAX_SHOWN
        is_secret = any(_SECRET_KEY.search(str(part)) for part in path)
        # A long text is not searched: the time grows with the square of its length.
        if is_secret or (not is_long and looks_secret(text)):
            return "a value that is not shown"
        if is_long:
            return f"a value of {len(text)} characters"
        return f'"{text}"' if isinstance(value, str) else text


def _shown_path(file: Path) -> str:
    """Return a file's path for a message; nothing if it may be a secret pasted in its place."""
    text = str(file)
    if len(text) > _MAX_PATH or looks_secret(text):
        return ""
    return f': "{text}"{relative_to(file)}'


def relative_to(file: Path) -> str:
    """Return the words that name the folder to which ``file`` is relative, if it is relative."""
    if file.is_absolute():
        return ""
    try:
        return f", from the working directory {Path.cwd()}"
    except OSError:  # it was removed
        return ""


def _dotted(path: KeyPath) -> str:
    """Return a path as ``poll.window``; a key that may be something pasted is not repeated."""
    return ".".join(
        f"(a key of {len(key)} characters)" if len(key) > _MAX_SHOWN or looks_secret(key) else key
        for key in map(str, path)
    )


def one_line(message: str) -> str:
    """Return the message with escapes for what would break the line or change the terminal."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in message
    )
