"""The faults of a configuration, collected, and told one line each, without any secret.

``config.yml:6: outbounds.0.intervall: unknown key; did you mean "interval"?`` for a file,
``PEARL_POLL__WINDOW: got "5x", wanted a duration such as 30s, 1h30m or 1d`` for the environment.
"""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path

from pearl_exporter.config.yaml_lines import Document, KeyPath
from pearl_exporter.errors import ConfigError

_MAX_SHOWN = 60
_MAX_TOLD = 100
_MAX_PATH = 200
_SECRET_KEY = re.compile(r"token|secret|password|authorization|proxy", re.IGNORECASE)
# A secret under a wrong key, or as one: a whole header, a URL with a password or a query, NLPearl's
# account:secret pair (localhost:10042 is none), a hash of bcrypt, and, but in a path, a long key.
_LONG_KEY = re.compile(r"(?=[\w+=~-]*\d)(?=[\w+=~-]*[a-z])[\w+=~-]{24,}", re.IGNORECASE)
_SECRET_VALUE = re.compile(
    r"bearer|@|://.*[?#]|^\$2[a-z]\$|^[^\s/:]{3,}:(?!\d+$)[^\s/:]{4,}$", re.IGNORECASE
)


class Faults:
    """Collects faults by the path of their key, and knows where each key was written."""

    def __init__(self, file: str = "") -> None:
        self._file = file
        self._lines: Mapping[KeyPath, int] = {}
        self._texts: dict[KeyPath, str] = {}
        self._variables: dict[KeyPath, str] = {}
        self._wrong: set[KeyPath] = set()
        self._found: list[tuple[int, str]] = []

    def learn_file(self, document: Document) -> None:
        """Take the lines of a document, and its own faults."""
        self._lines, self._texts = document.lines, document.texts
        for line, path, message in document.faults:
            self._wrong.add(path)
            self._add_at_line(line, path, message)

    def learn_variable(self, path: KeyPath, variable: str) -> None:
        """Remember that the value at ``path`` comes from an environment variable."""
        self._texts.pop(path, None)
        self._variables[path] = variable

    def add(self, path: KeyPath, message: str) -> None:
        """Report a fault at a key; only its first, for a second would be a consequence."""
        if path in self._wrong:
            return
        self._wrong.add(path)
        for length in range(len(path), 0, -1):
            variable = self._variables.get(path[:length])
            if variable is not None:
                # PEARL_POLL__WINDOW says the key itself, PEARL_OUTBOUNDS holds many.
                rest = "" if length == len(path) else f"{_dotted(path)}: "
                self.add_bare(f"{variable}: {rest}{message}")
                return
            line = self._lines.get(path[:length])
            if line is not None:
                self._add_at_line(line, path, message)
                return
        self._add_at_line(0, path, message)

    def add_value(self, path: KeyPath, message: str, value: object) -> None:
        """Report a fault of a value; one that begins "wanted" is told with what was got."""
        if message.startswith("wanted"):
            message = f"got {self._shown(path, value)}, {message}"
        self.add(path, message)

    def add_file(self, path: KeyPath, message: str, file: Path) -> None:
        """Report a fault of a file that a key names, with where it was looked for."""
        self.add(path, f"{message}{_looked_for(file)}")

    def name_of(self, path: KeyPath) -> str:
        """Give what sets the value at ``path``: its variable, else the key itself."""
        return self._variables.get(path) or _dotted(path)

    def add_unknown(self, path: KeyPath, sections: Mapping[str, Iterable[str]]) -> None:
        """Report an unknown key, with the nearest of those that its section knows."""
        here, key = str(path[0]) if len(path) > 1 else "", str(path[-1])
        known = list(sections[here])
        elsewhere = [name for name, keys in sections.items() if name and key in keys]
        if near := get_close_matches(key, known, 1):
            hint = f'did you mean "{near[0]}"?'
        elif elsewhere:
            hint = f'"{key}" belongs under "{elsewhere[0]}"'
        else:
            hint = f"wanted one of {', '.join(known)}"
        self.add(path, f"unknown key; {hint}")

    def wrong(self, *section: str | int) -> set[str]:
        """Give the keys of a section that have a fault of their own already."""
        depth = len(section)
        return {
            str(path[depth]) for path in self._wrong if path[:depth] == section and path[depth:]
        }

    def add_bare(self, message: str) -> None:
        """Report a fault that belongs to no key of the file."""
        self._found.append((0, message))

    def raise_any(self) -> None:
        """Raise ConfigError with all faults, in the file's order; do nothing if there are none.

        Only a file that is no configuration has more than a hundred: the rest are counted.
        """
        if self._found:
            ordered = sorted(self._found, key=lambda fault: fault[0] or float("inf"))
            lines = [one_line(message) for _, message in ordered]
            rest = len(lines) - _MAX_TOLD
            more = [f"and {rest} more"] if rest > 0 else []
            raise ConfigError([*dict.fromkeys(lines[:_MAX_TOLD]), *more])

    def _add_at_line(self, line: int, path: KeyPath, message: str) -> None:
        where = f"{self._file}:{line}: " if line else f"{self._file}: " if self._file else ""
        key = f"{_dotted(path)}: " if path else ""
        self._found.append((line, f"{where}{key}{message}"))

    def _shown(self, path: KeyPath, value: object) -> str:
        """Say what a value is without giving away what may be a secret."""
        if value is None:
            return "nothing"
        if isinstance(value, list):
            return f"a list of {len(value)}"
        if isinstance(value, dict):
            return "a mapping"
        text = self._texts.get(path, str(value))
        is_long = len(text) > _MAX_SHOWN
        is_secret = any(_SECRET_KEY.search(str(part)) for part in path)
        # a long one is not searched, which takes time by its square
        if is_secret or (not is_long and _looks_secret(text)):
            return "a value that is not shown"
        if is_long:
            return f"a value of {len(text)} characters"
        return f'"{text}"' if isinstance(value, str) else text


def _looks_secret(text: str) -> bool:
    return bool(_SECRET_VALUE.search(text) or ("/" not in text and _LONG_KEY.search(text)))


def _looked_for(file: Path) -> str:
    """Say where a file was looked for; nothing where its path may be a secret that was pasted."""
    text = str(file)
    if len(text) > _MAX_PATH or _looks_secret(text):
        return ""
    return f': "{text}"{looked_from(file)}'


def looked_from(file: Path) -> str:
    """Say where a relative path begins."""
    if file.is_absolute():
        return ""
    try:
        return f", from the working directory {Path.cwd()}"
    except OSError:  # it was removed
        return ""


def _dotted(path: KeyPath) -> str:
    """Write a path; a key that looks like none may be something pasted, so it is not repeated."""
    return ".".join(
        f"(a key of {len(key)} characters)"
        if len(key) > _MAX_SHOWN
        or _LONG_KEY.search(key)
        or (not key.isidentifier() and _SECRET_VALUE.search(key))
        else key
        for key in map(str, path)
    )


def one_line(message: str) -> str:
    """Give the message with escapes for what would break the line or the terminal."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in message
    )
