"""What a scrape gets: the contract's metrics and no others, byte for byte, in both formats."""

import math
import os
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import prometheus_client
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from prometheus_client import CollectorRegistry, parser
from prometheus_client.core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics import parser as openmetrics_parser

from pearl_exporter.api.budget import Budget
from pearl_exporter.counting.histogram import HistogramSnapshot
from pearl_exporter.counting.labels import TagRules
from pearl_exporter.counting.ledger import LedgerSnapshot
from pearl_exporter.counting.settlement import CountingRules
from pearl_exporter.counting.tracker import Tracker, TrackerSnapshot
from pearl_exporter.counting.window import WindowSnapshot
from pearl_exporter.exposition.exporter_metrics import ExporterMetrics
from pearl_exporter.exposition.outbound_metrics import OUTBOUND_METRICS
from pearl_exporter.exposition.render import Exposition, Format, families_of
from pearl_exporter.polling.poll_health import Health
from pearl_exporter.polling.snapshot import OutboundSnapshot, PollTimings
from tests.support.programs import debian_program

GOLDEN = Path(__file__).parent / "golden"
NOW = 1_795_000_000_000
STATUSES = (
    "new", "need_retry", "in_call_queue", "wrong_country_code", "on_call", "voice_mail_left",
    "success", "not_successful", "complete", "unreachable", "blacklisted", "queue_abandon", "error",
)  # fmt: skip
SETTLED_STATUSES = tuple(
    each for each in STATUSES if each not in ("new", "in_call_queue", "on_call")
)
CALL_STATUSES = ("in_progress", "completed", "busy", "failed", "no_answer", "canceled")
REASONS = (
    "auth", "not_found", "rate_limited", "timeout", "connection", "server_error", "bad_request",
    "bad_response", "inconsistent", "state",
)  # fmt: skip

# --- the contract's section 2, written out: name, type in OpenMetrics, labels

