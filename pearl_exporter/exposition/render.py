"""From immutable snapshots to the bytes of a scrape.

An outbound's lines are rendered when it is published, and those alone that changed: rendering all
would be most of what a poll costs. A scrape joins them family by family (the lines of a family must
stand together) and touches memory only. The rendering itself is
`prometheus_client`'s, so that every byte is what its `generate_latest` would give; the one
exception is the window's histogram in the text format, see `_window_histogram_as_text`.
"""

from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from itertools import accumulate

import prometheus_client
from prometheus_client.core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

from pearl_exporter.counting.calls import Instant
from pearl_exporter.counting.histogram import HistogramSnapshot
from pearl_exporter.exposition.exporter_metrics import ExporterMetrics
from pearl_exporter.exposition.outbound_metrics import OUTBOUND_METRICS, Row
from pearl_exporter.polling.snapshot import OutboundSnapshot

_MAX_EXEMPLAR_VALUE = 128 - len("call_id")
"""OpenMetrics 1.0: the label set of an exemplar has at most 128 characters."""

_Lines = tuple[bytes, ...]
"""What one metric has of an outbound in one format: family by family, nearly always one."""


class Format(Enum):
    """An exposition format; its value is the content type."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class Exposition:
    """What a scrape sees: the published outbounds, and the exporter's own metrics."""

    def __init__(self, exporter: ExporterMetrics, now: Callable[[], Instant]) -> None:
        self._exporter = exporter
        self._now = now
        self._outbounds: dict[str, OutboundSnapshot] = {}
        self._lines: dict[Format, dict[str, list[_Lines]]] = {each: {} for each in Format}
        self._headers = {each: _headers(each) for each in Format}

    @property
    def outbounds(self) -> tuple[OutboundSnapshot, ...]:
        """The outbounds as last published, by name."""
        return tuple(sorted(self._outbounds.values(), key=lambda each: each.name))

    def publish(self, outbound: OutboundSnapshot) -> None:
        """Shows this from the next scrape on."""
        before = self._outbounds.get(outbound.outbound_id)
        changed = [before is None or _is_changed(row, before, outbound) for row in OUTBOUND_METRICS]
        for format_, lines in self._lines.items():
            kept = lines.get(outbound.outbound_id, [()] * len(changed))
            lines[outbound.outbound_id] = [
                _lines(row, outbound, format_) if is_changed else old
                for row, is_changed, old in zip(OUTBOUND_METRICS, changed, kept, strict=True)
            ]
        self._outbounds[outbound.outbound_id] = outbound

    def withdraw(self, outbound_id: str) -> None:
        """Shows nothing of an outbound any more."""
        del self._outbounds[outbound_id]
        for lines in self._lines.values():
            del lines[outbound_id]

    def render(self, format_: Format) -> bytes:
        """The whole of ``/metrics``."""
        now = self._now()
        shown = [
            (self._lines[format_][outbound.outbound_id], outbound.is_stale(now))
            for outbound in self.outbounds
        ]
        parts: list[bytes] = []
        for index, row in enumerate(OUTBOUND_METRICS):
            told = [each[index] for each, is_stale in shown if not (row.vanishes and is_stale)]
            for header, *lines in zip(self._headers[format_][index], *told, strict=True):
                if any(lines):
                    parts.append(header)
                    parts.extend(lines)
        parts.append(_generate(self._exporter.registry, format_))
        if format_ is Format.OPENMETRICS:
            parts.append(b"# EOF\n")
        return b"".join(parts)

    def render_outbounds(self) -> bytes:
        """The gauges of the outbounds alone, in the text format: what one poll can tell."""
        # not by age: one outbound's long read must not cost another its window
        fresh = tuple(each for each in self.outbounds if each.health.up)
        families = [
            family
            for row in OUTBOUND_METRICS
            if row.kind in ("gauge", "gaugehistogram")
            for family in families_of(row, fresh if row.vanishes else self.outbounds, Format.TEXT)
            if family.samples
        ]
        return _generate(_Families(families), Format.TEXT)


