"""Renders the Helm chart, and judges the objects by the schemas of those who read them."""

import json
from pathlib import Path
from typing import Any

from tests.deploy.tools import DEPLOY, Run, objects, run_tool

CHART = DEPLOY / "kubernetes" / "pearl-exporter"
KUBERNETES = "1.33"

Values = dict[str, Any]

MINIMAL: Values = {
    "token": {"secretName": "nlpearl"},
    "config": {"outbounds": [{"id": "65f1c0ffee", "name": "spring-renewals"}]},
}
"""The least that a user gives."""

MONITORED: Values = MINIMAL | {
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
    "dashboards": {"enabled": True, "annotations": {"grafana_folder": "Pearl"}},
}
GUARDED: Values = MINIMAL | {
    "web": {"secretName": "pearl-web", "tls": True},
    "serviceMonitor": {
        "enabled": True,
        "tlsConfig": {
            "ca": {"secret": {"name": "pearl-scrape", "key": "ca.crt"}},
            "serverName": "pearl.example",
        },
        "basicAuth": {
            "username": {"name": "pearl-scrape", "key": "username"},
            "password": {"name": "pearl-scrape", "key": "password"},
        },
    },
}
OPENSHIFT: Values = MINIMAL | {
    "podSecurityContext": {"runAsUser": None, "runAsGroup": None, "fsGroup": None}
}
EVERYTHING: Values = MONITORED | {
    "image": {"repository": "registry.example.org/pearl-exporter", "tag": "1.2.3"},
    "imagePullSecrets": [{"name": "registry"}],
    "persistence": {"size": "500Mi", "storageClassName": "fast", "whenUninstalled": "delete"},
    "service": {
        "port": 80,
        "annotations": {"a": "b"},
        "ipFamilyPolicy": "RequireDualStack",
        "ipFamilies": ["IPv6", "IPv4"],
    },
    "podSecurityContext": {"runAsUser": 1_000_660_000, "runAsGroup": 0, "fsGroup": 1_000_660_000},
    "networkPolicy": {
        "from": [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}],
        "apiPorts": [443, 3128],
        "dnsPorts": [53],
    },
    "env": [{"name": "PEARL_LOG__LEVEL", "value": "debug"}],
    "volumes": [{"name": "other", "secret": {"secretName": "other"}}],
    "volumeMounts": [{"name": "other", "mountPath": "/run/secrets/other", "readOnly": True}],
    "podAnnotations": {"note": "x"},
    "podLabels": {"team": "renewals"},
    "nodeSelector": {"kubernetes.io/arch": "amd64"},
    "tolerations": [{"key": "spot", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "priorityClassName": "low",
    "fullnameOverride": "pearl",
}

LIKE_NUMBERS: Values = EVERYTHING | {
    "image": {"repository": "1", "tag": "1e5"},
    "imagePullSecrets": [{"name": "123"}],
    "token": {"secretName": "65e1234567", "key": "0x1f"},
    "persistence": {"size": "1", "storageClassName": "1_000"},
    "service": {"port": 80, "annotations": {"1": "on"}},
    "web": {"secretName": "9"},
    "serviceMonitor": {
        "enabled": True,
        "labels": {"release": "true"},
        "job": "1.0",
        "instance": "null",
        "tlsConfig": {"serverName": "08"},
        "basicAuth": {"username": {"name": "7", "key": "no"}},
    },
    "prometheusRule": {"enabled": True, "labels": {"release": "0o17"}},
    "dashboards": {
        "enabled": True,
        "labels": {"grafana_dashboard": "y"},
        "annotations": {"f": "-1"},
    },
    "env": [{"name": "A", "value": "1e3"}],
    "volumes": [{"name": "2", "secret": {"secretName": ".5"}}],
    "volumeMounts": [{"name": "2", "mountPath": "/1"}],
    "podAnnotations": {"note": "12:30:45"},
    "podLabels": {"team": "off"},
    "nodeSelector": {"a": "2026-11-25"},
    "tolerations": [{"key": "5", "operator": "Exists"}],
    "priorityClassName": "6",
    "nameOverride": "11",
    "fullnameOverride": "22",
}
"""Every text looks like a number, a date, a switch or nothing."""


def helm(*arguments: str | Path) -> Run:
    return run_tool("helm", *arguments, remedy="make helm")


def helm_with(command: str, values: Values, folder: Path, *more: str | Path) -> Run:
    """Runs ``helm COMMAND … -f`` with these values."""
    file = folder / "values.json"  # JSON is YAML
    file.write_text(json.dumps(values))
    return helm(*command.split(), *more, CHART, "--namespace", "telephony", "-f", file)


def rendered(values: Values, folder: Path, release: str = "campaigns") -> list[Any]:
    run = helm_with("template", values, folder, release)
    assert run.returncode == 0, run.stderr
    return objects(run.stdout)


def of_kind(kind: str, found: list[Any]) -> list[Any]:
    return [each for each in found if each["kind"] == kind]


def only(kind: str, found: list[Any]) -> Any:
    (each,) = of_kind(kind, found)
    return each


def pod_of(found: list[Any]) -> Any:
    return only("StatefulSet", found)["spec"]["template"]["spec"]


def environment_of(found: list[Any]) -> dict[str, str]:
    (container,) = pod_of(found)["containers"]
    return {each["name"]: each["value"] for each in container["env"]}


def write_config(found: list[Any], folder: Path) -> Path:
    """The configuration as the pod sees it."""
    (config,) = (each for each in of_kind("ConfigMap", found) if "config.yml" in each["data"])
    file = folder / "config.yml"
    file.write_text(config["data"]["config.yml"])
    return file


def without(known: Any, given: Any, path: str = "") -> list[str]:
    """The keys of ``given`` that ``known``, what a model made of it, has lost."""
    if isinstance(given, dict) and isinstance(known, dict):
        return [
            lost
            for key, value in given.items()
            for lost in (
                without(known[key], value, f"{path}.{key}") if key in known else [f"{path}.{key}"]
            )
        ]
    if isinstance(given, list) and isinstance(known, list):
        pairs = zip(known, given, strict=True)
        return [
            lost
            for number, (one, other) in enumerate(pairs)
            for lost in without(one, other, f"{path}[{number}]")
        ]
    return []