WINDOW = {
    "pearl_window_calls": ("gauge", {"outbound", "status"}),
    "pearl_window_telephony_calls": ("gauge", {"outbound", "call_status"}),
    "pearl_window_tagged_calls": ("gauge", {"outbound", "tag"}),
    "pearl_window_untagged_calls": ("gauge", {"outbound"}),
    "pearl_window_call_duration_seconds": ("gaugehistogram", {"outbound"}),
    "pearl_window_seconds": ("gauge", {"outbound"}),
}
COUNTED = {
    "pearl_calls_started_total": ("counter", {"outbound"}),
    "pearl_calls_total": ("counter", {"outbound", "status"}),
    "pearl_telephony_calls_total": ("counter", {"outbound", "call_status"}),
    "pearl_tagged_calls_total": ("counter", {"outbound", "tag"}),
    "pearl_untagged_calls_total": ("counter", {"outbound"}),
    "pearl_call_duration_seconds": ("histogram", {"outbound", "status"}),
    "pearl_call_revisions_total": ("counter", {"outbound", "field"}),
    "pearl_calls_uncounted_total": ("counter", {"outbound", "reason"}),
    "pearl_outbound_uncounted_seconds_total": ("counter", {"outbound"}),
}
NOW_SERIES = {
    "pearl_live_calls": ("gauge", {"outbound"}),
    "pearl_pending_calls": ("gauge", {"outbound"}),
    "pearl_oldest_live_call_start_timestamp_seconds": ("gauge", {"outbound"}),
}
OUTBOUND_HEALTH = {
    "pearl_outbound_tracking_since_timestamp_seconds": ("gauge", {"outbound"}),
    "pearl_outbound_up": ("gauge", {"outbound"}),
    "pearl_outbound_token_refused": ("gauge", {"outbound"}),
    "pearl_outbound_info": ("gauge", {"outbound", "outbound_id", "team"}),
    "pearl_outbound_last_success_timestamp_seconds": ("gauge", {"outbound"}),
    "pearl_outbound_data_timestamp_seconds": ("gauge", {"outbound"}),
    "pearl_outbound_poll_interval_seconds": ("gauge", {"outbound"}),
    "pearl_outbound_poll_duration_seconds": ("gauge", {"outbound"}),
    "pearl_outbound_poll_lateness_seconds": ("gauge", {"outbound"}),
    "pearl_outbound_tracked_calls": ("gauge", {"outbound"}),
    "pearl_outbound_catching_up": ("gauge", {"outbound"}),
    "pearl_outbound_caught_up_timestamp_seconds": ("gauge", {"outbound"}),
    "pearl_outbound_full_scan_success_timestamp_seconds": ("gauge", {"outbound"}),
    "pearl_exporter_polls_total": ("counter", {"outbound"}),
    "pearl_exporter_poll_failures_total": ("counter", {"outbound", "reason"}),
    "pearl_exporter_polls_skipped_total": ("counter", {"outbound"}),
    "pearl_exporter_folded_tags": ("gauge", {"outbound"}),
}
EXPORTER = {
    "pearl_exporter_build_info": ("gauge", {"version", "python_version"}),
    "pearl_exporter_api_requests_total": ("counter", {"code"}),
    "pearl_exporter_api_request_duration_seconds": ("histogram", set()),
    "pearl_exporter_api_retries_total": ("counter", set()),
    "pearl_exporter_api_rate_limit": ("gauge", set()),
    "pearl_exporter_api_rate_limit_configured": ("gauge", set()),
    "pearl_exporter_api_requests_waiting": ("gauge", set()),
    "pearl_exporter_api_tokens_refused": ("gauge", set()),
    "pearl_exporter_api_wait_seconds_total": ("counter", set()),
    "pearl_exporter_api_clock_skew_seconds": ("gauge", set()),
    "pearl_exporter_rows_total": ("counter", set()),
    "pearl_exporter_rows_rejected_total": ("counter", set()),
    "pearl_exporter_unknown_codes_total": ("counter", {"field"}),
    "pearl_exporter_config_last_reload_successful": ("gauge", set()),
    "pearl_exporter_config_last_reload_success_timestamp_seconds": ("gauge", set()),
}
VANISHING = WINDOW | NOW_SERIES
CONTRACT = VANISHING | COUNTED | OUTBOUND_HEALTH | EXPORTER

# --- fixed snapshots


def rules(**changed: object) -> CountingRules:
    given = {
        "window_ms": 3_600_000,
        "settle_ms": 120_000,
        "settle_unanswered_ms": 30_000,
        "follow_ms": 86_400_000,
        "catch_up_ms": 86_400_000,
        "scan_every_ms": 900_000,
        "buckets": (5.0, 60.0),
        "tags": TagRules(),
    }
    return CountingRules(**(given | changed))


SPANS = PollTimings(interval=30.0, idle_interval=30.0, settle=600.0, settle_unanswered=60.0)


def unpolled(name: str = "new one", outbound_id: str = "65f1c0aaaa") -> OutboundSnapshot:
    """An outbound as it is published before any poll."""
    return OutboundSnapshot(
        name=name,
        outbound_id=outbound_id,
        labels={},
        window_seconds=3600.0,
        stale_after_seconds=300.0,
        spans=SPANS,
        health=Health(interval_seconds=30.0),
        calls=Tracker(rules()).snapshot(),
    )


