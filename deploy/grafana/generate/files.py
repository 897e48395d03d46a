"""The dashboards by their uid, and the bytes of their files."""

import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.generate import exporter, outbound, overview

FOLDER = Path(__file__).parents[1] / "dashboards"


def dashboards() -> dict[str, Dashboard]:
    """Every dashboard, by its uid."""
    made = (overview.dashboard(), outbound.dashboard(), exporter.dashboard())
    return {str(each.uid): each for each in made}


def to_json(dashboard: Dashboard) -> str:
    """A dashboard as its file holds it: the same bytes each time."""
    text = json.dumps(dashboard, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False)
    return text + "\n"
