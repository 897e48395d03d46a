"""The metrics are the contract's and no others, also before any poll."""

import pytest
from msgspec.structs import replace
from prometheus_client.core import Metric

from pearl_exporter.exposition.outbound_metrics import OUTBOUND_METRICS
from pearl_exporter.exposition.render import Format
from tests.exposition.contract import (
    CALL_STATUSES,
    CONTRACT,
    EXPORTER,
    HIDDEN_WHEN_STALE,
    REASONS,
    SETTLED_STATUSES,
)
from tests.exposition.scraped import NOW, World, polled, unpolled


def in_a_query(family: Metric) -> str:
    """The name by which the contract calls a family: a counter's with ``_total``."""
    return f"{family.name}_total" if family.type == "counter" else family.name


@pytest.mark.parametrize("format_", Format)
def test_every_metric_of_the_contract_is_there_and_no_other(format_: Format) -> None:
    found = World(polled()).families(format_)
    ours = {in_a_query(each) for name, each in found.items() if name.startswith("pearl_")}
    wanted = set(CONTRACT)
    if format_ is Format.TEXT:
        wanted.remove("pearl_window_call_duration_seconds")
        wanted |= {f"pearl_window_call_duration_seconds_{x}" for x in ("bucket", "gcount", "gsum")}
    assert ours == wanted
    others = found.keys() - {name for name in found if name.startswith("pearl_")}
    assert {name.split("_")[0] for name in others} == {"process", "python"}


@pytest.mark.parametrize(("name", "about"), CONTRACT.items())
def test_a_metric_has_the_contracts_type_and_labels(name: str, about: tuple[str, set[str]]) -> None:
    type_, labels = about
    family = World(polled()).families(Format.OPENMETRICS)[name.removesuffix("_total")]
    assert family.type == type_
    assert {frozenset(each.labels) - {"le"} for each in family.samples} == {frozenset(labels)}
    assert family.documentation.endswith(".")


def test_the_table_has_the_contracts_metrics() -> None:
    per_outbound = CONTRACT.keys() - EXPORTER.keys()
    assert {metric.name for metric in OUTBOUND_METRICS} == per_outbound
    assert {
        metric.name for metric in OUTBOUND_METRICS if metric.hidden_when_stale
    } == HIDDEN_WHEN_STALE.keys()


@pytest.mark.parametrize(
    ("name", "label", "values"),
    [
        ("pearl_calls_started_total", None, None),
        ("pearl_calls_total", "status", SETTLED_STATUSES),
        ("pearl_telephony_calls_total", "call_status", CALL_STATUSES[1:]),
        ("pearl_untagged_calls_total", None, None),
        ("pearl_call_revisions_total", "field", ("status", "call_status", "duration", "tags")),
        ("pearl_calls_uncounted_total", "reason", ("deleted", "follow_expired")),
        ("pearl_outbound_uncounted_seconds_total", None, None),
        ("pearl_exporter_polls_total", None, None),
        ("pearl_exporter_poll_failures_total", "reason", REASONS),
        ("pearl_exporter_polls_skipped_total", None, None),
        ("pearl_outbound_up", None, None),
    ],
)
def test_before_any_poll_it_is_there_at_0(
    name: str, label: str | None, values: tuple[str, ...] | None
) -> None:
    about = {"outbound": "new one"}
    wanted = [about] if label is None else [about | {label: value} for value in values or ()]
    found = World(unpolled()).samples(name)
    assert found == {frozenset(labels.items()): 0.0 for labels in wanted}


@pytest.mark.parametrize(
    "name",
    [
        *HIDDEN_WHEN_STALE,
        "pearl_outbound_last_success_timestamp_seconds",
        "pearl_outbound_data_timestamp_seconds",
        "pearl_outbound_tracking_since_timestamp_seconds",
        "pearl_outbound_poll_duration_seconds",
        "pearl_outbound_caught_up_timestamp_seconds",
        "pearl_outbound_full_scan_success_timestamp_seconds",
    ],
)
def test_before_any_poll_what_is_not_known_is_absent(name: str) -> None:
    assert name not in World(unpolled()).text()


def test_before_any_poll_the_info_metric_is_there() -> None:
    info = World(replace(unpolled(), labels={"team": "x"})).samples("pearl_outbound_info")
    labels = {"outbound": "new one", "outbound_id": "65f1c0aaaa", "team": "x"}
    assert info == {frozenset(labels.items()): 1.0}


def test_instants_are_in_seconds() -> None:
    world = World(polled())
    (since,) = world.samples("pearl_outbound_data_timestamp_seconds").values()
    assert since == NOW / 1000 - 20
    (oldest,) = world.samples("pearl_oldest_live_call_start_timestamp_seconds").values()
    assert oldest == NOW / 1000 - 500