def polled(
    name: str = "spring-renewals",
    outbound_id: str = "65f1c0ffee",
    *,
    tags: Iterable[str] = ("interested", 'says "maybe"\\later', "🔥 hot\nlead"),
    exemplars: tuple[tuple[str, float] | None, ...] = (("65f1c0aa", 3.5), None, ("65f1c0bb", 99.0)),
    labels: dict[str, str] | None = None,
) -> OutboundSnapshot:
    """An outbound in the middle of its life, with something in every metric."""
    window = WindowSnapshot(
        by_status={status: number for number, status in enumerate(STATUSES)} | {"unknown_777": 1},
        by_call_status={status: 10 + number for number, status in enumerate(CALL_STATUSES)},
        by_tag={tag: number for number, tag in enumerate(tags)},
        untagged=4,
        durations=HistogramSnapshot((5.0, 60.0), (2, 3, 1), 123.5, (("never-shown", 1.0),) * 3),
        calls=79,
    )
    ledger = LedgerSnapshot(
        started=40,
        by_status=dict.fromkeys(SETTLED_STATUSES, 3),
        by_call_status=dict.fromkeys(CALL_STATUSES[1:], 6),
        by_tag={tag: 100 + number for number, tag in enumerate(tags)},
        untagged=5,
        durations={
            "success": HistogramSnapshot((5.0, 60.0), (1, 0, 1), 102.5, exemplars),
            "error": HistogramSnapshot((5.0, 60.0), (0, 0, 0), 0.0, (None,) * 3),
        },
        revisions={"status": 1, "call_status": 0, "duration": 2, "tags": 3},
        uncounted={"deleted": 1, "follow_expired": 0},
        uncounted_seconds=12.5,
    )
    calls = TrackerSnapshot(
        ledger=ledger,
        window=window,
        live=6,
        pending=3,
        oldest_live_start=NOW - 500_000,
        tracked=90,
        tracking_since=NOW - 9_000_000,
        polled_at=NOW - 20_000,
        folded_tags=7,
    )
    health = Health(
        up=True,
        polls=300,
        failures={"timeout": 2},
        skipped=1,
        last_success=NOW - 19_250,
        interval_seconds=30.0,
        duration_seconds=0.75,
        lateness_seconds=0.002,
        catching_up=False,
        caught_up_at=NOW - 8_000_000,
        full_scan_at=NOW - 19_250,
    )
    return OutboundSnapshot(
        name=name,
        outbound_id=outbound_id,
        labels={"team": "renewals"} if labels is None else labels,
        window_seconds=3600.0,
        stale_after_seconds=300.0,
        spans=SPANS,
        health=health,
        calls=calls,
    )


class World:
    """An exposition whose time can be moved."""

    def __init__(self, *outbounds: OutboundSnapshot) -> None:
        self.now = NOW
        self.exporter = ExporterMetrics(
            budget=lambda: [Budget(1.5, 2.0, 3, False), Budget(0.5, 1.0, 1, True)],
            clock_skew_seconds=lambda: -0.25,
        )
        self.exporter.configured(successfully=True, at_seconds=NOW / 1000 - 60)
        self.exposition = Exposition(self.exporter, lambda: self.now)
        for outbound in outbounds:
            self.exposition.publish(outbound)

    def text(self, format_: Format = Format.TEXT) -> str:
        return self.exposition.render(format_).decode()

    def families(self, format_: Format) -> dict[str, Metric]:
        return families(self.text(format_), format_)

    def samples(self, name: str) -> dict[frozenset[tuple[str, str]], float]:
        """The samples of that very name, by their labels."""
        return {
            frozenset(sample.labels.items()): sample.value
            for family in self.families(Format.OPENMETRICS).values()
            for sample in family.samples
            if sample.name == name
        }


def families(text: str, format_: Format) -> dict[str, Metric]:
    parse = {
        Format.TEXT: parser.text_string_to_metric_families,
        Format.OPENMETRICS: openmetrics_parser.text_string_to_metric_families,
    }[format_]
    return {family.name: family for family in parse(text)}


def in_a_query(family: Metric) -> str:
    """The name by which the contract calls a family: a counter's with ``_total``."""
    return f"{family.name}_total" if family.type == "counter" else family.name


# --- byte for byte


