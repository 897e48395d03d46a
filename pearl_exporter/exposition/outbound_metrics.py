"""The catalogue: one row for each metric of an outbound, its name, help, labels and how to read it.

The names and meanings are the exporter's public interface. `docs/metrics.md` is tested against
this table. Every row is read from an immutable `OutboundSnapshot`; nothing here does I/O.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from pearl_exporter.counting.calls import Instant
from pearl_exporter.counting.histogram import HistogramSnapshot
from pearl_exporter.counting.window import WindowSnapshot
from pearl_exporter.errors import Reason
from pearl_exporter.polling.snapshot import OutboundSnapshot

Value = float | HistogramSnapshot
Sample = tuple[tuple[str, ...], Value]
"""The values of a row's own labels (after ``outbound``), and what is measured."""


class Row(NamedTuple):
    """One metric.

    Attributes:
        name: As it stands in a query; a histogram's without its suffixes.
        kind: ``counter``, ``gauge``, ``histogram`` or ``gaugehistogram``.
        help: What it is and where it comes from.
        labels: Its labels after ``outbound``.
        read: Its samples of one outbound.
        vanishes: Whether it is left out when the outbound's last good poll is too old.
    """

    name: str
    kind: str
    help: str
    labels: tuple[str, ...]
    read: Callable[[OutboundSnapshot], Iterable[Sample]]
    vanishes: bool = False


def _by_label(
    read: Callable[[OutboundSnapshot], Mapping[str, float]],
) -> Callable[..., list[Sample]]:
    return lambda outbound: [((label,), value) for label, value in read(outbound).items()]


def _one(read: Callable[[OutboundSnapshot], float]) -> Callable[..., list[Sample]]:
    return lambda outbound: [((), read(outbound))]


def _if_known(read: Callable[[OutboundSnapshot], float | None]) -> Callable[..., list[Sample]]:
    def samples(outbound: OutboundSnapshot) -> list[Sample]:
        value = read(outbound)
        return [] if value is None else [((), value)]

    return samples


def _at(read: Callable[[OutboundSnapshot], Instant | None]) -> Callable[..., list[Sample]]:
    def seconds(outbound: OutboundSnapshot) -> float | None:
        instant = read(outbound)
        return None if instant is None else instant / 1000

    return _if_known(seconds)


def _in_window(
    read: Callable[[WindowSnapshot], Iterable[Sample]],
) -> Callable[..., Iterable[Sample]]:
    def samples(outbound: OutboundSnapshot) -> Iterable[Sample]:
        window = outbound.calls.window
        return () if window is None else read(window)

    return samples


def _labelled(counts: Mapping[str, float]) -> Iterator[Sample]:
    return (((label,), value) for label, value in counts.items())


def _durations(outbound: OutboundSnapshot) -> list[Sample]:
    return [((status,), each) for status, each in outbound.calls.ledger.durations.items()]


_AS_OF = "as of the last successful poll of the NLPearl calls search"
_COUNTED = "each call counted once, when it settles; from the NLPearl calls search"

