"""Placeholders that somebody else should have replaced, such as ``${TOKEN}``. Pure.

The configuration is taken as it is written. What a shell, a template or Docker Compose was to fill
in would otherwise be sent to the API, or become a label.
"""

import re

from pearl_exporter.config.secrecy import looks_secret

_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_PLACEHOLDERS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"\$\{{({_NAME})(?:[:?+-][^}}]*)?\}}",  # ${VAR}, ${VAR:-default}
        rf"\$\(({_NAME})\)",  # $(VAR)
        r"\{\{-?\s*([^{}\s|]*)[^{}]*\}\}",  # {{ name }}, {{ .Values.name | quote }}
        rf"\A\s*\$({_NAME})\s*\Z",  # $VAR: in the middle of a text it may be anything
        rf"\A\s*%({_NAME})%\s*\Z",  # %VAR%
    )
)
_IN_LINE = re.compile(rf"\{{\{{-?\s*([^{{}}\s|]*)|%({_NAME})%")
"""Those that are no valid YAML without quotes."""

_SHOWN = re.compile(r"[A-Za-z0-9_.$-]{1,60}")


def placeholder_problem(text: str, variable: str | None = None) -> str | None:
    """Return what is wrong with a text that has a placeholder in it, None if it has none.

    Args:
        text: A value of the configuration.
        variable: The environment variable that sets the same key.
    """
    for pattern in _PLACEHOLDERS:
        match = pattern.search(text)
        if match is not None:
            return _problem(match[1], variable)
    return None


def placeholder_problem_of_line(line: str) -> str | None:
    """Return the same for a line of a file that is not valid YAML."""
    match = _IN_LINE.search(line)
    return None if match is None else _problem(match[1] or match[2] or "", None)


def refuse_placeholder(text: str) -> None:
    """Raise ValueError if a text has a placeholder in it."""
    problem = placeholder_problem(text)
    if problem is not None:
        raise ValueError(problem)


def _problem(name: str, variable: str | None) -> str:
    # the braces may have something secret in them, in place of a name
    whose = f"of {name} " if _SHOWN.fullmatch(name) and not looks_secret(name) else ""
    instead = f", or leave the key out and set {variable}" if variable else ""
    return f"a placeholder that nothing replaces; write the value {whose}itself{instead}"
