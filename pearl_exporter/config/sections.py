"""A YAML file of sections: its text, its top, and each section by its model.

What the main configuration and the web configuration have in common. Every fault is reported to a
`Faults`; what is given back is what was well.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from pearl_exporter.config.files import read_capped
from pearl_exporter.config.problems import Faults, one_line
from pearl_exporter.config.yaml_lines import KeyPath, YamlError, read_yaml
from pearl_exporter.errors import ConfigError

_MAX_FILE_BYTES = 1024 * 1024
_IN_FILE: dict[str, object] = {}
"""The context by which a model knows that it reads a file: a duration bears its unit there."""

Known = Mapping[str, Iterable[str]]
"""The keys of each section by its name; under the empty name, the names of the sections."""

Model = TypeVar("Model", bound=BaseModel)


class Section(BaseModel):
    """What all sections share: frozen, no unknown key, no silent conversion, no value in errors."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        hide_input_in_errors=True,
        arbitrary_types_allowed=True,
    )


def read_sections(path: Path, known: Known, faults: Faults) -> dict[str, object]:
    """Give the top of the file, empty for an empty file. Raises ConfigError where it is none."""
    try:
        document = read_yaml(_file_text(path))
    except YamlError as error:
        where = f"{path}:{error.line}" if error.line else f"{path}"
        raise ConfigError([one_line(f"{where}: not valid YAML: {error}")]) from None
    except ValueError as error:
        raise ConfigError([one_line(f"{path}: {error}")]) from None
    faults.learn_file(document)
    top = {} if document.value is None else document.value
    if not isinstance(top, dict):
        raise ConfigError([one_line(f"{path}: wanted a mapping of {', '.join(known[''])}")])
    for key in [key for key in top if key not in known[""]]:
        faults.add_unknown((key,), known)
    return top


def _file_text(path: Path) -> str:
    """Read the file. Raises ValueError, with the reason for the user, where that can't be done."""
    too_large = "is larger than 1 MiB; is it the right file?"
    content = read_capped(path, _MAX_FILE_BYTES, too_large)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"not UTF-8 text (line {line})") from None


def checked(
    model: type[Model], value: object, path: KeyPath, faults: Faults, known: Known
) -> Model | None:
    """Give the section without its faulty keys; None where a required key is among them."""
    if not isinstance(value, dict):
        faults.add(path, "wanted a mapping of keys to values")
        return None
    try:
        return model.model_validate(value, context=_IN_FILE)
    except ValidationError as error:
        details = error.errors(include_url=False)
        wrong = {_report(detail, path, faults, known) for detail in details}
    try:
        rest = {key: item for key, item in value.items() if key not in wrong}
        return model.model_validate(rest, context=_IN_FILE)
    except ValidationError:  # a required key is missing or wrong, and reported
        return None


def _report(detail: ErrorDetails, path: KeyPath, faults: Faults, known: Known) -> str | int:
    """Report one of pydantic's errors in our words; give the key of the section that is wrong."""
    location = tuple(part for part in detail["loc"] if part != "[key]")
    here = (*path, *location)
    if detail["type"] == "extra_forbidden":
        faults.add_unknown(here, known)
    elif detail["type"] == "missing":
        faults.add(here, "this key is required")
    elif detail["type"] == "value_error":
        faults.add_value(here, str(detail["ctx"]["error"]), detail["input"])
    elif detail["type"] != "default_factory_not_called":  # a consequence, not a fault
        faults.add(here, detail["msg"])
    return location[0]
