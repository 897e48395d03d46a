"""The Helm chart: rendered by Helm itself, valid by the schemas, and understood by the exporter."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cloudcoil.models.prometheus_operator import v1 as operator

from pearl_exporter import __version__
from tests.deploy.chart import (
    CHART,
    EVERYTHING,
    GUARDED,
    KUBERNETES,
    LIKE_NUMBERS,
    MINIMAL,
    MONITORED,
    OPENSHIFT,
    Values,
    environment_of,
    helm_with,
    of_kind,
    only,
    pod_of,
    rendered,
    without,
    write_config,
)
from tests.deploy.tools import DEPLOY, loaded, objects, options_of, promtool, run_tool

pytestmark = pytest.mark.slow

SETS: dict[str, Values] = {
    "minimal": MINIMAL,
    "demo": {"demo": True},
    "monitored": MONITORED,
    "guarded": GUARDED,
    "everything": EVERYTHING,
    "openshift": OPENSHIFT,
    "like numbers": LIKE_NUMBERS,
    "claim of one's own": MINIMAL | {"persistence": {"existingClaim": "old"}},
    "no claim, no policy": MINIMAL
    | {"persistence": {"enabled": False}, "networkPolicy": {"enabled": False}},
}

all_sets = pytest.mark.parametrize("values", SETS.values(), ids=SETS)


# By the programs and schemas of others


@all_sets
def test_helm_lint_has_no_complaint(values, tmp_path):
    run = helm_with("lint --strict", values, tmp_path)
    assert run.returncode == 0, run.stdout
    assert "[WARNING]" not in run.stdout


@all_sets
def test_every_object_is_valid_by_the_schemas_of_kubernetes(values, tmp_path):
    file = tmp_path / "objects.yaml"
    file.write_text(yaml.safe_dump_all(native(rendered(values, tmp_path))))
    run = run_tool("kubernetes-validate", "--strict", "-k", KUBERNETES, file)
    assert run.returncode == 0, run.stdout + run.stderr
    # it ends well over a kind that it does not know
    assert "WARN" not in run.stdout + run.stderr


def native(found: list[Any]) -> list[Any]:
    return [each for each in found if "coreos.com" not in each["apiVersion"]]


def test_a_wrong_object_would_be_noticed(tmp_path):
    found = native(rendered(MINIMAL, tmp_path))
    pod_of(found)["enableServiceLink"] = False
    file = tmp_path / "objects.yaml"
    file.write_text(yaml.safe_dump_all(found))
    assert run_tool("kubernetes-validate", "--strict", "-k", KUBERNETES, file).returncode == 1


def unknown_keys(custom: Any) -> list[str]:
    """What the Prometheus Operator would not know of an object; raises where a type is wrong."""
    model = getattr(operator, custom["kind"]).model_validate(custom)
    return without(model.model_dump(by_alias=True, mode="json"), custom)


@all_sets
def test_objects_fit_the_prometheus_operators_schemas(values, tmp_path):
    found = rendered(values, tmp_path)
    custom = [each for each in found if each not in native(found)]
    assert bool(custom) == ("serviceMonitor" in values)
    for each in custom:
        assert unknown_keys(each) == []


def test_a_wrong_monitor_would_be_noticed(tmp_path):
    monitor = only("ServiceMonitor", rendered(MONITORED, tmp_path))
    monitor["spec"]["endpoints"][0]["intervall"] = "1s"
    assert unknown_keys(monitor) == [".spec.endpoints[0].intervall"]


# What the values allow


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({}, "token.secretName: name the Secret"),
        (MINIMAL | {"replicaCount": 2}, "replicaCount"),
        (MINIMAL | {"config": {"api": {"token": "account:secret"}}}, "/config/api/token"),
        (MINIMAL | {"config": {"api": {"token_file": "x"}}}, "/config/api/token_file"),
        (MINIMAL | {"config": {"state": {"url": "memory:"}}}, "/config/state"),
        (MINIMAL | {"config": {"web": {"listen": ":1"}}}, "/config/web/listen"),
        (MINIMAL | {"config": {"web": {"config_file": "x"}}}, "/config/web/config_file"),
        (MINIMAL | {"web": {"tls": True}}, "web.secretName: name the Secret"),
        (MINIMAL | {"config": {"outbounds": [{"id": 123}]}}, "got number, want string"),
        (MINIMAL | {"service": {"port": 0}}, "/service/port"),
        (MINIMAL | {"podSecurityContext": {"runAsUser": 0}}, "/podSecurityContext/runAsUser"),
        (MINIMAL | {"podSecurityContext": {"privileged": True}}, "'privileged' not allowed"),
        (MINIMAL | {"networkPolicy": {"dnsPorts": []}}, "/networkPolicy/dnsPorts"),
        # a second variable of that name: a server-side apply refuses it
        (MINIMAL | {"env": [{"name": "PEARL_WEB__LISTEN", "value": ":1"}]}, "/env/0/name"),
        (MINIMAL | {"env": [{"name": "PEARL_STATE__URL", "value": "x"}]}, "/env/0/name"),
    ],
)
def test_what_can_not_work_is_refused(values, complaint, tmp_path):
    run = helm_with("template", values, tmp_path, "campaigns")
    assert run.returncode == 1
    assert complaint in run.stderr


def test_the_schema_knows_every_value():
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert set(schema["properties"]) == {*values, "global"}
    for name, section in schema["properties"].items():
        if section.get("additionalProperties") is False:
            assert set(section["properties"]) == set(values[name]), name


# The exporter understands it


@all_sets
def test_the_command_and_the_variables_are_the_programs(values, tmp_path):
    found = rendered(values, tmp_path)
    (container,) = pod_of(found)["containers"]
    options = options_of(container["args"])
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    if values.get("demo"):
        assert str(options["listen"]) == ":10042"
        return
    assert str(options["config"].parent) in mounts
    environ = environment_of(found)
    assert str(Path(environ["PEARL_API_TOKEN_FILE"]).parent) in mounts
    if web_config := environ.pop("PEARL_WEB__CONFIG_FILE", None):  # in a Secret, not rendered
        assert str(Path(web_config).parent) in mounts
    settings = loaded(write_config(found, tmp_path), environ, tmp_path)
    assert [(each.id, each.name) for each in settings.outbounds] == [
        ("65f1c0ffee", "spring-renewals")
    ]
    assert settings.web.listen.port == container["ports"][0]["containerPort"]
    folder = Path(settings.state.url.removeprefix("sqlite:///")).parent
    assert str(folder) in mounts


def test_ids_and_numbers_survive_the_way_through_helm(tmp_path):
    ids = ["123", "65e1234567", "0x1f", "on", "1_000", "null"]
    config = {
        "outbounds": [{"id": id_} for id_ in ids],
        "metrics": {"max_tags": 10000, "duration_buckets": [0.5, 5, 3600]},
        "poll": {"window": "1d", "interval": "30s"},
    }
    found = rendered(MINIMAL | {"config": config}, tmp_path)
    settings = loaded(write_config(found, tmp_path), environment_of(found), tmp_path)
    assert [each.id for each in settings.outbounds] == ids
    assert settings.metrics.max_tags == 10000
    assert settings.metrics.duration_buckets == (0.5, 5, 3600)
    assert settings.poll.window == 86_400


def test_the_version_is_the_programs():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == __version__


# What it promises


def test_there_is_one_pod_and_never_two_on_one_state(tmp_path):
    found = rendered(EVERYTHING, tmp_path)
    assert only("StatefulSet", found)["spec"]["replicas"] == 1
    assert not of_kind("Deployment", found)


@all_sets
def test_the_pod_is_confined(values, tmp_path):
    pod = pod_of(rendered(values, tmp_path))
    (container,) = pod["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    given = values.get("podSecurityContext", {"runAsUser": 10001})
    assert pod["securityContext"].get("runAsUser") == given["runAsUser"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_token_is_a_secret_of_the_users_and_in_no_object(tmp_path):
    found = rendered(EVERYTHING, tmp_path)
    assert not of_kind("Secret", found)
    secrets = [volume["secret"] for volume in pod_of(found)["volumes"] if "secret" in volume]
    assert secrets[0]["secretName"] == "nlpearl"
    assert secrets[0]["items"] == [{"key": "token", "path": "token"}]


def test_a_changed_configuration_makes_a_new_pod(tmp_path):
    def annotations(values: Values) -> Any:
        found = rendered(values, tmp_path)
        return only("StatefulSet", found)["spec"]["template"]["metadata"]["annotations"]

    other = MINIMAL | {"config": {"outbounds": [{"id": "other"}]}}
    assert annotations(MINIMAL) == annotations(MINIMAL)
    assert annotations(MINIMAL) != annotations(other)


def test_the_claim_outlasts_the_release_unless_told_otherwise(tmp_path):
    claim = only("PersistentVolumeClaim", rendered(MINIMAL, tmp_path))
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    claim = only("PersistentVolumeClaim", rendered(EVERYTHING, tmp_path))
    assert "annotations" not in claim["metadata"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "500Mi"


def test_the_state_is_on_the_claim(tmp_path):
    def state(values: Values) -> Any:
        (volume,) = (
            v for v in pod_of(rendered(values, tmp_path))["volumes"] if v["name"] == "state"
        )
        return volume

    name = {"claimName": "campaigns-pearl-exporter"}
    assert state(MINIMAL)["persistentVolumeClaim"] == name
    assert state(SETS["claim of one's own"])["persistentVolumeClaim"] == {"claimName": "old"}
    assert state({"demo": True})["emptyDir"] == {}


def test_a_new_pod_continues_the_series_of_the_old_one(tmp_path):
    """Whatever its address, Prometheus gives it the same labels."""
    (endpoint,) = only("ServiceMonitor", rendered(MONITORED, tmp_path))["spec"]["endpoints"]
    relabelings = [
        {"target_label": each["targetLabel"], "replacement": each["replacement"]}
        for each in endpoint["relabelings"]
    ]
    job = {
        "job_name": "operator/generated",
        "static_configs": [{"targets": ["10.0.0.1:10042", "10.0.0.2:10042"]}],
        "relabel_configs": relabelings,
    }
    config = tmp_path / "prometheus.json"
    config.write_text(json.dumps({"scrape_configs": [job]}))
    told = promtool("check", "service-discovery", "--timeout=1s", config, job["job_name"])
    labels = [
        {name: text for name, text in target["labels"].items() if not name.startswith("__")}
        for target in json.loads(told)
    ]
    assert labels == [{"job": "pearl", "instance": "telephony/campaigns-pearl-exporter"}] * 2


def test_the_job_is_that_of_the_other_scrape_configurations(tmp_path):
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    for file in ("prometheus/prometheus.yml", "compose/prometheus/prometheus.yml"):
        (job,) = yaml.safe_load((DEPLOY / file).read_text())["scrape_configs"]
        assert job["job_name"] == values["serviceMonitor"]["job"]


@all_sets
def test_the_selectors_find_the_pod_and_the_service(values, tmp_path):
    found = rendered(values, tmp_path)
    pod = only("StatefulSet", found)["spec"]["template"]["metadata"]["labels"]
    service = only("Service", found)
    assert service["spec"]["selector"].items() <= pod.items()
    assert only("StatefulSet", found)["spec"]["serviceName"] == service["metadata"]["name"]
    for policy in of_kind("NetworkPolicy", found):
        assert policy["spec"]["podSelector"]["matchLabels"].items() <= pod.items()
    for monitor in of_kind("ServiceMonitor", found):
        selector = monitor["spec"]["selector"]["matchLabels"]
        assert selector.items() <= service["metadata"]["labels"].items()
        assert monitor["spec"]["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]


def test_names_fit_however_long_the_release_is_called(tmp_path):
    found = objects(
        helm_with("template", EVERYTHING | {"fullnameOverride": ""}, tmp_path, "r" * 53).stdout
    )
    assert found
    assert max(len(each["metadata"]["name"]) for each in found) <= 63
    assert len(only("StatefulSet", found)["metadata"]["name"]) <= 52


@pytest.mark.parametrize("release", ["123", "1e5", "0", "a.b", "9.9", "pearl-exporter"])
def test_names_are_valid_whatever_the_release_is_called(tmp_path, release):
    """They begin with a letter and have no dots; and a label is a text, also of digits alone."""
    file = tmp_path / "objects.yaml"
    for values in (MINIMAL, LIKE_NUMBERS | {"fullnameOverride": ""}):
        found = rendered(values, tmp_path, release)
        assert re.fullmatch(
            "[a-z]([-a-z0-9]*[a-z0-9])?", only("Service", found)["metadata"]["name"]
        )
        for each in found:
            assert each["metadata"]["labels"]["app.kubernetes.io/instance"] == release
        file.write_text(yaml.safe_dump_all(native(found)))
        run = run_tool("kubernetes-validate", "--strict", "-k", KUBERNETES, file)
        assert run.returncode == 0, run.stdout + run.stderr


def test_every_text_of_the_values_stays_a_text(tmp_path):
    found = {each for each in leaves(rendered(LIKE_NUMBERS, tmp_path)) if isinstance(each, str)}
    given = {each for each in leaves(LIKE_NUMBERS) if isinstance(each, str)}
    built_in = {"1", "1e5", "22", "spring-renewals", "65f1c0ffee"}
    assert given - found <= built_in
    assert {"1:1e5", "pearl-22"} <= found  # the image, and the name that is given


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for each in value.values():
            yield from leaves(each)
    elif isinstance(value, list):
        for each in value:
            yield from leaves(each)
    else:
        yield value


def test_large_numbers_are_written_out(tmp_path):
    """Helm reads numbers of a file as floating point, and would write 1.00066e+09."""
    context = pod_of(rendered(EVERYTHING, tmp_path))["securityContext"]
    ids = {key: context[key] for key in ("runAsUser", "runAsGroup", "fsGroup")}
    assert ids == EVERYTHING["podSecurityContext"]


# Networks and platforms


def test_it_listens_on_every_address_of_both_families(tmp_path):
    found = rendered(MINIMAL, tmp_path)
    settings = loaded(write_config(found, tmp_path), environment_of(found), tmp_path)
    assert settings.web.listen == ("", 10042)
    assert only("Service", found)["spec"]["ipFamilyPolicy"] == "PreferDualStack"
    assert "ipFamilies" not in only("Service", found)["spec"]
    service = only("Service", rendered(EVERYTHING, tmp_path))["spec"]
    assert service["ipFamilies"] == ["IPv6", "IPv4"]


def test_openshift_gives_the_numbers_of_user_and_groups(tmp_path):
    context = pod_of(rendered(OPENSHIFT, tmp_path))["securityContext"]
    assert context.keys().isdisjoint({"runAsUser", "runAsGroup", "fsGroup"})
    context = pod_of(rendered(MINIMAL | {"podSecurityContext": None}, tmp_path))["securityContext"]
    assert context["runAsNonRoot"] is True
    assert "runAsUser" not in context


def test_names_can_be_resolved_on_both_ports_by_udp_and_tcp(tmp_path):
    def ports(values: Values) -> set[tuple[int, str]]:
        policy = only("NetworkPolicy", rendered(values, tmp_path))
        rules = policy["spec"]["egress"]
        return {(port["port"], port["protocol"]) for port in rules[0]["ports"]}

    both = {(port, protocol) for port in (53, 5353) for protocol in ("UDP", "TCP")}
    assert ports(MINIMAL) == both
    assert ports(EVERYTHING) == {(53, "UDP"), (53, "TCP")}


# Access


def probes_of(values: Values, folder: Path) -> list[Any]:
    (container,) = pod_of(rendered(values, folder))["containers"]
    names = ("startupProbe", "livenessProbe", "readinessProbe")
    return [{**container[name]} for name in names]


def test_the_web_configuration_is_a_secret_of_the_users(tmp_path):
    found = rendered(GUARDED, tmp_path)
    path = Path(environment_of(found)["PEARL_WEB__CONFIG_FILE"])
    (container,) = pod_of(found)["containers"]
    (volume,) = (each for each in pod_of(found)["volumes"] if each["name"] == "web")
    (mount,) = (each for each in container["volumeMounts"] if each["name"] == "web")
    assert volume["secret"]["secretName"] == "pearl-web"
    assert (path.parent, path.name) == (Path(mount["mountPath"]), "web.yml")
    assert "PEARL_WEB__CONFIG_FILE" not in environment_of(rendered(MINIMAL, tmp_path))


def test_probes_and_monitor_ask_by_https_where_there_is_tls(tmp_path):
    assert [each["httpGet"].get("scheme") for each in probes_of(MINIMAL, tmp_path)] == [None] * 3
    assert [each["httpGet"].get("scheme") for each in probes_of(GUARDED, tmp_path)] == ["HTTPS"] * 3
    (endpoint,) = only("ServiceMonitor", rendered(GUARDED, tmp_path))["spec"]["endpoints"]
    assert endpoint["scheme"] == "https"
    for key in ("tlsConfig", "basicAuth"):
        assert endpoint[key] == GUARDED["serviceMonitor"][key]
    (endpoint,) = only("ServiceMonitor", rendered(MONITORED, tmp_path))["spec"]["endpoints"]
    assert endpoint.keys().isdisjoint({"scheme", "tlsConfig", "basicAuth"})


def test_probes_check_the_port_where_clients_need_a_certificate(tmp_path):
    web = {**GUARDED["web"], "clientCertificates": True}
    probes = probes_of(GUARDED | {"web": web}, tmp_path)
    assert [each["tcpSocket"] for each in probes] == [{"port": "http"}] * 3
    assert not any("httpGet" in each for each in probes)
