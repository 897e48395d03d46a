"""The dashboards as their files hold them."""

import json
from pathlib import Path

import pytest

from tools.grafana_requests import Json, panels

GRAFANA = Path(__file__).parents[2] / "deploy" / "grafana"
FILES = sorted((GRAFANA / "dashboards").glob("*.json"))
DASHBOARDS: dict[str, Json] = {file.stem: json.loads(file.read_text()) for file in FILES}

each_dashboard = pytest.mark.parametrize("uid", DASHBOARDS)


def all_panels() -> list[tuple[str, Json]]:
    """Every panel with the uid of its dashboard."""
    return [(uid, panel) for uid, made in DASHBOARDS.items() for panel in panels(made)]


def name_of(uid: str, panel: Json) -> str:
    return f"{uid}: {panel['title']}"


each_panel = pytest.mark.parametrize(
    ("uid", "panel"), all_panels(), ids=[name_of(*each) for each in all_panels()]
)


def expressions() -> list[str]:
    """Every query of a panel or an annotation."""
    queries = [target["expr"] for _, panel in all_panels() for target in panel["targets"]]
    marks = [each["expr"] for made in DASHBOARDS.values() for each in made["annotations"]["list"]]
    return [*queries, *marks]
