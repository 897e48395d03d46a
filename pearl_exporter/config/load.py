"""Loading: a file and the environment in, one frozen `Settings` or all problems out.

The steps: YAML with its lines (`yaml_lines`), the environment over it (`environment`), each section
checked by its model (`settings`, `fields`), then what takes more than one key or a look at the disk
(`checks`), and the outbounds with every value resolved (`resolve`). Every step reports to the same
`Problems`, so that the user gets all of them at once.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pydantic import SecretStr

from pearl_exporter.config import checks
from pearl_exporter.config.environment import Tree, overlay, variable_of
from pearl_exporter.config.placeholders import placeholder_problem
from pearl_exporter.config.problems import Problems, relative_to
from pearl_exporter.config.resolve import resolve_outbound
from pearl_exporter.config.secrecy import KnownSecrets
from pearl_exporter.config.sections import Model, check_section, read_sections
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
from pearl_exporter.config.signals import SignalSettings, check_signals, resolve_signals
from pearl_exporter.config.timings import resolve_timings
from pearl_exporter.config.tokens import TokenSource
from pearl_exporter.config.web.load import check_web_config
from pearl_exporter.config.yaml_lines import KeyPath
from pearl_exporter.detection.signals import Signal
from pearl_exporter.errors import ConfigError

_KNOWN = {
    "": (
        *("api", "poll", "signals", "outbounds", "discovery", "account"),
        *("metrics", "state", "web", "log"),
    ),
    **{name: tuple(model.model_fields) for name, model in SECTIONS.items()},
    "outbounds": (*OutboundEntry.model_fields, "signals"),
}
_NO_OUTBOUNDS = (
    "none given; name one in the file, as outbounds: [{id: YOUR_OUTBOUND_ID}], or in the "
    "environment, as PEARL_OUTBOUNDS=YOUR_OUTBOUND_ID=some-name; to have none, write outbounds: "
    "[]; to have those that the platform lists, discovery: {enabled: true}"
)


def load_settings(
    path: Path | None, environ: Mapping[str, str], *, asks_api: bool = True
) -> Settings:
    """Return the settings from a file, if one is given, and from environment variables.

    Token files, certificate files and the web configuration are read once, to check that they can
    be used.

    Args:
        path: The file; None for the environment alone.
        environ: The environment variables.
        asks_api: Whether the command that needs the settings sends requests. If not, it needs no
            token: the settings then hold an empty one, and no file but ``path`` is read.

    Raises:
        ConfigError: Something is wrong. It has every problem; none of them quotes a secret.
    """
    secrets = KnownSecrets()
    _add_secret(environ.get("PEARL_API_TOKEN", ""), secrets)
    try:
        return _load(path, environ, secrets, asks_api=asks_api)
    except ConfigError as error:
        # the form of a value does not always show that it is the token
        raise ConfigError(map(secrets.mask, error.problems)) from None


def _load(
    path: Path | None, environ: Mapping[str, str], secrets: KnownSecrets, *, asks_api: bool
) -> Settings:
    """Return the settings; add to ``secrets`` the tokens that the configuration has."""
    problems = Problems("" if path is None else str(path))
    tree = {} if path is None else _read(path, problems)
    overlay(tree, environ, problems)
    _add_secrets(tree, secrets, reads_files=asks_api)
    if not asks_api:
        _leave_out_token(tree)
    checks.check_placeholders(tree, problems, lambda key: _variable_instead(key, problems))
    checks.check_secrets(tree, secrets, problems)
    api = _section(ApiSettings, "api", tree, problems)
    poll = _section(PollSettings, "poll", tree, problems)
    discovery = _section(DiscoverySettings, "discovery", tree, problems)
    account = _section(AccountSettings, "account", tree, problems)
    metrics = _section(MetricsSettings, "metrics", tree, problems)
    state = _section(StateSettings, "state", tree, problems)
    web = _section(WebSettings, "web", tree, problems)
    log = _section(LogSettings, "log", tree, problems)
    signals = check_signals(tree.get("signals"), ("signals",), problems)
    listed = tree.get("outbounds")
    own_signals = _own_signals(listed, problems)
    entries = _entries([] if listed is None and discovery.enabled else listed, problems)
    checks.check_timings(poll, entries, problems)
    checks.check_unique(entries, problems)
    if asks_api:
        is_needed = discovery.enabled or account.enabled
        checks.check_token(tree, entries, problems, is_needed=is_needed)
        checks.check_files(api, entries, problems)
        check_web_config(web.config_file, problems)
    else:
        api = api.model_copy(update={"token": SecretStr("")})
    problems.raise_if_any()
    give_up = resolve_timings(poll, {}, api.timeout).give_up
    return Settings(
        api=api,
        poll=poll.model_copy(update={"give_up": give_up}),
        signals=resolve_signals(signals, {}),
        outbounds=tuple(
            resolve_outbound(entry, poll, api, resolve_signals(signals, own_signals.get(index, {})))
            for index, entry in entries.items()
        ),
        discovery=discovery,
        account=account,
        metrics=metrics,
        state=state,
        web=web,
        log=log,
    )


def _read(path: Path, problems: Problems) -> Tree:
    try:
        return read_sections(path, _KNOWN, problems)
    except ConfigError as error:
        if os.path.exists(path):  # noqa: PTH110 - unlike Path.exists, it never raises
            raise
        hint = f"{relative_to(path)}; name the file by --config or PEARL_CONFIG"
        raise ConfigError([f"{problem}{hint}" for problem in error.problems]) from None


def _add_secrets(tree: Tree, secrets: KnownSecrets, *, reads_files: bool) -> None:
    """Add the tokens of the configuration, whatever is wrong with them: see `checks` for that."""
    api, listed = tree.get("api"), tree.get("outbounds")
    sections = [api, *(listed if isinstance(listed, list) else ())]
    for section in sections:
        given = section if isinstance(section, dict) else {}
        token, file = given.get("token"), given.get("token_file")
        if isinstance(token, str):
            _add_secret(token, secrets)
        if reads_files and isinstance(file, str) and "\0" not in file:
            with suppress(ValueError):
                _add_secret(TokenSource(file=Path(file)).read(), secrets)


def _add_secret(text: str, secrets: KnownSecrets) -> None:
    if placeholder_problem(text) is None:
        secrets.add(text)


def _variable_instead(path: KeyPath, problems: Problems) -> str | None:
    """Return the environment variable that sets a key of the file, None if there is none."""
    if len(path) != 2 or problems.is_from_variable(path):  # noqa: PLR2004 - a section's key
        return None
    section, key = map(str, path)
    if section not in SECTIONS or key not in SECTIONS[section].model_fields:
        return None
    return variable_of(section, key)


def _leave_out_token(tree: Tree) -> None:
    """Remove the token of `api`, and with it whatever is wrong with it."""
    api = tree.get("api")
    if isinstance(api, dict):
        api.pop("token", None)
        api.pop("token_file", None)


def _section(model: type[Model], name: str, tree: Tree, problems: Problems) -> Model:
    """Return the section; where it has problems, without the keys that have them."""
    return _checked(model, tree.get(name), (name,), problems) or model()


def _checked(model: type[Model], value: object, path: KeyPath, problems: Problems) -> Model | None:
    return check_section(model, value, path, problems, _KNOWN)


def _own_signals(listed: object, problems: Problems) -> dict[int, Mapping[Signal, SignalSettings]]:
    """Return what the outbounds have of their own in `signals`, by their place in the list."""
    return {
        index: check_signals(item.get("signals"), ("outbounds", index, "signals"), problems)
        for index, item in enumerate(listed if isinstance(listed, list) else ())
        if isinstance(item, dict)
    }


def _entries(listed: object, problems: Problems) -> dict[int, OutboundEntry]:
    """Return the outbounds that have no problem in a required key, by their place in the list."""
    if listed is None:
        problems.add(("outbounds",), _NO_OUTBOUNDS)
        return {}
    if not isinstance(listed, list):
        problems.add(("outbounds",), "wanted a list, such as [{id: YOUR_OUTBOUND_ID}]")
        return {}
    entries = {}
    for index, item in enumerate(listed):
        if isinstance(item, dict):  # signals are checked by themselves
            item = {key: value for key, value in item.items() if key != "signals"}  # noqa: PLW2901
        entry = _checked(OutboundEntry, item, ("outbounds", index), problems)
        if entry is not None:
            entries[index] = entry
    return entries
