"""Every key of the configuration, with what the documentation says about it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pearl_exporter.config.durations import format_duration
from pearl_exporter.config.environment import variable_of
from pearl_exporter.config.fields import Check
from pearl_exporter.config.settings import SECTIONS, OutboundEntry
from pearl_exporter.config.signals import SignalSettings
from pearl_exporter.patterns import Pattern


@dataclass(frozen=True, slots=True)
class Key:
    """One key. ``path`` is as in ``poll.interval`` or ``outbounds[].id``; texts are Markdown.

    ``variable`` is the environment variable that sets it, empty where there is none.
    """

    path: str
    default: str
    accepts: str
    description: str
    variable: str

    def row(self) -> str:
        """Return its row in the table of docs/configuration.md."""
        return f"| `{self.path}` | {self.default} | {self.accepts} | {self.description} |"


def settings_keys() -> tuple[Key, ...]:
    """Return every key that a configuration file may have, section by section."""
    keys = [key for name, model in SECTIONS.items() for key in _section(name, model, name)]
    keys[_polls_end(keys) : _polls_end(keys)] = [
        *_section("signals.SIGNAL", SignalSettings, "signals__error"),
        *_section("outbounds[]", OutboundEntry, ""),
        Key(
            "outbounds[].signals",
            "`signals`",
            "mapping like `signals`",
            "Instead of `signals`, key by key.",
            "",
        ),
    ]
    return tuple(keys)


def _polls_end(keys: list[Key]) -> int:
    """Return the place of the outbounds: after the section whose values they override."""
    return max(i for i, key in enumerate(keys) if key.path.startswith("poll.")) + 1


def _section(prefix: str, model: type[BaseModel], section: str) -> Iterator[Key]:
    for name, field in model.model_fields.items():
        accepts = _accepts(field.annotation, *field.metadata)
        yield Key(
            path=f"{prefix}.{name}",
            default=_default(field, accepts),
            accepts=accepts,
            description=field.description or "",
            variable=variable_of(section, name) if section else "",
        )


def _accepts(annotation: object, *metadata: object) -> str:
    """Return what the check accepts; an optional key has its check one level deeper."""
    for check in (*metadata, *(inner for part in get_args(annotation) for inner in get_args(part))):
        if isinstance(check, Check):
            return check.accepts
    raise TypeError(f"{annotation} has no check")


def _default(field: FieldInfo, accepts: str) -> str:
    extra = field.json_schema_extra
    if isinstance(extra, dict):
        return str(extra["default_text"])
    if field.is_required():
        return "required"
    return _written(field.default, accepts)


def _written(value: object, accepts: str) -> str:
    """Return a default as a file would have it."""
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"`{format_duration(value) if accepts.startswith('duration') else f'{value:g}'}`"
    if isinstance(value, Pattern):
        return f"`'{value.pattern}'`"
    if isinstance(value, bool):
        return f"`{value}`".lower()
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{value}`"
