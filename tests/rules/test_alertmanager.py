"""The Alertmanager configuration: checked by amtool, and by a real Alertmanager that inhibits."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rules.promtool import ROOT, alerts
from tests.support.alertmanager import Alertmanager, alertmanager
from tests.support.programs import debian_program, eventually

pytestmark = pytest.mark.slow

CONFIG = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"

SPRING = {"job": "pearl", "instance": "exporter:10042", "outbound": "spring"}
AUTUMN = {**SPRING, "outbound": "autumn"}
OTHER_JOB = {"job": "pearl-test", "instance": "test:10042", "outbound": "spring"}
SHARE = {"status": "error", "speed": "fast"}
EXPORTER = {"job": "pearl", "instance": "exporter:10042"}

LABELS = {
    # what the promtool tests see each alert fire with
    "PearlErrorSpike": {**SPRING, **SHARE},
    "PearlErrorShareRaised": {**SPRING, **SHARE, "speed": "slow"},
    "PearlUnreachableSpike": {**SPRING, **SHARE, "status": "unreachable"},
    "PearlUnreachableShareRaised": {**SPRING, "status": "unreachable", "speed": "slow"},
    "PearlExporterDown": EXPORTER,
    "PearlExporterGone": {"job": "pearl"},
    "PearlTokenRefused": {**SPRING, "reason": "auth"},
    "PearlOutboundNotFound": {**SPRING, "reason": "not_found"},
    "PearlRateLimited": {**SPRING, "reason": "rate_limited"},
    "PearlOutboundFailing": {**SPRING, "reason": "timeout"},
    "PearlNoCredit": EXPORTER,
    "PearlConfigReloadFailed": EXPORTER,
    "PearlDiscoveryFailing": EXPORTER,
    "PearlRequestBudgetExceeded": EXPORTER,
}
CAMPAIGN = [name for name, rule in alerts().items() if rule["labels"]["scope"] == "campaign"]
OF_AN_OUTBOUND = [name for name, rule in alerts().items() if rule["labels"]["scope"] == "outbound"]


def alert(name: str, labels: dict[str, str] | None = None) -> dict[str, str]:
    told = LABELS.get(name, SPRING) if labels is None else {**LABELS.get(name, SPRING), **labels}
    return {"alertname": name, **alerts()[name]["labels"], **told}


def amtool(*arguments: str) -> str:
    command = [debian_program("amtool"), *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_amtool_accepts_it():
    assert "SUCCESS" in amtool("check-config", str(CONFIG))


@pytest.mark.parametrize("name", sorted(alerts()))
def test_who_is_told_follows_from_severity(name):
    receiver = {"critical": "pager", "warning": "team", "info": "low"}
    labels = [f"{key}={value}" for key, value in alert(name).items()]
    told = amtool("config", "routes", "test", f"--config.file={CONFIG}", *labels)
    assert told.split() == [receiver[alerts()[name]["labels"]["severity"]]]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Alertmanager]:
    with alertmanager(tmp_path / "alertmanager", CONFIG) as running:
        yield running


def inhibited(server: Alertmanager, *told: dict[str, str]) -> set[tuple[str, str, str]]:
    """Which of the alerts are inhibited: name, job and outbound of each.

    Alertmanager shows an alert before its inhibitor has got it. So a pair of which one inhibits the
    other goes before, to see the inhibitor at work, and another behind, to see it done.
    """
    wait_for_inhibitor(server, "before")
    server.tell(list(told))
    wait_for_inhibitor(server, "behind")
    found = [each for each in server.alerts() if each["labels"]["job"] not in ("before", "behind")]
    assert len(found) == len(told)
    return {key(each["labels"]) for each in found if each["status"]["inhibitedBy"]}


def wait_for_inhibitor(server: Alertmanager, job: str) -> None:
    pair = [alert("PearlErrorShareRaised", {"job": job}), alert("PearlErrorSpike", {"job": job})]
    server.tell(pair)

    def is_inhibited() -> bool:
        own = [each for each in server.alerts() if each["labels"]["job"] == job]
        return any(each["status"]["inhibitedBy"] for each in own)

    eventually(is_inhibited, what=f"the inhibitor has looked at the alerts {job}")


def key(told: dict[str, str]) -> tuple[str, str, str]:
    return told["alertname"], told["job"], told.get("outbound", "")


@pytest.mark.parametrize("source", ["PearlExporterDown", "PearlExporterGone"])
def test_an_exporter_that_is_down_silences_its_outbounds(server, source):
    told = [alert(name) for name in (*CAMPAIGN, *OF_AN_OUTBOUND)]
    told += [alert(name, AUTUMN) for name in CAMPAIGN]
    heard = [
        alert("PearlErrorSpike", OTHER_JOB),
        alert("PearlNoCredit"),
        alert("PearlConfigReloadFailed"),
    ]
    assert inhibited(server, alert(source), *told, *heard) == {key(each) for each in told}


@pytest.mark.parametrize("source", OF_AN_OUTBOUND)
def test_an_outbound_that_cannot_be_polled_silences_itself_alone(server, source):
    told = [alert(name) for name in CAMPAIGN]
    raised = {"PearlErrorShareRaised", "PearlUnreachableShareRaised"}
    heard = [alert(name, AUTUMN) for name in CAMPAIGN if name not in raised]
    heard += [alert("PearlErrorSpike", OTHER_JOB)]
    assert inhibited(server, alert(source), *told, *heard) == {key(each) for each in told}


def test_a_harmless_exporter_alert_silences_nothing(server):
    sources = [alert("PearlConfigReloadFailed"), alert("PearlRequestBudgetExceeded")]
    sources += [alert("PearlDiscoveryFailing")]
    sources += [alert("PearlTagsFolded"), alert("PearlTimeUncounted"), alert("PearlNoCredit")]
    assert inhibited(server, *sources, alert("PearlErrorSpike"), alert("PearlCallsStuck")) == set()


def test_a_spike_silences_its_own_slow_alert_alone(server):
    told = [
        alert("PearlErrorSpike"),
        alert("PearlErrorShareRaised"),
        alert("PearlErrorShareRaised", AUTUMN),
        alert("PearlUnreachableShareRaised"),
        alert("PearlSuccessRateFallen"),
    ]
    assert inhibited(server, *told) == {key(told[1])}
