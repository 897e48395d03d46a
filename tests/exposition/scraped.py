"""Fixed snapshots of outbounds, and a scrape of them."""

from collections.abc import Iterable

from prometheus_client import parser
from prometheus_client.core import Metric
from prometheus_client.openmetrics import parser as openmetrics_parser

from pearl_exporter.api.budget import Budget
from pearl_exporter.counting.histogram import HistogramSnapshot
from pearl_exporter.counting.labels import TagRules
from pearl_exporter.counting.ledger import LedgerSnapshot
from pearl_exporter.counting.settlement import CountingRules
from pearl_exporter.counting.tracker import Tracker, TrackerSnapshot
from pearl_exporter.counting.window import WindowSnapshot
from pearl_exporter.detection.signals import Signal
from pearl_exporter.exposition.exporter_metrics import ExporterMetrics
from pearl_exporter.exposition.render import Exposition, Format
from pearl_exporter.polling.poll_health import Health
from pearl_exporter.polling.signal_readings import SignalReading
from pearl_exporter.polling.snapshot import OutboundSnapshot, PollTimings
from tests.exposition.contract import CALL_STATUSES, SETTLED_STATUSES, STATUSES

NOW = 1_795_000_000_000


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
        missing=2,
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
        unreadable_rows=4,
        reads_by_offset=True,
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
        signals={
            Signal.ERROR: SignalReading(0.031, 9_000, 130, 42, 61.5, NOW - 600_000),
            Signal.SHORT: SignalReading(0.2, 3_000, 20, 4, 0.0, None, ceiling=0.5),
            Signal.NOT_SUCCESSFUL: SignalReading(None, 0, 7, 2, 0.0, None),
        },
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


def key(labels: dict[str, str], **more: str) -> frozenset[tuple[str, str]]:
    return frozenset((labels | more).items())
