"""What the exporter counts of itself."""

import pytest
from prometheus_client import CollectorRegistry

from tests.exposition.contract import EXPORTER
from tests.exposition.scraped import NOW, World, key


@pytest.mark.parametrize(
    "name", [each for each, (type_, labels) in EXPORTER.items() if type_ == "counter"]
)
def test_before_any_request_its_counters_are_there_at_0(name: str) -> None:
    found = World().samples(name)
    assert found
    assert set(found.values()) == {0.0}
    if name == "pearl_exporter_api_requests_total":
        assert {dict(each)["code"] for each in found} >= {"200", "401", "404", "429", "500", "none"}


def test_each_event_is_counted() -> None:
    world = World()
    world.exporter.requested("503", 0.2)
    world.exporter.requested("none", 30.0)
    world.exporter.waited(1.5)
    world.exporter.retried()
    world.exporter.read_rows(100, 3)
    world.exporter.read_rows_outside(4)
    world.exporter.met_unusable_fields("duration", 5)
    world.exporter.met_unknown_codes("call_status", 2)
    world.exporter.configured(successfully=False, at_seconds=NOW)
    assert world.samples("pearl_exporter_api_requests_total")[key({}, code="503")] == 1
    assert world.samples("pearl_exporter_api_requests_total")[key({}, code="none")] == 1
    assert world.samples("pearl_exporter_api_request_duration_seconds_count") == {key({}): 2}
    assert world.samples("pearl_exporter_api_wait_seconds_total") == {key({}): 1.5}
    assert world.samples("pearl_exporter_api_retries_total") == {key({}): 1}
    assert world.samples("pearl_exporter_rows_total") == {key({}): 100}
    assert world.samples("pearl_exporter_rows_rejected_total") == {key({}): 3}
    assert world.samples("pearl_exporter_rows_outside_range_total") == {key({}): 4}
    assert world.samples("pearl_exporter_unusable_fields_total")[key({}, field="duration")] == 5
    assert world.samples("pearl_exporter_unknown_codes_total")[key({}, field="call_status")] == 2
    assert world.samples("pearl_exporter_config_last_reload_successful") == {key({}): 0}
    reloaded = "pearl_exporter_config_last_reload_success_timestamp_seconds"
    assert world.samples(reloaded) == {key({}): NOW / 1000 - 60}
    assert world.samples("pearl_exporter_api_rate_limit") == {key({}): 2.0}
    assert world.samples("pearl_exporter_api_rate_limit_configured") == {key({}): 3.0}
    assert world.samples("pearl_exporter_api_requests_waiting") == {key({}): 4.0}
    assert world.samples("pearl_exporter_api_tokens_refused") == {key({}): 1.0}
    assert world.samples("pearl_exporter_api_clock_skew_seconds") == {key({}): -0.25}


def test_two_exporters_have_registries_of_their_own() -> None:
    one, two = World(), World()
    one.exporter.retried()
    assert list(two.samples("pearl_exporter_api_retries_total").values()) == [0.0]
    assert isinstance(one.exporter.registry, CollectorRegistry)
    assert one.exporter.registry is not two.exporter.registry
