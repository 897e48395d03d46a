"""The campaigns that come ready-made."""

from pearl_exporter.simulator import (
    default_campaigns,
    demo_incident,
    many_campaigns,
    truth,
)
from tests.simulator.worlds import HOUR, MINUTE, NOW


def test_the_default_campaigns_differ_and_have_a_day_of_calls():
    campaigns = default_campaigns(1, NOW)
    names = [campaign.profile.name for campaign in campaigns]
    assert names == ["spring-renewals", "appointment-reminders", "night-shift"]
    found = [truth(campaign, NOW, 24 * HOUR) for campaign in campaigns]
    assert found[0].calls > found[1].calls > found[2].calls > 2_000
    assert 100 in found[0].by_status
    assert all(130 in each.by_status and 100 not in each.by_status for each in found[1:])
    assert all(each.live for each in found[:2])


def test_every_campaign_has_its_own_name_and_id():
    for campaigns in (default_campaigns(1, NOW, 8), many_campaigns(50, NOW)):
        assert len({campaign.outbound_id for campaign in campaigns}) == len(campaigns)
        assert len({campaign.profile.name for campaign in campaigns}) == len(campaigns)
        assert all(len(campaign.outbound_id) == 24 for campaign in campaigns)
    assert len(default_campaigns(1, NOW, 2)) == 2


def test_many_campaigns_have_an_even_volume():
    (campaign,) = many_campaigns(1, NOW, calls_a_day=48_000, history_ms=2 * HOUR)
    assert 3_700 < campaign.count(NOW - 2 * HOUR, NOW, NOW) < 4_300


def test_the_demo_shows_an_error_spike_soon():
    campaign = default_campaigns(1, NOW)[0]
    campaign.add_incident(demo_incident(NOW), NOW)

    def errors(at):
        found = truth(campaign, at, 2 * MINUTE)
        return found.by_status.get(500, 0) / found.calls

    assert errors(NOW) < 0.2
    assert errors(NOW + 5 * MINUTE) > 0.3
    assert errors(NOW + 12 * MINUTE) < 0.2
