"""Every metric of an outbound: name, type, help, labels and how it is read from a snapshot.

The names and meanings are the exporter's public interface; `docs/metrics.md` is tested against this
table. To add a metric, add it here: nothing else needs to know it.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from pearl_exporter.counting.calls import Instant
from pearl_exporter.counting.histogram import HistogramSnapshot
from pearl_exporter.counting.window import WindowSnapshot
from pearl_exporter.errors import Reason
from pearl_exporter.polling.signal_readings import SignalReading
from pearl_exporter.polling.snapshot import OutboundSnapshot

Value = float | HistogramSnapshot
Sample = tuple[tuple[str, ...], Value]
"""The values of a metric's own labels (those after ``outbound``), and the value itself."""


class OutboundMetric(NamedTuple):
    """One metric of every outbound.

    Attributes:
        name: The name as in a query; of a histogram, the name without suffixes.
        kind: ``counter``, ``gauge``, ``histogram`` or ``gaugehistogram``.
        help: What the value means and where it comes from.
        labels: The labels after ``outbound``.
        read: Returns the samples of one outbound.
        hidden_when_stale: Whether an outbound without a recent good poll has no samples.
    """

    name: str
    kind: str
    help: str
    labels: tuple[str, ...]
    read: Callable[[OutboundSnapshot], Iterable[Sample]]
    hidden_when_stale: bool = False


Reader = Callable[..., list[Sample]]
"""`OutboundMetric.read`."""


def _single(read: Callable[[OutboundSnapshot], float | None]) -> Reader:
    """Return a reader of one sample without labels of its own; of none while the value is None."""

    def samples(outbound: OutboundSnapshot) -> list[Sample]:
        value = read(outbound)
        return [] if value is None else [((), value)]

    return samples


def _timestamp(read: Callable[[OutboundSnapshot], Instant | None]) -> Reader:
    """Return a reader of an instant, in seconds as Prometheus has them."""

    def seconds(outbound: OutboundSnapshot) -> float | None:
        instant = read(outbound)
        return None if instant is None else instant / 1000

    return _single(seconds)


def _by_label(read: Callable[[OutboundSnapshot], Mapping[str, Value]]) -> Reader:
    """Return a reader of one sample for each value of the metric's one label."""
    return lambda outbound: [((label,), value) for label, value in read(outbound).items()]


def _in_window(read: Callable[[WindowSnapshot], Value]) -> Reader:
    """Return a reader of one value of the window; of none before the first good poll."""

    def samples(outbound: OutboundSnapshot) -> list[Sample]:
        window = outbound.calls.window
        return [] if window is None else [((), read(window))]

    return samples


def _in_window_by_label(read: Callable[[WindowSnapshot], Mapping[str, float]]) -> Reader:
    """Return a reader of the window's values by label; of none before the first good poll."""

    def samples(outbound: OutboundSnapshot) -> list[Sample]:
        window = outbound.calls.window
        return [] if window is None else [((key,), value) for key, value in read(window).items()]

    return samples


def _of_signals(read: Callable[[SignalReading], float | None]) -> Reader:
    """Return a reader of one sample for each signal; of none of a signal while the value is None.

    Nothing is published of a signal as long as no share is known to be usual.
    """

    def samples(outbound: OutboundSnapshot) -> list[Sample]:
        return [
            ((signal,), value)
            for signal, reading in outbound.signals.items()
            if reading.usual_ratio is not None and (value := read(reading)) is not None
        ]

    return samples


_AS_OF = "as of the last successful poll of the NLPearl calls search"
_COUNTED = "each counted once, when it settles; from the NLPearl calls search"