def successive() -> Iterator[OutboundSnapshot]:
    """One outbound as it may be published in turn: what changes, and what stays."""
    latest = polled()
    yield unpolled(latest.name, latest.outbound_id)
    yield latest
    yield latest
    ledger, window = latest.calls.ledger, latest.calls.window
    assert window is not None
    for calls in (
        latest.calls._replace(live=7),
        latest.calls._replace(ledger=replace(ledger, started=41)),
        latest.calls._replace(window=window._replace(by_tag={"interested": 3})),
        latest.calls._replace(window=None),
    ):
        yield replace(latest, calls=calls)
    yield replace(latest, health=replace(latest.health, polls=301, up=False))
    yield polled(exemplars=(None, ("65f1c0cc", 7.0), None))
    yield polled(tags=reversed(["interested", "later"]))
    yield polled(labels={"team": "another"})
    yield polled("renamed")


@pytest.mark.parametrize("format_", Format)
def test_what_was_published_before_leaves_no_trace(format_: Format) -> None:
    world, beside = World(polled("b", "65f1c0bbbb")), polled("b", "65f1c0bbbb")
    for outbound in successive():
        world.exposition.publish(outbound)
        assert of_outbounds(world.text(format_)) == of_outbounds(
            World(beside, outbound).text(format_)
        )


def of_outbounds(text: str) -> list[str]:
    """The lines that are not the exporter's own, some of which tell the time."""
    return [line for line in text.splitlines() if not re.match(r"(# \w+ )?(process|python)_", line)]


@pytest.mark.parametrize("format_", Format)
def test_the_bytes_are_those_of_prometheus_client(format_: Format) -> None:
    world = World(polled(), polled("b", "65f1c0bbbb", labels={}), unpolled())

    class All:
        def collect(self) -> Iterator[Metric]:
            outbounds = world.exposition.outbounds
            for row in OUTBOUND_METRICS:
                yield from (each for each in families_of(row, outbounds, format_) if each.samples)
            yield from world.exporter.registry.collect()

    generate = {
        Format.TEXT: prometheus_client.generate_latest,
        Format.OPENMETRICS: openmetrics.generate_latest,
    }[format_]
    wanted = generate(All()).decode()
    # stale: unpolled() has had no good poll
    gone = re.compile(rf"^(?:{'|'.join(VANISHING)})\w*{{.*new one.*\n", re.MULTILINE)
    assert without_measurements(world.text(format_)) == without_measurements(gone.sub("", wanted))


def without_measurements(text: str) -> list[str]:
    """The lines, but for the values that no two moments of a process have in common."""
    return [
        line.rpartition(" ")[0] if re.match(r"(process|python)_", line) else line
        for line in text.splitlines()
    ]


def test_the_window_histogram_as_text_is_no_histogram() -> None:
    """Its buckets may fall; a Prometheus that takes it for a histogram would be misled."""
    lines = World(polled()).text().splitlines()
    block = [line for line in lines if "pearl_window_call_duration_seconds" in line]
    name = "pearl_window_call_duration_seconds"
    text = "Durations of the finished, answered calls in the window, as of the last successful "
    text += "poll of the NLPearl calls search. It may go down."
    assert block == [
        f"# HELP {name}_bucket {text}",
        f"# TYPE {name}_bucket untyped",
        f'{name}_bucket{{le="5.0",outbound="spring-renewals"}} 2.0',
        f'{name}_bucket{{le="60.0",outbound="spring-renewals"}} 5.0',
        f'{name}_bucket{{le="+Inf",outbound="spring-renewals"}} 6.0',
        f"# HELP {name}_gcount {text}",
        f"# TYPE {name}_gcount gauge",
        f'{name}_gcount{{outbound="spring-renewals"}} 6.0',
        f"# HELP {name}_gsum {text}",
        f"# TYPE {name}_gsum gauge",
        f'{name}_gsum{{outbound="spring-renewals"}} 123.5',
    ]


