"""The files by which Grafana finds data source and dashboards at its start."""

from typing import Any

import yaml

from pearl_exporter.config.durations import parse_duration
from tests.grafana.files import GRAFANA

ROOT = GRAFANA.parents[1]


def provisioned(path: str) -> Any:
    return yaml.safe_load((GRAFANA / "provisioning" / path).read_text())


def test_there_is_one_data_source_and_it_is_the_default():
    file = provisioned("datasources/prometheus.yml")
    (source,) = file["datasources"]
    assert file["apiVersion"] == 1
    assert (source["type"], source["isDefault"]) == ("prometheus", True)


def test_grafana_knows_how_often_prometheus_scrapes():
    (source,) = provisioned("datasources/prometheus.yml")["datasources"]
    prometheus = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    assert source["jsonData"]["timeInterval"] == prometheus["global"]["scrape_interval"]
    # and no more seldom than the exporter polls, or the dashboards' least step would be too short
    assert parse_duration(source["jsonData"]["timeInterval"]) <= parse_duration("30s")


def test_dashboards_come_from_files_and_are_read_only():
    file = provisioned("dashboards/pearl-exporter.yml")
    (provider,) = file["providers"]
    assert file["apiVersion"] == 1
    assert provider["type"] == "file"
    assert provider["allowUiUpdates"] is False
    assert provider["options"]["path"] == "/var/lib/grafana/dashboards"
