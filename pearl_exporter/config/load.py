"""Loading: a file and the environment in, one frozen `Settings` or all faults out.

The way: YAML with lines (`yaml_lines`), the environment over it (`environment`), each section
checked by its model (`settings`, `fields`), then what needs more than one key, or a look at the
disk (`resolve`). Every step reports to the same `Problems`, so that the user gets all at once.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr

from pearl_exporter.config import resolve
from pearl_exporter.config.environment import Tree, overlay
from pearl_exporter.config.problems import Faults, looked_from
from pearl_exporter.config.sections import Model, checked, read_sections
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
from pearl_exporter.config.web.load import check_web_config
from pearl_exporter.config.yaml_lines import KeyPath
from pearl_exporter.errors import ConfigError

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


def load_settings(
    path: Path | None, environ: Mapping[str, str], *, asks_api: bool = True
) -> Settings:
    """Read the settings from a file, if there is one, and from environment variables.

    Token files, certificate files and the web configuration are read once, to see that they can
    be used. Who asks the API nothing needs none of these: then no file but ``path`` is looked at,
    and the settings hold an empty token.
    Raises ConfigError with every fault that was found; no fault quotes a secret.
    """
    faults = Faults("" if path is None else str(path))
    tree = {} if path is None else _read(path, faults)
    overlay(tree, environ, faults)
    if not asks_api:
        resolve.leave_out_token(tree)
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
    if asks_api:
        resolve.check_token(tree, entries, faults, asks=discovery.enabled or account.enabled)
        resolve.check_files(api, entries, faults)
        check_web_config(web.config_file, faults)
    else:
        api = api.model_copy(update={"token": SecretStr("")})
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


def _read(path: Path, faults: Faults) -> Tree:
    try:
        return read_sections(path, _KNOWN, faults)
    except ConfigError as error:
        if os.path.exists(path):  # noqa: PTH110 - which raises nothing, whatever the path is
            raise
        remedy = f"{looked_from(path)}; name the file by --config or PEARL_CONFIG"
        raise ConfigError([f"{fault}{remedy}" for fault in error.faults]) from None


# --- one section, by its model


def _section(model: type[Model], name: str, tree: Tree, faults: Faults) -> Model:
    """Give the section; where it has faults, what it is without the faulty keys."""
    return _checked(model, tree.get(name), (name,), faults) or model()


def _checked(model: type[Model], value: object, path: KeyPath, faults: Faults) -> Model | None:
    return checked(model, value, path, faults, _KNOWN)


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
