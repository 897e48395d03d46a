"""The vendor's own client works against the simulator, and reads exactly its truth."""

import nlpearl
import nlpearl.account
import nlpearl.outbound
import pytest

from pearl_exporter.simulator import SimulatedClock, build_simulator, default_campaigns
from tests.simulator.test_server import iso
from tests.simulator.worlds import HOUR, NOW
from tests.support.serving import serving


@pytest.fixture(scope="module")
def simulator():
    campaigns = default_campaigns(3, NOW, history_ms=2 * HOUR)
    return build_simulator(campaigns, clock=SimulatedClock(start_ms=NOW, paused=True))


@pytest.fixture(scope="module")
def url(simulator):
    with serving(simulator) as url:
        yield url


@pytest.fixture(autouse=True)
def vendor(monkeypatch, url):
    """The vendor's package, pointed at the simulator; its own base URL is fixed."""
    monkeypatch.setattr(nlpearl, "api_version", "v1")
    monkeypatch.setattr(nlpearl, "api_key", "account:secret")
    for module in (nlpearl.outbound, nlpearl.account):
        monkeypatch.setattr(module, "_get_api_url", lambda: f"{url}/v1")


def test_it_lists_the_outbounds(simulator):
    listed = nlpearl.Outbound.get_all()
    assert {each["id"]: each["name"] for each in listed} == {
        outbound: campaign.profile.name for outbound, campaign in simulator.campaigns.items()
    }
    assert nlpearl.Outbound.get(listed[0]["id"]) == listed[0]


def test_it_reads_the_account():
    assert nlpearl.Account.get_account()["status"] == 1


def test_paging_through_all_calls_gives_the_truth(simulator):
    for outbound, campaign in simulator.campaigns.items():
        start = campaign.start_ms
        rows, count = [], 1
        while len(rows) < count:
            page = nlpearl.Outbound.get_calls(
                outbound, iso(start), iso(NOW), skip=len(rows), sort_prop="startTime"
            )
            count = page["count"]
            assert page["results"]
            rows += page["results"]
        assert rows == campaign.rows(start, NOW, NOW)


def test_its_filters_work(simulator):
    outbound, campaign = next(iter(simulator.campaigns.items()))
    span = (iso(campaign.start_ms), iso(NOW))
    rows = campaign.rows(campaign.start_ms, NOW, NOW)
    failed = nlpearl.Outbound.get_calls(outbound, *span, limit=1, statuses=[500])
    assert failed["count"] == sum(row["conversationStatus"] == 500 for row in rows) > 0
    tagged = nlpearl.Outbound.get_calls(outbound, *span, limit=1, tags=["🔥 hot lead"])
    assert tagged["count"] == sum("🔥 hot lead" in (row["tags"] or ()) for row in rows) > 0