OUTBOUND_METRICS: tuple[OutboundMetric, ...] = (
    OutboundMetric(
        "pearl_window_calls",
        "gauge",
        f"Calls in the window by outcome (the API's conversationStatus), {_AS_OF}.",
        ("status",),
        _in_window_by_label(lambda window: window.by_status),
        hidden_when_stale=True,
    ),
    OutboundMetric(
        "pearl_window_telephony_calls",
        "gauge",
        f"Calls in the window by telephony state (the API's status), {_AS_OF}.",
        ("call_status",),
        _in_window_by_label(lambda window: window.by_call_status),
        hidden_when_stale=True,
    ),
    OutboundMetric(
        "pearl_window_tagged_calls",
        "gauge",
        f"Calls in the window with the tag; a call with two tags counts under both, {_AS_OF}.",
        ("tag",),
        _in_window_by_label(lambda window: window.by_tag),
        hidden_when_stale=True,
    ),
    OutboundMetric(
        "pearl_window_untagged_calls",
        "gauge",
        f"Finished, answered calls in the window without a tag, {_AS_OF}.",
        (),
        _in_window(lambda window: window.untagged),
        hidden_when_stale=True,
    ),
    OutboundMetric(
        "pearl_window_call_duration_seconds",
        "gaugehistogram",
        f"Durations of the finished, answered calls in the window, {_AS_OF}. Buckets may go down.",
        (),
        _in_window(lambda window: window.durations),
        hidden_when_stale=True,
    ),
    OutboundMetric(
        "pearl_window_seconds",
        "gauge",
        "Length of the window (poll.window).",
        (),
        _single(lambda outbound: outbound.window_seconds),
        hidden_when_stale=True,
    ),
    OutboundMetric(
        "pearl_calls_started_total",
        "counter",
        f"Calls seen for the first time, live or not, {_AS_OF}.",
        (),
        _single(lambda outbound: outbound.calls.ledger.started),
    ),
    OutboundMetric(
        "pearl_calls_total",
        "counter",
        f"Settled calls by outcome (the API's conversationStatus), {_COUNTED}.",
        ("status",),
        _by_label(lambda outbound: outbound.calls.ledger.by_status),
    ),
    OutboundMetric(
        "pearl_telephony_calls_total",
        "counter",
        f"Settled calls by telephony state (the API's status), {_COUNTED}.",
        ("call_status",),
        _by_label(lambda outbound: outbound.calls.ledger.by_call_status),
    ),
    OutboundMetric(
        "pearl_tagged_calls_total",
        "counter",
        f"Settled calls with the tag; a call with two tags counts under both, {_COUNTED}.",
        ("tag",),
        _by_label(lambda outbound: outbound.calls.ledger.by_tag),
    ),
    OutboundMetric(
        "pearl_untagged_calls_total",
        "counter",
        f"Settled, answered calls without a tag, {_COUNTED}.",
        (),
        _single(lambda outbound: outbound.calls.ledger.untagged),
    ),
    OutboundMetric(
        "pearl_call_duration_seconds",
        "histogram",
        f"Durations of settled, answered calls, {_COUNTED}.",
        ("status",),
        _by_label(lambda outbound: outbound.calls.ledger.durations),
    ),
    OutboundMetric(
        "pearl_call_revisions_total",
        "counter",
        "Changes to calls after they settled, by field; the other counters keep the values from "
        f"before the change; {_AS_OF}.",
        ("field",),
        _by_label(lambda outbound: outbound.calls.ledger.revisions),
    ),
    OutboundMetric(
        "pearl_calls_uncounted_total",
        "counter",
        f"Calls seen that will never be counted, {_AS_OF}.",
        ("reason",),
        _by_label(lambda outbound: outbound.calls.ledger.uncounted),
    ),
    OutboundMetric(
        "pearl_outbound_uncounted_seconds_total",
        "counter",
        "Time of outages that is not counted because it is further back than poll.catch_up.",
        (),
        _single(lambda outbound: outbound.calls.ledger.uncounted_seconds),
    ),
    OutboundMetric(
        "pearl_outbound_tracking_since_timestamp_seconds",
        "gauge",
        "Time at which tracking began; calls that settled before it are in no counter.",
        (),
        _timestamp(lambda outbound: outbound.calls.tracking_since),
    ),
    OutboundMetric(
        "pearl_live_calls",
        "gauge",
        f"Calls that are going on, {_AS_OF}.",
        (),
        _single(lambda outbound: outbound.calls.live),
        hidden_when_stale=True,
    ),
    OutboundMetric(
        "pearl_pending_calls",
        "gauge",
        f"Calls that are finished and not settled yet, {_AS_OF}.",
        (),
        _single(lambda outbound: outbound.calls.pending),
        hidden_when_stale=True,
    ),
    OutboundMetric(
        "pearl_oldest_live_call_start_timestamp_seconds",
        "gauge",
        f"Start of the oldest call that is going on, {_AS_OF}; absent if there is none.",
        (),
        _timestamp(lambda outbound: outbound.calls.oldest_live_start),
        hidden_when_stale=True,
    ),
    OutboundMetric(
        "pearl_signal_usual_ratio",
        "gauge",
        "Usual share of bad calls by signal, learned from the last seven days; absent while too "
        "little is known.",
        ("signal",),
        _of_signals(lambda reading: reading.usual_ratio),
        hidden_when_stale=True,
    ),
    OutboundMetric(
        "pearl_signal_usual_calls",
        "gauge",
        "Calls that the usual share of the signal is known from.",
        ("signal",),
        _of_signals(lambda reading: reading.usual_calls),
        hidden_when_stale=True,
    ),
    OutboundMetric(
        "pearl_signal_recent_ratio",
        "gauge",
        "Share of bad calls by signal in the newest calls that differ most from the usual share; "
        f"{_AS_OF}.",
        ("signal",),
        _of_signals(
            lambda reading: (
                reading.recent_bad_calls / reading.recent_calls if reading.recent_calls else None
            )
        ),
        hidden_when_stale=True,
    ),
    OutboundMetric(
        "pearl_signal_recent_calls",
        "gauge",
        f"Calls that the recent share of the signal is of, {_AS_OF}.",
        ("signal",),
        _of_signals(lambda reading: reading.recent_calls),
        hidden_when_stale=True,
    ),
    OutboundMetric(
        "pearl_signal_recent_bad_calls",
        "gauge",
        f"Bad calls among them, {_AS_OF}.",
        ("signal",),
        _of_signals(lambda reading: reading.recent_bad_calls),
        hidden_when_stale=True,
    ),
    OutboundMetric(
        "pearl_signal_evidence",
        "gauge",
        "How unusual the recent share of the signal is, in nats: the logarithm of how much more "
        f"likely a raised share makes it than the usual one; {_AS_OF}.",
        ("signal",),
        _of_signals(lambda reading: reading.evidence),
        hidden_when_stale=True,
    ),
    OutboundMetric(
        "pearl_signal_evidence_limit",
        "gauge",
        "Evidence above which the signal is worth a warning or a page.",
        ("signal", "severity"),
        lambda outbound: [
            ((signal, severity), limit)
            for signal, reading in outbound.signals.items()
            if reading.usual_ratio is not None
            for severity, limit in reading.limits._asdict().items()
        ],
        hidden_when_stale=True,
    ),
    OutboundMetric(
        "pearl_signal_ceiling_ratio",
        "gauge",
        "Configured share of bad calls that is too high whatever is usual; absent where none is.",
        ("signal",),
        lambda outbound: [
            ((signal,), reading.ceiling)
            for signal, reading in outbound.signals.items()
            if reading.ceiling is not None
        ],
        hidden_when_stale=True,
    ),
    OutboundMetric(
        "pearl_signal_since_timestamp_seconds",
        "gauge",
        "Start of the first call of the recent share, while the evidence is above the limit for a "
        "warning.",
        ("signal",),
        _of_signals(lambda reading: None if reading.since is None else reading.since / 1000),
        hidden_when_stale=True,
    ),
    OutboundMetric(
        "pearl_outbound_up",
        "gauge",
        "Whether the last poll of the outbound succeeded.",
        (),
        _single(lambda outbound: outbound.health.up),
    ),
    OutboundMetric(
        "pearl_outbound_token_refused",
        "gauge",
        "Whether the API refuses the outbound's token, for this outbound or for another one.",
        (),
        _single(lambda outbound: outbound.health.last_reason is Reason.AUTH),
    ),
    OutboundMetric(
        "pearl_outbound_info",
        "gauge",
        "The outbound's id at NLPearl and its configured labels.",
        ("outbound_id",),
        lambda outbound: [((outbound.outbound_id,), 1.0)],
    ),
    OutboundMetric(
        "pearl_outbound_last_success_timestamp_seconds",
        "gauge",
        "End of the last successful poll.",
        (),
        _timestamp(lambda outbound: outbound.health.last_success),
    ),
    OutboundMetric(
        "pearl_outbound_data_timestamp_seconds",
        "gauge",
        "Time at which the published data were read (start of the last successful poll).",
        (),
        _timestamp(lambda outbound: outbound.calls.polled_at),
    ),
    OutboundMetric(
        "pearl_outbound_poll_interval_seconds",
        "gauge",
        "Current interval between polls; longer while idle, or while the token or id is refused.",
        (),
        _single(lambda outbound: outbound.health.interval_seconds),
    ),
    OutboundMetric(
        "pearl_outbound_poll_duration_seconds",
        "gauge",
        "Duration of the last poll, including waits for the rate limit.",
        (),
        _single(lambda outbound: outbound.health.duration_seconds),
    ),
    OutboundMetric(
        "pearl_outbound_poll_lateness_seconds",
        "gauge",
        "Delay from the scheduled time of the last poll to its first request.",
        (),
        _single(lambda outbound: outbound.health.lateness_seconds),
    ),
    OutboundMetric(
        "pearl_outbound_tracked_calls",
        "gauge",
        "Calls held in memory: those in the window and those not settled yet.",
        (),
        _single(lambda outbound: outbound.calls.tracked),
    ),
    OutboundMetric(
        "pearl_outbound_missing_calls",
        "gauge",
        "Calls that are kept although the API does not list them any more; if a later poll "
        f"misses them again they are given up, {_AS_OF}.",
        (),
        _single(lambda outbound: outbound.calls.missing),
    ),
    OutboundMetric(
        "pearl_outbound_unreadable_rows",
        "gauge",
        "Rows that the API counts in the window and that could not be read: not given, without a "
        f"usable id or start, or out of place; {_AS_OF}.",
        (),
        _single(lambda outbound: outbound.health.unreadable_rows),
    ),
    OutboundMetric(
        "pearl_outbound_reads_by_offset",
        "gauge",
        "Whether the window is read page by page by offset, since the API's order, ends or dates "
        f"forbid reading downward; {_AS_OF}.",
        (),
        _single(lambda outbound: outbound.health.reads_by_offset),
    ),
    OutboundMetric(
        "pearl_outbound_catching_up",
        "gauge",
        "Whether calls of an outage are still to be counted; 1 from the first missed interval on.",
        (),
        _single(lambda outbound: outbound.health.catching_up),
    ),
    OutboundMetric(
        "pearl_outbound_caught_up_timestamp_seconds",
        "gauge",
        "Time at which counting last caught up with an outage, or began.",
        (),
        _timestamp(lambda outbound: outbound.health.caught_up_at),
    ),
    OutboundMetric(
        "pearl_outbound_full_scan_success_timestamp_seconds",
        "gauge",
        "End of the last successful read of the whole window.",
        (),
        _timestamp(lambda outbound: outbound.health.full_scan_at),
    ),
    OutboundMetric(
        "pearl_exporter_polls_total",
        "counter",
        "Polls of the outbound, successful and failed.",
        (),
        _single(lambda outbound: outbound.health.polls),
    ),
    OutboundMetric(
        "pearl_exporter_poll_failures_total",
        "counter",
        "Polls of the outbound that failed, by reason.",
        ("reason",),
        lambda outbound: [
            ((reason,), outbound.health.failures.get(reason, 0)) for reason in Reason
        ],
    ),
    OutboundMetric(
        "pearl_exporter_polls_skipped_total",
        "counter",
        "Polls skipped because the outbound's previous poll was still running.",
        (),
        _single(lambda outbound: outbound.health.skipped),
    ),
    OutboundMetric(
        "pearl_exporter_folded_tags",
        "gauge",
        "Distinct tags without a series of their own, as metrics.max_tags others came first.",
        (),
        _single(lambda outbound: outbound.calls.folded_tags),
    ),
)
