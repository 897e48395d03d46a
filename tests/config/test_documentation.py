"""The documentation of the keys: complete, and with the defaults of the code."""

import re
from pathlib import Path

import pytest

from pearl_exporter.config import ApiSettings
from tests.config.loading import load
from tests.support.config_keys import settings_keys

pytestmark = pytest.mark.usefixtures("own_folder")


DOCS = Path(__file__).parents[2] / "docs"


def test_the_documentation_lists_every_key():
    lines = (DOCS / "configuration.md").read_text().splitlines()
    rows = [line for line in lines if re.match(r"\| `(\w+)(\[\])?\.", line)]
    assert rows == [key.row() for key in settings_keys()]


def test_the_example_is_every_key_at_its_default():
    text = re.sub(r"\bYOUR_(?=[A-Z])", "MY_", (DOCS / "example-config.yml").read_text())
    loaded = load(text, {})
    name = loaded.outbounds[0].name
    plain = load(f"outbounds: [{{id: MY_OUTBOUND_ID, name: {name}}}]")
    assert loaded.api.model_copy(update={"token": None}) == ApiSettings()
    assert loaded.model_copy(update={"api": plain.api, "outbounds": ()}) == plain.model_copy(
        update={"outbounds": ()}
    )
    for key in settings_keys():
        assert re.search(rf"\b{key.path.rpartition('.')[2]}:", text), key.path
