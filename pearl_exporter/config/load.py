"""Loading: a file and the environment in, one frozen `Settings` or all faults out.

The way: YAML with lines (`yaml_lines`), the environment over it (`environment`), each section
checked by its model (`settings`, `rules`), then what needs more than one key, or a look at the disk
(`resolve`). Every step reports to the same `Faults`, so that the user gets all of them at once.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pearl_exporter.config import resolve
from pearl_exporter.config.environment import Tree, overlay
from pearl_exporter.config.faults import Faults, one_line
from pearl_exporter.config.settings import (
    SECTIONS,
    AccountSettings,
    ApiSettings,
    DiscoverySettings,
    LogSettings,
    MetricsSettings,
    OutboundEntry,
    PollSettings,
    Settings,
    StateSettings,
    WebSettings,
)
from pearl_exporter.config.yaml_lines import KeyPath, YamlError, read_yaml
from pearl_exporter.errors import ConfigError

_MAX_FILE_BYTES = 1024 * 1024
_KNOWN = {
    "": ("api", "poll", "outbounds", "discovery", "account", "metrics", "state", "web", "log"),
    **{name: tuple(model.model_fields) for name, model in SECTIONS.items()},
    "outbounds": tuple(OutboundEntry.model_fields),
}
_NO_OUTBOUNDS = (
    "none given; name one in the file, as outbounds: [{id: YOUR_OUTBOUND_ID}], or in the "
    "environment, as PEARL_OUTBOUNDS=YOUR_OUTBOUND_ID=some-name; to have none, write outbounds: "
    "[]; to have those that the platform lists, discovery: {enabled: true}"
)
_IN_FILE: dict[str, object] = {}
"""The context by which a model knows that it reads a file: a duration bears its unit there."""

Model = TypeVar("Model", bound=BaseModel)


def load_settings(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read the settings from a file, if there is one, and from environment variables.

    Token files and certificate files are opened once, to see that they can be used.
    Raises ConfigError with every fault that was found; no fault quotes a secret.
    """
    faults = Faults("" if path is None else str(path))
    tree = {} if path is None else _read_file(path, faults)
    overlay(tree, environ, faults)
    api = _section(ApiSettings, "api", tree, faults)
    poll = _section(PollSettings, "poll", tree, faults)
    discovery = _section(DiscoverySettings, "discovery", tree, faults)
    account = _section(AccountSettings, "account", tree, faults)
    metrics = _section(MetricsSettings, "metrics", tree, faults)
    state = _section(StateSettings, "state", tree, faults)
    web = _section(WebSettings, "web", tree, faults)
    log = _section(LogSettings, "log", tree, faults)
    listed = tree.get("outbounds")
    entries = _entries([] if listed is None and discovery.enabled else listed, faults)
    resolve.check_timings(poll, entries, faults)
    resolve.check_unique(entries, faults)
    resolve.check_token(tree, entries, faults, asks=discovery.enabled or account.enabled)
    resolve.check_files(api, entries, faults)
    faults.raise_any()
    return Settings(
        api=api,
        poll=poll.model_copy(update={"give_up": resolve.give_up(poll.interval, poll, api)}),
        outbounds=tuple(resolve.outbound(entry, poll, api) for entry in entries.values()),
        discovery=discovery,
        account=account,
        metrics=metrics,
        state=state,
        web=web,
        log=log,
    )


# --- the file


def _read_file(path: Path, faults: Faults) -> Tree:
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
        raise ConfigError([one_line(f"{path}: wanted a mapping of {', '.join(_KNOWN[''])}")])
    for key in [key for key in top if key not in _KNOWN[""]]:
        faults.add_unknown((key,), _KNOWN)
    return top


def _file_text(path: Path) -> str:
    """Read the file. Raises ValueError, with the reason for the user, where that can't be done."""
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ValueError(f"can't be read: {error.strerror or type(error).__name__}") from None
    if len(content) > _MAX_FILE_BYTES:
        raise ValueError("is larger than 1 MiB; is it the right file?")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"not UTF-8 text (line {line})") from None


# --- one section, by its model


def _section(model: type[Model], name: str, tree: Tree, faults: Faults) -> Model:
    """Give the section; where it has faults, what it is without the faulty keys."""
    return _checked(model, tree.get(name), (name,), faults) or model()


def _checked(model: type[Model], value: object, path: KeyPath, faults: Faults) -> Model | None:
    if not isinstance(value, dict):
        faults.add(path, "wanted a mapping of keys to values")
        return None
    try:
        return model.model_validate(value, context=_IN_FILE)
    except ValidationError as error:
        wrong = {_report(detail, path, faults) for detail in error.errors(include_url=False)}
    try:
        rest = {key: item for key, item in value.items() if key not in wrong}
        return model.model_validate(rest, context=_IN_FILE)
    except ValidationError:  # a required key is missing or wrong, and reported
        return None


def _report(detail: ErrorDetails, path: KeyPath, faults: Faults) -> str | int:
    """Report one of pydantic's errors in our words; give the key of the section that is wrong."""
    location = tuple(part for part in detail["loc"] if part != "[key]")
    here = (*path, *location)
    if detail["type"] == "extra_forbidden":
        faults.add_unknown(here, _KNOWN)
    elif detail["type"] == "missing":
        faults.add(here, "this key is required")
    elif detail["type"] == "value_error":
        faults.add_value(here, str(detail["ctx"]["error"]), detail["input"])
    elif detail["type"] != "default_factory_not_called":  # a consequence, not a fault
        faults.add(here, detail["msg"])
    return location[0]


# --- outbounds


def _entries(listed: object, faults: Faults) -> dict[int, OutboundEntry]:
    """Give the outbounds that are well formed, by their place in the list."""
    if listed is None:
        faults.add(("outbounds",), _NO_OUTBOUNDS)
        return {}
    if not isinstance(listed, list):
        faults.add(("outbounds",), "wanted a list, such as [{id: YOUR_OUTBOUND_ID}]")
        return {}
    entries = {}
    for index, item in enumerate(listed):
        entry = _checked(OutboundEntry, item, ("outbounds", index), faults)
        if entry is not None:
            entries[index] = entry
    return entries
