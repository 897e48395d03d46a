"""A YAML file of sections: its text, its top level, and each section checked by its model.

The main configuration and the web configuration are both such files. Every problem goes to
`Problems`; what is returned is the part that has none.
"""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from pearl_exporter.config.files import read_capped
from pearl_exporter.config.problems import Problems, SectionKeys, one_line
from pearl_exporter.config.yaml_lines import KeyPath, YamlError, read_yaml
from pearl_exporter.errors import ConfigError

_MAX_FILE_BYTES = 1024 * 1024
_IN_FILE: dict[str, object] = {}
"""A context, any context, tells a field that its value was written by a user: see `fields`."""

Model = TypeVar("Model", bound=BaseModel)


class Section(BaseModel):
    """A section: frozen, no unknown key, no silent conversion, no value in its errors."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        hide_input_in_errors=True,
        arbitrary_types_allowed=True,
    )


def read_sections(path: Path, known: SectionKeys, problems: Problems) -> dict[str, object]:
    """Return the top level of the file, empty for an empty file.

    Args:
        path: The file.
        known: Where an unknown key of the top level is looked up.
        problems: Gets the unknown keys, and the line of every key.

    Raises:
        ConfigError: The file can't be read, or is no YAML mapping.
    """
    try:
        document = read_yaml(_read_text(path))
    except YamlError as error:
        where = f"{path}:{error.line}" if error.line else f"{path}"
        raise ConfigError([one_line(f"{where}: not valid YAML: {error}")]) from None
    except ValueError as error:
        raise ConfigError([one_line(f"{path}: {error}")]) from None
    problems.add_document(document)
    top = {} if document.value is None else document.value
    if not isinstance(top, dict):
        raise ConfigError([one_line(f"{path}: wanted a mapping of {', '.join(known[''])}")])
    for key in [key for key in top if key not in known[""]]:
        problems.add_unknown((key,), known)
    return top


def _read_text(path: Path) -> str:
    """Return the file's text. Raises ValueError, with the reason for the user, if it has none."""
    too_large = "is larger than 1 MiB; is it the right file?"
    content = read_capped(path, _MAX_FILE_BYTES, too_large)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"not UTF-8 text (line {line})") from None


def check_section(
    model: type[Model], value: object, path: KeyPath, problems: Problems, known: SectionKeys
) -> Model | None:
    """Return the section without the keys that have a problem.

    Args:
        model: The section's model.
        value: The section as the file has it.
        path: Where the section is in the file.
        problems: Gets the problems.
        known: Where an unknown key is looked up.

    Returns:
        None if a required key is missing or has a problem.
    """
    if not isinstance(value, dict):
        problems.add(path, "wanted a mapping of keys to values")
        return None
    try:
        return model.model_validate(value, context=_IN_FILE)
    except ValidationError as error:
        details = error.errors(include_url=False)
        wrong = {_report(detail, path, problems, known) for detail in details}
    # Checked again without the wrong keys: what depends on several keys is then checked too.
    try:
        rest = {key: item for key, item in value.items() if key not in wrong}
        return model.model_validate(rest, context=_IN_FILE)
    except ValidationError:  # a required key, which has been reported
        return None


def _report(
    detail: ErrorDetails, path: KeyPath, problems: Problems, known: SectionKeys
) -> str | int:
    """Report one of pydantic's errors in our words; return the key of the section at fault."""
    location = detail["loc"]
    if len(location) > 1 and location[-1] == "[key]":  # pydantic's mark for the key of a mapping
        location = location[:-1]
    here = (*path, *location)
    if detail["type"] == "extra_forbidden":
        problems.add_unknown(here, known)
    elif detail["type"] == "missing":
        problems.add(here, "this key is required")
    elif detail["type"] == "value_error":
        problems.add_value(here, str(detail["ctx"]["error"]), detail["input"])
    elif detail["type"] != "default_factory_not_called":  # follows from another key's problem
        problems.add(here, detail["msg"])
    return location[0]
