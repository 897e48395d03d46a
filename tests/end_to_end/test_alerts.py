"""An incident in one of three outbounds: which notifications come, and when; seconds for minutes.

Simulator, exporter, Prometheus and Alertmanager are the real ones, over real sockets.
"""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from pearl_exporter.simulator import Campaign, Profile, SimulatedClock, build_simulator
from tests.cli.simulated import base_url, write_config
from tests.end_to_end.api_server import ApiServer
from tests.support.alerting import RULES, Alerting, Notification, alerting, notifications, sped_up
from tests.support.patience import PATIENT
from tests.support.programs import eventually, running_pearl

pytestmark = pytest.mark.slow

FASTER = 30
NAMES = ("spring", "autumn", "winter")
TOKEN = "acct-4711:s3cr3t-k3y"


@pytest.fixture
def api() -> Iterator[ApiServer]:
    """Three outbounds of eight calls a second each, which last two seconds."""
    clock = SimulatedClock()
    campaigns = [
        Campaign(
            Profile(
                outbound_id=f"65f1c0ffee{place:02d}",
                name=name,
                calls_a_day=700_000,
                hours=(1.0,) * 24,
                median_seconds=2,
                spread=0.3,
                queue_seconds=0.5,
            ),
            seed=place,
            start_ms=clock() - 600_000,
        )
        for place, name in enumerate(NAMES)
    ]
    server = ApiServer(build_simulator(campaigns, clock=clock, token=TOKEN))
    yield server
    server.stop()


@pytest.fixture
def stack(tmp_path: Path, api: ApiServer) -> Iterator[Alerting]:
    outbounds = [{"id": f"65f1c0ffee{place:02d}", "name": name} for place, name in enumerate(NAMES)]
    poll = {"interval": "2s", "window": "1m", "settle": "1s", "settle_unanswered": "1s"}
    path = write_config(
        tmp_path,
        api.url,
        "",
        api={"rate_limit": 100, "page_size": 1000, "concurrency": 4},
        poll=poll,
        outbounds=outbounds,
    )
    with running_pearl(tmp_path / "run", "serve", "--config", path) as process:
        target = base_url(process.says("msg=listening")).removeprefix("http://")
        with alerting(tmp_path / "alerting", target, faster=FASTER) as running:
            yield running


def test_an_incident_is_told_of_the_right_outbound_and_resolves(
    api: ApiServer, stack: Alerting, record_property: Callable[[str, object], None]
) -> None:
    usual = 'outbound_status:pearl_calls_share:raised{speed="fast"} == 0'
    both_statuses_of_all = 2 * len(NAMES)
    eventually(
        lambda: len(stack.prometheus.values(usual)) == both_statuses_of_all,
        what="a verdict on every outbound",
    )
    incident = {"outbound": "autumn", "kind": "error", "share": 0.9, "lasting_seconds": 4}
    began = ends = time.time()

    def goes_on_until_notified() -> list[Notification]:
        nonlocal ends
        answer = httpx.post(f"{api.url}/_sim/incidents", json=incident, **PATIENT)
        assert answer.status_code == 200, answer.text
        ends = time.time() + 4
        return notifications(stack.webhook, "PearlErrorSpike")

    first = eventually(goes_on_until_notified, every=2, what="PearlErrorSpike")[0]
    record_property("delay_seconds", round(first.at - began, 2))
    assert (first.receiver, first.status) == ("pager", "firing")
    assert first.labels["outbound"] == "autumn"
    assert re.search(
        r"autumn: .* ended in error, up to [\d.]+% \(usually 10%\)",
        first.annotations["description"],
    )
    assert first.annotations["dashboard_url"] == "/d/pearl-outbound-detail?var-outbound=autumn"

    resolved = eventually(
        lambda: notifications(stack.webhook, "PearlErrorSpike", "resolved"), what="its end"
    )[0]
    assert resolved.labels == first.labels
    assert resolved.at > ends
    assert {each.labels.get("outbound") for each in notifications(stack.webhook)} == {"autumn"}
    pages = {
        each.labels["alertname"]
        for each in notifications(stack.webhook)
        if each.receiver == "pager"
    }
    assert pages == {"PearlErrorSpike"}


def test_nothing_but_durations_is_changed_to_be_faster() -> None:
    """Digits apart, the rules are those of the files; and at speed 1 they are equal."""
    for file in RULES:
        text = file.read_text()
        fast, plain = sped_up(text, FASTER), sped_up(text, 1)
        for quick, real in zip(fast["groups"], plain["groups"], strict=True):
            assert [without_durations(each) for each in quick["rules"]] == [
                without_durations(each) for each in real["rules"]
            ]


def without_durations(rule: dict) -> str:
    return re.sub(r"[\d.]+(ms|s|m|h|d)?", "#", str(rule).replace("##", "#")).replace("##", "#")