OUTBOUND_METRICS: tuple[Row, ...] = (
    Row(
        "pearl_window_calls",
        "gauge",
        f"Calls in the window by outcome (conversationStatus), {_AS_OF}.",
        ("status",),
        _in_window(lambda window: _labelled(window.by_status)),
        vanishes=True,
    ),
    Row(
        "pearl_window_telephony_calls",
        "gauge",
        f"Calls in the window by telephony state (the row's status), {_AS_OF}.",
        ("call_status",),
        _in_window(lambda window: _labelled(window.by_call_status)),
        vanishes=True,
    ),
    Row(
        "pearl_window_tagged_calls",
        "gauge",
        f"Calls in the window that bear the tag; one with two tags counts under both, {_AS_OF}.",
        ("tag",),
        _in_window(lambda window: _labelled(window.by_tag)),
        vanishes=True,
    ),
    Row(
        "pearl_window_untagged_calls",
        "gauge",
        f"Finished, answered calls in the window with no tag, {_AS_OF}.",
        (),
        _in_window(lambda window: [((), window.untagged)]),
        vanishes=True,
    ),
    Row(
        "pearl_window_call_duration_seconds",
        "gaugehistogram",
        f"Durations of the finished, answered calls in the window, {_AS_OF}. It may go down.",
        (),
        _in_window(lambda window: [((), window.durations)]),
        vanishes=True,
    ),
    Row(
        "pearl_window_seconds",
        "gauge",
        "Length of the window.",
        (),
        _one(lambda outbound: outbound.window_seconds),
        vanishes=True,
    ),
    Row(
        "pearl_calls_started_total",
        "counter",
        f"Calls seen for the first time, live or not, {_AS_OF}.",
        (),
        _one(lambda outbound: outbound.calls.ledger.started),
    ),
    Row(
        "pearl_calls_total",
        "counter",
        f"Settled calls by outcome (conversationStatus), {_COUNTED}.",
        ("status",),
        _by_label(lambda outbound: outbound.calls.ledger.by_status),
    ),
    Row(
        "pearl_telephony_calls_total",
        "counter",
        f"Settled calls by telephony state (the row's status), {_COUNTED}.",
        ("call_status",),
        _by_label(lambda outbound: outbound.calls.ledger.by_call_status),
    ),
    Row(
        "pearl_tagged_calls_total",
        "counter",
        f"Settled calls that bear the tag; one with two tags counts under both, {_COUNTED}.",
        ("tag",),
        _by_label(lambda outbound: outbound.calls.ledger.by_tag),
    ),
    Row(
        "pearl_untagged_calls_total",
        "counter",
        f"Settled, answered calls with no tag, {_COUNTED}.",
        (),
        _one(lambda outbound: outbound.calls.ledger.untagged),
    ),
    Row(
        "pearl_call_duration_seconds",
        "histogram",
        f"Durations of settled, answered calls, {_COUNTED}.",
        ("status",),
        _durations,
    ),
    Row(
        "pearl_call_revisions_total",
        "counter",
        "Changes to calls after they settled, by what changed; the counters keep the first "
        f"values, {_AS_OF}.",
        ("field",),
        _by_label(lambda outbound: outbound.calls.ledger.revisions),
    ),
    Row(
        "pearl_calls_uncounted_total",
        "counter",
        f"Calls seen that will never be counted, {_AS_OF}.",
        ("reason",),
        _by_label(lambda outbound: outbound.calls.ledger.uncounted),
    ),
    Row(
        "pearl_outbound_uncounted_seconds_total",
        "counter",
        "Time that lies further back than poll.catch_up reached after an outage.",
        (),
        _one(lambda outbound: outbound.calls.ledger.uncounted_seconds),
    ),
    Row(
        "pearl_outbound_tracking_since_timestamp_seconds",
        "gauge",
        "When tracking began; calls that settled before are in no counter.",
        (),
        _at(lambda outbound: outbound.calls.tracking_since),
    ),
    Row(
        "pearl_live_calls",
        "gauge",
        f"Tracked calls going on, {_AS_OF}.",
        (),
        _one(lambda outbound: outbound.calls.live),
        vanishes=True,
    ),
    Row(
        "pearl_pending_calls",
        "gauge",
        f"Tracked calls that finished and are not yet settled, {_AS_OF}.",
        (),
        _one(lambda outbound: outbound.calls.pending),
        vanishes=True,
    ),
    Row(
        "pearl_oldest_live_call_start_timestamp_seconds",
        "gauge",
        f"Start of the oldest call going on, {_AS_OF}; absent if there is none.",
        (),
        _at(lambda outbound: outbound.calls.oldest_live_start),
        vanishes=True,
    ),
    Row(
        "pearl_outbound_up",
        "gauge",
        "Whether the last poll of the outbound succeeded.",
        (),
        _one(lambda outbound: outbound.health.up),
    ),
    Row(
        "pearl_outbound_token_refused",
        "gauge",
        "Whether the API refuses the outbound's token; asked for this outbound, or for another.",
        (),
        _one(lambda outbound: outbound.health.last_reason is Reason.AUTH),
    ),
    Row(
        "pearl_outbound_info",
        "gauge",
        "The outbound's id at NLPearl and its configured labels.",
        ("outbound_id",),
        lambda outbound: [((outbound.outbound_id,), 1.0)],
    ),
    Row(
        "pearl_outbound_last_success_timestamp_seconds",
        "gauge",
        "End of the last successful poll.",
        (),
        _at(lambda outbound: outbound.health.last_success),
    ),
    Row(
        "pearl_outbound_data_timestamp_seconds",
        "gauge",
        "The moment of which the published calls are: the start of the last successful poll.",
        (),
        _at(lambda outbound: outbound.calls.polled_at),
    ),
    Row(
        "pearl_outbound_poll_interval_seconds",
        "gauge",
        "Interval between polls in force; longer while the token or the id is refused, or idle.",
        (),
        _one(lambda outbound: outbound.health.interval_seconds),
    ),
    Row(
        "pearl_outbound_poll_duration_seconds",
        "gauge",
        "How long the last poll took, waiting for its turns included.",
        (),
        _if_known(lambda outbound: outbound.health.duration_seconds),
    ),
    Row(
        "pearl_outbound_poll_lateness_seconds",
        "gauge",
        "How long after its schedule the last poll sent its first request.",
        (),
        _if_known(lambda outbound: outbound.health.lateness_seconds),
    ),
    Row(
        "pearl_outbound_tracked_calls",
        "gauge",
        "Calls held in memory: those of the window and those not yet settled.",
        (),
        _one(lambda outbound: outbound.calls.tracked),
    ),
    Row(
        "pearl_outbound_catching_up",
        "gauge",
        "Whether calls of an outage are not counted yet; 1 from the first missed interval on.",
        (),
        _one(lambda outbound: outbound.health.catching_up),
    ),
    Row(
        "pearl_outbound_caught_up_timestamp_seconds",
        "gauge",
        "When counting last caught up with an outage, or began.",
        (),
        _at(lambda outbound: outbound.health.caught_up_at),
    ),
    Row(
        "pearl_outbound_full_scan_success_timestamp_seconds",
        "gauge",
        "End of the last successful read of the whole window.",
        (),
        _at(lambda outbound: outbound.health.full_scan_at),
    ),
    Row(
        "pearl_exporter_polls_total",
        "counter",
        "Polls of the outbound, successful and failed.",
        (),
        _one(lambda outbound: outbound.health.polls),
    ),
    Row(
        "pearl_exporter_poll_failures_total",
        "counter",
        "Polls of the outbound that failed, by reason.",
        ("reason",),
        lambda outbound: [
            ((reason,), outbound.health.failures.get(reason, 0)) for reason in Reason
        ],
    ),
    Row(
        "pearl_exporter_polls_skipped_total",
        "counter",
        "Polls that fell due while the outbound's poll before was still going on.",
        (),
        _one(lambda outbound: outbound.health.skipped),
    ),
    Row(
        "pearl_exporter_folded_tags",
        "gauge",
        "Different tags without a series of their own because metrics.max_tags others came first.",
        (),
        _one(lambda outbound: outbound.calls.folded_tags),
    ),
)
