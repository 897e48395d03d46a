"""The dashboards by uid, and the bytes of their files."""

import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from tools.dashboards import campaign_overview, exporter_health, outbound_detail

FOLDER = Path(__file__).parents[2] / "deploy" / "grafana" / "dashboards"


def dashboards() -> dict[str, Dashboard]:
    """Return every dashboard by its uid."""
    made = (
        campaign_overview.dashboard(),
        outbound_detail.dashboard(),
        exporter_health.dashboard(),
    )
    return {str(each.uid): each for each in made}


def to_json(dashboard: Dashboard) -> str:
    """Return the content of a dashboard's file. The same dashboard gives the same bytes."""
    text = json.dumps(dashboard, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False)
    return text + "\n"
