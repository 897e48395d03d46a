"""The files are what the code makes, and Grafana's model knows everything in them."""

import json

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests.grafana.files import DASHBOARDS, FILES, each_dashboard
from tools.dashboards.files import dashboards, to_json
from tools.grafana_requests import Json

OF_THE_DATA_SOURCE = {"titleFormat", "tagKeys"}
"""Keys of an annotation that Prometheus' plugin knows and the model does not."""


def test_the_files_are_those_that_the_code_makes():
    written = {file.stem: file.read_text() for file in FILES}
    made = {uid: to_json(each) for uid, each in dashboards().items()}
    assert written == made, "make dashboards writes them"


def test_the_code_makes_the_same_each_time():
    once, again = ({uid: to_json(each) for uid, each in dashboards().items()} for _ in range(2))
    assert once == again


def unknown_keys(made: Json) -> list[str]:
    """What is lost when Grafana's model reads a dashboard and writes it again."""
    register_default_plugins()
    read = json.loads(json.dumps(Dashboard.from_json(made), cls=JSONEncoder))
    return list(_lost(made, read, ""))


def _lost(before: object, after: object, path: str):
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            if key in after:
                yield from _lost(value, after[key], f"{path}.{key}")
            else:
                yield f"{path}.{key}"
    elif isinstance(before, list) and isinstance(after, list):
        assert len(before) == len(after), path
        for place, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _lost(one, other, f"{path}.{place}")
    elif before != after:
        yield f"{path}: {before!r} became {after!r}"


@each_dashboard
def test_grafanas_model_knows_every_key(uid):
    unknown = {path.rpartition(".")[2] for path in unknown_keys(DASHBOARDS[uid])}
    assert unknown <= OF_THE_DATA_SOURCE


@pytest.mark.parametrize(
    ("where", "key"), [("options", "legnd"), ("fieldConfig", "defualts"), ("gridPos", "width")]
)
def test_a_misspelt_key_would_be_noticed(where, key):
    made = json.loads(json.dumps(DASHBOARDS["pearl-outbound-detail"]))
    panel = next(each for each in made["panels"] if each["type"] == "timeseries")
    panel[where][key] = {}
    assert [path for path in unknown_keys(made) if path.endswith(key)]