@pytest.mark.parametrize(
    ("format_", "file"), [(Format.TEXT, "metrics.txt"), (Format.OPENMETRICS, "metrics.om")]
)
def test_the_whole_of_a_scrape(format_: Format, file: str) -> None:
    """To take over a change that is meant: UPDATE_GOLDEN=1, and look at the difference."""
    world = World(polled(), unpolled())
    world.exporter.requested("200", 0.2)
    world.exporter.requested("none", 30.0)
    world.exporter.retried()
    world.exporter.waited(1.5)
    world.exporter.read_rows(79, 2)
    world.exporter.met_unknown_codes("status", 1)
    own = re.compile(r"(# \w+ )?(process|python)_")
    lines = [line for line in world.text(format_).splitlines() if not own.match(line)]
    text = re.sub(r'(python_)?version="[\d.]+"', r'\1version="X"', "\n".join(lines) + "\n")
    path = GOLDEN / file
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
        pytest.fail(f"{path} is written; look at the difference")
    assert text == path.read_text()


# --- the list


@pytest.mark.parametrize("format_", Format)
def test_every_metric_of_the_contract_is_there_and_nothing_else(format_: Format) -> None:
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
def test_a_metric_has_the_type_and_the_labels_of_the_contract(
    name: str, about: tuple[str, set[str]]
) -> None:
    type_, labels = about
    family = World(polled()).families(Format.OPENMETRICS)[name.removesuffix("_total")]
    assert family.type == type_
    assert {frozenset(each.labels) - {"le"} for each in family.samples} == {frozenset(labels)}
    assert family.documentation.endswith(".")


def test_the_catalogue_is_the_contracts() -> None:
    per_outbound = CONTRACT.keys() - EXPORTER.keys()
    assert {row.name for row in OUTBOUND_METRICS} == per_outbound
    assert {row.name for row in OUTBOUND_METRICS if row.vanishes} == VANISHING.keys()


def test_promtool_finds_nothing_to_complain_of() -> None:
    checked = subprocess.run(
        [debian_program("promtool"), "check", "metrics"],
        input=World(polled(), unpolled()).text(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.stdout, checked.stderr, checked.returncode) == ("", "", 0)


# --- before any poll


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
    "name", [each for each, (type_, labels) in EXPORTER.items() if type_ == "counter"]
)
def test_before_any_request_the_exporters_own_counters_are_there_at_0(name: str) -> None:
    found = World().samples(name)
    assert found
    assert set(found.values()) == {0.0}
    if name == "pearl_exporter_api_requests_total":
        assert {dict(each)["code"] for each in found} >= {"200", "401", "404", "429", "500", "none"}


