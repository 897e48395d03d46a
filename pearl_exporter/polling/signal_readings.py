"""What is published of each signal of an outbound, and what outbounds learn of each other. Pure."""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

from pearl_exporter.config import OutboundSettings
from pearl_exporter.counting.calls import Instant
from pearl_exporter.detection.detector import Detector
from pearl_exporter.detection.evidence import LIMITS, Limits, Stretch
from pearl_exporter.detection.signals import Signal
from pearl_exporter.detection.usual import Prior, Usual, prior_of


class SignalReading(NamedTuple):
    """What is published of one signal.

    Attributes:
        usual_ratio: The usual share of bad calls; None while too little is known.
        usual_calls: The number of calls that it is known from.
        recent_calls: The calls of the stretch that is the strongest evidence.
        recent_bad_calls: How many of them are bad.
        evidence: How unusual that is, in nats; 0 while nothing is known to be usual.
        since: When the first call of the stretch started, to the bin; None below the warning limit.
        limits: The evidence above which it is worth a page or a warning.
        ceiling: The share that is too high whatever is usual; None if there is none.
    """

    usual_ratio: float | None
    usual_calls: int
    recent_calls: int
    recent_bad_calls: int
    evidence: float
    since: Instant | None
    limits: Limits = LIMITS["normal"]
    ceiling: float | None = None


SignalReadings = Mapping[Signal, SignalReading]


class UsualShares:
    """What is usual for each outbound, so that a new one is not without any."""

    def __init__(self) -> None:
        self._by_signal: dict[Signal, dict[str, Usual]] = {signal: {} for signal in Signal}

    def prior(self, signal: Signal, outbound_id: str) -> Prior | None:
        """Return what the other outbounds say of an outbound's share; None without others."""
        known = self._by_signal[signal]
        return prior_of([usual for id_, usual in known.items() if id_ != outbound_id])

    def note(self, signal: Signal, outbound_id: str, usual: Usual | None) -> None:
        """Note what is usual for an outbound."""
        if usual is None:
            self._by_signal[signal].pop(outbound_id, None)
        else:
            self._by_signal[signal][outbound_id] = usual

    def forget(self, outbound_id: str) -> None:
        """Forget an outbound, which is no longer polled."""
        for known in self._by_signal.values():
            known.pop(outbound_id, None)


def read_signals(
    detector: Detector, outbound: OutboundSettings, shares: UsualShares, now: Instant
) -> SignalReadings:
    """Return what is to be published of an outbound's signals; note what is usual for it.

    Args:
        detector: Has the outbound's calls.
        outbound: The outbound.
        shares: What is usual for all outbounds.
        now: T of the poll.
    """
    readings = {}
    for signal, settings in outbound.signals.items():
        if not settings.enabled:
            shares.note(signal, outbound.id, None)
            continue
        usual, stretch = detector.assess(
            signal,
            now,
            prior=partial(shares.prior, signal, outbound.id),
            at_least_bad=settings.at_least_bad_calls,
        )
        shares.note(signal, outbound.id, usual)
        limits = LIMITS[settings.sensitivity]
        stretch = stretch or Stretch(now, 0, 0, 0.0)
        readings[signal] = SignalReading(
            usual_ratio=None if usual is None else usual.mean,
            usual_calls=0 if usual is None else usual.calls,
            recent_calls=stretch.calls,
            recent_bad_calls=stretch.bad,
            evidence=stretch.evidence,
            since=stretch.start if stretch.evidence > limits.warning else None,
            limits=limits,
            ceiling=settings.ceiling,
        )
    return readings
