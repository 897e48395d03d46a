"""Loads a configuration file of a given text, in a folder of the test's own."""

from pathlib import Path

import pytest

from pearl_exporter.config import ConfigError, Settings, load_settings

TOKEN = {"PEARL_API_TOKEN": "account:key"}
ONE = "outbounds: [{id: a}]\n"
CONFIG = Path("config.yml")


def load(text: str | bytes = "", environ: dict[str, str] | None = None) -> Settings:
    """Load a file of this text with a token in the environment, or with exactly ``environ``."""
    CONFIG.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_settings(CONFIG, TOKEN if environ is None else environ)


def problems_of(text: str | bytes = "", environ: dict[str, str] | None = None) -> list[str]:
    """Return the problems of such a file, which must have some."""
    with pytest.raises(ConfigError) as caught:
        load(text, environ)
    return list(caught.value.problems)