@pytest.mark.parametrize(
    "name",
    [
        *VANISHING,
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


def test_the_outbounds_own_names_and_labels_are_there_before_any_poll() -> None:
    info = World(replace(unpolled(), labels={"team": "x"})).samples("pearl_outbound_info")
    labels = {"outbound": "new one", "outbound_id": "65f1c0aaaa", "team": "x"}
    assert info == {frozenset(labels.items()): 1.0}


# --- stale and fresh


@pytest.mark.parametrize("format_", Format)
def test_window_and_now_vanish_when_stale_and_come_back(format_: Format) -> None:
    outbound, other = polled(), polled("other", "65f1c0bbbb")
    later = replace(other, health=replace(other.health, last_success=NOW + 3_600_000))
    world = World(outbound, later)
    fresh = of_outbound(world.families(format_), "spring-renewals")
    world.now = NOW - 19_250 + 300_000
    assert of_outbound(world.families(format_), "spring-renewals") == fresh
    world.now += 1
    stale = of_outbound(world.families(format_), "spring-renewals")
    assert fresh.keys() >= stale.keys()
    gone = {name for name, _ in fresh.keys() - stale.keys()}
    assert {re.sub(r"_(bucket|gcount|gsum)$", "", name) for name in gone} == VANISHING.keys()
    assert {key: fresh[key] for key in stale} == stale
    kept = of_outbound(world.families(format_), "other")
    assert {name for name, _ in kept} == {name for name, _ in fresh}
    assert "nan" not in world.text(format_).lower()
    polled_again = replace(outbound, health=replace(outbound.health, last_success=world.now))
    world.exposition.publish(polled_again)
    again = of_outbound(world.families(format_), "spring-renewals")
    assert again.keys() == fresh.keys()


def of_outbound(
    found: dict[str, Metric], outbound: str
) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in found.values()
        for sample in family.samples
        if sample.labels.get("outbound") == outbound
    }


def test_an_empty_family_has_no_head() -> None:
    world = World(polled())
    world.now = NOW + 3_600_000
    assert "pearl_window" not in world.text()
    assert "pearl_" in World().text()
    assert "outbound" not in World().text()


def test_a_withdrawn_outbound_is_gone() -> None:
    world = World(polled(), unpolled())
    world.exposition.withdraw("65f1c0ffee")
    for format_ in Format:
        assert "spring-renewals" not in world.text(format_)
        assert "new one" in world.text(format_)


def test_what_one_poll_tells_are_gauges_of_fresh_outbounds() -> None:
    told = families(World(polled(), unpolled()).exposition.render_outbounds().decode(), Format.TEXT)
    assert {each.type for each in told.values()} == {"gauge", "unknown"}
    outbounds = {each.labels["outbound"] for each in told["pearl_window_calls"].samples}
    assert outbounds == {"spring-renewals"}
    assert len(told["pearl_outbound_up"].samples) == 2


# --- values


@pytest.mark.parametrize("format_", Format)
def test_no_value_is_nan_and_nothing_is_created(format_: Format) -> None:
    world = World(polled(), unpolled())
    assert "_created" not in world.text(format_)
    for family in world.families(format_).values():
        for sample in family.samples:
            assert not math.isnan(sample.value), sample
            assert sample.timestamp is None, sample


def test_the_buckets_of_the_counted_durations_are_cumulative() -> None:
    world = World(polled())
    about = {"outbound": "spring-renewals", "status": "success"}
    buckets = world.samples("pearl_call_duration_seconds_bucket")
    found = {bound: buckets[key(about, le=bound)] for bound in ("5.0", "60.0", "+Inf")}
    assert found == {"5.0": 1.0, "60.0": 1.0, "+Inf": 2.0}
    assert world.samples("pearl_call_duration_seconds_count")[key(about)] == 2.0
    assert world.samples("pearl_call_duration_seconds_sum")[key(about)] == 102.5


def key(labels: dict[str, str], **more: str) -> frozenset[tuple[str, str]]:
    return frozenset((labels | more).items())


def test_instants_are_told_in_seconds() -> None:
    world = World(polled())
    (since,) = world.samples("pearl_outbound_data_timestamp_seconds").values()
    assert since == NOW / 1000 - 20
    (oldest,) = world.samples("pearl_oldest_live_call_start_timestamp_seconds").values()
    assert oldest == NOW / 1000 - 500


def test_the_own_metrics_count_what_they_hear() -> None:
    world = World()
    world.exporter.requested("503", 0.2)
    world.exporter.requested("none", 30.0)
    world.exporter.waited(1.5)
    world.exporter.retried()
    world.exporter.read_rows(100, 3)
    world.exporter.met_unknown_codes("call_status", 2)
    world.exporter.configured(successfully=False, at_seconds=NOW)
    assert world.samples("pearl_exporter_api_requests_total")[key({}, code="503")] == 1
    assert world.samples("pearl_exporter_api_requests_total")[key({}, code="none")] == 1
    assert world.samples("pearl_exporter_api_request_duration_seconds_count") == {key({}): 2}
    assert world.samples("pearl_exporter_api_wait_seconds_total") == {key({}): 1.5}
    assert world.samples("pearl_exporter_api_retries_total") == {key({}): 1}
    assert world.samples("pearl_exporter_rows_total") == {key({}): 100}
    assert world.samples("pearl_exporter_rows_rejected_total") == {key({}): 3}
    assert world.samples("pearl_exporter_unknown_codes_total")[key({}, field="call_status")] == 2
    assert world.samples("pearl_exporter_config_last_reload_successful") == {key({}): 0}
    reloaded = "pearl_exporter_config_last_reload_success_timestamp_seconds"
    assert world.samples(reloaded) == {key({}): NOW / 1000 - 60}
    assert world.samples("pearl_exporter_api_rate_limit") == {key({}): 2.0}
    assert world.samples("pearl_exporter_api_rate_limit_configured") == {key({}): 3.0}
    assert world.samples("pearl_exporter_api_requests_waiting") == {key({}): 4.0}
    assert world.samples("pearl_exporter_api_tokens_refused") == {key({}): 1.0}
    assert world.samples("pearl_exporter_api_clock_skew_seconds") == {key({}): -0.25}


# --- exemplars


def exemplar_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if " # {" in line]


