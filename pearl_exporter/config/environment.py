"""Environment variables as a part of the configuration.

``PEARL_<SECTION>__<KEY>`` overrides a key of the file. The token and the outbounds have variables
of their own, which count only if the file has no token or no outbounds. An empty variable counts as
not set: a compose file makes one of a variable that is missing. Other variables that begin with
``PEARL_`` are ignored: Kubernetes makes some for a service called pearl.
"""

import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches

from pydantic import BaseModel

from pearl_exporter.config.problems import Problems
from pearl_exporter.config.settings import SECTIONS
from pearl_exporter.config.signals import SIGNAL_KEYS, SignalSettings
from pearl_exporter.detection.signals import Signal
from pearl_exporter.text import is_unicode

Tree = dict[str, object]

_OWN_VARIABLES = {
    ("api", "url"): "PEARL_API_URL",
    ("api", "token"): "PEARL_API_TOKEN",
    ("api", "token_file"): "PEARL_API_TOKEN_FILE",
}
_NUMBER = re.compile(r"[-+]?[0-9]{1,18}(\.[0-9]{1,18})?")


def variable_of(section: str, key: str) -> str:
    """Return the name of the variable that sets a key."""
    return _OWN_VARIABLES.get((section, key), f"PEARL_{section}__{key}".upper())


def overlay(tree: Tree, environ: Mapping[str, str], problems: Problems) -> None:
    """Put the variables into ``tree``, which holds the sections as the file has them."""
    ours = {name: text for name, text in environ.items() if name.startswith("PEARL_") and text}
    for name in [name for name, text in ours.items() if not is_unicode(text)]:
        problems.add_without_key(f"{name}: not valid UTF-8")
        del ours[name]
    for section, model in SECTIONS.items():
        _overlay_section(tree, section, model, ours, problems)
    _overlay_signals(tree, ours, problems)
    _overlay_outbounds(tree, ours, problems)


def _overlay_section(
    tree: Tree, section: str, model: type[BaseModel], ours: Mapping[str, str], problems: Problems
) -> None:
    known = {variable_of(section, key): key for key in model.model_fields}
    given = {known[name]: text for name, text in ours.items() if name in known}
    for name in ours:
        if name.startswith(f"PEARL_{section.upper()}__") and name not in known:
            _add_unknown_variable(name, known, problems)
    values = tree.get(section)
    if values is None:
        values = tree[section] = {}
    if not isinstance(values, dict):
        return  # reported when the section is checked
    if section == "api" and any(values.get(key) is not None for key in ("token", "token_file")):
        given.pop("token", None)
        given.pop("token_file", None)
    for key, text in given.items():
        values[key] = _value(model.model_fields[key].annotation, text.strip())
        problems.note_variable((section, key), variable_of(section, key))


def _overlay_signals(tree: Tree, ours: Mapping[str, str], problems: Problems) -> None:
    known = {
        f"PEARL_SIGNALS__{signal}__{key}".upper(): (str(signal), key)
        for signal in Signal
        for key in SIGNAL_KEYS
    }
    for name, text in ours.items():
        if not name.startswith("PEARL_SIGNALS__"):
            continue
        if name not in known:
            _add_unknown_variable(name, known, problems)
            continue
        signal, key = known[name]
        values = tree["signals"] = {} if tree.get("signals") is None else tree["signals"]
        if not isinstance(values, dict) or not isinstance(values.get(signal, {}), dict):
            continue  # reported when the section is checked
        kind = SignalSettings.model_fields[key].annotation
        value = _number(text.strip()) if key == "ceiling" else _value(kind, text.strip())
        values.setdefault(signal, {})[key] = value
        problems.note_variable(("signals", signal, key), name)


def _add_unknown_variable(name: str, known: Collection[str], problems: Problems) -> None:
    near = get_close_matches(name, known, 1) or get_close_matches(name, known, 1, 0)
    problems.add_without_key(f"{name}: unknown variable; did you mean {near[0]}?")


def _value(kind: object, text: str) -> object:
    """Return the text as the type that its key has in YAML, or unchanged if it is no such value."""
    if kind is bool:
        return {"true": True, "false": False}.get(text.lower(), text)
    if kind in {int, float}:
        return _number(text)
    if kind == tuple[float, ...]:
        return [_number(part.strip()) for part in text.strip("[]").split(",")]
    return text


def _number(text: str) -> object:
    match = _NUMBER.fullmatch(text)
    if match is None:
        return text
    return float(text) if match[1] else int(text)


def _overlay_outbounds(tree: Tree, ours: Mapping[str, str], problems: Problems) -> None:
    for name in ours:
        if name.startswith("PEARL_OUTBOUNDS__"):
            problems.add_without_key(
                f"{name}: unknown variable; wanted PEARL_OUTBOUNDS=id=name,id2=name2"
            )
    if tree.get("outbounds") not in (None, []) or "PEARL_OUTBOUNDS" not in ours:
        return
    entries = [entry.strip() for entry in ours["PEARL_OUTBOUNDS"].split(",")]
    tree["outbounds"] = [_outbound(entry) for entry in entries if entry]
    problems.note_variable(("outbounds",), "PEARL_OUTBOUNDS")


def _outbound(entry: str) -> Tree:
    key, equals, name = entry.partition("=")
    return {"id": key, "name": name} if equals else {"id": key}
