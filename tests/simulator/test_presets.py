"""The campaigns that come ready-made."""

from pearl_exporter.simulator import (
    default_campaigns,
    demo_incident,
    many_campaigns,
    truth,
)
from tests.simulator.worlds import HOUR, MINUTE, NOW


def test_three_outbounds_of_different_character_with_a_day_behind_them():
    campaigns = default_campaigns(1, NOW)
    names = [campaign.profile.name for campaign in campaigns]
    assert names == ["spring-renewals", "appointment-reminders", "night-shift"]
    told = [truth(campaign, NOW, 24 * HOUR) for campaign in campaigns]
    assert told[0].calls > told[1].calls > told[2].calls > 2_000
    assert 100 in told[0].by_status
    assert all(130 in each.by_status and 100 not in each.by_status for each in told[1:])
    assert all(each.live for each in told[:2])


def test_as_many_as_are_wanted_all_with_names_and_ids_of_their_own():
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
        told = truth(campaign, at, 2 * MINUTE)
        return told.by_status.get(500, 0) / told.calls

    assert errors(NOW) < 0.2
    assert errors(NOW + 5 * MINUTE) > 0.3
    assert errors(NOW + 12 * MINUTE) < 0.2