def families_of(
    row: Row, outbounds: Iterable[OutboundSnapshot], format_: Format
) -> Iterator[Metric]:
    """One metric of these outbounds as families of `prometheus_client`, nearly always one."""
    family = Metric(row.name.removesuffix("_total"), row.help, row.kind)
    for outbound in outbounds:
        for values, measured in row.read(outbound):
            labels = dict(zip(("outbound", *row.labels), (outbound.name, *values), strict=True))
            if row.name == "pearl_outbound_info":  # its labels differ from outbound to outbound
                labels |= outbound.labels
            if isinstance(measured, HistogramSnapshot):
                _add_histogram(family, labels, measured)
            else:
                family.add_sample(row.name, labels, measured)
    if row.kind == "gaugehistogram" and format_ is Format.TEXT:
        yield from _window_histogram_as_text(family)
    else:
        yield family


def _add_histogram(family: Metric, labels: dict[str, str], measured: HistogramSnapshot) -> None:
    """Cumulative buckets, count and sum; exemplars on counters alone, whose buckets only grow."""
    is_gauge = family.type == "gaugehistogram"
    bounds = (*map(floatToGoString, measured.bounds), "+Inf")
    cumulative = list(accumulate(measured.counts))
    exemplars = measured.exemplars or (None,) * len(bounds)
    for bound, count, latest in zip(bounds, cumulative, exemplars, strict=True):
        exemplar = None if is_gauge else _exemplar(latest)
        family.add_sample(f"{family.name}_bucket", {**labels, "le": bound}, count, None, exemplar)
    family.add_sample(f"{family.name}_{'g' * is_gauge}count", labels, cumulative[-1])
    family.add_sample(f"{family.name}_{'g' * is_gauge}sum", labels, measured.total_seconds)


def _exemplar(latest: tuple[str, float] | None) -> Exemplar | None:
    if latest is None or not _is_opaque_id(latest[0]):
        return None
    return Exemplar({"call_id": latest[0]}, latest[1])


def _is_opaque_id(call_id: str) -> bool:
    """Whether an id may be shown: a word of ASCII that is no bare number, as a phone number is."""
    word = call_id.replace("-", "").replace("_", "")
    return (
        len(call_id) <= _MAX_EXEMPLAR_VALUE
        and word.isascii()
        and word.isalnum()
        and not word.isdigit()
    )


def _window_histogram_as_text(family: Metric) -> Iterator[Metric]:
    """A histogram that may go down, in a format that has no type for it.

    Typed as a histogram, its buckets would be spoilt by a Prometheus that converts classic
    histograms to native ones; so they are untyped, and count and sum are gauges.
    """
    for suffix, type_ in (("_bucket", "unknown"), ("_gcount", "gauge"), ("_gsum", "gauge")):
        part = Metric(family.name + suffix, family.documentation, type_)
        part.samples = [each for each in family.samples if each.name == family.name + suffix]
        yield part


class _Families(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._collected = tuple(families)

    def collect(self) -> Iterable[Metric]:
        return self._collected


def _generate(registry: Collector, format_: Format) -> bytes:
    if format_ is Format.TEXT:
        return prometheus_client.generate_latest(registry)
    latest: bytes = openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call]
    return latest.removesuffix(b"# EOF\n")


def _headers(format_: Format) -> list[_Lines]:
    """HELP and TYPE of each metric's families."""
    return [
        tuple(_generate(_Families([family]), format_) for family in families_of(row, (), format_))
        for row in OUTBOUND_METRICS
    ]


def _lines(row: Row, outbound: OutboundSnapshot, format_: Format) -> _Lines:
    """One metric's sample lines of one outbound, family by family."""
    return tuple(
        _generate(_Families([family]), format_).split(b"\n", 2)[2]
        for family in families_of(row, (outbound,), format_)
    )


def _is_changed(row: Row, before: OutboundSnapshot, outbound: OutboundSnapshot) -> bool:
    """Whether a metric's lines say something else of an outbound than before."""
    if (before.name, before.labels) != (outbound.name, outbound.labels):
        return True
    return [*row.read(before)] != [*row.read(outbound)]