def test_an_exemplar_is_its_buckets_latest_call_and_stands_in_openmetrics_alone() -> None:
    world = World(polled())
    name = "pearl_call_duration_seconds_bucket"
    about = 'outbound="spring-renewals",status="success"'
    assert exemplar_lines(world.text(Format.OPENMETRICS)) == [
        f'{name}{{le="5.0",{about}}} 1.0 # {{call_id="65f1c0aa"}} 3.5',
        f'{name}{{le="+Inf",{about}}} 2.0 # {{call_id="65f1c0bb"}} 99.0',
    ]
    assert exemplar_lines(world.text(Format.TEXT)) == []
    assert "call_id" not in world.text(Format.TEXT)


@pytest.mark.parametrize(
    ("call_id", "is_shown"),
    [
        ("65f1c0ffee65f1c0ffee65f1", True),
        ("0b9fa3a4-5a5c-4d0e-8f5c-4f3a0b6f2f11", True),
        ("call_17", True),
        ("x" * 121, True),
        ("x" * 122, False),  # with its name beyond the 128 characters of OpenMetrics
        ("15125550142", False),
        ("+15125550142", False),
        ("1512-555-0142", False),
        ("1512_555_0142", False),
        ("tel:+15125550142", False),
        ("jane@example.org", False),
        ("Größe", False),
        ("١٥١٢٥٥٥", False),
        ('a"b', False),
        ("a b", False),
        ("-", False),
        ("", False),
    ],
)
def test_an_id_that_is_no_opaque_word_is_no_exemplar(call_id: str, is_shown: bool) -> None:
    outbound = polled(exemplars=((call_id, 3.5), None, None))
    text = World(outbound).text(Format.OPENMETRICS)
    families(text, Format.OPENMETRICS)
    wanted = [f'# {{call_id="{call_id}"}} 3.5'] if is_shown else []
    assert [line[line.index("# {") :] for line in exemplar_lines(text)] == wanted


# --- odd names

ODD_TEXT = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from('\\"\n{}=, #'), min_size=1
)


def test_odd_names_are_escaped() -> None:
    outbound = polled('a "b" \\c\nd', tags=["ü"])
    for format_ in Format:
        line = next(
            line
            for line in World(outbound).text(format_).splitlines()
            if line.startswith("pearl_window_tagged_calls{")
        )
        assert line == r'pearl_window_tagged_calls{outbound="a \"b\" \\c\nd",tag="ü"} 0.0'


@given(name=ODD_TEXT, tag=ODD_TEXT, label=ODD_TEXT)
def test_whatever_a_label_holds_comes_back_from_the_parsers(
    name: str, tag: str, label: str
) -> None:
    outbound = polled(name, tags=[tag], labels={"team": label})
    world = World(outbound)
    for format_ in Format:
        found = world.families(format_)
        (tagged,) = found["pearl_window_tagged_calls"].samples
        assert tagged.labels == {"outbound": name, "tag": tag}
        (info,) = found["pearl_outbound_info"].samples
        assert info.labels == {"outbound": name, "outbound_id": "65f1c0ffee", "team": label}


def test_a_registry_of_its_own_keeps_two_exporters_apart() -> None:
    one, two = World(), World()
    one.exporter.retried()
    assert list(two.samples("pearl_exporter_api_retries_total").values()) == [0.0]
    assert isinstance(one.exporter.registry, CollectorRegistry)
    assert one.exporter.registry is not two.exporter.registry
